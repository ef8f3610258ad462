"""Numbers made readable, the same in every section: metrics, intervals, verdicts, digits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ctlr.report.numbers.contests import Contest
from ctlr.report.numbers.rows import DIRECTIONS, Direction, GainRow, Rows, ScoreRow
from ctlr.report.statistics.estimates import Estimate, Gain
from ctlr.report.theme.formats import Cell, decimals, number

__all__ = [
    "METRIC_WORDS",
    "VERDICTS",
    "Answer",
    "capital",
    "chance",
    "check_record",
    "detectable_cell",
    "factors",
    "false_cell",
    "gain_digits",
    "gap_name",
    "interval",
    "interval_words",
    "measure",
    "metric_label",
    "metric_words",
    "n_tested",
    "p_phrase",
    "p_words",
    "percent",
    "score_digits",
    "table_name",
    "tip_words",
    "verdict_cell",
]

METRIC_WORDS: Mapping[str, str] = {
    "mae": "MAE", "rmse": "RMSE", "r": "r", "r2": "R²", "f1_bins": "F1 of bins", "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy", "precision": "precision", "recall": "recall", "f1": "F1",
    "roc_auc": "ROC-AUC", "top5_accuracy": "top-5 accuracy", "confidence": "confidence", "brier": "Brier score",
    "ece": "ECE", "log_loss": "log loss",
}  # fmt: skip
"""How metrics are written inside a sentence."""
_WITH_UNIT = ("mae", "rmse")
VERDICTS: Mapping[Direction, str] = {verdict_direction: verdict for verdict, verdict_direction in DIRECTIONS.items()}
"""Directions in words."""


@dataclass(frozen=True)
class Answer:
    """What was found, in a sentence or more."""

    text: str
    notes: tuple[str, ...]
    """What weakens or details it."""


def tip_words(method: str, size: str, said: str, estimate: Estimate, level: float, digits: int) -> str:
    """What a point tells of itself, in three lines: whose it is, its number with the interval, what that rests on.

    Args:
        method: Its label.
        size: Labelled subjects in words, `20 + 20`.
        said: What stands before the interval: `MAE (years) 9.9`, `Gain +4.4`.
        estimate: The number.
        level: Share of intervals that hold the true value.
        digits: After the point of the interval.
    """
    seeds = f"{estimate.n_seeds} seed{'s' * (estimate.n_seeds != 1)}"
    subjects = f"{estimate.n_subjects} test subject{'s' * (estimate.n_subjects != 1)}"
    ends = interval(estimate, digits, sign=isinstance(estimate, Gain))
    return f"{method}, n = {size}\n{said} ({percent(level)} interval {ends})\n{seeds}, {subjects}"


def capital(text: str) -> str:
    """Capitalise the first letter of a word or sentence; a symbol (r) stays as it is."""
    return text[0].upper() + text[1:] if len(text) > 1 else text


def measure(contest: Contest) -> str:
    """Unit of the headline metric; empty where it has none, or where the dataset does not say it."""
    return contest.unit if contest.task.headline in _WITH_UNIT else ""


def metric_words(metric: str, unit: str) -> str:
    """A metric with the unit of its target, inside a sentence: `MAE (years)`, `balanced accuracy`."""
    name = METRIC_WORDS[metric]
    return f"{name} ({unit})" if metric in _WITH_UNIT and unit else name


def metric_label(contest: Contest) -> str:
    """The headline metric with its unit, to open a line with: `MAE (years)`, `Balanced accuracy`."""
    return capital(metric_words(contest.task.headline, contest.unit))


def gap_name(contest: Contest) -> str:
    """What predicted minus true is called."""
    brain = contest.target.data.brains and contest.task.target.lower() == "age"
    return "Brain-age gap" if brain else "Prediction gap"


def interval(estimate: Estimate, digits: int, *, sign: bool = False) -> str:
    """`0.3 to 2.1`; a dash where nothing could be resampled."""
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return "–"
    return f"{number(estimate.low, digits, sign=sign)} to {number(estimate.high, digits, sign=sign)}"


def interval_words(estimates: Sequence[Estimate], level: float) -> str:
    """`95 % interval`, and what it leaves out where there is a single seed."""
    single = [estimate for estimate in estimates if estimate.n_seeds == 1]
    where = "" if len(single) == len(estimates) else " where there is one seed"
    return f"{percent(level)} interval" + (f" ({single[0].resampled}{where})" if single else "")


def score_digits(scores: Sequence[ScoreRow]) -> int:
    """Digits after the point of every score of a contest."""
    return decimals(row.estimate.mean for row in scores)


def gain_digits(rows: Rows) -> int:
    """Those of the scores, or one more where an interval's end would otherwise read as zero."""
    digits = score_digits(rows.scores)
    ends = [end for row in rows.gains if row.gain.shown for end in (row.gain.low, row.gain.high)]
    return digits + any(round(end, digits) == 0 for end in ends)


def factors(contest: Contest) -> dict[str, str]:
    """What the records of a contest's tables begin with."""
    source = contest.source
    return {
        "data": contest.target.data.name, "target": contest.task.name,
        "source": f"{source.data.name}.{source.task.name}" if source else "", "encoder": contest.encoder.label,
    }  # fmt: skip


def table_name(stem: str, contest: Contest) -> str:
    """Stem of a table's files."""
    return f"{stem}-{contest.slug}"


def percent(level: float) -> str:
    """`95 %`, on one line."""
    return f"{100 * level:g}\u00a0%"


def n_tested(rows: Sequence[GainRow]) -> int:
    """How many comparisons p is adjusted for."""
    return sum(row.gain.tested for row in rows)


def verdict_cell(gain: Gain, *, stands: bool, words: Mapping[Direction, str] = VERDICTS) -> Cell:
    """A verdict, and what limits it: all comparisons taken together, or a single seed."""
    direction = DIRECTIONS[gain.verdict]
    limit = "one seed" if gain.n_seeds == 1 else "taken alone" if gain.shown and not stands else ""
    return Cell(words[direction], limit, "muted" if direction == "untested" else direction)


def p_words(value: float) -> str:
    """A p-value for reading: three digits below 0.1; a dash where nothing was tested."""
    if math.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def p_phrase(value: float) -> str:
    """`p = 0.04`, or `p < 0.001`."""
    words = p_words(value)
    return f"p {words}" if words.startswith("<") else f"p = {words}"


def false_cell(row: GainRow) -> Cell:
    """How likely a claim is false; a dash where nothing is claimed."""
    if row.check is None or not row.gain.shown:
        return Cell("–", tone="muted")
    return Cell(chance(row.check.false))


def detectable_cell(row: GainRow, digits: int) -> Cell:
    """The gain that would have been seen where none was, and were it the only comparison; a dash beside what stands."""
    if row.check is None or row.stands:
        return Cell("–", tone="muted")
    return Cell(number(row.check.detectable, digits), f"{number(row.check.detectable_alone, digits)} alone")


def check_record(row: GainRow) -> dict[str, object]:
    """What a table's file says of a claim and of what would have been seen."""
    check, claimed = row.check, row.gain.shown
    return {
        "false_claim": check.false if check and claimed else None,
        "false_claim_alone": check.false_alone if check and claimed else None,
        "detectable": check.detectable if check else None,
        "detectable_alone": check.detectable_alone if check else None,
    }


def chance(value: float) -> str:
    """A probability in per cent: one digit after the point below 10 %."""
    if value < 0.001:
        return "< 0.1\u00a0%"
    return f"{100 * value:.{1 if value < 0.1 else 0}f}\u00a0%"
