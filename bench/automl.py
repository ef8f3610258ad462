"""A model from 1,000 pictures of clothes in a given time: CTLR beside AutoKeras, FLAML and a plain Optuna search.

    python -m bench automl                       # one minute each
    python bench/automl.py --minutes 5 --seeds 3 # the figures that the documentation states

All get the same 1,000 pictures of Fashion-MNIST (Debian's dataset-fashion-mnist), 100 a class, and are asked 2,000
others of its test files. CTLR is `ctlr.ImageClassifier` as it comes: it holds a fifth of the pictures back for its
own test and learns from the rest. FLAML searches on pixels, as its documentation shows for arrays; AutoKeras is its
ImageClassifier, whose trials are stopped after as long, and which then trains its best once more without a limit;
Optuna tunes a small convolutional network of plain PyTorch by its TPE. What is not installed is left out. Every one
runs in a process of its own on the same two cores. How good each believed its model to be is the best of its own
validation.

AutoKeras 3.0 does not run on Keras 3.8 to 3.15, and 2.0 cannot be installed beside its own requirements; 1.0.20 runs in
an environment of its own:

    python3.11 -m venv ak && ak/bin/pip install tensorflow-cpu==2.15.1 keras-tuner==1.4.7 pandas 'numpy<2' packaging
    ak/bin/pip install --no-deps autokeras==1.0.20
    CTLR_BENCH_AUTOKERAS=ak/bin/python python bench/automl.py
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["jobs", "main"]

_CLOTHES = Path("/usr/share/datasets/fashion-mnist")
_PER_CLASS, _ASKED = 100, 2000
_ELSEWHERE = "CTLR_BENCH_AUTOKERAS"
_FIRST_RANKING = 60.0
"""Seconds within which a first ranking of 1,000 pictures has to stand."""

Row = dict[str, Any]


def jobs() -> Iterator[tuple[str, Callable[[], Iterator[Row]]]]:
    """One comparison of a minute each."""
    yield "automl, one minute", lambda: _rows(minutes=1.0, seeds=1)


def _rows(*, minutes: float, seeds: int) -> Iterator[Row]:
    if not _CLOTHES.exists():
        raise RuntimeError("needs Debian's package dataset-fashion-mnist")
    found: dict[str, list[dict[str, Any]]] = {}
    for seed in range(seeds):
        for name in _SYSTEMS:
            if _installed(name):
                found.setdefault(name, []).append(_in_process(name, minutes, seed))
    ours = found["CTLR"]
    firsts = [each["first"] for each in ours]
    yield {"name": "first ranking of 1,000 pictures, s", "ours": statistics.median(firsts), "theirs": None,
           "ratio": None, "target": _FIRST_RANKING}  # fmt: skip
    for name, theirs in found.items():
        if name == "CTLR":
            continue
        mine, their = (statistics.fmean(each["accuracy"] for each in every) for every in (ours, theirs))
        believed = [each["validation"] for each in theirs]
        yield {"name": f"accuracy of 2,000 other pictures after {minutes:g} min, {name}", "ours": mine, "theirs": their,
               "ratio": mine / their, "target": 1.0}  # fmt: skip
        reached = statistics.median(map(_reached, (each["course"] for each in ours), believed))
        took = statistics.median(each["seconds"] for each in theirs)
        yield {"name": f"s until validation is where {name}'s ended ({statistics.fmean(believed):.3f})",
               "ours": reached, "theirs": took, "ratio": took / reached, "target": 1.0}  # fmt: skip


def _reached(course: list[list[float]], accuracy: float) -> float:
    """Seconds until the best validation accuracy so far was as high; infinite where it never was."""
    return next((seconds for seconds, value in course if value >= accuracy), math.inf)


def _python(name: str) -> str:
    """The interpreter that a system runs in."""
    return os.environ.get(_ELSEWHERE, sys.executable) if name == "AutoKeras" else sys.executable


def _installed(name: str) -> bool:
    needs = "; ".join(f"import {package}" for package in _SYSTEMS[name][1])
    return not needs or subprocess.run([_python(name), "-c", needs], capture_output=True, check=False).returncode == 0


def _in_process(name: str, minutes: float, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [_python(name), str(Path(__file__).absolute()), "--system", name, "--minutes", str(minutes), "--seed",
             str(seed)], cwd=folder, capture_output=True, text=True, check=False,
            env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip().splitlines()[-1:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


# ---------------------------------------------------------------- pictures


def _read(side: str) -> tuple[np.ndarray, np.ndarray]:
    def numbers(kind: str, skip: int) -> np.ndarray:
        (file,) = _CLOTHES.glob(f"{side}-{kind}*")
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        return np.frombuffer(data, np.uint8, offset=skip)

    return numbers("images", 16).reshape(-1, 28, 28), numbers("labels", 8).astype(np.int64)


def _pictures(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(1000, 28, 28) and their classes, then those that are asked."""
    rng = np.random.default_rng(seed)
    images, labels = _read("train")
    rows = np.concatenate([rng.permutation(np.flatnonzero(labels == each))[:_PER_CLASS] for each in range(10)])
    rows = rng.permutation(rows)
    others, truth = _read("t10k")
    asked = rng.permutation(len(others))[:_ASKED]
    return images[rows], labels[rows], others[asked], truth[asked]


# ---------------------------------------------------------------- systems


def _ctlr(minutes: float, seed: int) -> dict[str, Any]:
    import ctlr

    images, labels, others, truth = _pictures(seed)
    began = time.time()
    model = ctlr.ImageClassifier(minutes=minutes, seed=seed, workers=2).fit(images, labels)
    said = model.predict(others).astype(np.int64)
    events = [json.loads(line) for line in Path("workspace/runs/pictures/events.jsonl").read_text().splitlines()]
    course, best, searches, first = [], 0.0, set(), None
    for event in events:
        value = event.get("value")
        if event["kind"] == "trial.ended" and value is not None:
            searches.add(event["step"])
            first = event["time"] - began if first is None and len(searches) > 1 else first
            best = max(best, value)
            course.append([event["time"] - began, best])
    return {"accuracy": float((said == truth).mean()), "validation": best, "first": first, "course": course}


def _flaml(minutes: float, seed: int) -> dict[str, Any]:
    from flaml import AutoML

    images, labels, others, truth = _pictures(seed)
    model = AutoML()
    model.fit(images.reshape(len(images), -1) / 255, labels, task="classification", metric="accuracy",
              time_budget=60 * minutes, seed=seed, n_jobs=2, verbose=0)  # fmt: skip
    said = model.predict(others.reshape(len(others), -1) / 255)
    return {"accuracy": float((said == truth).mean()), "validation": 1 - model.best_loss}


def _autokeras(minutes: float, seed: int) -> dict[str, Any]:
    import autokeras
    import keras

    images, labels, others, truth = _pictures(seed)
    until = time.monotonic() + 60 * minutes

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        over = False

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training |= not Clock.over and time.monotonic() > until

    # It knows no time: trials that begin once it is over end with their first batch.
    model = autokeras.ImageClassifier(max_trials=max(2, round(6 * minutes)), seed=seed, overwrite=True)
    again = model.tuner.final_fit

    def final_fit(**words: Any) -> Any:
        Clock.over = True  # it copies its callbacks
        return again(**words)

    model.tuner.final_fit = final_fit
    with contextlib.redirect_stdout(sys.stderr):
        model.fit(images[..., None], labels.astype(str), validation_split=0.2, verbose=0, callbacks=[Clock()])
        said = np.asarray(model.predict(others[..., None], verbose=0)).astype(np.int64).ravel()
    best = model.tuner.oracle.get_best_trials(1)[0].metrics
    return {"accuracy": float((said == truth).mean()), "validation": best.get_best_value("val_accuracy")}


def _optuna(minutes: float, seed: int) -> dict[str, Any]:
    import optuna
    import torch
    from torch import nn

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    images, labels, others, truth = _pictures(seed)
    x, y = torch.from_numpy(images[:, None] / np.float32(255)), torch.from_numpy(labels)
    train, held = slice(0, 800), slice(800, 1000)
    best: list[Any] = [0.0, None]

    def objective(trial: optuna.Trial) -> float:
        torch.manual_seed(seed)
        width = trial.suggest_int("width", 8, 64, log=True)
        drop = trial.suggest_float("dropout", 0, 0.5)
        net = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(drop),
            nn.Linear(2 * width * 49, 10),
        )  # fmt: skip
        rate = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
        decay = trial.suggest_float("weight_decay", 1e-6, 1e-1, log=True)
        batch = trial.suggest_categorical("batch_size", [16, 32, 64])
        learn = torch.optim.AdamW(net.parameters(), rate, weight_decay=decay)
        top = 0.0
        for _ in range(20):
            net.train()
            for rows in torch.randperm(800).split(batch):
                loss = nn.functional.cross_entropy(net(x[train][rows]), y[train][rows])
                learn.zero_grad()
                loss.backward()
                learn.step()
            net.eval()
            with torch.inference_mode():
                value = float((net(x[held]).argmax(1) == y[held]).float().mean())
            if value > best[0]:
                best[:] = value, {name: each.clone() for name, each in net.state_dict().items()} | {"net": net}
            top = max(top, value)
        return top

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, timeout=60 * minutes)
    state = dict(best[1])
    net = state.pop("net")
    net.load_state_dict(state)
    net.eval()
    with torch.inference_mode():
        said = net(torch.from_numpy(others[:, None] / np.float32(255))).argmax(1).numpy()
    return {"accuracy": float((said == truth).mean()), "validation": best[0]}


_SYSTEMS: dict[str, tuple[Callable[[float, int], dict[str, Any]], tuple[str, ...]]] = {
    "CTLR": (_ctlr, ()),
    "FLAML": (_flaml, ("flaml", "lightgbm")),
    "AutoKeras": (_autokeras, ("autokeras", "keras")),
    "plain Optuna": (_optuna, ("optuna",)),
}


def main() -> None:
    """Run one system, or all and print their rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--system", choices=_SYSTEMS)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    if asked.system:
        began = time.monotonic()
        answer = _SYSTEMS[asked.system][0](asked.minutes, asked.seed)
        print(json.dumps(answer | {"seconds": time.monotonic() - began}))
        return
    for row in _rows(minutes=asked.minutes, seeds=asked.seeds):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
