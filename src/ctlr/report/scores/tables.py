"""Tables of scores: the headline metric by size, and every metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ctlr.report.numbers.contests import Contest
from ctlr.report.numbers.rows import MetricRow, Rows
from ctlr.report.theme.formats import Cell, Table, Tone, decimals, number
from ctlr.report.wording import (
    METRIC_WORDS,
    capital,
    factors,
    interval,
    interval_words,
    metric_label,
    score_digits,
    table_name,
)
from ctlr.specs import METRICS, dns_name

__all__ = ["also_tables", "metrics_table", "scores_table"]


def scores_table(contest: Contest, rows: Rows) -> Table:
    """Method by size: mean over the seeds and interval."""
    scores = rows.scores
    digits = score_digits(scores)
    found = {(row.method, row.n_train): row.estimate for row in scores}
    pick = min if METRICS[contest.task.headline] == "min" else max
    best = {n: pick(e.mean for (_, size), e in found.items() if size == n) for _, n in found}

    def cell(method: str, n: int) -> Cell:
        estimate = found.get((method, n))
        if estimate is None:
            return Cell("–", tone="muted")
        quiet = method == contest.floor or method in contest.references
        tone: Tone = "best" if estimate.mean == best[n] else "muted" if quiet else ""
        return Cell(number(estimate.mean, digits), interval(estimate, digits), tone)

    better = "lower" if METRICS[contest.task.headline] == "min" else "higher"
    return Table(
        name=table_name("scores", contest),
        caption=f"{metric_label(contest)} on the test set by number of labelled subjects n (training + "
        f"validation); {better} is better. Mean over the seeds, with its "
        f"{interval_words([row.estimate for row in scores], rows.level)}.",
        columns=("Method", *(f"n = {contest.labelled(n)}" for n in contest.sizes)),
        rows=tuple((Cell(m), *(cell(m, n) for n in contest.sizes)) for m in contest.methods),
        records=tuple(
            factors(contest)
            | {"method": row.method, "n_train": row.n_train, "labelled": contest.labelled(row.n_train),
               "metric": contest.task.headline}
            | row.estimate.record
            for row in scores
        ),
    )  # fmt: skip


def also_tables(contest: Contest, metrics: Sequence[MetricRow]) -> list[Table]:
    """Every metric of each other target that the same network learns."""
    return [_also_table(contest, metrics, other.task.target) for other in contest.target.others]


def _also_table(contest: Contest, metrics: Sequence[MetricRow], target: str) -> Table:
    table = metrics_table(contest, [replace(row, values=row.also[target]) for row in metrics if row.also.get(target)])
    return replace(
        table, name=f"{table.name}-{dns_name(target)}",
        caption=f"Another target that the same networks learn, {target}: every metric on the test set, means over "
        "the seeds. Each baseline is fitted to it by itself.",
    )  # fmt: skip


def metrics_table(contest: Contest, metrics: Sequence[MetricRow]) -> Table:
    """Every metric on the test set."""
    names = [name for name in METRICS if any(name in row.values for row in metrics)]
    digits = {name: decimals(row.values[name] for row in metrics if name in row.values) for name in names}
    return Table(
        name=table_name("metrics", contest), caption="Every metric on the test set, means over the seeds.",
        columns=("Method", "n", *(capital(METRIC_WORDS[name]) for name in names)),
        rows=tuple(
            (Cell(r.method), Cell(contest.labelled(r.n_train)),
             *(Cell(number(r.values.get(m), digits[m])) for m in names))
            for r in metrics
        ),
        records=tuple(
            factors(contest) | {"method": r.method, "n_train": r.n_train, "seeds": r.seeds} | r.values for r in metrics
        ),
    )  # fmt: skip
