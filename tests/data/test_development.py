import numpy as np
import pytest
from tiny_bench import Bench

from ctlr.data.development import check_sides, open_source, seal
from ctlr.data.splits import Split
from ctlr.data.store import ImageRecord
from ctlr.data.targets import Targets
from ctlr.errors import LeakageError
from ctlr.specs import DataTask
from ctlr.steps.assembly import development_of

SPLIT = Split(train=("a",), validation=("b",), test=("c",), unlabelled=("d",))


def record(subject: str, content: str = "", **columns: str) -> ImageRecord:
    return ImageRecord(subject=subject, file=f"sub-{subject}.nii", sha256=content or subject, columns=columns)


TABLE = [record(subject) for subject in "abcd"]


def test_sealed_targets_are_unknown_and_the_others_stay() -> None:
    ages = Targets(values=np.array([20.0, 30.0, 40.0]), column="age", dataset="cohort")
    assert seal(ages, [1]).values.tolist()[::2] == [20, 40]
    assert np.isnan(seal(ages, [1]).values[1])
    assert seal(Targets(values=np.array([0, 1, 1]), classes=("F", "M")), [2]).values.tolist() == [0, 1, -1]
    assert seal(ages, [1]).column == "age"


def test_sides_apart_pass() -> None:
    check_sides(TABLE, SPLIT, name="cohort", group=None, source=None)


def test_a_test_image_in_another_dataset_that_pretrains_is_a_leak_and_both_files_are_named() -> None:
    source = ("atlas", [record("x"), record("y", content="c")])
    with pytest.raises(LeakageError, match=r"sub-(y|c)\.nii.*sub-(y|c)\.nii"):
        check_sides(TABLE, SPLIT, name="cohort", group=None, source=source)


def test_equal_ids_in_two_datasets_are_two_people() -> None:
    check_sides(TABLE, SPLIT, name="cohort", group=None, source=("atlas", [record("c", content="other")]))


def test_an_unlabelled_image_equal_to_a_validation_image_is_a_leak() -> None:
    table = [*TABLE[:3], record("d", content="b")]
    with pytest.raises(LeakageError, match="validation"):
        check_sides(table, SPLIT, name="cohort", group=None, source=None)


def test_a_site_on_two_sides_is_a_leak_where_sites_are_groups() -> None:
    table = [record(subject, site="north" if subject in "ac" else subject) for subject in "abcd"]
    check_sides(table, SPLIT, name="cohort", group=None, source=None)
    with pytest.raises(LeakageError, match="north"):
        check_sides(table, SPLIT, name="cohort", group="site", source=None)


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
