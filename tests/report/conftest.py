"""A synthetic benchmark whose results are known exactly, written as steps would have left it.

A regression study's predictions are `y + bias + (shrink - 1)(y - mean) + noise` with the noise scaled until the
mean absolute error is the asked-for number: the brain-age gap's slope is then `shrink - 1` to the last digit.
A classification study gets the asked-for share of its test subjects right.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq

from ctlr.specs import (
    AnyMethod,
    CohortSpec,
    DataTask,
    EncoderSpec,
    ImagesSpec,
    MeanSpec,
    PretrainSpec,
    ScratchSpec,
    SimCLRSpec,
    Study,
    StudyResult,
    SupervisedSpec,
    TaskSpec,
    VATSpec,
    fingerprint,
)
from ctlr.training.metrics import classification_scores, regression_scores

COHORT = CohortSpec(name="cohort", subjects=400)
AGE = DataTask(data=COHORT, task=TaskSpec(name="age", target="age", kind="regression"))
SEX = DataTask(data=COHORT, task=TaskSpec(name="sex", target="sex", kind="classification"))
DIGITS = DataTask(
    data=ImagesSpec(name="digits", root="digits"),
    task=TaskSpec(name="high", target="class", kind="classification", classes=("5", "6", "7", "8", "9")),
)
LOW_DIGITS = DataTask(
    data=DIGITS.data,
    task=TaskSpec(name="low", target="class", kind="classification", classes=("0", "1", "2", "3", "4")),
)
ENCODER = EncoderSpec(label="small", name="small_cnn")
METHODS: dict[str, AnyMethod] = {
    "mean": MeanSpec(label="mean"),
    "scratch": ScratchSpec(label="scratch"),
    "supervised": SupervisedSpec(label="supervised"),
    "simclr": SimCLRSpec(label="simclr"),
    "vat": VATSpec(label="vat"),
}
MAE = {
    "scratch": {20: 11.0, 50: 8.6, 100: 6.8},
    "supervised": {20: 8.2, 50: 7.3, 100: 6.6},
    "simclr": {20: 9.8, 50: 8.5, 100: 6.9},
    "vat": {20: 12.9, 50: 9.0, 100: 7.0},
}
SHRINK = {20: 0.7, 50: 0.75, 100: 0.8}
ACCURACY = {
    "mean": {20: 0.20, 60: 0.20},
    "scratch": {20: 0.60, 60: 0.84},
    "supervised": {20: 0.80, 60: 0.90},
    "simclr": {20: 0.61, 60: 0.85},
}
SEED_OFFSET = (-0.2, 0.0, 0.2)


def _rng(*parts: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32("/".join(map(str, parts)).encode()))


def known_regression(
    truth: NDArray[np.float64], mae: float, shrink: float, noise: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Predictions with exactly this mean absolute error and exactly `shrink - 1` as slope of the gap."""
    centred = truth - truth.mean()
    basis = np.column_stack([np.ones_like(truth), centred])
    noise = noise - basis @ np.linalg.lstsq(basis, noise, rcond=None)[0]
    systematic = (shrink - 1) * centred
    scale = brentq(lambda x: np.abs(systematic + x * noise).mean() - mae, 0.0, 100.0)
    return truth + systematic + scale * noise


def known_classification(
    truth: NDArray[np.int64], classes: int, correct: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Probabilities whose largest is right for exactly this share of the subjects."""
    wrong = rng.permutation(len(truth))[: round((1 - correct) * len(truth))]
    chosen = truth.copy()
    chosen[wrong] = (truth[wrong] + rng.integers(1, classes, len(wrong))) % classes
    logits = rng.gumbel(size=(len(truth), classes))
    top = logits.max(axis=1) + rng.exponential(np.where(chosen == truth, 2.5, 0.5))
    logits[np.arange(len(truth)), chosen] = top
    weights = np.exp(logits)
    return weights / weights.sum(axis=1, keepdims=True)


@dataclass
class Benchmark:
    """Study results and the workspace that they lie in."""

    root: Path
    results: list[StudyResult] = field(default_factory=list)

    def add(self, study: Study, rows: dict[str, list[dict[str, object]]], scores: dict[str, dict[str, float]]) -> None:
        trained = study.method.method != "mean"
        folder = self.root / "studies" / study.id
        folder.mkdir(parents=True, exist_ok=True)
        lines = [{"subject": row.pop("subject"), "split": split, **row} for split in rows for row in rows[split]]
        _write(folder / "predictions.csv", lines)
        if trained:
            _write(folder / "history.csv", _history(study, scores["validation"][study.target.task.headline]))
        shared = PretrainSpec.of(study)
        seconds = {"preprocess": 21.0, "evaluate": 0.4} | ({"finetune": 3.0 + study.n_train / 25} if trained else {})
        self.results.append(
            StudyResult(
                study=study, scores=scores, path=f"studies/{study.id}", best_epoch=20, epochs=25,
                seconds=seconds | ({"pretrain": 34.0} if shared else {}),
                pretraining=shared.identity() if shared else "", parameters=214_817 if trained else 0,
                arrays=fingerprint(study.target.data.name), split=fingerprint(str(study.n_train), str(study.seed)),
                environment={"torch": "2.13.0", "numpy": "2.4.6"},
            )
        )  # fmt: skip

    def fail(self, study: Study, reason: str) -> None:
        self.results.append(StudyResult(study=study, status="failed", reason=reason, seconds={"finetune": 1.5}))


def _history(study: Study, score: float) -> list[dict[str, object]]:
    rng = _rng("history", study.id)
    return [
        {"epoch": epoch, "train_loss": 0.1 + 0.9 * 0.85**epoch, "lr": 1e-3 * (1 - epoch / 30), "seconds": 0.4,
         f"validation_{study.target.task.headline}": score * (1 + 0.8 * 0.8**epoch) + 0.05 * rng.normal()}
        for epoch in range(1, 26)
    ]  # fmt: skip


def _write(file: Path, rows: Sequence[dict[str, object]]) -> None:
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def make_study(target: DataTask, method: AnyMethod, n_train: int, seed: int, encoder: EncoderSpec = ENCODER) -> Study:
    source = SEX if target is AGE else LOW_DIGITS
    return Study(
        target=target, source=source if method.method in ("supervised", "simclr", "vat") else None, method=method,
        encoder=encoder, n_train=n_train, n_reserved=100, seed=seed,
    )  # fmt: skip


def _subjects(split: str, count: int) -> list[str]:
    return [f"{zlib.crc32(f'{split}{index}'.encode()):08x}{index:04x}" for index in range(count)]


def add_regression(benchmark: Benchmark, study: Study, mae: float, shrink: float, n_test: int = 100) -> None:
    rows: dict[str, list[dict[str, object]]] = {}
    scores: dict[str, dict[str, float]] = {}
    factor = {"train": 0.5, "validation": 1.0, "test": 1.0}
    for split, count in {"train": study.n_train, "validation": study.n_train, "test": n_test}.items():
        ages = _rng("ages", split, count).uniform(20, 80, count)
        if study.method.method == "mean":
            predicted = np.full(count, 50.0)
        else:
            # A subject that is hard for one method is hard for all: that is what pairing profits from.
            own = _rng(split, study.method.label, study.n_train, study.seed).normal(size=count)
            noise = _rng("hard", split, count).normal(size=count) + 0.7 * own
            least = np.abs((shrink - 1) * (ages - ages.mean())).mean() + 0.3
            predicted = known_regression(ages, max(mae * factor[split], least), shrink, noise)
        rows[split] = [
            {"subject": subject, "y_true": f"{age:.12g}", "y_pred": f"{value:.12g}"}
            for subject, age, value in zip(_subjects(split, count), ages, predicted, strict=True)
        ]
        scores[split] = regression_scores(ages, predicted, bins=[32, 44, 56, 68])
    benchmark.add(study, rows, scores)


def add_classification(benchmark: Benchmark, study: Study, accuracy: float, n_test: int = 150) -> None:
    classes = study.target.task.classes or ("female", "male")
    rows: dict[str, list[dict[str, object]]] = {}
    scores: dict[str, dict[str, float]] = {}
    for split, count in {"train": study.n_train, "validation": study.n_train, "test": n_test}.items():
        truth = np.arange(count) % len(classes)
        rng = _rng(split, study.method.label, study.n_train, study.seed)
        probabilities = known_classification(truth, len(classes), 1.0 if split == "train" else accuracy, rng)
        if study.method.method == "mean":
            probabilities = np.full((count, len(classes)), 1 / len(classes))
        predicted = probabilities.argmax(axis=1)
        rows[split] = [
            {"subject": subject, "y_true": classes[true], "y_pred": classes[guess]}
            | {f"p_{name}": f"{p:.8g}" for name, p in zip(classes, probability, strict=True)}
            for subject, true, guess, probability in zip(
                _subjects(split, count), truth, predicted, probabilities, strict=True
            )
        ]
        scores[split] = classification_scores(truth, probabilities)
    benchmark.add(study, rows, scores)


def age_benchmark(
    root: Path, methods: Iterable[str] = ("mean", "scratch", "supervised", "simclr"),
    sizes: Iterable[int] = (20, 50, 100), seeds: Iterable[int] = (0, 1, 2), n_test: int = 100,
    encoder: EncoderSpec = ENCODER,
) -> Benchmark:  # fmt: skip
    """Age of a synthetic cohort; the mean absolute error of every cell is MAE[method][n] on average over the seeds."""
    benchmark = Benchmark(root)
    for name in methods:
        for n_train in sizes:
            for seed in seeds:
                mae = 0.0 if name == "mean" else MAE[name][n_train] + SEED_OFFSET[seed]
                study = make_study(AGE, METHODS[name], n_train, seed, encoder)
                add_regression(benchmark, study, mae, SHRINK[n_train], n_test)
    return benchmark


def digits_benchmark(root: Path, target: DataTask = DIGITS) -> Benchmark:
    """Five digits; the share of right answers of every cell is ACCURACY[method][n]."""
    benchmark = Benchmark(root)
    for name, by_size in ACCURACY.items():
        for n_train, accuracy in by_size.items():
            for seed in (0, 1, 2):
                add_classification(benchmark, make_study(target, METHODS[name], n_train, seed), accuracy)
    return benchmark


@pytest.fixture(scope="session")
def age(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return age_benchmark(tmp_path_factory.mktemp("age"))


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return digits_benchmark(tmp_path_factory.mktemp("digits"))


@pytest.fixture
def new_benchmark(tmp_path: Path) -> Callable[..., Benchmark]:
    """Build an age benchmark of other factors in a folder of its own."""
    return lambda **factors: age_benchmark(tmp_path / "workspace", **factors)
