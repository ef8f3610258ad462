"""Rows made readable: each function turns computed rows into one table with words, digits and intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from ctlr.report.check_cells import check_record, detectable_cell, false_cell
from ctlr.report.contests import Contest
from ctlr.report.formats import Cell, Table, Tone, decimals, number
from ctlr.report.power import POWER
from ctlr.report.statistics import Estimate, Gain
from ctlr.report.tables import (
    DIRECTIONS,
    SPLITS,
    CountRow,
    Direction,
    GainRow,
    GapRow,
    MetricRow,
    Rows,
    ScoreRow,
    SplitRow,
)
from ctlr.specs import METHODS, METRICS, StudyResult, TaskSpec

__all__ = [
    "METRIC_WORDS",
    "VERDICTS",
    "capital",
    "counts_table",
    "excluded_table",
    "failed_table",
    "gain_digits",
    "gains_table",
    "gap_name",
    "gap_table",
    "interval",
    "interval_words",
    "methods_table",
    "metric_label",
    "metric_words",
    "metrics_table",
    "n_tested",
    "p_words",
    "percent",
    "references_table",
    "score_digits",
    "scores_table",
    "splits_table",
    "unit",
    "verdict_cell",
]

METRIC_WORDS: Mapping[str, str] = {
    "mae": "MAE", "rmse": "RMSE", "r": "r", "r2": "R²", "f1_bins": "F1 of bins", "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy", "precision": "precision", "recall": "recall", "f1": "F1",
    "roc_auc": "ROC-AUC", "brier": "Brier score", "ece": "ECE", "log_loss": "log loss",
}  # fmt: skip
"""How metrics are written inside a sentence."""
_UNITS = {"age": "years"}
_WITH_UNIT = ("mae", "rmse")
VERDICTS: Mapping[Direction, str] = {verdict_direction: verdict for verdict, verdict_direction in DIRECTIONS.items()}
"""Directions in words."""


def unit(task: TaskSpec) -> str:
    """Unit of a regression's target, as far as its name tells; else empty."""
    return _UNITS.get(task.target.lower(), "") if task.kind == "regression" else ""


def capital(text: str) -> str:
    """Capitalise the first letter of a word or sentence; a symbol (r) stays as it is."""
    return text[0].upper() + text[1:] if len(text) > 1 else text


def metric_words(metric: str, task: TaskSpec) -> str:
    """A metric with its unit, inside a sentence: `MAE (years)`, `balanced accuracy`."""
    name = METRIC_WORDS[metric]
    return f"{name} ({unit(task)})" if metric in _WITH_UNIT and unit(task) else name


def metric_label(task: TaskSpec) -> str:
    """The headline metric with its unit, to open a line with: `MAE (years)`, `Balanced accuracy`."""
    return capital(metric_words(task.headline, task))


def gap_name(contest: Contest) -> str:
    """What predicted minus true is called."""
    brain = contest.target.data.kind in ("bids", "cohort") and contest.task.target.lower() == "age"
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


def _factors(contest: Contest) -> dict[str, str]:
    source = contest.source
    return {
        "data": contest.target.data.name, "target": contest.task.name,
        "source": f"{source.data.name}.{source.task.name}" if source else "", "encoder": contest.encoder.label,
    }  # fmt: skip


def _name(stem: str, contest: Contest) -> str:
    return f"{stem}-{contest.slug}"


# ---------------------------------------------------------------- what was compared


def counts_table(contest: Contest, counts: Sequence[CountRow]) -> Table:
    """Subjects, seeds and studies by size."""
    return Table(
        name=_name("data", contest), caption=f"Subjects and studies: {contest.title}.",
        columns=("Labelled subjects, n (training + validation)", "Test", "Seeds", "Studies finished", "Studies failed"),
        rows=tuple(
            (Cell(contest.labelled(r.n_train)), Cell(_count(r.test)), Cell(f"{r.seeds}"),
             Cell(f"{r.finished}"), Cell(f"{r.failed}", tone="negative" if r.failed else ""))
            for r in counts
        ),
        records=tuple(_factors(contest) | vars(r) for r in counts),
    )  # fmt: skip


def _count(value: int) -> str:
    return str(value) if value else "–"


def methods_table(results: Sequence[StudyResult], order: Sequence[str]) -> Table:
    """Every method in words, in the given order of labels."""
    methods = {result.study.method.label: result.study.method for result in results}
    words = {label: (METHODS[methods[label].method].__doc__ or "").splitlines()[0] for label in order}
    views = {label: methods[label].views_words for label in order}
    refits = {label: "yes" if methods[label].finetune.refit else "no" for label in order}
    return Table(
        name="methods",
        caption="The methods, the random views through which their stages see images, and whether they were trained "
        "again on training and validation subjects together once the epoch was chosen.",
        columns=("Method", "What it does", "Views", "Refit"), headers=4,
        rows=tuple((Cell(m), Cell(does), Cell(views[m]), Cell(refits[m])) for m, does in words.items()),
        records=tuple(
            {"method": m, "kind": methods[m].method, "does": does, "views": views[m], "refit": refits[m]}
            for m, does in words.items()
        ),
    )  # fmt: skip


# ---------------------------------------------------------------- scores


def percent(level: float) -> str:
    """`95 %`, on one line."""
    return f"{100 * level:g}\u00a0%"


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
        name=_name("scores", contest),
        caption=f"{metric_label(contest.task)} on the test set by number of labelled subjects n (training + "
        f"validation); {better} is better. Mean over the seeds, with its "
        f"{interval_words([row.estimate for row in scores], rows.level)}.",
        columns=("Method", *(f"n = {contest.labelled(n)}" for n in contest.sizes)),
        rows=tuple((Cell(m), *(cell(m, n) for n in contest.sizes)) for m in contest.methods),
        records=tuple(
            _factors(contest)
            | {"method": row.method, "n_train": row.n_train, "labelled": contest.labelled(row.n_train),
               "metric": contest.task.headline}
            | row.estimate.record
            for row in scores
        ),
    )  # fmt: skip


def gains_table(contest: Contest, rows: Rows) -> Table:
    """Paired difference to the baseline with interval and verdict."""
    digits = gain_digits(rows)
    ordered = sorted(rows.gains, key=lambda row: row.n_train)

    def line(row: GainRow) -> tuple[Cell, ...]:
        return (
            Cell(row.method), Cell(contest.labelled(row.n_train)),
            Cell(number(row.gain.mean, digits, sign=True), interval(row.gain, digits, sign=True)),
            verdict_cell(row.gain, stands=row.stands), Cell(p_words(row.p_holm)),
            false_cell(row), detectable_cell(row, digits),
        )  # fmt: skip

    return Table(
        name=_name("gains", contest),
        caption=f"Gain over {contest.baseline} in {metric_label(contest.task)} with its "
        f"{interval_words([row.gain for row in ordered], rows.level)}, paired by seed and subject; positive is better. "
        f"p is adjusted for {n_tested(rows.gains)} comparisons (Holm). False: probability that the claim is false. "
        f"Would be seen: the gain that these seeds and test subjects show with a chance of {percent(POWER)}, among all "
        "comparisons.",
        columns=("Method", "n", "Gain", "Verdict", "p", "False", "Would be seen"),
        rows=tuple(map(line, ordered)),
        records=tuple(
            _factors(contest)
            | {"method": row.method, "baseline": contest.baseline, "n_train": row.n_train,
               "metric": contest.task.headline, "gain": row.gain.mean, "low": row.gain.low, "high": row.gain.high,
               "se": row.gain.se, "freedom": row.gain.freedom,
               "p": row.gain.p, "p_holm": row.p_holm, "verdict": VERDICTS[row.direction],
               "stands": "yes" if row.stands else "no", "n_seeds": row.gain.n_seeds,
               "n_subjects": row.gain.n_subjects}
            | check_record(row)
            for row in ordered
        ),
    )  # fmt: skip


def references_table(contest: Contest, rows: Rows) -> Table:
    """Paired difference of each method to the best baseline of its size."""
    digits = gain_digits(rows)
    ordered = sorted(rows.over_references, key=lambda row: row.n_train)
    words: dict[Direction, str] = {
        "gain": "better", "none": "no difference shown", "negative": "worse", "untested": "not tested",
    }  # fmt: skip

    def line(row: GainRow) -> tuple[Cell, ...]:
        return (
            Cell(row.method), Cell(contest.labelled(row.n_train)), Cell(rows.references[row.n_train]),
            Cell(number(row.gain.mean, digits, sign=True), interval(row.gain, digits, sign=True)),
            verdict_cell(row.gain, stands=row.stands, words=words), Cell(p_words(row.p_holm)),
        )  # fmt: skip

    return Table(
        name=_name("baselines", contest),
        caption=f"Difference to the best baseline of each size (by its mean on the test set) in "
        f"{metric_label(contest.task)} with its {percent(rows.level)} interval, paired by seed and subject; positive "
        f"means that the method is better. p is adjusted for these {n_tested(ordered)} comparisons (Holm).",
        columns=("Method", "n", "Best baseline", "Difference", "Verdict", "p"),
        rows=tuple(map(line, ordered)),
        records=tuple(
            _factors(contest)
            | {"method": row.method, "baseline": rows.references[row.n_train], "n_train": row.n_train,
               "metric": contest.task.headline, "gain": row.gain.mean, "low": row.gain.low, "high": row.gain.high,
               "p": row.gain.p, "p_holm": row.p_holm, "verdict": words[row.direction],
               "stands": "yes" if row.stands else "no", "n_seeds": row.gain.n_seeds,
               "n_subjects": row.gain.n_subjects}
            for row in ordered
        ),
    )  # fmt: skip


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


_BEFORE_REFIT = (
    " A refitted model was trained on its validation subjects too: no score on them is its own. The one given is of "
    "the training before, which chose the epoch."
)


def splits_table(contest: Contest, splits: Sequence[SplitRow]) -> Table:
    """Train, validation and test side by side."""
    digits = decimals(v for row in splits for v in (row.train, row.validation, row.test) if v is not None)
    return Table(
        name=_name("splits", contest),
        caption=f"{metric_label(contest.task)} on training, validation and test subjects, means over the seeds. The "
        "gap says how much worse the test set is than the training set."
        + (_BEFORE_REFIT if any(row.refit for row in splits) else ""),
        columns=("Method", "n", "Train", "Validation", "Test", "Gap"),
        rows=tuple(
            (Cell(r.method), Cell(contest.labelled(r.n_train)),
             *(Cell(number(getattr(r, s), digits), "before the refit" if r.refit and s == "validation" else "")
               for s in SPLITS),
             Cell(number(r.gap, digits, sign=True)))
            for r in splits
        ),
        records=tuple(_factors(contest) | {"metric": contest.task.headline} | vars(r) for r in splits),
    )  # fmt: skip


def metrics_table(contest: Contest, metrics: Sequence[MetricRow]) -> Table:
    """Every metric on the test set."""
    names = [name for name in METRICS if any(name in row.values for row in metrics)]
    digits = {name: decimals(row.values[name] for row in metrics if name in row.values) for name in names}
    return Table(
        name=_name("metrics", contest), caption="Every metric on the test set, means over the seeds.",
        columns=("Method", "n", *(capital(METRIC_WORDS[name]) for name in names)),
        rows=tuple(
            (Cell(r.method), Cell(contest.labelled(r.n_train)),
             *(Cell(number(r.values.get(m), digits[m])) for m in names))
            for r in metrics
        ),
        records=tuple(
            _factors(contest) | {"method": r.method, "n_train": r.n_train, "seeds": r.seeds} | r.values for r in metrics
        ),
    )  # fmt: skip


def gap_table(contest: Contest, gaps: Sequence[GapRow]) -> Table:
    """Mean and slope of the gap, uncorrected and corrected."""
    target = contest.task.name
    return Table(
        name=_name("gap", contest),
        caption=f"{gap_name(contest)} (predicted minus true {target}) on the test set, means over the seeds. The "
        f"correction is a line on {target} fitted on the validation subjects.",
        columns=("Method", "n", "Mean", f"Slope on {target}", "Mean, corrected", "Slope, corrected"),
        rows=tuple(
            (Cell(r.method), Cell(contest.labelled(r.n_train)), Cell(number(r.gap.mean, 2, sign=True)),
             Cell(number(r.gap.slope, 2, sign=True)), Cell(number(r.gap.corrected_mean, 2, sign=True)),
             Cell(number(r.gap.corrected_slope, 2, sign=True)))
            for r in gaps
        ),
        records=tuple(
            _factors(contest)
            | {"method": r.method, "n_train": r.n_train, "mean": r.gap.mean, "slope": r.gap.slope,
               "mean_corrected": r.gap.corrected_mean, "slope_corrected": r.gap.corrected_slope}
            for r in gaps
        ),
    )  # fmt: skip


# ---------------------------------------------------------------- what is missing


def failed_table(failed: Sequence[StudyResult]) -> Table:
    """Studies without a result, and why."""
    records = [
        {key: record[key] for key in ("method", "n_train", "n_validation", "seed")}
        | {"reason": result.reason or "no reason was recorded"}
        | {key: record[key] for key in ("target", "source", "encoder")}
        for result in failed
        for record in (result.record(),)
    ]
    return Table(
        name="failed", caption="Studies that failed; they are in no other table.",
        columns=("Method", "n", "Seed", "Reason", "Target", "Source", "Encoder"), headers=7,
        rows=tuple(
            (Cell(record["method"]), Cell(result.labelled),
             *(Cell(str(value) or "–") for key, value in record.items() if key not in ("method", *_SIZES)))
            for result, record in zip(failed, records, strict=True)
        ),
        records=tuple(records),
    )  # fmt: skip


_SIZES = ("n_train", "n_validation")


def excluded_table(excluded: Sequence[str]) -> Table:
    """Images left out, by reason; which ones they are stays in the workspace."""
    reasons = Counter(excluded).most_common()
    return Table(
        name="excluded", caption="Images left out, by reason. Their names stay in the workspace.",
        columns=("Reason", "Images"), rows=tuple((Cell(reason), Cell(str(count))) for reason, count in reasons),
        records=tuple({"images": count, "reason": reason} for reason, count in reasons),
    )  # fmt: skip
