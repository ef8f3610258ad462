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
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq
from stored_units import store_units
from transfer_study import PAIRS, ladder, pair_studies

from ctlr.methods.mean import MeanSpec
from ctlr.methods.scratch import ScratchSpec
from ctlr.methods.simclr import SimCLRSpec
from ctlr.methods.supervised import SupervisedSpec
from ctlr.methods.vat import VATSpec
from ctlr.shallow.baselines import LinearSpec, NearestSpec
from ctlr.specs import (
    AlgorithmSpec,
    AnyMethod,
    CohortSpec,
    DataTask,
    EncoderSpec,
    ImagesSpec,
    Objective,
    Parameter,
    PretrainSpec,
    SearchResult,
    SearchStage,
    Study,
    StudyResult,
    TaskSpec,
    Trial,
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
    "linear": LinearSpec(label="linear"),
    "nearest": NearestSpec(label="nearest"),
}
MAE = {
    "scratch": {20: 11.0, 50: 8.6, 100: 6.8},
    "supervised": {20: 8.2, 50: 7.3, 100: 6.6},
    "simclr": {20: 9.8, 50: 8.5, 100: 6.9},
    "vat": {20: 12.9, 50: 9.0, 100: 7.0},
    "linear": {20: 10.5, 50: 6.0, 100: 6.7},
    "nearest": {20: 9.9, 50: 8.4, 100: 8.0},
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
        trained = study.method.trains_network
        folder = self.root / "studies" / study.id
        folder.mkdir(parents=True, exist_ok=True)
        lines = [{"subject": row.pop("subject"), "split": split, **row} for split in rows for row in rows[split]]
        _write(folder / "predictions.csv", lines)
        if trained:
            _write(folder / "history.csv", _history(study, scores["validation"][study.target.task.headline]))
        shared = PretrainSpec.of(study)
        seconds = {"preprocess": 21.0, "evaluate": 0.4} | ({"finetune": 3.0 + study.n_train / 25} if trained else {})
        store_units(self.root, fingerprint(study.target.data.name), {"age": "years"})
        self.results.append(
            StudyResult(
                study=study, scores=scores, path=f"studies/{study.id}", best_epoch=20, epochs=25,
                seconds=seconds | ({"pretrain": 34.0} if shared else {}),
                pretraining=shared.identity() if shared else "", parameters=214_817 if trained else 0,
                arrays=fingerprint(study.target.data.name), split=fingerprint(str(study.n_train), str(study.seed)),
                environment={"torch": "2.13.0", "numpy": "2.4.6"},
            )
        )  # fmt: skip

    def typical_search(self, method: str, n_train: int) -> SearchResult:
        return typical_search(self.root, method, n_train)

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
def beside(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """That of `age`, with two baselines."""
    methods = ("mean", "scratch", "supervised", "simclr", "linear", "nearest")
    return age_benchmark(tmp_path_factory.mktemp("beside"), methods)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return digits_benchmark(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="session")
def digits_of() -> Callable[..., Benchmark]:
    """Build a benchmark of digits at n = 20 from (method, share of right answers) pairs, in a folder of one's own."""

    def build(root: Path, accuracy: Iterable[tuple[AnyMethod, float]], seeds: Iterable[int] = (0, 1, 2)) -> Benchmark:
        benchmark = Benchmark(root)
        for method, share in accuracy:
            for seed in seeds:
                add_classification(benchmark, make_study(DIGITS, method, 20, seed), share)
        return benchmark

    return build


@pytest.fixture(scope="session")
def retrained() -> Callable[..., Benchmark]:
    """Add the studies of some methods once more, with other options and a known amount worse."""

    def build(benchmark: Benchmark, worse: dict[str, float], n_train: int) -> Benchmark:
        again = Benchmark(benchmark.root)
        for name, amount in worse.items():
            options = METHODS[name].finetune.model_copy(update={"lr": 0.0123})
            method = METHODS[name].model_copy(update={"finetune": options})
            for seed in (0, 1, 2):
                mae = MAE[name][n_train] + amount + SEED_OFFSET[seed]
                add_regression(again, make_study(AGE, method, n_train, seed), mae, SHRINK[n_train])
        return again

    return build


@pytest.fixture
def new_benchmark(tmp_path: Path) -> Callable[..., Benchmark]:
    """Build an age benchmark of other factors in a folder of its own."""
    return lambda **factors: age_benchmark(tmp_path / "workspace", **factors)


@pytest.fixture
def age_in() -> Callable[..., Benchmark]:
    """Build an age benchmark of other factors in a folder."""
    return age_benchmark


@pytest.fixture
def scratch_alone(tmp_path: Path) -> Callable[[float, float], Benchmark]:
    """Scratch at n = 20, two seeds, whose gap has a slope of `shrink - 1`, and whose error is `mae` at least."""

    def build(shrink: float, mae: float) -> Benchmark:
        benchmark = Benchmark(tmp_path)
        for seed in (0, 1):
            add_regression(benchmark, make_study(AGE, METHODS["scratch"], 20, seed), mae, shrink)
        return benchmark

    return build


# ---------------------------------------------------------------- searches

LR = Parameter(name="lr", kind="double", low="0.00001", high="0.1", distribution="logUniform")
FROZEN = Parameter(name="frozen", kind="int", low="0", high="4")
OPTIMISER = Parameter(name="optimiser", kind="categorical", values=("adam", "sgd"))
SPACE = (LR, FROZEN, OPTIMISER)
OPTIONS = {"lr": "finetune.lr", "frozen": "finetune.n_frozen", "optimiser": "finetune.optimiser"}
LOWEST = Objective(metric="val_mae", direction="minimize", strategies={"val_mae": "latest"})


def make_trial(number: int, value: float | None, *, seconds: float = 6.0, status: str = "", **more: Any) -> Trial:
    """A trial whose options follow from its number."""
    rng = _rng("options", number)
    given = {
        "number": number, "name": f"trial-{number:03d}", "value": value, "seconds": seconds,
        "status": status or ("Failed" if value is None else "Succeeded"), "started": (number // 2) * seconds,
        "assignments": {"lr": f"{10 ** rng.uniform(-5, -1):.12g}", "frozen": str(rng.integers(0, 5)),
                        "optimiser": str(rng.choice(["adam", "sgd"]))},
    }  # fmt: skip
    return Trial(**given | more)


def surface(trial: Trial, low: float) -> float:
    """The value of a trial: best at a rate of 0.001, with two blocks frozen, a little better with adam."""
    options = trial.assignments
    return (
        low + 0.9 * (np.log10(float(options["lr"])) + 3) ** 2 + 0.15 * (int(options["frozen"]) - 2) ** 2
        + 0.3 * (options["optimiser"] == "sgd")
    )  # fmt: skip


def make_stage(trials: Sequence[Trial], **more: Any) -> SearchStage:
    """A stage of the finetuning; its best trial is the one with the smallest value."""
    valued = [trial for trial in trials if trial.value is not None]
    best = min(valued, key=lambda trial: trial.value or 0.0).number if valued else None
    given = {
        "stage": "finetune", "objective": LOWEST, "algorithm": AlgorithmSpec(name="tpe"), "parameters": SPACE,
        "options": OPTIONS, "parallel": 2, "trials": tuple(trials), "best": best,
        "reason": "ExperimentMaxTrialsReached",
    }  # fmt: skip
    return SearchStage(**given | more)


def make_search(study: Study, *stages: SearchStage, **more: Any) -> SearchResult:
    """What was found in these stages; the last one's best trial is chosen."""
    last = stages[-1] if stages else None
    chosen = (
        {OPTIONS[k]: v for k, v in last.trials[last.best].assignments.items()} if last and last.best is not None else {}
    )
    given = {"study": study, "stages": stages, "assignments": chosen, "path": f"searches/{study.id}",
             "reason": "" if chosen else "tuning found nothing: every trial failed"}  # fmt: skip
    return SearchResult(**given | more)


def typical_search(root: Path, method: str, n_train: int, *, trials: int = 20) -> SearchResult:
    """A search of 20 trials with a failure, an early stop and predictions of every scored trial below `root`."""
    tried = []
    for number in range(trials):
        trial = make_trial(number, 1.0, seconds=5.0 + number % 3)
        status = {4: "Failed", 9: "EarlyStopped"}.get(number, "Succeeded")
        noise = float(_rng("value", method, n_train, number).normal(scale=0.1))
        value = None if status == "Failed" else surface(trial, MAE[method][n_train] - 0.4) + noise
        reason = "the loss is no number at epoch 3" if status == "Failed" else ""
        tried.append(trial.model_copy(update={"status": status, "value": value, "reason": reason}))
    study = make_study(AGE, METHODS[method], n_train, 0)
    pretrained = {"pretrain_seconds": 34.0, "pretrain_shared_by": 3} if study.source else {}
    search = make_search(study, make_stage(tried), **pretrained)
    for trial in tried:
        if trial.value is not None:
            write_validation(root / search.path / trial.name, trial.value, n_train, noise=trial.number)
    return search


def write_validation(folder: Path, mae: float, subjects: int, *, noise: int = 0) -> None:
    """Predictions on validation subjects with exactly this mean absolute error."""
    folder.mkdir(parents=True, exist_ok=True)
    ages = _rng("ages", "validation", subjects).uniform(20, 80, subjects)
    errors = _rng("hard", subjects).normal(size=subjects) + 0.3 * _rng("own", noise).normal(size=subjects)
    errors *= mae / np.abs(errors).mean()
    _write(
        folder / "validation.csv",
        [
            {"subject": subject, "split": "validation", "y_true": f"{age:.12g}", "y_pred": f"{age + error:.12g}"}
            for subject, age, error in zip(_subjects("validation", subjects), ages, errors, strict=True)
        ],
    )


@pytest.fixture
def searching() -> SimpleNamespace:
    """What makes searches whose numbers are known."""
    return SimpleNamespace(
        trial=make_trial, stage=make_stage, search=make_search, typical=typical_search,
        write_validation=write_validation,
        study=lambda method, n_train, **more: make_study(AGE, METHODS[method], n_train, 0, **more), space=SPACE,
        lowest=LOWEST,
    )  # fmt: skip


# ---------------------------------------------------------------- pages

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Checks that tags close in order; collects identifiers, links, texts and captions."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.outside: list[str] = []
        self.tables = self.captions = self.unlabelled = 0
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if values.get("id"):
            self.ids.append(values["id"] or "")
        target = values.get("href") or values.get("src") or ""
        if target.startswith("#"):
            self.links.append(target[1:])
        elif target and not target.startswith("data:"):
            self.outside.append(target)
        self.tables += tag == "table"
        self.captions += tag == "caption"
        self.unlabelled += tag == "svg" and not values.get("aria-label")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\u00a0", " ").split())


@pytest.fixture(scope="session")
def read() -> Callable[[Path], Page]:
    """Parse a page that has to be correct: nothing from outside, no broken link, words for every drawing."""
    return _read


def _read(report: Path) -> Page:
    page = Page(report.read_text())
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert set(page.links) <= set(page.ids)
    assert page.outside == []
    assert page.unlabelled == 0
    assert page.captions == page.tables
    return page


# ---------------------------------------------------------------- pairs of source and target


@pytest.fixture(scope="session")
def four_pairs(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """Four pairs, a sweep of five methods, three seeds: gains of about +0.2, 0, -0.12 and +0.1, best at w = 0.3."""
    return pairs_benchmark(tmp_path_factory.mktemp("pairs"), methods=(2, 3, 4, 8, 10))


def pairs_benchmark(root: Path, methods: Iterable[int], sizes: Iterable[int] = (48,)) -> Benchmark:
    """Right answers: 0.5 from scratch; else 0.5, the pair's gain and what the method's options add."""
    benchmark = Benchmark(root)
    chosen = [ladder(index) for index in methods]
    for n_train in sizes:
        for study in pair_studies(chosen, n_train=n_train, seeds=(0, 1, 2)):
            accuracy = 0.5
            if study.source is not None:
                names = [f"{end.data.name}.{end.task.name}" for end in (study.source, study.target)]
                accuracy += dict(zip(PAIRS, PAIR_GAINS, strict=True))[names[0], names[1]] + extra_of(study)
            add_classification(benchmark, study, accuracy, n_test=120)
    return benchmark


PAIR_GAINS = (0.2, 0.0, -0.12, 0.1)


def extra_of(study: Study) -> float:
    """What the options of finetuning add."""
    spec = study.method.finetune
    by_w = {0.25: 0.02, 0.3: 0.06, 0.5: 0.04, 0.7: 0.0, 1.0: -0.03}
    by_strategy = {"full": 0.0, "gradual": 0.02, "chain_thaw": -0.01}
    return by_w[spec.rate_ratio] + by_strategy[spec.strategy] - 0.05 * (spec.lr < 0.001)
