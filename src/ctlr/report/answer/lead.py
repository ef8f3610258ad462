"""The answer's first words and its one figure: the claim that a reader takes away, and what it is held against.

What is said below of every size and transfer is not repeated: one method, one size, its interval, how likely the claim
is false, and whether something that trains no network is as good.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ctlr.report.answer import headline
from ctlr.report.answer.claim_words import claim_words
from ctlr.report.answer.figure import beyond, lead_figure, lead_rows
from ctlr.report.findings import Findings, View
from ctlr.report.numbers.rows import GainRow
from ctlr.report.pairs.matrix import transfer_names
from ctlr.report.pairs.rows import PairGain, pair_gains
from ctlr.report.theme.formats import listed, number
from ctlr.report.theme.svg import Panel
from ctlr.report.wording import (
    METRIC_WORDS,
    chance,
    gain_digits,
    interval,
    measure,
    metric_label,
    percent,
    score_digits,
)
from ctlr.specs import METRICS

__all__ = ["Lead", "lead"]

NBSP = "\u00a0"


@dataclass(frozen=True, kw_only=True)
class Lead:
    """What stands first on the page."""

    text: str
    check: str = ""
    """How likely the claim is false; or, where nothing is claimed, what would have been seen."""
    notes: tuple[str, ...] = ()
    """What weakens it, where there is nothing else to unfold."""
    against: tuple[tuple[str, str], ...] = ()
    """(what, score) that the claim is held against, and how many labels there were."""
    drawn: tuple[Panel, str] | None = None
    """The figure and what stands below it."""


def lead(found: Findings) -> Lead | None:
    """Choose the claim and say it; None where there is no study."""
    views = [view for view in found.views if view.contest.cells]
    if not views:
        return None
    pairs = pair_gains(found.views, level=found.finished.level)
    several = len({(id(each.contest), each.pair) for each in pairs}) > 1
    claim = _surest_pair(views, pairs) if several else _surest(views)
    if claim is None:
        return _no_claim(found, views, pairs if several else [])
    view, row = claim
    before = f"{_how_many(pairs)} {_way(found.views, view)}, " if several else _which(views, view)
    return Lead(
        text=f"{before}{_claim(view, row, against='' if several else view.contest.rival)}", check=_check(view, row),
        against=_against(view, row.n_train), drawn=_drawn(found, view, row.n_train),
    )  # fmt: skip


# ---------------------------------------------------------------- which claim


def _surest(views: Sequence[View]) -> tuple[View, GainRow] | None:
    """The largest gain at the smallest size at which one stands, of the first transfer that has any."""
    for view in views:
        standing = [row for row in view.rows.gains if row.stands and row.direction == "gain"]
        if standing:
            least = min(row.n_train for row in standing)
            return view, max((row for row in standing if row.n_train == least), key=lambda row: row.gain.mean)
    return None


def _surest_pair(views: Sequence[View], pairs: Sequence[PairGain]) -> tuple[View, GainRow] | None:
    """Of all pairs taken together, the gain that is largest beside its interval, at the smallest size that has one.

    Its method was chosen by validation subjects: the test set, which tells how large the gain is, has no part in it.
    """
    standing = [each for each in pairs if each.row.stands and each.row.direction == "gain"]
    if not standing:
        return None
    least = min(each.row.n_train for each in standing)
    best = max((each for each in standing if each.row.n_train == least), key=_certainty)
    view = next(view for view in views if view.contest is best.contest)
    same = next(
        row for row in view.rows.gains if (row.method, row.n_train) == (best.row.method, best.row.n_train)
    )  # it has the check of its table
    return view, same


# ---------------------------------------------------------------- sentences


def _how_many(pairs: Sequence[PairGain]) -> str:
    """`5 of 12 transfers gain over training from scratch.`"""
    ends = dict.fromkeys((each.pair, each.contest.encoder.label) for each in pairs)
    gaining = {
        (each.pair, each.contest.encoder.label) for each in pairs if each.row.stands and each.row.direction == "gain"
    }
    gain = "gains" if len(gaining) == 1 else "gain"
    return f"{len(gaining)} of {len(ends)} transfers {gain} over training from scratch."


def _which(views: Sequence[View], view: View) -> str:
    """Names the one of several contests that a sentence speaks of."""
    return f"{view.heading}: " if len(views) > 1 else ""


def _way(views: Sequence[View], view: View) -> str:
    """`From age (biobank) to age (clinic)`."""
    return f"From {transfer_names(views)[view.slug].replace(' → ', ' to ', 1)}"


def _claim(view: View, row: GainRow, *, against: str, beside: bool = True) -> str:
    contest, rows, digits = view.contest, view.rows, gain_digits(view.rows)
    falls = METRICS[contest.task.headline] == "min"
    unit = f" {measure(contest)}" if measure(contest) else ""
    low, high = sorted((abs(row.gain.low), abs(row.gain.high)))
    over = f" against {against}" if against else ""
    return (
        f"‘{row.method}’ {'lowers' if falls else 'raises'} {METRIC_WORDS[contest.task.headline]} by "
        f"{number(abs(row.gain.mean), digits)}{unit} ({percent(rows.level)} interval {number(low, digits)} to "
        f"{number(high, digits)}){over} at {contest.labelled(row.n_train)} labelled subjects"
        f"{_beside(view, row) if beside else ''}."
    )


def _beside(view: View, row: GainRow) -> str:
    """Whether something simpler is as good."""
    contest, rows = view.contest, view.rows
    size, digits = row.n_train, gain_digits(rows)
    best = rows.references.get(size)
    over = next((r for r in rows.over_references if (r.method, r.n_train) == (row.method, size)), None)
    if best is not None and over is not None and over.gain.tested:
        if not over.stands:
            return f", yet is not measurably better than the baseline ‘{best}’"
        low, high = sorted((abs(over.gain.low), abs(over.gain.high)))
        amount = f"{number(abs(over.gain.mean), digits)} ({number(low, digits)} to {number(high, digits)})"
        if over.direction == "gain":
            return f", and is {amount} better than the best baseline, ‘{best}’"
        return f", yet is {amount} worse than the baseline ‘{best}’"
    word = "mean" if contest.task.kind == "regression" else "most frequent class"
    mean = next((r for r in rows.over_mean if (r.method, r.n_train) == (row.method, size)), None)
    if mean is not None and mean.gain.tested and mean.direction != "gain":
        return f", yet is not measurably better than predicting the training set’s {word}"
    return ""


def _check(view: View, row: GainRow) -> str:
    if row.check is None:
        return ""
    return f"Probability that this claim is false: {chance(row.check.false).replace(' ', NBSP)}."


def _no_claim(found: Findings, views: Sequence[View], pairs: Sequence[PairGain]) -> Lead:
    """Nothing gains, or nothing can be told: what is said of the first transfer, or of all in one sentence."""
    view = views[0]
    size = max((row.n_train for row in view.rows.scores), default=None)
    # Who has the best score, and whether a baseline is as good, is said in the whole answer and seen in the figure.
    gains = headline.answer(view.contest, replace(view.rows, references={})).text
    text = f"{_which(views, view)}{gains}"
    if pairs:
        view, size, text = _nearest(views, pairs)
    if size is None:
        return Lead(text=text)
    digits, unit = gain_digits(view.rows), f" {measure(view.contest)}" if measure(view.contest) else ""
    check = claim_words(view.rows.gains, digits, unit, view.contest.labelled) if view.rows.gains else []
    return Lead(
        text=text, check="" if pairs else " ".join(check[-1:]), against=_against(view, size),
        drawn=_drawn(found, view, size),
    )  # fmt: skip


def _nearest(views: Sequence[View], pairs: Sequence[PairGain]) -> tuple[View, int, str]:
    """Of transfers none of which gains: which comes nearest, at which size, and what is to be said."""
    ends = len({(each.pair, each.contest.encoder.label) for each in pairs})
    tested = [each for each in pairs if each.row.gain.tested]
    best = max(tested or pairs, key=_certainty)
    view = next(view for view in views if view.contest is best.contest)
    if not tested:
        return view, best.row.n_train, f"One seed supports no verdict: of {ends} transfers none is said to gain."
    lost = sum(each.row.stands and each.row.direction == "negative" for each in tested)
    text = f"None of {ends} transfers gains measurably over training from scratch, all taken together"
    text += f"; {lost} of {len(tested)} comparisons are negative transfer." if lost else "."
    if best.row.gain.mean > 0:
        limit = "taken alone, it would count" if best.row.gain.shown else "which chance alone explains"
        words = _claim(view, best.row, against="", beside=False).removesuffix(".")
        text += f" Nearest to it: {_way(views, view).replace('From', 'from', 1)}, {words}; {limit}."
    return view, best.row.n_train, text


def _certainty(each: PairGain) -> float:
    """How large a gain is beside its interval."""
    width = each.row.gain.high - each.row.gain.low
    return each.row.gain.mean / width if width > 0 else -math.inf


# ---------------------------------------------------------------- what it is held against


def _against(view: View, size: int) -> tuple[tuple[str, str], ...]:
    contest, rows = view.contest, view.rows
    means = {row.method: row.estimate for row in rows.scores if row.n_train == size}
    digits = score_digits(rows.scores)
    count = next(count for count in rows.counts if count.n_train == size)
    seeds = f"{count.seeds} seed{'s' * (count.seeds != 1)}"
    found = [("Labels", f"{contest.labelled(size)}, training + validation; {count.test} test subjects, {seeds}")]
    if contest.baseline in means:
        own = means[contest.baseline]
        name = "From scratch" if contest.transfers else contest.baseline
        ends = interval(own, digits)
        found.append((name, f"{metric_label(contest)} {number(own.mean, digits)} ({ends})"))
    pick = min if METRICS[contest.task.headline] == "min" else max
    best = pick(
        (label for label in means if label not in (contest.baseline, contest.floor, *contest.references)),
        key=lambda label: means[label].mean, default=None,
    )  # fmt: skip
    if best is not None:
        found.append(("Best method", f"{best} {number(means[best].mean, digits)} ({interval(means[best], digits)})"))
    others = sorted(
        (label for label in contest.references if label in means), key=lambda label: means[label].mean,
        reverse=METRICS[contest.task.headline] == "max",
    )  # fmt: skip
    if others:
        found.append(("Baselines", listed([f"{label} {number(means[label].mean, digits)}" for label in others])))
    if contest.floor in means:
        word = "Mean" if contest.task.kind == "regression" else "Class shares"
        found.append((f"{word} alone", number(means[contest.floor].mean, digits)))
    return tuple(found)


def _drawn(found: Findings, view: View, size: int) -> tuple[Panel, str] | None:
    drawing = lead_figure(view, size, found.styles)
    if drawing is None:
        return None
    beside = ", grey: baselines, which train no network on the target" if view.contest.references else ""
    where = f", {transfer_names(found.views)[view.slug]}" if len(found.views) > 1 else ""
    methods = sum(row.n_train == size for row in view.rows.gains)
    rows = lead_rows(view, size)
    drawn = sum(row.method in view.contest.contenders for row in rows)
    far = " Arrows: beyond the axis." if beyond(view, rows) else ""
    most = f" The {drawn} of {methods} methods that gain most." if drawn < methods else ""
    caption = (
        f"Gain over {view.contest.rival} at n = {view.contest.labelled(size)}{where}, with its {view.interval}. "
        f"Filled: a verdict; hollow: none{beside}.{far}{most}"
    )
    return drawing, caption
