"""Sections of transfers: one stands open, of several the curves stand before folded ones."""

from __future__ import annotations

from typing import Any

from finished_bench import finished

from ctlr.report.findings import findings
from ctlr.report.section import Section
from ctlr.report.sections import OF_A_TRANSFER
from ctlr.report.transfer.section import transfers


def said(benchmark: Any) -> list[Section]:
    return list(transfers(OF_A_TRANSFER)(findings(finished(benchmark))))


def test_a_single_transfer_stands_open_with_scores_and_gains(age: Any) -> None:
    (section,) = said(age)
    assert not section.folded
    parts: dict[str, Section] = {part.heading: part for part in section.shows}  # type: ignore[attr-defined]
    assert [heading for heading, part in parts.items() if not part.folded] == ["Scores", "Gain over scratch"]


def test_of_several_transfers_the_curves_stand_first_and_each_is_folded_with_what_it_shows(four_pairs: Any) -> None:
    first, *others = said(four_pairs)
    assert (first.anchor, first.folded) == ("curves", False)
    assert len(first.shows["panels"]) == 4  # type: ignore[index]
    assert first.shows["labels"][0] == "scratch"  # type: ignore[index]
    assert all(section.folded for section in others)
    assert others[0].title == "Second (letters), transfer from first (letters)"
    assert others[0].heading == "first (letters) → second (letters)"
    assert {section.hint for section in others} == {
        "5 gains shown", "3 gains shown", "4 losses shown", "no difference shown",
    }  # fmt: skip
