"""The training loop beside a bare one, and what it needs of memory.

    python bench/training.py        # 2 minutes on a quiet core

Bare: forward, backward and optimiser on tensors of the same shape that lie ready in memory, in the same precision and
memory format. Both take turns, and each figure is a median over rounds.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["main", "rates", "rows"]

ROUNDS = 9
CASES = (("small_cnn", 32, 256), ("small_cnn", 48, 128), ("sfcn", 32, 64))
"""(encoder, side, volumes an epoch)."""
BATCH = 16
MEMORY_VOLUMES, MEMORY_SIDE = 500, 96
MEMORY_MIB = 2048


def rows() -> Iterator[dict[str, Any]]:
    """One row a comparison: name, ours and theirs (unit in the name), ratio and target."""
    for _, job in jobs():
        yield from job()


def jobs() -> Iterator[tuple[str, Callable[[], Iterable[dict[str, Any]]]]]:
    """What each row takes, by a name for the case that it fails."""
    for name, side, volumes in CASES:
        yield f"training epoch, {name}, {volumes} x {side}^3", partial(_epoch, name, side, volumes)
    yield f"peak memory, training on {MEMORY_VOLUMES} x {MEMORY_SIDE}^3", _memory


def _epoch(name: str, side: int, volumes: int) -> Iterator[dict[str, Any]]:
    ours, theirs = rates(name, (1, side, side, side), volumes)
    yield {
        "name": f"training epoch, {name}, {volumes} x {side}^3, volumes/s: bare loop",
        "ours": ours, "theirs": theirs, "ratio": ours / theirs, "target": 0.95,
    }  # fmt: skip


def rates(
    name: str,
    shape: tuple[int, ...],
    count: int,
    *,
    device: str = "cpu",
    batch: int = BATCH,
    stored: bool = False,
    rounds: int = ROUNDS,
) -> tuple[float, float]:
    """Images (C, *S) a second of our epochs and of bare ones; `stored`: ours read every row from the stored arrays."""
    import numpy as np
    import torch

    from ctlr.encoders import build_encoder, build_head
    from ctlr.methods.losses import TaskLoss
    from ctlr.methods.supervised import Supervised
    from ctlr.specs import ComputeSpec, FitSpec, encoder_spec
    from ctlr.training.fit import fit
    from ctlr.training.images import Images, Labelled
    from ctlr.training.placement import keep_freed_memory, place

    if device == "cpu":
        torch.set_num_threads(1)
    keep_freed_memory()  # as a worker does
    spec = FitSpec(epochs=rounds + 1, batch_size=batch, schedule="constant", warmup=0)
    images, target = torch.randn(count, *shape), torch.randn(count)

    def objective() -> Supervised:
        encoder = build_encoder(encoder_spec(name), channels=shape[0], ndim=len(shape) - 1, seed=0)
        return Supervised(encoder, build_head(encoder.width, 1, dropout=0.0, seed=0), TaskLoss(classes=0))

    bare = objective()
    placement = place(bare.encoder, ComputeSpec(), device, shape)
    placement.put(bare.networks)
    ready = images.to(device)
    if len(shape) > 2:
        ready = ready.contiguous(memory_format=placement.memory_format)
    values = target.to(device)
    optimiser = torch.optim.AdamW(bare.networks.parameters())
    bare.networks.train()

    def bare_epoch() -> float:
        began = time.perf_counter()
        for chunk, wanted in zip(ready.split(batch), values.split(batch), strict=True):
            optimiser.zero_grad(set_to_none=True)
            with placement.autocast():
                features = bare.encoder(chunk)
            loss = (bare.head(features.float())[:, 0] - wanted).square().mean()
            loss.backward()
            optimiser.step()
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        held = Images.of(images, placement.device)
        if stored:
            held = Images([(_stored(Path(folder), images.numpy()), np.arange(count))], placement.device,
                          in_memory_bytes=0)  # fmt: skip
        # After each of our epochs a bare one: a busy machine slows both alike.
        fitted = fit(
            objective(), {"labelled": Labelled(held, values)}, spec=spec, seed=0,
            placement=placement, folder=Path(folder), progress=lambda *_: theirs.append(bare_epoch()),
        )  # fmt: skip
    ours = [row["seconds"] for row in fitted.history]
    return count / statistics.median(ours[1:]), count / statistics.median(theirs[1:])


def _memory() -> Iterator[dict[str, Any]]:
    """Peak memory of a process that trains on 500 stored volumes of 96^3."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        answer = subprocess.run(
            [sys.executable, __file__, "--memory", folder], capture_output=True, text=True, check=True, env=environment
        )
    peak = json.loads(answer.stdout)["peak_mib"]
    yield {
        "name": f"peak memory, training on {MEMORY_VOLUMES} x {MEMORY_SIDE}^3, MiB: at most {MEMORY_MIB}",
        "ours": peak, "theirs": float(MEMORY_MIB), "ratio": MEMORY_MIB / peak, "target": 1.0,
    }  # fmt: skip


def _stored(folder: Path, volumes: Iterable[Any]) -> Any:
    """Stored float16 arrays of some volumes, each (C, *S)."""
    from ctlr.data.store import ArrayStore, ArrayWriter, ImageRecord, write_table
    from ctlr.specs import StoredArrays
    from ctlr.workspace import Workspace

    workspace = Workspace(folder / "workspace")
    rows = 0
    with workspace.publish("arrays", "noise") as place_:
        first = next(volumes := iter(volumes))
        with ArrayWriter(place_, first.shape, "float16") as writer:
            for volume in itertools.chain([first], volumes):
                writer.append(volume.astype("float16"))
                rows += 1
        write_table(place_, [ImageRecord(subject=str(i), file=str(i), sha256=str(i)) for i in range(rows)])
    arrays = StoredArrays(
        fingerprint="noise", path="arrays/noise", rows=rows, subjects=rows, shape=first.shape, dtype="float16"
    )
    return ArrayStore(arrays, workspace)


def _train_in_bounds(folder: Path) -> None:
    """Store 500 volumes of noise, train an epoch on them, print the peak resident memory."""
    import numpy as np
    import torch

    from ctlr.encoders import build_encoder, build_head
    from ctlr.methods.losses import TaskLoss
    from ctlr.methods.supervised import Supervised
    from ctlr.specs import ComputeSpec, FitSpec, encoder_spec
    from ctlr.training.fit import fit
    from ctlr.training.images import Images, Labelled
    from ctlr.training.placement import keep_freed_memory, place

    torch.set_num_threads(1)
    keep_freed_memory()  # as a worker does
    shape = (1, *[MEMORY_SIDE] * 3)
    noise = np.random.default_rng(0).standard_normal(shape, dtype=np.float32).astype(np.float16)
    store = _stored(folder, (np.roll(noise, shift, axis=1) for shift in range(MEMORY_VOLUMES)))
    encoder = build_encoder(encoder_spec("small_cnn"), channels=1, ndim=3, seed=0)
    objective = Supervised(encoder, build_head(encoder.width, 1, dropout=0.0, seed=0), TaskLoss(classes=0))
    rows_ = Labelled(Images([(store, np.arange(MEMORY_VOLUMES))], torch.device("cpu")), torch.randn(MEMORY_VOLUMES))
    fit(
        objective, {"labelled": rows_}, spec=FitSpec(epochs=1, batch_size=8), seed=0,
        placement=place(encoder, ComputeSpec(), "cpu", shape), folder=folder,
    )  # fmt: skip
    # Not getrusage: its peak counts what the parent held when it started this process.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak is not None
    print(json.dumps({"peak_mib": int(peak[1]) / 1024}))


def main() -> None:
    """Print the table, or measure memory for the parent."""
    if sys.argv[1:2] == ["--memory"]:
        _train_in_bounds(Path(sys.argv[2]))
        return
    for row in rows():
        print(f"{row['name']:75s} {row['ours']:8.1f} {row['theirs']:8.1f} {row['ratio']:6.2f} {row['target']}")


if __name__ == "__main__":
    main()
