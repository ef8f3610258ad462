"""Who has the best score, against what: the first sentences of the answer, where baselines stand beside the methods."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence

from ctlr.report.numbers.contests import Contest
from ctlr.report.numbers.rows import GainRow, Rows
from ctlr.report.theme.formats import listed, number
from ctlr.report.wording import METRIC_WORDS, gain_digits, measure, percent, score_digits
from ctlr.specs import METRICS, kind_of_image

__all__ = ["winners"]

MOST = 3
"""So many sizes have a sentence each; of more, the smallest and the largest."""


def winners(contest: Contest, rows: Rows) -> str:
    """One sentence a size, or for sizes of which the same is to be said; empty where no baseline finished."""
    sizes = sorted(rows.references)
    shown = sizes if len(sizes) <= MOST else [sizes[0], sizes[-1]]
    alike = [list(group) for _, group in itertools.groupby(shown, key=lambda size: _gist(contest, rows, size))]
    return " ".join(_at(contest, rows, group, first=group is alike[0]) for group in alike)


def _gist(contest: Contest, rows: Rows, size: int) -> Hashable:
    """What sizes share that one sentence speaks of: a baseline has the same score, and the same method is as good."""
    best, rival, values = _best(contest, rows, size)
    if best not in contest.references or rival is None:
        return size
    row = _row(rows.over_references, rival, size)
    return (best, rival, values[best]) if row is not None and row.gain.tested and not row.stands else size


def _best(contest: Contest, rows: Rows, size: int) -> tuple[str, str | None, dict[str, str]]:
    """Who has the best score, the best method, and everybody's score as it is shown."""
    means = {row.method: row.estimate.mean for row in rows.scores if row.n_train == size}
    pick = min if METRICS[contest.task.headline] == "min" else max
    best = pick(means, key=lambda method: means[method])
    trained = [method for method in means if method != contest.floor and method not in contest.references]
    rival = pick(trained, key=lambda method: means[method]) if trained else None
    digits = score_digits(rows.scores)
    return best, rival, {method: number(mean, digits) for method, mean in means.items()}


def _at(contest: Contest, rows: Rows, sizes: Sequence[int], *, first: bool) -> str:
    size = sizes[0]
    best, rival, values = _best(contest, rows, size)
    where = listed([contest.labelled(each) for each in sizes])
    place = f"at {where}{' labelled subjects (training + validation)' if first else ''}"
    word = "lowest" if METRICS[contest.task.headline] == "min" else "highest"
    unit = f" {measure(contest)}" if measure(contest) else ""
    wins = f"has the {word} {METRIC_WORDS[contest.task.headline]}, {values[best]}{unit}, {place}"
    if best == contest.floor:
        return f"Nothing has learned: ‘{best}’, which sees no {kind_of_image(contest.target.data.ndim)}, {wins}."
    if best in contest.references:
        told = f"A baseline, ‘{best}’, {wins}"
        if rival is None:
            return f"{told}."
        theirs = listed([_best(contest, rows, each)[2][rival] for each in sizes])
        return f"{told}; the best method, ‘{rival}’, has {theirs}: {_difference(rows, rival, size, first)}."
    label = rows.references[size]
    other = f"the best baseline, ‘{label}’, has {values[label]}: {_difference(rows, best, size, first)}"
    return f"‘{best}’ {wins}: {_over_scratch(contest, rows, best, size, first)}; {other}."


def _over_scratch(contest: Contest, rows: Rows, method: str, size: int, first: bool) -> str:
    if method == contest.baseline:
        return f"no {'transfer' if contest.transfers else 'other'} is better than {contest.rival}"
    row = _row(rows.gains, method, size)
    if row is None:
        return f"there is no {contest.rival} to hold it against"
    if not row.gain.tested:
        return f"whether better than {contest.rival}, one seed cannot tell"
    if not row.stands:
        return f"not measurably better than {contest.rival}"
    return f"{_amount(rows, row, first)} better than {contest.rival}"


def _difference(rows: Rows, method: str, size: int, first: bool) -> str:
    """Of a method to the best baseline, in words that end a sentence."""
    row = _row(rows.over_references, method, size)
    if row is None:
        return "they cannot be compared"
    if not row.gain.tested:
        return "one seed tells no difference"
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
