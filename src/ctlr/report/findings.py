"""What the sections of a report share: the benchmark sorted into contests, with their numbers and looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ctlr.report.finished import Finished
from ctlr.report.images import Stock, stocks
from ctlr.report.numbers.contests import Contest, Done, contests, load
from ctlr.report.numbers.rows import Rows, compute
from ctlr.report.numbers.sweeps import Sweep, sweeps
from ctlr.report.theme.styles import Style, styles
from ctlr.report.wording import percent
from ctlr.specs import METRICS, DataTask, StudyResult

__all__ = ["Findings", "View", "findings", "method_styles", "view"]

MANY = 4
"""Methods that differ in their finetuning alone are all drawn up to this number; of more, those that were chosen."""


@dataclass(frozen=True, kw_only=True)
class View:
    """A contest with its numbers."""

    contest: Contest
    rows: Rows
    heading: str
    sweeps: tuple[Sweep, ...]
    """Groups of methods that differ in their finetuning alone."""

    @property
    def slug(self) -> str:
        """Anchor on the page."""
        return self.contest.slug

    @property
    def interval(self) -> str:
        """`95 % interval`."""
        return f"{percent(self.rows.level)} interval"

    @property
    def detail_size(self) -> int:
        """The size whose predictions are drawn: the largest."""
        apart = (self.contest.floor, *self.contest.references)
        return max((n for method, n in self.contest.cells if method not in apart), default=0)

    @property
    def detail(self) -> str:
        """`detail_size` in words."""
        return self.contest.labelled(self.detail_size) if self.detail_size else ""

    @property
    def best(self) -> str | None:
        """Label of the trained method with the best validation score at the largest size."""
        apart = (self.contest.floor, *self.contest.references)
        rows = [row for row in self.rows.splits if row.n_train == self.detail_size and row.method not in apart]
        scored = {row.method: row.validation for row in rows if row.validation is not None}
        if not scored:
            return rows[0].method if rows else None
        pick = min if METRICS[self.contest.task.headline] == "min" else max
        return pick(scored, key=scored.__getitem__)

    @property
    def undrawn(self) -> frozenset[str]:
        """Methods of large sweeps that validation chose at no size: they stand in tables only."""
        found: set[str] = set()
        for sweep in self.sweeps:
            members = {setting.method for setting in sweep.settings}
            if len(members) > MANY:
                found |= members - {sweep.chosen(size).method for size in sweep.sizes}
        return frozenset(found)

    @property
    def hidden(self) -> frozenset[str]:
        """Methods that no drawing of scores shows: those, and networks of a layer transfer, which have their own."""
        return self.undrawn | frozenset(self.contest.layer_roles)

    @property
    def drawn(self) -> dict[str, tuple[Done, ...]]:
        """Studies of `detail_size` by method, as far as their predictions are drawn."""
        apart = {self.contest.floor, *self.contest.references, *self.hidden}
        cells, size = self.contest.cells, self.detail_size
        return {
            method: cells[method, size]
            for method in self.contest.methods
            if (method, size) in cells and method not in apart
        }


@dataclass(frozen=True, kw_only=True)
class Findings:
    """A finished benchmark, read and computed."""

    finished: Finished
    results: tuple[StudyResult, ...]
    """Every study; one whose predictions could not be read has failed."""
    views: tuple[View, ...]
    """One a contest."""
    styles: Mapping[str, Style]
    """One look a method throughout the report."""
    stocks: Mapping[str, Stock] = field(default_factory=dict)
    """Stored images by dataset, as far as they are there."""

    @property
    def ends(self) -> list[DataTask]:
        """What was learned, targets before sources, each once."""
        studies = [result.study for result in self.results]
        ends = [study.target for study in studies] + [study.source for study in studies if study.source is not None]
        return list({(end.data.name, end.task.name): end for end in ends}.values())

    @property
    def contests(self) -> list[Contest]:
        """In the order of the views."""
        return [view.contest for view in self.views]

    def unit(self, end: DataTask) -> str:
        """Of a target; empty where no contest has it."""
        found = (each for each in self.contests if each.target.data.name == end.data.name)
        return next((each.unit for each in found if each.task.target == end.task.target), "")


def findings(finished: Finished) -> Findings:
    """Read predictions, compute rows.

    Raises:
        DataError: Studies of one transfer were tested on different subjects.
    """
    loaded = load(finished.results, finished.root)
    found = contests(loaded)
    several = len({contest.encoder for contest in found}) > 1
    ends = [end for item in finished.results for end in (item.study.target, item.study.source) if end is not None]
    return Findings(
        stocks=stocks(finished, {end.data.name: end.data for end in ends}),
        finished=finished,
        results=tuple(item.result if isinstance(item, Done) else item for item in loaded),
        views=tuple(view(contest, level=finished.level, name_encoder=several) for contest in found),
        styles=method_styles(found),
    )


def method_styles(contests: Sequence[Contest]) -> dict[str, Style]:
    """One look a method throughout the report."""
    labels = dict.fromkeys(label for contest in contests for label in contest.methods)
    baselines = [label for label in labels if any(contest.baseline == label for contest in contests)]
    floors = [label for label in labels if any(contest.floor == label for contest in contests)]
    references = [label for label in labels if any(label in contest.references for contest in contests)]
    apart = (*baselines, *floors, *references)
    return styles([label for label in labels if label not in apart], baselines, floors, references)


def view(contest: Contest, *, level: float, name_encoder: bool) -> View:
    """Compute a contest.

    Args:
        contest: Studies of one transfer.
        level: Share of intervals that hold the true value.
        name_encoder: Put the encoder into the heading: there are several.

    Raises:
        DataError: Studies were tested on different subjects.
    """
    rows = compute(contest, level=level)
    encoder = f", encoder {contest.encoder.label or contest.encoder.name}" if name_encoder else ""
    heading = f"{contest.title[0].upper()}{contest.title[1:]}{encoder}"
    return View(contest=contest, rows=rows, heading=heading, sweeps=tuple(sweeps(contest, rows)))
