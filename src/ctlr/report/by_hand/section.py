"""Manual or auto: what searches and an expert's options come to, on every side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ctlr.report.by_hand.rows import Decision, SystemRow, decision, system_rows
from ctlr.report.findings import Findings, View
from ctlr.report.numbers.contests import Contest
from ctlr.report.numbers.truth import LeastRow, least_error
from ctlr.report.section import Section
from ctlr.report.theme.formats import Cell, Table, listed, number
from ctlr.report.wording import factors, p_phrase, percent, table_name
from ctlr.specs import kind_of_image

__all__ = ["by_hand", "decision_words", "errors_table", "networks_table"]


def by_hand(found: Findings, view: View) -> Section | None:
    """None where no expert's options stand beside searches, and for what has no errors to count."""
    tuning, contest, level = found.finished.config.tuning, view.contest, view.rows.level
    if tuning is None or not tuning.by_hand or contest.task.kind != "classification":
        return None
    rows = system_rows(contest, found.finished.searches, tuning.by_hand, level=level)
    if not rows:
        return None
    decisions = [
        each
        for size in contest.sizes
        if (each := decision(contest, rows, size, gains=view.rows.gains, level=level)) is not None
    ]
    errors = errors_table(contest, rows, level, least=least_error(contest))
    networks = networks_table(contest, rows)
    return Section(
        anchor=f"{view.slug}-by-hand", heading="Manual or auto", template="by_hand/by_hand.html.j2",
        shows={
            "decisions": [decision_words(contest, each, level) for each in decisions],
            "warnings": warnings_of(contest, rows), "errors": errors, "networks": networks,
        },
        tables=(errors, *([networks] if networks is not None else [])),
    )  # fmt: skip


# ---------------------------------------------------------------- sentences


def decision_words(contest: Contest, found: Decision, level: float) -> str:
    """Manual or auto at one size, by how much, and how sure."""
    manual, auto, gain = found.manual, found.auto, found.gain
    fewer = _points(abs(gain.mean))
    ends = f"{_points(gain.low, sign=True)} to {_points(gain.high, sign=True)} points of accuracy"
    sure = f"{percent(level)} interval {ends}{f', {p_phrase(gain.p)}' if gain.tested else ''}"
    algorithm = "" if auto.algorithm in ("", auto.system) else f" ({auto.algorithm})"
    begin = (
        f"At n = {contest.labelled(found.n_train)} the search that did best on validation subjects, ‘{auto.system}’"
        f"{algorithm}, makes {_percent(auto.test.mean)} errors on the test set, and the expert’s options, "
        f"‘{manual.system}’, {_percent(manual.test.mean)}: "
    )
    if not gain.tested:
        return f"{begin}one seed tells no difference ({sure}). List five seeds or more."
    if not gain.shown:
        return f"{begin}no measurable difference ({sure}). The expert’s options cost no search."
    if gain.mean > 0:
        return f"{begin}auto, by {fewer} points ({sure})."
    return f"{begin}manual, by {fewer} points ({sure})."


def warnings_of(contest: Contest, rows: Sequence[SystemRow]) -> list[str]:
    """Who chose by luck, who says one thing to everyone, whose trials failed."""
    words = []
    if overfit := [_named(contest, row, f"{_points(row.gap or 0.0, sign=True)} points") for row in rows if row.overfit]:
        words.append(
            f"Overfit to validation: {listed(overfit)} from validation to test, more beyond the expert’s than other "
            "subjects would explain. Believe the test error alone; more validation subjects, or "
            "`tuning.validation: kfold:5`, help."
        )
    if same := [_named(contest, row, f"{row.one_class} of {row.seeds} seeds") for row in rows if row.one_class]:
        words.append(f"One class for every test {kind_of_image(contest.target.data.ndim)}: {listed(same)}.")
    if failed := [_named(contest, row, f"{row.failed} of {row.trials}") for row in rows if row.failed]:
        words.append(
            f"Trials that failed, and were told to the search as bad: {listed(failed)}; reasons stand below Tuning."
        )
    return words


def _named(contest: Contest, row: SystemRow, what: str) -> str:
    where = f" at {contest.labelled(row.n_train)}" if len(contest.sizes) > 1 else ""
    return f"‘{row.system}’{where} ({what})"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{_points(share)}\u00a0%"


def _points(share: float, *, sign: bool = False) -> str:
    return number(100 * share, 2, sign=sign)


# ---------------------------------------------------------------- tables


def errors_table(contest: Contest, rows: Sequence[SystemRow], level: float, *, least: LeastRow | None = None) -> Table:
    """Errors of every system on all sides, and the least that is possible."""

    def line(row: SystemRow) -> tuple[Cell, ...]:
        test = f"{_points(row.test.low)} to {_points(row.test.high)}" if row.test.low == row.test.low else "–"
        gap = "–" if row.gap is None else _points(row.gap, sign=True)
        return (
            Cell(row.system), Cell(contest.labelled(row.n_train)), Cell(row.algorithm or row.chosen),
            Cell("–" if row.train is None else _points(row.train)),
            Cell("–" if row.validation is None else _points(row.validation)),
            Cell(_points(row.test.mean), test), Cell(gap, "overfit", "negative") if row.overfit else Cell(gap),
            Cell(f"{row.trials - row.failed} of {row.trials}" if row.trials else "–"),
        )  # fmt: skip

    return Table(
        name=table_name("errors", contest),
        caption=f"Errors in percent, means over the seeds; on the test set with the {percent(level)} interval. Gap: "
        "test less validation.",
        columns=("System", "n", "Options by", "Train", "Validation (dev)", "Test (eval)", "Gap", "Trials"),
        rows=(*map(line, rows), *([_least(least)] if least is not None else [])),
        records=tuple(_records(contest, rows, least)),
    )  # fmt: skip


def _records(contest: Contest, rows: Sequence[SystemRow], least: LeastRow | None) -> Iterator[Mapping[str, object]]:
    for row in rows:
        yield {
            **factors(contest), "system": row.system, "n_train": row.n_train, "options_by": row.chosen,
            "algorithm": row.algorithm, "train_error": row.train, "validation_error": row.validation,
            "test_error": row.test.mean, "low": row.test.low, "high": row.test.high, "gap": row.gap,
            "overfit": "yes" if row.overfit else "no", "one_class": row.one_class, "n_seeds": row.seeds,
            "trials": row.trials, "failed": row.failed,
        }  # fmt: skip
    if least is not None:
        yield {**factors(contest), "system": _LEAST, "train_error": least.train, "validation_error": least.validation,
               "test_error": least.test}  # fmt: skip


_LEAST = "Bayes error"


def _least(least: LeastRow) -> tuple[Cell, ...]:
    errors = (Cell(_points(error)) for error in (least.train, least.validation, least.test))
    return (Cell(_LEAST), Cell("any"), Cell("known densities"), *errors, Cell("–"), Cell("–"))


def networks_table(contest: Contest, rows: Sequence[SystemRow]) -> Table | None:
    """Layers and sizes of the chosen networks; None where there is none."""
    networks = [row for row in rows if row.options]
    if not networks:
        return None
    names = list(dict.fromkeys(name for row in networks for name in row.options))
    return Table(
        name=table_name("networks", contest),
        caption="Networks: options of the encoder, by the expert or as the search has chosen them; weights of encoder "
        "and head.",
        columns=("System", "n", *(name.replace("_", " ").capitalize() for name in names), "Parameters"),
        rows=tuple(
            (Cell(row.system), Cell(contest.labelled(row.n_train)),
             *(Cell(_value(row.options.get(name))) for name in names),
             Cell(f"{row.parameters:,}".replace(",", "\u202f")))
            for row in networks
        ),
        records=tuple(
            factors(contest) | {"system": row.system, "n_train": row.n_train} | dict(row.options)
            | {"parameters": row.parameters}
            for row in networks
        ),
    )  # fmt: skip


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "–" if value is None else str(value)
