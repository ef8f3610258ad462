from __future__ import annotations

from pathlib import Path

import pytest

from ctlr.data.leakage import LEARNED, Leak, Placed, find_leaks, refuse
from ctlr.data.store import ImageRecord
from ctlr.errors import LeakageError
from ctlr.specs import LeakSpec
from ctlr.workspace import Workspace


def image(subject: str, content: str, stored: str = "", **columns: str) -> ImageRecord:
    return ImageRecord(
        subject=subject, file=f"{subject}/{content}.nii", sha256=content * 8, stored=stored, columns=columns
    )


def sides(**images: list[tuple[str, ImageRecord]]) -> list[Placed]:
    """Images by side; `learned` stands for the side of all that is learned from."""
    return [
        Placed(LEARNED if side == "learned" else side, dataset, record)
        for side, found in images.items()
        for dataset, record in found
    ]


def shared(found: list[Leak]) -> list[tuple[str, str, str]]:
    return [(leak.what, leak.first.record.subject, leak.second.record.subject) for leak in found]


APART = {"a": "a", "b": "b"}
ONE = {"a": "a", "b": "a"}


def test_sides_apart_pass() -> None:
    assert not find_leaks(
        sides(learned=[("a", image("sub-01", "x")), ("a", image("sub-02", "y"))], validation=[("a", image("3", "z"))]),
        people=APART,
        groups=APART,
    )


def test_within_a_side_anything_may_occur_twice() -> None:
    twice = [("a", image("sub-01", "x", "s")), ("b", image("sub-01", "x", "s"))]
    assert not find_leaks(sides(learned=twice), people=ONE, groups=ONE)


def test_a_subject_an_image_and_what_is_stored_of_it_are_found_on_two_sides() -> None:
    placed = sides(
        learned=[("a", image("1", "x")), ("a", image("2", "y")), ("a", image("3", "z", "s"))],
        test=[("a", image("1", "u")), ("a", image("4", "y")), ("b", image("5", "w", "s"))],
    )
    assert shared(find_leaks(placed, people=APART, groups=APART)) == [
        ("one subject", "1", "1"),
        ("the same image", "2", "4"),
        ("images that are stored alike, bit for bit", "3", "5"),
    ]


def test_equal_ids_of_two_datasets_are_one_subject_only_where_the_people_are_the_same() -> None:
    placed = sides(learned=[("a", image("sub-01", "x"))], test=[("b", image("sub-01", "y"))])
    assert not find_leaks(placed, people=APART, groups=APART)
    assert shared(find_leaks(placed, people=ONE, groups=ONE)) == [("one subject", "sub-01", "sub-01")]


def test_siblings_are_found_by_their_group_also_in_another_dataset() -> None:
    placed = sides(
        learned=[("a", image("1", "x", family="7")), ("b", image("2", "y", family="8")), ("a", image("3", "z"))],
        validation=[("a", image("4", "u", family="7"))],
        test=[("a", image("5", "v", family="8")), ("a", image("6", "w", family="n/a")), ("b", image("7", "t"))],
    )
    assert not find_leaks(placed, people=ONE, groups=ONE)
    assert shared(find_leaks(placed, people=ONE, group="family", groups=ONE)) == [
        ("one value of column 'family'", "1", "4"),
        ("one value of column 'family'", "2", "5"),
    ]
    assert shared(find_leaks(placed, people=APART, group="family", groups=APART)) == [
        ("one value of column 'family'", "1", "4")
    ]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


LEAKS = find_leaks(
    sides(learned=[("a", image("MARY", "x"))], test=[("b", image("EVE", "x")), ("b", image("ZOE", "x"))]),
    people=APART,
    groups=APART,
)


def test_a_leak_is_told_by_pseudonym_and_side_and_named_in_the_workspace_alone(workspace: Workspace) -> None:
    with pytest.raises(LeakageError) as caught:
        refuse(LEAKS, LeakSpec(), workspace)
    message = str(caught.value)
    mary, eve = workspace.pseudonym("MARY"), workspace.pseudonym("EVE")
    assert f"a {mary} ({LEARNED}) and b {eve} (test): the same image" in message
    assert f'leaks: {{accept: [["{mary}", "{eve}"]]}}' in message
    assert not any(name in message for name in ("MARY", "EVE", "ZOE"))
    table = (workspace.root / "leaks.tsv").read_text().splitlines()
    assert table[1].split("\t") == [
        "the same image", "a", LEARNED, mary, "MARY", "MARY/x.nii", "b", "test", eve, "EVE", "EVE/x.nii",
    ]  # fmt: skip
    assert len(table) == 3


def test_many_leaks_are_counted_beyond_the_tenth(workspace: Workspace) -> None:
    placed = sides(
        learned=[("a", image(str(n), f"{n}")) for n in range(12)],
        test=[("a", image(f"other{n}", f"{n}")) for n in range(12)],
    )
    with pytest.raises(LeakageError, match=r"(?s)12 pairs of subjects stand on two sides.*  and 2 more\n"):
        refuse(find_leaks(placed, people=APART, groups=APART), LeakSpec(), workspace)


def test_accepted_pairs_pass_by_id_or_pseudonym_in_either_order_and_others_do_not(workspace: Workspace) -> None:
    with pytest.raises(LeakageError, match="1 pairs"):
        refuse(LEAKS, LeakSpec(accept=(("EVE", "MARY"),)), workspace)
    refuse(LEAKS, LeakSpec(accept=(("EVE", "MARY"), (workspace.pseudonym("MARY"), "ZOE"))), workspace)
