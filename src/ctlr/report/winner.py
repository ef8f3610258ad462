"""Who has the best score, against what: the first sentences of the answer, where baselines stand beside the methods."""

from __future__ import annotations

from collections.abc import Sequence

from ctlr.report.displays import METRIC_WORDS, gain_digits, percent, score_digits, unit
from ctlr.report.formats import number
from ctlr.report.sections import Section
from ctlr.report.tables import GainRow, Rows
from ctlr.specs import METRICS

__all__ = ["winners"]

MOST = 3
"""So many sizes have a sentence each; of more, the smallest and the largest."""


def winners(section: Section, rows: Rows) -> str:
    """One sentence a size; empty where no baseline finished."""
    sizes = sorted(rows.references)
    shown = sizes if len(sizes) <= MOST else [sizes[0], sizes[-1]]
    return " ".join(_at(section, rows, size, first=size == shown[0]) for size in shown)


def _at(section: Section, rows: Rows, size: int, *, first: bool) -> str:
    means = {row.method: row.estimate.mean for row in rows.scores if row.n_train == size}
    pick = min if METRICS[section.task.headline] == "min" else max
    best = pick(means, key=lambda method: means[method])
    trained = [method for method in means if method != section.floor and method not in section.references]
    rival = pick(trained, key=lambda method: means[method]) if trained else None
    digits = score_digits(rows.scores)
    values = {method: number(mean, digits) for method, mean in means.items()}
    place = f"at {size}{' labelled subjects' if first else ''}"
    word = "lowest" if METRICS[section.task.headline] == "min" else "highest"
    measure = f" {unit(section.task)}" if unit(section.task) and section.task.headline in ("mae", "rmse") else ""
    wins = f"has the {word} {METRIC_WORDS[section.task.headline]} {place} ({values[best]}{measure})"
    if best == section.floor:
        return f"Nothing has learned: ‘{best}’, which sees no image, {wins}."
    if best in section.references:
        told = f"A baseline, ‘{best}’, {wins}"
        if rival is None:
            return f"{told}."
        return f"{told}; the best method, ‘{rival}’, has {values[rival]}: {_difference(rows, rival, size, first)}."
    label = rows.references[size]
    other = f"the best baseline, ‘{label}’, has {values[label]}: {_difference(rows, best, size, first)}"
    return f"‘{best}’ {wins}: {_over_scratch(section, rows, best, size, first)}; {other}."


def _over_scratch(section: Section, rows: Rows, method: str, size: int, first: bool) -> str:
    if method == section.baseline:
        return "no transfer is better than training from scratch"
    row = _row(rows.gains, method, size)
    if row is None:
        return "there is no training from scratch to hold it against"
    if not row.stands:
        return "not measurably better than training from scratch"
    return f"{_amount(rows, row, first)} better than training from scratch"


def _difference(rows: Rows, method: str, size: int, first: bool) -> str:
    """Of a method to the best baseline, in words that end a sentence."""
    row = _row(rows.over_references, method, size)
    if row is None:
        return "they cannot be compared"
    if not row.stands:
        return "no measurable difference"
    word = "better" if row.direction == "gain" else "worse"
    return f"‘{method}’ is {_amount(rows, row, first)} {word}"


def _amount(rows: Rows, row: GainRow, first: bool) -> str:
    digits = gain_digits(rows)
    low, high = sorted((abs(row.gain.low), abs(row.gain.high)))
    label = f"{percent(rows.level)} interval " if first else ""
    return f"{number(abs(row.gain.mean), digits)} ({label}{number(low, digits)} to {number(high, digits)})"


def _row(rows: Sequence[GainRow], method: str, size: int) -> GainRow | None:
    return next((row for row in rows if (row.method, row.n_train) == (method, size)), None)
