from __future__ import annotations

import pytest

from ctlr.data.leakage import check_leakage
from ctlr.data.store import ImageRecord
from ctlr.errors import LeakageError

POOL = "training and pretraining pool"


def image(subject: str, content: str, session: str = "", **columns: str) -> ImageRecord:
    return ImageRecord(
        subject=subject, session=session, file=f"{subject}/{session}{content}.nii", sha256=content * 8, columns=columns
    )


def test_sides_apart_pass() -> None:
    check_leakage(
        {
            POOL: [("a", image("sub-01", "x")), ("a", image("sub-01", "y", "2")), ("a", image("sub-02", "y"))],
            "validation": [("a", image("sub-03", "z"))],
            "test": [],
        }
    )


def test_a_subject_on_two_sides_stops_with_both_files() -> None:
    with pytest.raises(LeakageError) as caught:
        check_leakage({POOL: [("a", image("sub-01", "x"))], "test": [("a", image("sub-01", "y"))]})
    assert str(caught.value) == (
        "Subject 'sub-01' of dataset 'a' stands on two sides: a: sub-01/x.nii (training and pretraining pool) and "
        "a: sub-01/y.nii (test). Keep all images of a subject on one side."
    )


def test_the_same_image_under_two_names_stops_with_both_files() -> None:
    with pytest.raises(
        LeakageError, match=r"sha256 xxxxxxxx.*a: sub-01/x\.nii \(validation\).*a: sub-02/x\.nii \(test\)"
    ):
        check_leakage({"validation": [("a", image("sub-01", "x"))], "test": [("a", image("sub-02", "x"))]})


def test_equal_ids_of_two_datasets_are_two_people() -> None:
    check_leakage({POOL: [("source", image("sub-01", "x"))], "test": [("target", image("sub-01", "y"))]}, "site")


def test_the_same_image_in_source_and_target_is_a_leak() -> None:
    with pytest.raises(LeakageError, match=r"source: sub-09/x\.nii .*target: sub-01/x\.nii \(test\)"):
        check_leakage({POOL: [("source", image("sub-09", "x"))], "test": [("target", image("sub-01", "x"))]})


def test_a_group_on_two_sides_is_named() -> None:
    sides = {
        POOL: [("a", image("sub-01", "x", site="Oslo {1}"))],
        "test": [("a", image("sub-02", "y", site="Oslo {1}"))],
    }
    check_leakage(sides)
    with pytest.raises(LeakageError, match=r"Group 'Oslo \{1\}' of column 'site' in dataset 'a' stands.*split\.group"):
        check_leakage(sides, "site")


def test_groups_of_two_datasets_and_missing_ones_are_free() -> None:
    check_leakage(
        {
            POOL: [("a", image("1", "x", site="1")), ("a", image("2", "y", site="n/a")), ("a", image("3", "z"))],
            "test": [("b", image("4", "u", site="1")), ("a", image("5", "v", site="n/a")), ("a", image("6", "w"))],
        },
        "site",
    )


def test_further_leaks_are_counted() -> None:
    with pytest.raises(LeakageError, match="; 2 more images likewise"):
        check_leakage(
            {
                POOL: [("a", image(f"sub-{i}", f"x{i}")) for i in range(5)],
                "test": [("a", image(f"sub-{i}", f"y{i}")) for i in range(2, 7)],
            }
        )
