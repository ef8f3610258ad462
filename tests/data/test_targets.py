from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ctlr.data.store import ImageRecord
from ctlr.data.targets import read_targets
from ctlr.errors import ConfigError, CtlrError, DataError
from ctlr.specs import TaskSpec

AGE = TaskSpec(target="age", kind="regression")


def table(cells: Sequence[str], column: str = "age") -> list[ImageRecord]:
    return [
        ImageRecord(subject=f"sub-{i:02}", file=f"sub-{i:02}/anat/T1w.nii", sha256=f"{i:064x}", columns={column: cell})
        for i, cell in enumerate(cells)
    ]


def test_numbers_are_read_with_decimal_commas_open_classes_and_gaps() -> None:
    targets = read_targets(table(["23,5", "89+", "n/a", " 40 "]), AGE, "camcan")
    np.testing.assert_array_equal(targets.values, [23.5, 89, np.nan, 40])
    assert targets.values.dtype == np.float64
    assert targets.classes == ()
    assert targets.known.tolist() == [True, True, False, True]


def test_classes_are_sorted_and_coded() -> None:
    targets = read_targets(table(["M", "F", "", "M"], "sex"), TaskSpec(target="sex", kind="classification"), "camcan")
    assert targets.classes == ("F", "M")
    assert targets.values.tolist() == [1, 0, -1, 1]
    assert targets.values.dtype == np.int64


def test_the_task_chooses_and_orders_its_classes() -> None:
    task = TaskSpec(target="dx", kind="classification", classes=("patient", "control"))
    targets = read_targets(table(["control", "other", "patient", "control"], "dx"), task, "adni")
    assert targets.classes == ("patient", "control")
    assert targets.values.tolist() == [1, -1, 0, 1]


def test_sessions_of_a_subject_may_differ() -> None:
    images = [
        ImageRecord(subject="sub-01", session=s, file=f"{s}.nii", sha256=s * 8, columns={"age": age})
        for s, age in (("1", "70"), ("2", "72"))
    ]
    assert read_targets(images, AGE, "oasis").values.tolist() == [70, 72]


CLASSES = TaskSpec(target="dx", kind="classification")
CASES: list[tuple[str, list[ImageRecord], TaskSpec, type[CtlrError], list[str]]] = [
    ("column missing", table(["1", "2"], "agee"), AGE, ConfigError, ["'cohort'", "'age'", "Did you mean 'agee'?"]),
    ("half empty", table(["1", "2", "", "n/a", "NA"]), AGE, DataError, ["'age'", "3 of 5", "half", "Fill them in"]),
    ("text", table(["1", "old", "3"]), AGE, DataError, ["'sub-01'", "sub-01/anat/T1w.nii", "'old'", "classification"]),
    ("constant", table(["5", "5", "n/a"]), AGE, DataError, ["'age'", "5"]),
    ("one class", table(["a", "a", ""], "dx"), CLASSES, DataError, ["'dx'", "two classes", "'a'"]),
    (
        "absent class",
        table(["a", "b", "c"], "dx"),
        TaskSpec(target="dx", kind="classification", classes=("a", "bb")),
        ConfigError,
        ["'bb'", "Did you mean 'b'?"],
    ),
]


@pytest.mark.parametrize(("images", "task", "error", "parts"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_unusable_targets_are_refused_with_place_value_and_remedy(
    images: list[ImageRecord], task: TaskSpec, error: type[CtlrError], parts: list[str]
) -> None:
    with pytest.raises(error) as caught:
        read_targets(images, task, "cohort")
    for part in ["cohort", *parts]:
        assert part in str(caught.value)


def test_exactly_half_empty_is_still_enough() -> None:
    assert read_targets(table(["1", "2", "", ""]), AGE, "cohort").known.sum() == 2
