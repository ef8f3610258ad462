"""The best and the worst predictions of a method: by name of nobody, with a picture where one may be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctlr.errors import CtlrError
from ctlr.report.findings import View
from ctlr.report.images import Stock
from ctlr.report.numbers.contests import Done
from ctlr.report.numbers.predictions import Predictions
from ctlr.report.numbers.tested import tested_rows
from ctlr.report.theme.formats import Cell, Table, decimals, number
from ctlr.report.theme.raster import strip, window
from ctlr.report.wording import factors, table_name

__all__ = ["Extreme", "Extremes", "extremes", "extremes_table"]

Floats = NDArray[np.float64]

_WORST, _BEST = 4, 2


@dataclass(frozen=True, kw_only=True)
class Extreme:
    """What a method says of one test image, over its seeds."""

    best: bool
    subject: str
    """Keyed hash."""
    place: int
    """In the predictions of the first seed."""
    truth: str
    prediction: str
    error: float
    """Mean absolute error over the seeds; of classes, the mean probability that the true class was not given."""
    wrong: int
    """Seeds whose class is wrong; of a regression 0."""
    seeds: int


@dataclass(frozen=True, kw_only=True)
class Extremes:
    """The worst first."""

    method: str
    rows: tuple[Extreme, ...]
    pictures: tuple[str, ...] = ()
    """As `data:` addresses, one a row; empty ones where none may be shown. None at all where no row has one."""


def extremes(view: View, stock: Stock | None) -> Extremes | None:
    """Of the method that validation chose, at the largest size; None where it has too few test images."""
    method = view.best
    if method is None:
        return None
    cell = view.contest.cells[method, view.detail_size]
    said = _said(cell)
    if len(said.errors) < _WORST + _BEST:
        return None
    order = np.argsort(-said.errors, kind="stable")
    rows = tuple(
        [said.extreme(int(place), best=False) for place in order[:_WORST]]
        + [said.extreme(int(place), best=True) for place in order[::-1][:_BEST]]
    )
    return Extremes(method=method, rows=rows, pictures=_pictures(cell[0], rows, stock))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Said:
    """Means over the seeds, by test image."""

    test: Predictions
    """Of the first seed."""
    errors: Floats
    """(N,)"""
    predicted: Floats
    """(N,) values, or (N, K) probabilities."""
    wrong: NDArray[np.int64]
    """(N,) seeds whose class is wrong."""
    seeds: int
    digits: int

    def extreme(self, place: int, *, best: bool) -> Extreme:
        """What is said of one image, in words."""
        test, names = self.test, self.test.classes
        if names:
            said = int(self.predicted[place].argmax())
            words = names[test.codes[place]], f"{names[said]} ({100 * self.predicted[place, said]:.0f} %)"
        else:
            words = number(test.truth[place], self.digits), number(self.predicted[place], self.digits)
        return Extreme(
            best=best, subject=str(test.subjects[place]), place=place, truth=words[0], prediction=words[1],
            error=float(self.errors[place]), wrong=int(self.wrong[place]), seeds=self.seeds,
        )  # fmt: skip


def _said(cell: Sequence[Done]) -> _Said:
    """Of those seeds that were tested on the same images in the same order, as all are."""
    tests = [done.predictions["test"] for done in cell]
    first = tests[0]
    same = [test for test in tests if np.array_equal(test.subjects, first.subjects)]
    if first.probabilities is None:
        predicted = np.mean([test.prediction for test in same], axis=0)
        errors = np.mean([np.abs(test.prediction - test.truth) for test in same], axis=0)
        digits = max(0, decimals((np.abs(first.truth).max(), np.abs(predicted).max())) - 1)
        return _Said(
            test=first, errors=errors, predicted=predicted, wrong=np.zeros(len(errors), np.int64), seeds=len(same),
            digits=digits,
        )  # fmt: skip
    shares = np.mean([test.probabilities for test in same if test.probabilities is not None], axis=0)  # (N, K)
    wrong = np.sum([test.prediction.astype(np.int64) != test.codes for test in same], axis=0)
    errors = 1 - shares[np.arange(len(shares)), first.codes]
    return _Said(test=first, errors=errors, predicted=shares, wrong=wrong, seeds=len(same), digits=0)


def _pictures(done: Done, rows: tuple[Extreme, ...], stock: Stock | None) -> tuple[str, ...]:
    if stock is None or not stock.single or stock.data.shown_as not in ("slices", "pictures"):
        return ()
    try:
        places = tested_rows(done, stock.store, stock.workspace)
        found = [stock.picture(int(places[row.place])) if places[row.place] >= 0 else None for row in rows]
    except CtlrError:
        return ()
    known = [picture for picture in found if picture is not None]
    if not known:
        return ()
    limits = window(known)
    return tuple("" if picture is None else strip([picture], limits, "").tiles[0] for picture in found)


def extremes_table(view: View, found: Extremes) -> Table:
    """One row an image; the hash says who it is to whoever has the workspace, and to nobody else."""
    contest, classes = view.contest, view.contest.task.kind == "classification"
    unit = f" ({contest.unit})" if contest.unit else ""
    digits = 3 if classes else decimals(row.error for row in found.rows)
    error = "Probability of other classes" if classes else f"Error{unit}"
    last = ("Seeds that are wrong",) if classes else ()
    return Table(
        name=table_name("extremes", contest),
        caption=f"The {_WORST} worst and the {_BEST} best predictions of ‘{found.method}’ on the test set at "
        f"n = {view.detail}, means over {found.rows[0].seeds} seeds.",
        columns=("Which", "Subject", f"True {contest.task.name}{unit}", f"Predicted{unit}", error, *last), headers=2,
        rows=tuple(
            (Cell("best" if row.best else "worst"), Cell(row.subject), Cell(row.truth), Cell(row.prediction),
             Cell(number(row.error, digits)), *((Cell(f"{row.wrong} of {row.seeds}"),) if classes else ()))
            for row in found.rows
        ),
        records=tuple(
            factors(contest)
            | {"method": found.method, "n_train": view.detail_size, "which": "best" if row.best else "worst",
               "subject": row.subject, "truth": row.truth, "predicted": row.prediction, "error": row.error,
               "seeds": row.seeds}
            | ({"wrong": row.wrong} if classes else {})
            for row in found.rows
        ),
    )  # fmt: skip
