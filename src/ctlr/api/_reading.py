"""What the report computes of a benchmark, as records and sentences: the one place here that knows its parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctlr.report.answer.headline import answer
from ctlr.report.gains.section import gains_table
from ctlr.report.numbers import contests as reported
from ctlr.report.numbers.rows import GainRow, Rows, compute
from ctlr.report.scores.tables import scores_table
from ctlr.report.tuning.stages import search_records
from ctlr.report.wording import VERDICTS, measure

if TYPE_CHECKING:
    from ctlr.report.finished import Finished
    from ctlr.specs import DataTask, StudyResult

__all__ = ["Contest", "contests", "trial_records"]

Record = Mapping[str, object]


@dataclass(frozen=True)
class Contest:
    """One transfer on one encoder, and who took part."""

    contest: reported.Contest
    rows: Rows

    @property
    def source(self) -> str:
        """`dataset.task`; empty without one."""
        return _end(self.contest.source)

    @property
    def target(self) -> str:
        """`dataset.task`."""
        return _end(self.contest.target)

    @property
    def encoder(self) -> str:
        """Its key in the file."""
        return self.contest.encoder.label

    @property
    def title(self) -> str:
        """For people: `Age, transfer from sex`."""
        title = self.contest.title
        return f"{title[0].upper()}{title[1:]}"

    @property
    def unit(self) -> str:
        """Of the headline metric; empty where it has none, or where that is not known."""
        return measure(self.contest)

    @property
    def answer(self) -> str:
        """The report's sentences."""
        return answer(self.contest, self.rows).text

    @property
    def notes(self) -> tuple[str, ...]:
        """What weakens them."""
        return answer(self.contest, self.rows).notes

    @property
    def scores(self) -> Iterator[Record]:
        """One a method and size."""
        records = scores_table(self.contest, self.rows).records if self.rows.scores else ()
        return ({**record, "unit": self.unit} for record in records)

    @property
    def gains(self) -> Iterator[Record]:
        """One a method and size, beside training from scratch."""
        records = gains_table(self.contest, self.rows).records if self.rows.gains else ()
        return ({**record, "stands": record["stands"] == "yes", "unit": self.unit} for record in records)

    @property
    def trained(self) -> dict[tuple[str, int], list[StudyResult]]:
        """(method, n_train) -> finished studies of methods: neither of baselines nor of the mean predictor."""
        apart = (self.contest.floor, *self.contest.references)
        cells = self.contest.cells
        return {key: [done.result for done in cell] for key, cell in cells.items() if key[0] not in apart}

    def verdict(self, row: GainRow) -> str:
        """Of a gain, in the report's words."""
        return VERDICTS[row.direction]


def contests(finished: Finished) -> list[Contest]:
    """Read predictions, compute rows.

    Raises:
        DataError: Studies of one transfer were tested on different subjects.
    """
    found = reported.contests(reported.load(finished.results, finished.root))
    return [Contest(contest, compute(contest, level=finished.level)) for contest in found]


def trial_records(finished: Finished) -> list[Record]:
    """One a trial of every search; options that are numbers are numbers."""
    options = {name for search in finished.searches for stage in search.stages for name in stage.options.values()}
    return [
        {key: _number(value) if key in options else value for key, value in record.items()}
        for record in search_records(finished.searches)
    ]


def _number(value: object) -> object:
    try:
        return float(str(value))
    except ValueError:
        return value


def _end(end: DataTask | None) -> str:
    return f"{end.data.name}.{end.task.name}" if end else ""
