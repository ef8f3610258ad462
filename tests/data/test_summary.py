from __future__ import annotations

import pytest

from ctlr.data.store import ImageRecord
from ctlr.data.summary import summarise
from ctlr.specs import BidsSpec, DataTask, TargetSummary, TaskSpec, TorchvisionSpec

AGES = [str(20 + 3 * year) for year in range(20)]
"""20 to 77."""


def _summary(
    cells: list[str], column: str = "age", kind: str = "regression", units: dict[str, str] | None = None, **task: object
) -> TargetSummary:
    table = [
        ImageRecord(subject=f"sub-{number}", file=f"{number}.nii", sha256="", columns={column: cell})
        for number, cell in enumerate(cells)
    ]
    spec = TaskSpec.model_validate({"name": "task", "target": column, "kind": kind} | task)
    return summarise(table, DataTask(data=BidsSpec(name="study", root="."), task=spec), units or {})


def _odd_classes(cells: list[str], **task: object) -> tuple[str, ...]:
    return _summary(cells, "sex", "classification", **task).warnings


def test_numbers_are_told_by_range_and_median_with_the_unit_of_the_dataset() -> None:
    found = _summary(["20", "30", "41.5", "n/a"], units={"age": "months"})
    assert (found.images, found.known, found.low, found.median, found.high) == (4, 3, 20, 30, 41.5)
    assert found.words == "20 to 41.5 months, median 30"
    assert _summary(["20", "30", "41.5"]).words == "20 to 41.5, median 30"
    assert found.warnings == ()


def test_classes_are_told_with_their_images() -> None:
    found = _summary(["F", "M", "F", "n/a", "X"], "sex", "classification", classes=("M", "F"))
    assert (found.images, found.known, found.classes, found.others) == (5, 3, {"M": 1, "F": 2}, 1)
    assert found.words == "M 1, F 2; 1 of other classes"


@pytest.mark.parametrize(
    "code", ["-9999", "-999", "-99", "-9", "-1", "999", "9999", "888", "-7", "-4", "-99.9", "99999999", "-32768"]
)
def test_a_code_for_unknown_among_numbers_is_named(code: str) -> None:
    assert _summary([*AGES, code, code], "score").warnings == (
        f"2 images have {code}, which may be a code for unknown. Write n/a if it is.",
    )


def test_two_codes_do_not_hide_one_another() -> None:
    told = _summary([*AGES, "-9999", "-1", "999"], "score").warnings
    assert [line.partition(",")[0] for line in told] == ["1 image has -9999", "1 image has -1", "1 image has 999"]


@pytest.mark.parametrize(
    "cells",
    [
        AGES,
        [*AGES, "88", "99"],
        [str(change) for change in range(-5, 6)],
        [str(value) for value in (-2.5, -1, -0.5, 0, 0.5, 1, 2)],
        [str(n) for n in range(10)],
    ],
    ids=["ages", "the very old", "changes", "z-scores", "small counts"],
)
def test_numbers_that_fit_the_others_are_no_codes(cells: list[str]) -> None:
    assert _summary(cells, "score").warnings == ()


def test_a_number_far_from_all_others_is_named() -> None:
    assert _summary([*AGES, "1987"], "score").warnings == (
        "1 image has 1987, far from all others (20 to 77). Check the table.",
    )


@pytest.mark.parametrize(
    ("column", "unit", "cell", "odd"),
    [
        ("age", "years", "130", True),
        ("age", "year", "130", True),
        ("AgeAtScan", "Yr", "130", True),
        ("age", "months", "130", False),
        ("age_at_scan", "years", "121", True),
        ("age", "", "-3", True),
        ("age", "", "130", False),
        ("dosage", "years", "130", False),
    ],
)
def test_an_age_that_nobody_has_is_named(column: str, unit: str, cell: str, odd: bool) -> None:
    told = _summary([*AGES, cell], column, units={column: unit}).warnings
    assert ("1 image has an age below 0 or above" in " ".join(told)) is odd


def test_decimal_commas_are_counted() -> None:
    assert _summary(["42,43", "30", "20,5"]).warnings == (
        "2 cells hold a comma, which is read as a decimal point: 42,43 is 42.43. Correct those that mean two numbers, "
        "or thousands.",
    )


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["M", "male", "F", "Female"], ["'F', 'Female'", "'M', 'male'"]),
        (["Female", "female", "FEMALE", "male"], ["'FEMALE', 'Female', 'female'"]),
        (["left-handed", "left_handed", "right handed"], ["'left-handed', 'left_handed'"]),
        (["HC", "healthy control", "AD"], ["'HC', 'healthy control'"]),
        (["control", "controls", "patient"], ["'control', 'controls'"]),
        (["AD", "ADHD", "MCI"], []),
        (["grade I", "grade II", "grade III"], []),
        (["1", "10", "2"], []),
        (["+", "-"], []),
        (["<=50K", ">50K"], []),
        (["yes", "no", "Y", "N"], ["'N', 'no'", "'Y', 'yes'"]),
        (["AD", "Alzheimer's disease", "CTRL", "control"], ["'AD', \"Alzheimer's disease\"", "'CTRL', 'control'"]),
        (["1", "2a", "2b", "3+"], []),
        (["1", "1.0", "01", "2"], ["'01', '1', '1.0'"]),
        (["cafe\u0301", "caf\u00e9", "tea"], ["'cafe\u0301', 'caf\u00e9'"]),
        (["A", "B", "AB", "O"], []),
        (["normal", "abnormal", "male", "female"], []),
    ],
)
def test_one_class_spelled_in_several_ways_is_named(names: list[str], groups: list[str]) -> None:
    told = _odd_classes([*names, *names])
    assert sorted(told) == [f"{each} may be one class, spelled in several ways. Write it in one." for each in groups]


def test_codes_and_words_for_the_same_classes_are_named() -> None:
    assert _odd_classes(["1", "2", "M", "F"]) == (
        "'1', '2' beside 'F', 'M' may be codes and words for the same classes. Write them in one way.",
    )


@pytest.mark.parametrize(
    ("cells", "odd"),
    [
        (["M", "F", "unknown"], "unknown"),
        (["M", "F", "U"], "U"),
        (["M", "F", "Missing"], "Missing"),
        (["M", "F", "?"], "?"),
        (["M", "F", "n.a."], "n.a."),
        (["M", "F", "#N/A"], "#N/A"),
        (["M", "F", "Prefer not to say"], "Prefer not to say"),
        (["0", "1", "-9999"], "-9999"),
        (["0", "1", "-1"], "-1"),
        (["1", "2", "9"], "9"),
    ],
)
def test_a_class_that_stands_for_unknown_is_named(cells: list[str], odd: str) -> None:
    assert _odd_classes(cells) == (f"1 image has class {odd!r}, which may mean unknown. Write n/a if it does.",)


@pytest.mark.parametrize("cells", [["-1", "1"], [str(n) for n in range(10)], ["1", "2", "3"]])
def test_numbers_that_are_classes_are_no_codes(cells: list[str]) -> None:
    assert _odd_classes(cells) == ()


def test_classes_that_a_task_leaves_out_are_looked_at_too() -> None:
    told = _odd_classes(["M", "F", "female"], classes=("M", "F"))
    assert told == ("'F', 'female' may be one class, spelled in several ways. Write it in one.",)


def test_a_published_set_is_not_doubted() -> None:
    classes = ["a", "A", "b", "B"]
    table = [ImageRecord(subject=name, file=name, sha256="", columns={"class": name}) for name in classes]
    task = TaskSpec(name="letter", target="class", kind="classification")
    data = TorchvisionSpec(name="letters", set="emnist-balanced", root=".")
    assert summarise(table, DataTask(data=data, task=task), {}).warnings == ()
