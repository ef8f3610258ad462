"""The ranking of a race: who won, what that is worth, and whether something simpler is as good."""

from __future__ import annotations

from collections.abc import Iterator

from ctlr.report.findings import Findings
from ctlr.report.race.rows import Heat, RaceRow, heats
from ctlr.report.section import Section
from ctlr.report.theme.formats import Cell, Table, duration, number
from ctlr.report.wording import METRIC_WORDS, Answer, factors, measure, metric_label, percent, table_name

__all__ = ["race", "race_answer", "race_table"]

_DIGITS = 3
_REFIT = " The tested model has then learned from those validation images too."


def race(found: Findings) -> Iterator[Section]:
    """The ranking of each target and size."""
    races = heats(found)
    if not races:
        return
    tables = [race_table(heat, found.finished.level) for heat in races]
    yield Section(
        anchor="race", heading="Ranking", template="race/race.html.j2", folded=False,
        shows={"tables": tables, "rules": _rules(found)}, tables=tuple(tables),
    )  # fmt: skip


def _rules(found: Findings) -> str:
    tuning = found.finished.config.tuning
    assert tuning is not None
    assert tuning.race is not None
    limits = {
        "a goal of {:g}": tuning.race.goal, "at most {:g} MB": tuning.race.most_megabytes,
        "at most {:g} ms an image": tuning.race.most_milliseconds,
    }  # fmt: skip
    told = [words.format(value) for words, value in limits.items() if value is not None]
    share = f"{duration(tuning.seconds or 0)} of searching, in rounds of which {tuning.race.keep:.0%} went on"
    return "; ".join([share, *told])


def race_answer(heat: Heat, level: float) -> Answer:
    """Who won, how good it is, and what weakens that.

    Args:
        heat: Of a target and a size.
        level: Share of intervals that hold the true value.
    """
    contest, row, metric = heat.contest, heat.winner, METRIC_WORDS[heat.contest.task.headline]
    if row is None or row.test is None:
        return Answer("No search found a model that could be tested.", ())
    unit = f" {measure(contest)}" if measure(contest) else ""
    ends = f"{percent(level)} interval {number(row.test.low, _DIGITS)} to {number(row.test.high, _DIGITS)}"
    searched = len(heat.rows)
    text = (
        f"Of {searched} searches ‘{row.name}’ has won on the validation set; on the test set, which nobody had looked "
        f"at, it reaches {metric} {number(row.test.mean, _DIGITS)}{unit} ({ends})."
        if searched > 1
        else f"‘{row.name}’ reaches {metric} {number(row.test.mean, _DIGITS)}{unit} on the test set ({ends})."
    )
    return Answer(text, tuple(_notes(heat, level)))


def _notes(heat: Heat, level: float) -> Iterator[str]:
    row, plain, luck = heat.winner, heat.plain, heat.luck
    assert row is not None
    tried = sum(each.trials for each in heat.rows)
    if luck is not None and row.validation is not None and row.test is not None:
        better = "better" if luck >= 0 else "worse"
        yield (
            f"On the {heat.n_validation} validation images by which it was chosen among {tried} trials it reached "
            f"{number(row.validation, _DIGITS)}, {number(abs(luck), _DIGITS)} {better} than on the test set: believe "
            f"the test set.{_REFIT if row.refits else ''}"
        )
    if plain is not None and plain.behind is not None:
        gain = plain.behind
        ends = f"{percent(level)} interval {number(gain.low, _DIGITS, sign=True)} to {_signed(gain.high)}"
        if gain.low > 0:
            beaten = f"the best model without a network, ‘{plain.name}’"
            yield f"It is better than {beaten}, by {_signed(gain.mean)} ({ends})."
        else:
            worse = "is better" if gain.high < 0 else "is as good as far as this test set can tell"
            yield (f"A simple model {worse}: the network gains {_signed(gain.mean)} over ‘{plain.name}’ ({ends}).")
    if max(each.legs for each in heat.rows) > 1:
        yield "Seconds were added after an end: the test set has been asked before, and may have guided that wish."
    close = [each.name for each in heat.rows if each.behind is not None and each is not plain and each.behind.low <= 0]
    if close:
        yield f"Not measurably behind it on the test set: {', '.join(f'‘{name}’' for name in close)}."
    if not all(each.trials for each in heat.rows):
        yield "Some searches had no trial before all searching ended."


def _signed(value: float) -> str:
    return number(value, _DIGITS, sign=True)


def race_table(heat: Heat, level: float) -> Table:
    """Every search of a race, best on validation first."""
    contest = heat.contest
    ends = f"{percent(level)} interval"

    def line(place: int, row: RaceRow) -> tuple[Cell, ...]:
        test = Cell("–") if row.test is None else _with_ends(row.test.mean, row.test.low, row.test.high)
        behind = Cell("–") if row.behind is None else _with_ends(row.behind.mean, row.behind.low, row.behind.high, True)
        failed = f" ({row.failed} failed)" if row.failed else ""
        return (
            Cell(f"{place} {row.name}", row.reason), Cell(str(row.rounds)), Cell(f"{row.trials}{failed}"),
            Cell(duration(row.seconds)), Cell("–" if row.validation is None else number(row.validation, _DIGITS)),
            test, behind, Cell(f"{row.parameters:,}".replace(",", "\u202f") if row.parameters else "–"),
        )  # fmt: skip

    return Table(
        name=table_name(f"race-n{heat.n_train}", contest),
        caption=f"{metric_label(contest)} of {contest.task.name} with {contest.labelled(heat.n_train)} labelled images "
        f"(training + validation): ranked by the best trial on validation; on the test set the model that its options "
        f"were trained to, with the {ends}; the winner’s gain over each other one, image by image.",
        columns=("Search", "Rounds", "Trials", "Time", "Validation", "Test", "Winner’s gain", "Weights"),
        rows=tuple(line(place, row) for place, row in enumerate(heat.rows, start=1)),
        records=tuple(
            {
                **factors(contest), "metric": contest.task.headline, "place": place, "method": row.method,
                "encoder": row.encoder,
                "n_train": heat.n_train, "rounds": row.rounds, "trials": row.trials, "failed": row.failed,
                "seconds": round(row.seconds, 3), "validation": row.validation,
                "test": row.test and row.test.mean, "low": row.test and row.test.low,
                "high": row.test and row.test.high, "winner_gain": row.behind and row.behind.mean,
                "gain_low": row.behind and row.behind.low, "gain_high": row.behind and row.behind.high,
                "parameters": row.parameters, "reason": row.reason, "path": row.path,
                "options": " ".join(f"{name}={value}" for name, value in row.options.items()),
            }
            for place, row in enumerate(heat.rows, start=1)
        ),
    )  # fmt: skip


def _with_ends(mean: float, low: float, high: float, sign: bool = False) -> Cell:
    return Cell(
        number(mean, _DIGITS, sign=sign), f"{number(low, _DIGITS, sign=sign)} to {number(high, _DIGITS, sign=sign)}"
    )
