import numpy as np
from tiny_bench import Bench

from ctlr.data.development import open_source, seal
from ctlr.data.targets import Targets
from ctlr.specs import DataTask
from ctlr.steps.assembly import development_of


def test_sealed_targets_are_unknown_and_the_others_stay() -> None:
    ages = Targets(values=np.array([20.0, 30.0, 40.0]), column="age", dataset="cohort")
    assert seal(ages, [1]).values.tolist()[::2] == [20, 40]
    assert np.isnan(seal(ages, [1]).values[1])
    assert seal(Targets(values=np.array([0, 1, 1]), classes=("F", "M")), [2]).values.tolist() == [0, 1, -1]
    assert seal(ages, [1]).column == "age"


def test_the_source_of_the_same_dataset_is_the_pool_alone_and_watchers_hold_both_classes(bench: Bench) -> None:
    study = bench.study("supervised")
    development = development_of(study, bench.arrays, bench.workspace)
    assert study.source is not None
    source = open_source(study.source, bench.arrays["cohort"], bench.workspace, among=development, seed=1)
    assert set(source.train) | set(source.validation) == set(development.pool)
    assert not set(source.train) & set(source.validation)
    assert len(source.validation) == 3
    assert set(source.targets.values[source.validation]) == {0, 1}


def test_the_source_of_another_dataset_is_all_of_it(bench: Bench) -> None:
    study = bench.study("supervised")
    assert study.source is not None
    other = DataTask(data=study.source.data.model_copy(update={"name": "atlas"}), task=study.source.task)
    source = open_source(other, bench.arrays["cohort"], bench.workspace, among=None, seed=1)
    assert len(source.train) + len(source.validation) == 48
