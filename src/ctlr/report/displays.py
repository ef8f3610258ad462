"""Rows made readable: each function turns computed rows into one table with words, digits and intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from ctlr.report.formats import Cell, Table, Tone, decimals, number
from ctlr.report.sections import Section
from ctlr.report.statistics import Estimate
from ctlr.report.tables import SPLITS, CountRow, GainRow, GapRow, MetricRow, Rows, ScoreRow, SplitRow
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
    "methods_table",
    "metric_label",
    "metric_words",
    "metrics_table",
    "p_words",
    "percent",
    "score_digits",
    "scores_table",
    "splits_table",
    "unit",
]

METRIC_WORDS: Mapping[str, str] = {
    "mae": "MAE", "rmse": "RMSE", "r": "r", "r2": "R²", "f1_bins": "F1 of bins", "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy", "precision": "precision", "recall": "recall", "f1": "F1",
    "roc_auc": "ROC-AUC", "brier": "Brier score", "ece": "ECE", "log_loss": "log loss",
}  # fmt: skip
"""How metrics are written inside a sentence."""
_UNITS = {"age": "years"}
_WITH_UNIT = ("mae", "rmse")
VERDICTS = {"gain": "gain", "none": "none", "negative": "negative transfer"}
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


def gap_name(section: Section) -> str:
    """What predicted minus true is called."""
    brain = section.target.data.kind in ("bids", "cohort") and section.task.target.lower() == "age"
    return "Brain-age gap" if brain else "Prediction gap"


def interval(estimate: Estimate, digits: int, *, sign: bool = False) -> str:
    """`0.3 to 2.1`; a dash where nothing could be resampled."""
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return "–"
    return f"{number(estimate.low, digits, sign=sign)} to {number(estimate.high, digits, sign=sign)}"


def score_digits(scores: Sequence[ScoreRow]) -> int:
    """Digits after the point of every score of a section."""
    return decimals(row.estimate.mean for row in scores)


def gain_digits(rows: Rows) -> int:
    """Those of the scores, or one more where an interval's end would otherwise read as zero."""
    digits = score_digits(rows.scores)
    ends = [end for row in rows.gains if row.direction != "none" for end in (row.gain.low, row.gain.high)]
    return digits + any(round(end, digits) == 0 for end in ends)


def _factors(section: Section) -> dict[str, str]:
    source = section.source
    return {
        "data": section.target.data.name, "target": section.task.name,
        "source": f"{source.data.name}.{source.task.name}" if source else "", "encoder": section.encoder.label,
    }  # fmt: skip


def _name(stem: str, section: Section) -> str:
    return f"{stem}-{section.slug}"


# ---------------------------------------------------------------- what was compared


def counts_table(section: Section, counts: Sequence[CountRow]) -> Table:
    """Subjects, seeds and studies by size."""
    return Table(
        name=_name("data", section), caption=f"Subjects and studies: {section.title}.",
        columns=("Labelled training subjects, n", "Validation", "Test", "Seeds", "Studies finished", "Studies failed"),
        rows=tuple(
            (Cell(f"{r.n_train}"), Cell(_count(r.validation)), Cell(_count(r.test)), Cell(f"{r.seeds}"),
             Cell(f"{r.finished}"), Cell(f"{r.failed}", tone="negative" if r.failed else ""))
            for r in counts
        ),
        records=tuple(_factors(section) | vars(r) for r in counts),
    )  # fmt: skip


def _count(value: int) -> str:
    return str(value) if value else "–"


def methods_table(results: Sequence[StudyResult], order: Sequence[str]) -> Table:
    """Every method in words, in the given order of labels."""
    methods = {result.study.method.label: result.study.method for result in results}
    words = {label: (METHODS[methods[label].method].__doc__ or "").splitlines()[0] for label in order}
    return Table(
        name="methods", caption="The methods.", columns=("Method", "What it does"), headers=2,
        rows=tuple((Cell(label), Cell(does)) for label, does in words.items()),
        records=tuple({"method": m, "kind": methods[m].method, "does": does} for m, does in words.items()),
    )  # fmt: skip


# ---------------------------------------------------------------- scores


def percent(level: float) -> str:
    """`95 %`, on one line."""
    return f"{100 * level:g}\u00a0%"


def scores_table(section: Section, rows: Rows) -> Table:
    """Method by size: mean over the seeds and interval."""
    scores = rows.scores
    digits = score_digits(scores)
    found = {(row.method, row.n_train): row.estimate for row in scores}
    pick = min if METRICS[section.task.headline] == "min" else max
    best = {n: pick(e.mean for (_, size), e in found.items() if size == n) for _, n in found}

    def cell(method: str, n: int) -> Cell:
        estimate = found.get((method, n))
        if estimate is None:
            return Cell("–", tone="muted")
        tone: Tone = "best" if estimate.mean == best[n] else "muted" if method == section.floor else ""
        return Cell(number(estimate.mean, digits), interval(estimate, digits), tone)

    better = "lower" if METRICS[section.task.headline] == "min" else "higher"
    return Table(
        name=_name("scores", section),
        caption=f"{metric_label(section.task)} on the test set by number of labelled training subjects n; {better} is "
        f"better. Mean over the seeds, with its {percent(rows.level)} interval.",
        columns=("Method", *(f"n = {n}" for n in section.sizes)),
        rows=tuple((Cell(m), *(cell(m, n) for n in section.sizes)) for m in section.methods),
        records=tuple(
            _factors(section)
            | {"method": row.method, "n_train": row.n_train, "metric": section.task.headline}
            | vars(row.estimate)
            for row in scores
        ),
    )  # fmt: skip


def gains_table(section: Section, rows: Rows) -> Table:
    """Paired difference to the baseline with interval and verdict."""
    digits = gain_digits(rows)
    ordered = sorted(rows.gains, key=lambda row: row.n_train)

    def line(row: GainRow) -> tuple[Cell, ...]:
        alone = "" if row.stands or row.direction == "none" else "taken alone"
        return (
            Cell(row.method), Cell(str(row.n_train)),
            Cell(number(row.gain.mean, digits, sign=True), interval(row.gain, digits, sign=True)),
            Cell(VERDICTS[row.direction], alone, row.direction), Cell(p_words(row.p_holm)),
        )  # fmt: skip

    return Table(
        name=_name("gains", section),
        caption=f"Gain over {section.baseline} in {metric_label(section.task)} with its {percent(rows.level)} "
        "interval, paired by seed and subject; positive is better. p is adjusted for "
        f"{len(ordered)} comparisons (Holm).",
        columns=("Method", "n", "Gain", "Verdict", "p"),
        rows=tuple(map(line, ordered)),
        records=tuple(
            _factors(section)
            | {"method": row.method, "baseline": section.baseline, "n_train": row.n_train,
               "metric": section.task.headline, "gain": row.gain.mean, "low": row.gain.low, "high": row.gain.high,
               "p": row.gain.p, "p_holm": row.p_holm, "verdict": VERDICTS[row.direction],
               "stands": "yes" if row.stands else "no", "n_seeds": row.gain.n_seeds,
               "n_subjects": row.gain.n_subjects}
            for row in ordered
        ),
    )  # fmt: skip


def p_words(value: float) -> str:
    """A p-value for reading: three digits below 0.1."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def splits_table(section: Section, splits: Sequence[SplitRow]) -> Table:
    """Train, validation and test side by side."""
    digits = decimals(v for row in splits for v in (row.train, row.validation, row.test) if v is not None)
    return Table(
        name=_name("splits", section),
        caption=f"{metric_label(section.task)} on training, validation and test subjects, means over the seeds. The "
        "gap says how much worse the test set is than the training set.",
        columns=("Method", "n", "Train", "Validation", "Test", "Gap"),
        rows=tuple(
            (Cell(r.method), Cell(str(r.n_train)), *(Cell(number(getattr(r, s), digits)) for s in SPLITS),
             Cell(number(r.gap, digits, sign=True)))
            for r in splits
        ),
        records=tuple(_factors(section) | {"metric": section.task.headline} | vars(r) for r in splits),
    )  # fmt: skip


def metrics_table(section: Section, metrics: Sequence[MetricRow]) -> Table:
    """Every metric on the test set."""
    names = [name for name in METRICS if any(name in row.values for row in metrics)]
    digits = {name: decimals(row.values[name] for row in metrics if name in row.values) for name in names}
    return Table(
        name=_name("metrics", section), caption="Every metric on the test set, means over the seeds.",
        columns=("Method", "n", *(capital(METRIC_WORDS[name]) for name in names)),
        rows=tuple(
            (Cell(r.method), Cell(str(r.n_train)), *(Cell(number(r.values.get(m), digits[m])) for m in names))
            for r in metrics
        ),
        records=tuple(
            _factors(section) | {"method": r.method, "n_train": r.n_train, "seeds": r.seeds} | r.values for r in metrics
        ),
    )  # fmt: skip


def gap_table(section: Section, gaps: Sequence[GapRow]) -> Table:
    """Mean and slope of the gap, uncorrected and corrected."""
    target = section.task.name
    return Table(
        name=_name("gap", section),
        caption=f"{gap_name(section)} (predicted minus true {target}) on the test set, means over the seeds. The "
        f"correction is a line on {target} fitted on the validation subjects.",
        columns=("Method", "n", "Mean", f"Slope on {target}", "Mean, corrected", "Slope, corrected"),
        rows=tuple(
            (Cell(r.method), Cell(str(r.n_train)), Cell(number(r.gap.mean, 2, sign=True)),
             Cell(number(r.gap.slope, 2, sign=True)), Cell(number(r.gap.corrected_mean, 2, sign=True)),
             Cell(number(r.gap.corrected_slope, 2, sign=True)))
            for r in gaps
        ),
        records=tuple(
            _factors(section)
            | {"method": r.method, "n_train": r.n_train, "mean": r.gap.mean, "slope": r.gap.slope,
               "mean_corrected": r.gap.corrected_mean, "slope_corrected": r.gap.corrected_slope}
            for r in gaps
        ),
    )  # fmt: skip


# ---------------------------------------------------------------- what is missing


def failed_table(failed: Sequence[StudyResult]) -> Table:
    """Studies without a result, and why."""
    records = [
        {key: record[key] for key in ("method", "n_train", "seed")}
        | {"reason": result.reason or "no reason was recorded"}
        | {key: record[key] for key in ("target", "source", "encoder")}
        for result in failed
        for record in (result.record(),)
    ]
    return Table(
        name="failed", caption="Studies that failed; they are in no other table.",
        columns=("Method", "n", "Seed", "Reason", "Target", "Source", "Encoder"), headers=7,
        rows=tuple(tuple(Cell(str(value) or "–") for value in record.values()) for record in records),
        records=tuple(records),
    )  # fmt: skip


def excluded_table(excluded: Sequence[str]) -> Table:
    """Images left out, by reason; which ones they are stays in the workspace."""
    reasons = Counter(excluded).most_common()
    return Table(
        name="excluded", caption="Images left out, by reason. Their names stay in the workspace.",
        columns=("Reason", "Images"), rows=tuple((Cell(reason), Cell(str(count))) for reason, count in reasons),
        records=tuple({"images": count, "reason": reason} for reason, count in reasons),
    )  # fmt: skip
