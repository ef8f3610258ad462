"""Study cells that two runs have both: what the one gains over the other, on the same test subjects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ctlr.report.comparison.sides import Key, Side
from ctlr.report.document.values import Score
from ctlr.report.numbers.contests import Contest, Done
from ctlr.report.numbers.rows import GainRow, bin_edges, outcomes_of, verdicts
from ctlr.report.statistics.estimates import Gain, Outcome, gains_together, paired_gain

__all__ = ["Held", "PairedCell", "hold"]

FEWEST = 2
"""Test subjects in common below which nothing is paired."""


@dataclass(frozen=True, kw_only=True)
class PairedCell:
    """A method at one size in both runs."""

    method: str
    n_train: int
    labelled: str
    """In words, in the reference's; in both where they differ."""
    scores: tuple[Score | None, Score | None]
    """Of the reference and of the other, each on all of its own test subjects."""
    row: GainRow | None
    """What the other gains over the reference, positive is better; None where they cannot be paired."""
    same: bool
    """Whether the predictions of every seed are the same: then nothing is tested."""
    seeds: tuple[int, ...]
    """In both."""
    words: str
    """Who it is paired by, or why it cannot be paired."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """One transfer of the reference beside the same one of another run."""

    key: Key
    title: str
    metric: str
    unit: str
    better: str
    """lower or higher."""
    cells: tuple[PairedCell, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]
    """Cells that the reference alone has, and the other alone, in words."""

    @property
    def rows(self) -> list[GainRow]:
        """Those that were compared."""
        return [cell.row for cell in self.cells if cell.row is not None]


def hold(reference: Side, other: Side) -> list[Held]:
    """Hold a run against another, transfer by transfer; one that a single run has is there without cells.

    Comparisons of a transfer are a family: Holm's correction counts all of its cells.
    """
    return [_held(reference, other, *keys) for keys in _partners(list(reference.transfers), list(other.transfers))]


def _partners(ours: Sequence[Key], theirs: Sequence[Key]) -> list[tuple[Key | None, Key | None]]:
    """Transfers of the same names; where one run has methods without a source alone, the first of its target's."""

    def alike(one: Key, other: Key) -> bool:
        return (one[0], one[2]) == (other[0], other[2]) and "" in (one[1], other[1])

    found: list[tuple[Key | None, Key | None]] = []
    left = [key for key in theirs if key not in ours]
    for key in ours:
        partner = key if key in theirs else next((each for each in left if alike(key, each)), None)
        if partner in left:
            left.remove(partner)
        found.append((key, partner))
    return [*found, *((None, key) for key in left)]


def _held(reference: Side, other: Side, our_key: Key | None, their_key: Key | None) -> Held:
    first = reference.transfers[our_key] if our_key else other.transfers[their_key] if their_key else None
    assert first is not None
    ours, theirs = _scores(reference, our_key), _scores(other, their_key)
    labels = {(score.method, score.n_train): score.labelled for score in (*theirs.values(), *ours.values())}
    both = [cell for cell in ours if cell in theirs]
    found = [
        _cell((reference, our_key), (other, their_key), cell, (ours[cell], theirs[cell]))
        for cell in both
        if our_key and their_key
    ]
    return Held(
        key=(first.target, first.source, first.encoder), title=first.title, metric=first.metric, unit=first.unit,
        better=first.better,
        cells=tuple(_judged(found, first.metric, reference.report.confidence)),
        only=(
            tuple(f"{method} at {labels[method, size]}" for method, size in ours if (method, size) not in theirs),
            tuple(f"{method} at {labels[method, size]}" for method, size in theirs if (method, size) not in ours),
        ),
    )  # fmt: skip


def _scores(side: Side, key: Key | None) -> dict[tuple[str, int], Score]:
    transfer = side.transfers[key] if key else None
    return {(score.method, score.n_train): score for score in transfer.scores} if transfer else {}


def _judged(found: Sequence[tuple[PairedCell, Gain | None]], metric: str, level: float) -> list[PairedCell]:
    """With verdicts, each adjusted for all of the family; what is the same in both is no comparison."""
    gains = [(cell, gain) for cell, gain in found if gain is not None and not cell.same]
    together = gains_together([gain for _, gain in gains], metric, level=level)
    rows = verdicts(
        [(cell.method, cell.n_train, gain) for (cell, _), gain in zip(gains, together, strict=True)], level
    )  # fmt: skip
    judged = {(row.method, row.n_train): row for row in rows}
    return [replace(cell, row=judged.get((cell.method, cell.n_train))) for cell, _ in found]


def _cell(
    ours_of: tuple[Side, Key], theirs_of: tuple[Side, Key], cell: tuple[str, int], scores: tuple[Score, Score]
) -> tuple[PairedCell, Gain | None]:
    (reference, our_key), (other, their_key) = ours_of, theirs_of
    labelled = " / ".join(dict.fromkeys(score.labelled for score in scores))
    blank = PairedCell(
        method=cell[0], n_train=cell[1], labelled=labelled, scores=scores, row=None, same=False, seeds=(), words=""
    )
    for side in (reference, other):
        if side.found is None:
            return replace(blank, words=f"of {side.name} the report alone is there, without predictions"), None
    ours, theirs = reference.contests[our_key], other.contests[their_key]
    trained = ours.cells.get(cell, ()), theirs.cells.get(cell, ())
    shared = sorted(set(_seeds(trained[0])) & set(_seeds(trained[1])))
    if not shared:
        seeds = (", ".join(map(str, _seeds(each))) or "none" for each in trained)
        return replace(blank, words=f"no seed in common: {' and '.join(seeds)}"), None
    own, rival = ([done for done in each if done.result.study.seed in shared] for each in trained)
    blank = replace(blank, seeds=tuple(shared))
    if fault := _fault(ours, theirs, own, rival):
        return replace(blank, words=fault), None
    people, words = _in_common([(own, reference.people), (rival, other.people)])
    if not people:
        return replace(blank, words=words), None
    kept, gained = (_kept(each, side.people, people) for each, side in ((own, reference), (rival, other)))
    if not _same_truth(kept, gained):
        return replace(blank, words="other true values of the same test subjects"), None
    if _same_predictions(kept, gained):
        return replace(blank, words=words, same=True), None
    bins = bin_edges(ours, cell[1])
    gain = paired_gain(gained, kept, ours.task.headline, bins=bins, level=reference.report.confidence)
    if gain is None:
        return replace(blank, words=f"{ours.task.headline} is not defined for one of them"), None
    return replace(blank, words=words), gain


def _seeds(cell: Sequence[Done]) -> list[int]:
    return [done.result.study.seed for done in cell]


def _fault(ours: Contest, theirs: Contest, own: Sequence[Done], rival: Sequence[Done]) -> str:
    """Why predictions of both cannot be held against each other whoever was tested; empty where they can."""
    if ours.task.headline != theirs.task.headline:
        return f"judged by {ours.task.headline} and by {theirs.task.headline}"
    if ours.task.kind != theirs.task.kind or len({done.predictions["test"].classes for done in (*own, *rival)}) > 1:
        return "other classes"
    return ""


def _in_common(cells: Sequence[tuple[Sequence[Done], Mapping[str, str]]]) -> tuple[frozenset[str], str]:
    """Test subjects whom all studies have, with words on how many these are; none where they are too few."""
    sets = [[_people(done, people) for done in cell] for cell, people in cells]
    common = frozenset.intersection(*(each for side in sets for each in side))
    counts = [max(map(len, side)) for side in sets]
    if len(common) < FEWEST:
        return frozenset(), f"other test subjects: {len(common)} of {counts[0]} and {counts[1]} in common"
    if counts == [len(common)] * 2:
        return common, f"{len(common)} test subjects"
    return common, f"{len(common)} test subjects in common, of {counts[0]} and {counts[1]}"


def _people(done: Done, people: Mapping[str, str]) -> frozenset[str]:
    return frozenset(people.get(name, name) for name in done.predictions["test"].subjects.tolist())


def _kept(cell: Sequence[Done], people: Mapping[str, str], common: frozenset[str]) -> list[Outcome]:
    """What studies predicted on the images of some subjects, in an order that does not depend on pseudonyms."""
    return [_ordered(outcome, people, common) for outcome in outcomes_of(cell)]


def _ordered(outcome: Outcome, people: Mapping[str, str], common: frozenset[str]) -> Outcome:
    subjects = np.array([people.get(name, name) for name in np.asarray(outcome.subjects).tolist()])
    order = np.lexsort((outcome.truth, subjects))
    order = order[np.isin(subjects[order], sorted(common))]
    return replace(outcome, subjects=subjects[order], truth=outcome.truth[order], predicted=outcome.predicted[order])


def _same_truth(one: Sequence[Outcome], other: Sequence[Outcome]) -> bool:
    """Whether the same subjects have images of the same true values: equal ids of other people rarely do."""
    return _alike(one, other, lambda outcome: outcome.truth)


def _same_predictions(one: Sequence[Outcome], other: Sequence[Outcome]) -> bool:
    return _alike(one, other, lambda outcome: outcome.predicted)


def _alike(one: Sequence[Outcome], other: Sequence[Outcome], what: Callable[[Outcome], NDArray[np.float64]]) -> bool:
    return all(np.array_equal(what(a), what(b)) for a, b in zip(one, other, strict=True))
