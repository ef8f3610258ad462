"""Rows of the tuning section made readable: ledger, spread, chosen options, selection, failed trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ctlr.report.theme.formats import Cell, Table, decimals, duration, number
from ctlr.report.tuning.rows import ChoiceRow, LedgerRow, LostRow, Spread, SpreadRow
from ctlr.report.tuning.selection import SelectionRow
from ctlr.report.tuning.stages import Line, Tried
from ctlr.report.wording import METRIC_WORDS, capital, interval, percent
from ctlr.specs import Parameter

__all__ = [
    "STAGE_WORDS",
    "Naming",
    "at_edge",
    "choices_table",
    "experiment_failures",
    "failures_table",
    "ledger_table",
    "range_words",
    "selection_table",
    "share_words",
    "spread_table",
    "value_words",
]

STAGE_WORDS: Mapping[str, str] = {"pretrain": "pretraining", "finetune": "finetuning", "joint": "both together"}


class Naming:
    """Columns that name a line: the method, and whatever else tells lines apart."""

    def __init__(self, lines: Sequence[Line]) -> None:
        transfers = {line.transfer for line in lines if line.source} or {line.transfer for line in lines}
        self._transfer = len(transfers) > 1 or len({(line.data, line.target) for line in lines}) > 1
        self._encoder = len({line.encoder for line in lines}) > 1
        self.columns = ("Method", *["Transfer"] * self._transfer, *["Encoder"] * self._encoder)

    def cells(self, line: Line) -> tuple[Cell, ...]:
        """What a line has in them."""
        return (Cell(line.method), *[Cell(line.transfer)] * self._transfer, *[Cell(line.encoder)] * self._encoder)


# ---------------------------------------------------------------- cost


def _size(n_train: int | None, labelled: Mapping[int, str]) -> str:
    """A size in words, `20 + 20`; None stands for all of them."""
    return "all" if n_train is None else labelled.get(n_train, str(n_train))


def ledger_table(rows: Sequence[LedgerRow], labelled: Mapping[int, str] = MappingProxyType({})) -> Table:
    """What each search was charged, and the sum over the sizes of each line."""
    naming = Naming([row.line for row in rows])
    several = len({row.n_train for row in rows if row.n_train is not None}) > 1
    rows = [row for row in rows if several or row.n_train is not None]
    cut = any(row.killed for row in rows)

    def line(row: LedgerRow) -> tuple[Cell, ...]:
        counts = (row.succeeded, row.failed, row.stopped, *([row.killed] if cut else []))
        return (
            *naming.cells(row.line), Cell(_size(row.n_train, labelled)),
            Cell(_count(row.trials)), *(Cell(_count(n)) for n in counts),
            Cell(duration(row.seconds)),
            _pretraining(row),
            Cell(duration(row.total)),
        )  # fmt: skip

    statuses = ("Succeeded", "Failed", "Stopped early", *(["Cut off"] if cut else []))
    return Table(
        name="tuning-ledger",
        caption="Ledger: what every search was charged. What several searches share is charged to each in equal parts.",
        columns=(
            *naming.columns, "n", "Trials", *statuses, "Device time of trials", "Pretraining charged", "Device time",
        ),
        headers=len(naming.columns), rows=tuple(map(line, rows)),
        records=tuple(
            row.line._asdict()
            | {"n_train": row.n_train, "trials": row.trials, "succeeded": row.succeeded, "failed": row.failed,
               "early_stopped": row.stopped, "killed": row.killed, "seconds_trials": row.seconds,
               "seconds_pretraining": row.pretrain_seconds, "pretraining_shared_by": row.shared_by,
               "seconds": row.total}
            for row in rows if row.n_train is not None
        ),
    )  # fmt: skip


def _pretraining(row: LedgerRow) -> Cell:
    if not row.pretrain_seconds:
        return Cell("–")
    shared = row.shared_by > 1 and row.n_train is not None
    return Cell(duration(row.pretrain_seconds), f"shared by {row.shared_by} searches" if shared else "")


def _count(value: float) -> str:
    return str(round(value)) if abs(value - round(value)) < 0.05 else number(value, 1)


def spread_table(rows: Sequence[SpreadRow], labelled: Mapping[int, str] = MappingProxyType({})) -> Table:
    """Methods held against each other, by size and in sum."""
    if len(rows) == 2:  # one size: its sum says the same
        rows = rows[:1]

    def cells(spread: Spread, words: Sequence[str]) -> tuple[Cell, Cell]:
        least, most = words
        return Cell(least if least == most else f"{least} to {most}"), Cell(share_words(spread))

    return Table(
        name="tuning-spread",
        caption="How far apart the methods’ costs are: spread is (most − least) / mean over the methods.",
        columns=("n", "Trials, least to most", "Spread", "Device time, least to most", "Spread of device time"),
        rows=tuple(
            (Cell(_size(r.n_train, labelled)),
             *cells(r.trials, [_count(r.trials.least), _count(r.trials.most)]),
             *cells(r.seconds, [duration(r.seconds.least), duration(r.seconds.most)]))
            for r in rows
        ),
        records=tuple(
            {"n_train": "all" if r.n_train is None else r.n_train, "trials_least": r.trials.least,
             "trials_most": r.trials.most, "trials_spread": r.trials.share, "seconds_least": r.seconds.least,
             "seconds_most": r.seconds.most, "seconds_spread": r.seconds.share}
            for r in rows
        ),
    )  # fmt: skip


def share_words(spread: Spread) -> str:
    """`5.1 %`, on one line."""
    return f"{number(100 * spread.share, 1)}\u00a0%"


# ---------------------------------------------------------------- choices


def range_words(parameter: Parameter) -> str:
    """`1e-5 to 0.1, log`, `2 to 8, step 2`, `adam, sgd`."""
    if parameter.kind in ("discrete", "categorical"):
        return ", ".join(parameter.values)
    words = f"{parameter.low} to {parameter.high}"
    if parameter.step:
        words += f", step {parameter.step}"
    shapes = {"uniform": "", "logUniform": ", log", "normal": ", normal", "logNormal": ", log-normal"}
    return words + shapes[parameter.distribution]


def choices_table(rows: Sequence[ChoiceRow], labelled: Mapping[int, str] = MappingProxyType({})) -> Table:
    """Option by size, beside the range that was searched."""
    naming = Naming([row.line for row in rows])
    sizes = sorted({size for row in rows for size in row.values})
    staged = len({row.stage for row in rows}) > 1

    def line(row: ChoiceRow) -> tuple[Cell, ...]:
        values = (row.values.get(size) for size in sizes)
        return (
            *naming.cells(row.line), *([Cell(STAGE_WORDS[row.stage])] if staged else []), Cell(row.option),
            Cell(range_words(row.parameter)),
            *(
                Cell("–", tone="muted") if value is None else Cell(value_words(value), at_edge(value, row.parameter))
                for value in values
            ),
        )  # fmt: skip

    return Table(
        name="tuning-chosen",
        caption="Chosen options by number of labelled subjects n (training + validation), beside the range that was "
        "searched. A value at the edge of its range says that a better one may lie outside.",
        columns=(
            *naming.columns, *(["Stage"] if staged else []), "Option", "Searched",
            *(f"n = {_size(size, labelled)}" for size in sizes),
        ),
        headers=len(naming.columns) + staged + 2, rows=tuple(map(line, rows)),
        records=tuple(
            row.line._asdict()
            | {"n_train": size, "stage": row.stage, "option": row.option, "value": row.values[size],
               "searched": range_words(row.parameter)}
            for row in rows for size in sizes if size in row.values
        ),
    )  # fmt: skip


def value_words(text: str) -> str:
    """Four digits of a long decimal; all else as it is written."""
    try:
        value = float(text)
    except ValueError:
        return text
    return f"{value:.4g}" if len(text) > 7 else text


def at_edge(text: str, parameter: Parameter) -> str:
    """`at the edge` of a value beyond which a better one may lie."""
    if parameter.kind in ("discrete", "categorical"):
        return ""
    return "at the edge" if float(text) in (float(parameter.low), float(parameter.high)) else ""


# ---------------------------------------------------------------- how sure a choice is


def selection_table(
    rows: Sequence[SelectionRow], *, level: float, labelled: Mapping[int, str] = MappingProxyType({})
) -> Table:
    """Best against runner-up on validation, and what was left on the test set."""
    naming = Naming([row.line for row in rows])
    known = [v for r in rows if r.metric for v in (r.best, r.runner_up, r.test) if v is not None]
    digits = decimals(known) + 1  # best and runner-up are seldom far apart
    leads = [end for r in rows if r.gain is not None for end in (r.gain.mean, r.gain.low, r.gain.high)]
    lead_digits = max(decimals(leads), digits)
    metrics = list(dict.fromkeys(row.metric for row in rows if row.metric))
    named = capital(METRIC_WORDS[metrics[0]]) if len(metrics) == 1 else "The metric of each search"

    def line(row: SelectionRow) -> tuple[Cell, ...]:
        gain = row.gain
        own = digits if row.metric else decimals(v for v in (row.best, row.runner_up) if v is not None)
        return (
            *naming.cells(row.line), Cell(_size(row.n_train, labelled)), Cell(number(row.best, own)),
            Cell(number(row.runner_up, own)),
            Cell("–", tone="muted") if gain is None
            else Cell(number(gain.mean, lead_digits, sign=True), interval(gain, lead_digits, sign=True)),
            Cell("–", tone="muted") if gain is None else Cell("yes" if gain.low > 0 else "no"),
            Cell(number(row.test, digits)), Cell(number(row.gap, digits, sign=True)),
        )  # fmt: skip

    return Table(
        name="tuning-selection",
        caption=f"{named} of the best trial and the runner-up on validation subjects, and of the "
        f"chosen options on the test set, mean over the seeds. The lead is paired over validation subjects, with its "
        f"{percent(level)} interval, which is of these two models: other seeds may rank them otherwise. The gap says "
        "how much worse the test set is than the best trial’s validation.",
        columns=(
            *naming.columns, "n", "Best trial", "Runner-up", "Lead", "Beyond noise", "Test, trained anew", "Gap",
        ),
        headers=len(naming.columns), rows=tuple(map(line, rows)),
        records=tuple(
            row.line._asdict()
            | {"n_train": row.n_train, "metric": row.metric, "best": row.best, "runner_up": row.runner_up}
            | {key: getattr(row.gain, source, None) for key, source in
               (("lead", "mean"), ("lead_low", "low"), ("lead_high", "high"), ("subjects", "n_subjects"))}
            | {"p": None if row.gain is None else row.gain.parts.p(row.gain.mean)}
            | {"test": row.test, "seeds": row.seeds, "gap": row.gap}
            for row in rows
        ),
    )  # fmt: skip


# ---------------------------------------------------------------- what failed


def failures_table(rows: Sequence[LostRow], labelled: Mapping[int, str] = MappingProxyType({})) -> Table:
    """Failed trials of a benchmark's searches, and why; what they printed stays in the workspace."""
    naming = Naming([row.line for row in rows])
    records = [
        row.line._asdict()
        | {"n_train": ", ".join(map(str, row.sizes)), "stage": row.stage, "round": row.tried.round}
        | _failure(row.tried, row.names)
        for row in rows
    ]
    shown = ("trial", "name", "options", "reason")
    return Table(
        name="tuning-failed",
        caption="Trials that failed; the search took them for bad. What they printed stays in the workspace.",
        columns=(*naming.columns, "n", "Stage", "Trial", "Name", "Options", "Reason"),
        headers=len(naming.columns) + 6,
        rows=tuple(
            (*naming.cells(row.line), Cell(", ".join(_size(n, labelled) for n in row.sizes)),
             Cell(STAGE_WORDS[row.stage]), *(Cell(record[key]) for key in shown))
            for row, record in zip(rows, records, strict=True)
        ),
        records=tuple(records),
    )  # fmt: skip


def experiment_failures(tried: Sequence[Tried]) -> Table:
    """Failed trials of one experiment, and why."""
    records = [_failure(each, {}) for each in tried if each.trial.status == "Failed"]
    return Table(
        name="failed", caption="Trials that failed; the search took them for bad.",
        columns=("Trial", "Name", "Parameters", "Reason"), headers=4,
        rows=tuple(tuple(map(Cell, record.values())) for record in records), records=tuple(records),
    )  # fmt: skip


def _failure(tried: Tried, names: Mapping[str, str]) -> dict[str, str]:
    trial = tried.trial
    options = ", ".join(f"{names.get(name, name)} = {value_words(v)}" for name, v in trial.assignments.items())
    return {
        "trial": str(tried.order), "name": trial.name, "options": options,
        "reason": trial.public_reason or "no reason was recorded",
    }  # fmt: skip
