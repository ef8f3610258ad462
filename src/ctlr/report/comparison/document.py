"""A comparison for programs: what `ctlr compare -o json` prints, and `compare.json` beside the page holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from ctlr.report.comparison.pairing import Held, PairedCell, hold
from ctlr.report.comparison.sides import (
    Difference,
    Side,
    data_facts,
    differences,
    file_facts,
    precision_facts,
    version_facts,
)
from ctlr.report.comparison.words import answer_words
from ctlr.report.document.making import gain_of
from ctlr.report.document.values import Gain, Part, Question, Score, schema_of

__all__ = ["SCHEMA", "Compared", "Comparison", "compare", "json_schema", "to_document"]

SCHEMA: Literal["ctlr.compare/1"] = "ctlr.compare/1"


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Runs, the first of which is the reference, and what came of holding the others against it."""

    sides: tuple[Side, ...]
    file: list[Difference]
    data: list[Difference]
    versions: list[Difference]
    precision: list[Difference]
    held: dict[str, list[Held]]
    """By the name of each other run."""

    @property
    def reference(self) -> Side:
        """What the others are held against."""
        return self.sides[0]

    @property
    def answer(self) -> str:
        """In sentences."""
        return answer_words(self.reference.name, self.held, self.file, self.data, self.versions, self.precision)


def compare(sides: Sequence[Side]) -> Compared:
    """Hold runs against the first of them.

    Args:
        sides: Two or more, of different names.
    """
    reference, *others = sides
    return Compared(
        sides=tuple(sides), file=differences([file_facts(side) for side in sides]),
        data=differences([data_facts(side) for side in sides]),
        versions=differences([version_facts(side) for side in sides]),
        precision=differences([precision_facts(side) for side in sides]),
        held={side.name: hold(reference, side) for side in others},
    )  # fmt: skip


# ---------------------------------------------------------------- the document


class Run(Part):
    """A run that is compared."""

    name: str
    """In this document."""
    benchmark: str
    studies: int
    failed: int
    paired: bool
    """Whether its predictions are there; false of a report without its workspace."""


class Differs(Part):
    """Something that runs do not have alike."""

    key: str
    values: tuple[str, ...]
    """One a run, in the order of `runs`; empty where a run has nothing of it."""


class Cell(Part):
    """A method at one size in both runs."""

    method: str
    n_train: int
    labelled: str
    reference: Score | None
    """On all of its own test subjects."""
    other: Score | None
    same: bool
    """Whether every prediction is the same: then there is no gain to give."""
    gain: Gain | None
    """Of the other over the reference, positive is better; null where they are the same or cannot be paired."""
    paired: str
    """By whom, or why not."""


class Pair(Question):
    """One transfer in the reference and in another run."""

    run: str
    """The other one's name."""
    cells: tuple[Cell, ...]
    only_reference: tuple[str, ...]
    """Cells that the other run does not have, in words."""
    only_other: tuple[str, ...]


class Comparison(Part):
    """Runs, the first of which is the reference."""

    schema_: Literal["ctlr.compare/1"] = Field(SCHEMA, alias="schema")
    page: str
    """Path of the page; in `compare.json` its name."""
    answer: str
    confidence: float
    """Of every interval: the reference's."""
    runs: tuple[Run, ...]
    file: tuple[Differs, ...]
    """Options of the benchmark file, by the path of their key."""
    data: tuple[Differs, ...]
    versions: tuple[Differs, ...]
    precision: tuple[Differs, ...]
    comparisons: tuple[Pair, ...]


def to_document(found: Compared) -> Comparison:
    """For programs; `page` is its name."""

    def told(each: Sequence[Difference]) -> tuple[Differs, ...]:
        return tuple(Differs(key=one.key, values=one.values) for one in each)

    return Comparison(
        page="compare.html", answer=found.answer, confidence=found.reference.report.confidence,
        runs=tuple(
            Run(name=side.name, benchmark=side.report.benchmark, studies=side.report.studies,
                failed=side.report.failed, paired=side.found is not None)
            for side in found.sides
        ),
        file=told(found.file), data=told(found.data), versions=told(found.versions),
        precision=told(found.precision),
        comparisons=tuple(
            _pair(name, found.reference.name, held) for name, each in found.held.items() for held in each
        ),
    )  # fmt: skip


def _pair(run: str, reference: str, held: Held) -> Pair:
    target, source, encoder = held.key

    def cell(each: PairedCell) -> Cell:
        return Cell(
            method=each.method, n_train=each.n_train, labelled=each.labelled, reference=each.scores[0],
            other=each.scores[1], same=each.same, paired=each.words,
            gain=None if each.row is None else gain_of(each.row, reference, each.labelled),
        )  # fmt: skip

    return Pair(
        run=run, target=target, source=source, encoder=encoder, metric=held.metric, unit=held.unit,
        better="lower" if held.better == "lower" else "higher", cells=tuple(map(cell, held.cells)),
        only_reference=held.only[0], only_other=held.only[1],
    )  # fmt: skip


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the document."""
    return schema_of(Comparison, f"CTLR comparison, {SCHEMA}")
