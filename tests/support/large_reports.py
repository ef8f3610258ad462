"""Reports as large as the demo's, of 12 pairs with 560 studies, of 30 methods, of 13 tuned ones."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from finished_bench import finished
from synthetic_results import synthetic_results

from ctlr.methods.pooled import PooledSpec
from ctlr.methods.scratch import ScratchSpec
from ctlr.methods.simclr import SimCLRSpec
from ctlr.methods.supervised import SupervisedSpec
from ctlr.methods.unchanged import UnchangedSpec
from ctlr.methods.vat import VATSpec
from ctlr.report.page import build_report
from ctlr.shallow.baselines import GradientBoostingSpec, LinearSpec, NearestSpec, UnchangedLinearSpec
from ctlr.specs import (
    METHODS,
    AnyMethod,
    ClassTable,
    CohortSpec,
    DataTask,
    DigitsSpec,
    EncoderSpec,
    Study,
    TaskSpec,
    TransferScores,
)
from ctlr.transferability.pictures import pictures_bytes, pictures_of

__all__ = ["like_the_demo", "of_560_studies", "of_many_methods", "of_searches"]

ENCODER = EncoderSpec(label="small_cnn", name="small_cnn")
FILE = "transfers/one/pictures.safetensors"


def like_the_demo(root: Path) -> Path:
    """195 studies: two transfers to age, eleven methods, three sizes, five seeds, 300 test subjects."""
    synthetic = synthetic_results()
    clinic, biobank = (CohortSpec(name=name, subjects=500) for name in ("clinic", "biobank"))
    target = DataTask(data=clinic, task=TaskSpec(name="age", target="age", kind="regression"))
    age, sex = (
        DataTask(data=biobank, task=TaskSpec(name=name, target=name, kind=kind))
        for name, kind in (("age", "regression"), ("sex", "classification"))
    )
    probe = SupervisedSpec(label="linear_probe", finetune=SupervisedSpec(label="x").finetune.model_copy(
        update={"strategy": "linear_probe"}))  # fmt: skip
    supervised = SupervisedSpec(label="supervised")
    alone = [METHODS["mean"](label="mean"), LinearSpec(label="linear"), GradientBoostingSpec(label="gradient_boosting"),
             NearestSpec(label="nearest"), ScratchSpec(label="scratch")]  # fmt: skip
    of_age = [UnchangedLinearSpec(label="unchanged_linear"), UnchangedSpec(label="unchanged"), supervised, probe,
              PooledSpec(label="pooled"), SimCLRSpec(label="simclr")]  # fmt: skip
    errors = {
        "scratch": 14.0,
        "supervised": 10.4,
        "linear_probe": 10.0,
        "pooled": 11.0,
        "linear": 12.5,
        "unchanged": 9.7,
    }
    benchmark = synthetic.Benchmark(root)
    for source, methods in ((None, alone), (age, of_age), (sex, [supervised, probe])):
        for method, n_train, seed in itertools.product(methods, (20, 50, 100), range(5)):
            study = _study(target, source, method, n_train, seed)
            worse = 4.0 if source is sex else 0.0
            mae = errors.get(method.label, 13.5) + worse - n_train / 80 + 0.1 * seed
            synthetic.add_regression(benchmark, study, mae, 0.4, n_test=300)
    assert len(benchmark.results) == 195
    words = (
        "Brain age in a clinic with few labels: what a biobank's ages, its sexes and unlabelled scans bring, against "
    )
    return _built(benchmark, root, [(age, target), (sex, target)], (5, 5), f"{words}training from scratch.")


def of_560_studies(root: Path) -> Path:
    """Twelve pairs of digits, seven methods and the class shares, two sizes, five seeds."""
    synthetic = synthetic_results()
    groups = {"first": "01", "second": "234", "third": "56", "fourth": "789"}
    data = DigitsSpec(name="digits")
    ends = [
        DataTask(data=data, task=TaskSpec(name=name, target="class", kind="classification", classes=tuple(digits)))
        for name, digits in groups.items()
    ]
    pairs = [(source, target) for target in ends for source in ends if source is not target]
    alone = [METHODS["mean"](label="mean"), LinearSpec(label="linear"), NearestSpec(label="nearest"),
             GradientBoostingSpec(label="gradient_boosting"), ScratchSpec(label="scratch")]  # fmt: skip
    methods = [SupervisedSpec(label="supervised"), SimCLRSpec(label="simclr"), VATSpec(label="vat")]
    benchmark = synthetic.Benchmark(root)
    cells = [(None, target, method) for target in ends for method in alone]
    cells += [(source, target, method) for source, target in pairs for method in methods]
    for index, ((source, target, method), n_train, seed) in enumerate(itertools.product(cells, (25, 100), range(5))):
        share = 0.55 + 0.1 * (index % 3) + n_train / 400
        synthetic.add_classification(benchmark, _study(target, source, method, n_train, seed), share, n_test=180)
    assert len(benchmark.results) == 560
    return _built(benchmark, root, pairs, (3, 3), "Handwritten digits in four groups, each the source of every other.")


def of_many_methods(root: Path, count: int, *, sizes: Sequence[int] = (20, 100)) -> Path:
    """So many methods beside training from scratch, on one target."""
    synthetic = synthetic_results()
    benchmark = synthetic.Benchmark(root)
    labels = list(METHODS)
    methods: list[AnyMethod] = [ScratchSpec(label="scratch"), METHODS["mean"](label="mean")]
    methods += [SupervisedSpec(label=f"{labels[index % len(labels)]}-{index}") for index in range(count)]
    for (index, method), n_train, seed in itertools.product(enumerate(methods), sizes, range(3)):
        source = synthetic.SEX if method.method == "supervised" else None
        mae = 12.0 - 0.25 * (index % 17) - n_train / 100 + 0.1 * seed
        synthetic.add_regression(benchmark, _study(synthetic.AGE, source, method, n_train, seed), mae, 0.6, n_test=60)
    return build_report(finished(benchmark, name=f"{count} methods", seconds=60.0), root / "out")


def of_searches(root: Path, count: int) -> Path:
    """So many tuned methods beside training from scratch, at two sizes, with 40 trials a search."""
    synthetic = synthetic_results()
    benchmark = synthetic.Benchmark(root)
    searches = []
    for index, n_train in itertools.product(range(count + 1), (20, 100)):
        label = f"supervised-{index}" if index else "scratch"
        method: AnyMethod = SupervisedSpec(label=label) if index else ScratchSpec(label=label)
        source = synthetic.SEX if index else None
        studies = [_study(synthetic.AGE, source, method, n_train, seed) for seed in range(3)]
        for seed, study in enumerate(studies):
            synthetic.add_regression(benchmark, study, 12.0 - 0.2 * index + 0.1 * seed, 0.6, n_test=60)
        found = synthetic.typical_search(root, "supervised" if index else "scratch", n_train, trials=40)
        searches.append(found.model_copy(update={"study": studies[0]}))
    whole = finished(benchmark, name=f"{count} tuned methods", seconds=60.0, searches=tuple(searches))
    return build_report(whole, root / "out")


def _study(target: DataTask, source: DataTask | None, method: AnyMethod, n_train: int, seed: int) -> Study:
    return Study(
        target=target, source=source, method=method, encoder=ENCODER, n_train=n_train, n_reserved=100, seed=seed
    )


def _built(
    benchmark: Any, root: Path, pairs: Sequence[tuple[DataTask, DataTask]], classes: tuple[int, int], description: str
) -> Path:
    whole = finished(
        benchmark, name="demo", environment={"ctlr": "0.1.0"}, seconds=64.0,
        transfers=tuple(_scores(root, *pair, classes) for pair in pairs),
    )  # fmt: skip
    # The resolved file of the demo has some 300 lines.
    config = whole.config.model_copy(update={"description": description})
    return build_report(whole.__class__(**vars(whole) | {"config": config}), root / "out")


def _scores(root: Path, source: DataTask, target: DataTask, classes: tuple[int, int]) -> TransferScores:
    """Distances and pictures of a pair, of a hundred images a side on 148 components."""
    file = root / FILE
    sources, targets = (tuple(f"{side}{index}" for index in range(n)) for side, n in zip("st", classes, strict=True))
    if not file.exists():
        rng = np.random.default_rng(0)
        counts = [100 // n for n in classes for _ in range(n)]
        pictures = pictures_of(
            sources, targets, [rng.normal(size=(count, 148)).astype(np.float32) for count in counts],
            mean=rng.random(256, np.float32), axes=rng.normal(size=(148, 256)).astype(np.float32),
            explained=np.full(148, 1 / 148), shape=(1, 16, 16), seed=0,
        )  # fmt: skip
        file.parent.mkdir(parents=True)
        file.write_bytes(pictures_bytes(pictures))
    row = tuple(20.0 + index for index in range(classes[1]))
    table = ClassTable(forward=(row,) * classes[0], backward=(row[::-1],) * classes[0])
    return TransferScores(
        source=source, target=target, n_train=100, seed=0, pictures=FILE,
        scores={f"hausdorff_{kind}{way}": 20.0 for kind in ("modified", "plain") for way in ("", "_forward")},
        source_classes=sources, target_classes=targets, tables={"modified": table, "plain": table}, per_class=20,
        components=148, explained=0.9, images=200,
    )  # fmt: skip
