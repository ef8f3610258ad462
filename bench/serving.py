"""A server's start, and one volume of 96^3 through the small CNN over HTTP: `python -m bench serving`.

The client shares the machine's cores with the server: what it takes to send is in the seconds. The first request warms
up. Seconds of the processor are the server's, of all its cores together: other work on the machine hardly changes them.
An uploaded file is inflated, brought to its grid, normalised and predicted; a tensor comes prepared.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

__all__ = ["main", "rows"]

SIDE, REQUESTS, STARTS, CORES = 96, 100, 5, 2
MOST = {"start": 5.0, "tensor": 0.15, "upload": 0.15}
_NAMES = {
    "tensor": f"one {SIDE}^3 volume as a binary tensor, p95 of {REQUESTS}",
    "upload": f"one {SIDE}^3 volume as .nii.gz, p95 of {REQUESTS}",
}


def rows() -> Iterator[dict[str, Any]]:
    """One row each: seconds, the limit, their ratio (limit / seconds; 1 or more is within it)."""
    for _, job in jobs():
        yield from job()


def jobs() -> Iterator[tuple[str, Callable[[], Iterable[dict[str, Any]]]]]:
    """What each row takes, by a name for the case that it fails."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_model(folder)
        yield "start", partial(_start, folder)
        for kind in _NAMES:
            yield kind, partial(_requests, folder, kind)


def _row(name: str, seconds: float, limit: float) -> dict[str, Any]:
    return {"name": f"{name}, s: at most {limit:g}", "ours": seconds, "theirs": limit, "ratio": limit / seconds,
            "target": 1.0}  # fmt: skip


def _write_model(folder: Path) -> None:
    from ctlr.data.identity import RULES
    from ctlr.encoders import build_encoder, build_head
    from ctlr.specs import ModelCard, Preparation, PreprocessSpec
    from ctlr.training.checkpoint import TrainedModel, save_model

    options = PreprocessSpec(spacing=2, shape=(SIDE,) * 3)
    prepared = Preparation(
        ctlr="0", rules=RULES, kind="volume", preprocess=options, orientation="RAS", channels="grey", masks="none",
        low=-4, high=4, units="years",
    )  # fmt: skip
    card = ModelCard.model_validate(
        {"encoder": {"name": "small_cnn"}, "channels": 1, "ndim": 3, "shape": (1, SIDE, SIDE, SIDE), "target": "age",
         "task": "regression", "mean": 50.0, "std": 15.0, "preparation": prepared}
    )  # fmt: skip
    encoder = build_encoder(card.encoder, channels=1, ndim=3, seed=0)
    save_model(folder, TrainedModel(card, encoder, build_head(encoder.width, 1, dropout=0.0, seed=0)))


def _image() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Smooth, bright in the middle, with noise, as z-scores."""
    place = np.linspace(-1, 1, SIDE)
    ball = np.exp(-3 * (place[:, None, None] ** 2 + place[None, :, None] ** 2 + place**2))
    image = ball + np.random.default_rng(0).normal(0, 0.03, ball.shape)
    return np.asarray((image - image.mean()) / image.std(), np.float32)


def _spent(process: subprocess.Popen[str]) -> float:
    """Seconds of the processor, of all threads."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _server(folder: Path) -> Iterator[tuple[http.client.HTTPConnection, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "ctlr", "serve", str(folder), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "http://" in line:
                yield http.client.HTTPConnection(line.split("http://")[1].strip(), timeout=60), process
                return
        raise RuntimeError("the server did not start")
    finally:
        process.terminate()
        process.wait(60)


def _ready(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/v2/health/ready")
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (200, {"ready": True})


def _start(folder: Path) -> Iterator[dict[str, Any]]:
    """From the process' start to the first answer that it is ready; the files are in the system's cache."""
    seconds = []
    for _ in range(STARTS):
        began = time.perf_counter()
        with _server(folder) as (connection, _):
            _ready(connection)
            seconds.append(time.perf_counter() - began)
    yield _row(f"ctlr serve, from its start to ready, median of {STARTS}", float(np.median(seconds)), MOST["start"])


def _requests(folder: Path, kind: str) -> Iterator[dict[str, Any]]:
    path, body, headers = (_tensor if kind == "tensor" else _upload)(folder)
    with _server(folder) as (connection, process):
        seconds, spent = [], 0.0
        for number in range(REQUESTS + 1):
            if number == 1:
                spent = _spent(process)
            began = time.perf_counter()
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            told = answer.read()
            seconds.append(time.perf_counter() - began)
            if answer.status != 200:
                raise RuntimeError(told.decode())
        spent = (_spent(process) - spent) / REQUESTS
    yield _row(_NAMES[kind], float(np.quantile(seconds[1:], 0.95)), MOST[kind])
    yield _row("the same, of the processor, mean", spent, CORES * MOST[kind])


def _tensor(folder: Path) -> tuple[str, bytes, dict[str, str]]:
    image = _image().clip(-4, 4)
    tensor = {"name": "images", "datatype": "FP32", "shape": [1, 1, SIDE, SIDE, SIDE],
              "parameters": {"binary_data_size": image.nbytes}}  # fmt: skip
    head = json.dumps({"inputs": [tensor]}).encode()
    return "/v2/models/model/infer", head + image.tobytes(), {"Inference-Header-Content-Length": str(len(head))}


def _upload(folder: Path) -> tuple[str, bytes, dict[str, str]]:
    values = (_image() * 100 + 200).clip(0).astype(np.int16)
    file = folder / "image.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, np.diag([2.0, 2, 2, 1])), file)
    bound = uuid.uuid4().hex
    part = f'--{bound}\r\nContent-Disposition: form-data; name="file"; filename="image.nii.gz"\r\n\r\n'.encode()
    body = part + file.read_bytes() + f"\r\n--{bound}--\r\n".encode()
    return "/v1/predict", body, {"Content-Type": f"multipart/form-data; boundary={bound}"}


def main() -> None:
    """Print the table."""
    print(f"{os.cpu_count()} cores")
    for row in rows():
        print(f"{row['name']:75s} {row['ours']:8.3f} {row['theirs']:8.2f} {row['ratio']:6.2f}")


if __name__ == "__main__":
    main()
