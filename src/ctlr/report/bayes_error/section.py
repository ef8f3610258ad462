"""The least error that any classifier could have: estimates, and whether to believe them."""

from __future__ import annotations

from collections.abc import Sequence

from ctlr.report.bayes_error.plot import noise_plot
from ctlr.report.bayes_error.rows import DEAF, EstimatorRow, estimator_rows
from ctlr.report.findings import Findings, View
from ctlr.report.numbers.contests import Contest
from ctlr.report.numbers.truth import least_error
from ctlr.report.section import Section
from ctlr.report.theme.formats import Cell, Table, number
from ctlr.report.wording import capital, factors, table_name
from ctlr.specs import LeastErrors, kind_of_image

__all__ = ["bayes_error", "estimates_table", "words"]


def bayes_error(found: Findings, view: View) -> Section | None:
    """None where the benchmark asks for no estimates, or has none of this target."""
    contest = view.contest
    ours = (contest.target.data.name, contest.task.name)
    made = (each for each in found.finished.least_errors if (each.target.data.name, each.target.task.name) == ours)
    estimates = next(made, None)
    if estimates is None:
        return None
    rows = estimator_rows(estimates, least_error(contest))
    sides = [[row for row in rows if row.side == side] for side in estimates.sides]
    table = estimates_table(contest, estimates, rows)
    return Section(
        anchor=f"{view.slug}-bayes-error", heading="Bayes error", template="bayes_error/bayes_error.html.j2",
        shows={
            "words": [told for side in sides if (told := words(side))],
            "warnings": [
                *(f"{capital(side[0].side)}: the estimates are worthless: {'; '.join(side[0].doubts)}."
                  for side in sides if side[0].doubts),
                *(f"{capital(side)}: there are none. {reason}" for side, reason in estimates.left_out.items()),
            ],
            "table": table if rows else None, "components": estimates.components,
            "panels": [noise_plot(side, name=f"{view.slug}-bayes-{side[0].side}") for side in sides],
        },
        tables=(table, _noise_table(contest, rows)) if rows else (),
    )  # fmt: skip


def words(rows: Sequence[EstimatorRow]) -> str:
    """What is to be believed of a side; empty where nothing is."""
    posterior, nearest = (next(row for row in rows if row.estimator == name) for name in _TRUSTED)
    if posterior.doubts:
        return ""
    known = f" It is {_percent(posterior.known)}\u00a0%." if posterior.known is not None else ""
    return (
        f"{capital(posterior.side)}: no classifier can have fewer errors than {_range(posterior)}\u00a0%, by "
        f"neighbours’ shares, and {_range(nearest)}\u00a0%, by the nearest neighbour’s bounds.{known}"
    )


_TRUSTED = ("k-NN posterior", "1-NN bounds")


def estimates_table(contest: Contest, found: LeastErrors, rows: Sequence[EstimatorRow]) -> Table:
    """A line an estimator and side."""
    image = kind_of_image(contest.target.data.ndim)
    return Table(
        name=table_name("bayes-error", contest),
        caption="Estimates of the Bayes error in percent. Off: how far they are on average from what the error must "
        "become when a fifth, two fifths, … all of the labels are drawn anew, in points; an estimator that is more "
        f"than {100 * DEAF:.0f} points off does not hear wrong labels. "
        "Verdict: whether the range holds the known error.",
        columns=("Estimator", "Set", capital(f"{image}s"), "Bayes error", "Known", "Off", "Verdict"), headers=2,
        rows=tuple(
            (Cell(row.estimator), Cell(row.side), Cell(str(found.sides[row.side].rows)),
             Cell(_percent(row.value), _range(row) if row.low is not None else ""), Cell(_percent(row.known)),
             Cell(_percent(row.off)), _verdict(row))
            for row in rows
        ),
        records=tuple(
            factors(contest)
            | {"set": row.side, "estimator": row.estimator, "subjects": found.sides[row.side].rows,
               "bayes_error": row.value, "low": row.low, "high": row.high, "known": row.known, "missed_by": row.missed,
               "off": row.off,
               "forest_out_of_bag": found.sides[row.side].out_of_bag, "worthless": "yes" if row.worthless else "no",
               "doubts": "; ".join(row.doubts)}
            for row in rows
        ),
    )  # fmt: skip


def _verdict(row: EstimatorRow) -> Cell:
    if row.worthless:
        return Cell("worthless", tone="negative")
    if not row.trusted:
        return Cell("no estimate", tone="none")
    if row.known is None:
        return Cell("no reason for doubt", tone="gain")
    return Cell(f"misses it by {_percent(row.missed)}", tone="none") if row.missed else Cell("holds it", tone="gain")


def _noise_table(contest: Contest, rows: Sequence[EstimatorRow]) -> Table:
    """A line an estimator, side and share of wrong labels: a file alone."""
    records = tuple(
        factors(contest) | {"set": row.side, "estimator": row.estimator, "drawn_anew": share, "told": told, "due": due}
        for row in rows
        for share, told, due in zip(row.shares, row.told, row.due, strict=True)
    )
    return Table(
        name=table_name("bayes-error-noise", contest),
        caption="Estimates of the Bayes error, a share of the labels drawn anew, and what it must then be.",
        columns=("Estimator", "Set", "Drawn anew", "Estimate", "Due"), headers=2,
        rows=tuple(
            (Cell(str(each["estimator"])), Cell(str(each["set"])),
             *(Cell(_percent(float(str(each[name])))) for name in ("drawn_anew", "told", "due")))
            for each in records
        ),
        records=records,
    )  # fmt: skip


def _range(row: EstimatorRow) -> str:
    return f"{_percent(row.low)} to {_percent(row.high)}"


def _percent(share: float | None) -> str:
    return number(None if share is None else 100 * share, 2)
