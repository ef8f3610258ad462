"""Tables of one search: its options with their importance, and its trials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ctlr.report.theme.formats import Cell, Table, decimals, duration, number
from ctlr.report.tuning.course_plots import STATUS_WORDS
from ctlr.report.tuning.importance import Importance
from ctlr.report.tuning.stages import StageTrials, Tried, value_of
from ctlr.report.tuning.tables import at_edge, range_words, value_words

__all__ = ["options_table", "trials_table"]

SHOWN = 50
"""Trials that a table on a page holds; of more the best."""


def options_table(stage: StageTrials, importance: Importance, *, name: str) -> Table:
    """What was searched, how much of the values' variance each option explains, and what the best trial had."""
    shares = dict(importance.shares)
    best = stage.best.trial.assignments if stage.best is not None else {}
    parameters = sorted(stage.parameters, key=lambda p: -shares.get(p.name, -1.0))

    def line(place: int) -> Iterator[Cell]:
        parameter = parameters[place]
        key, share = parameter.name, shares.get(parameter.name)
        yield Cell(stage.names.get(key, key))
        yield Cell(range_words(parameter))
        yield Cell(value_words(best[key]), at_edge(best[key], parameter)) if key in best else Cell("–", tone="muted")
        if shares:
            yield Cell("–", tone="muted") if share is None else Cell(f"{100 * share:.0f}\u00a0%", share=share)

    return Table(
        name=f"{name}-options", caption="What was searched, and the value of the best trial"
        + (", with the share of the variance of trials’ values that each option explains." if shares else "."),
        columns=("Option", "Searched", "Best trial", *(["Importance"] if shares else [])), headers=2,
        rows=tuple(tuple(line(place)) for place in range(len(parameters))),
        records=tuple(
            {"option": stage.names.get(p.name, p.name), "searched": range_words(p), "best": best.get(p.name, ""),
             "importance": shares.get(p.name)}
            for p in parameters
        ),
    )  # fmt: skip


def trials_table(stage: StageTrials, *, label: str, name: str) -> Table:
    """Trials from best to worst, then those without a value; of many the best, the others are in `trials.csv`."""
    names = [parameter.name for parameter in stage.parameters]
    ranked = stage.ranked
    ordered = [*ranked, *(each for each in stage.tried if not each.scored)]
    shown = ordered[:SHOWN]
    digits = decimals(map(value_of, ranked[: -(-len(ranked) // 2)])) + 1
    mixed = any(each.trial.status != "Succeeded" for each in shown)

    def line(each: Tried) -> tuple[Cell, ...]:
        known = each.trial.assignments
        return (
            Cell(str(each.order)), Cell(number(value_of(each) if each.scored else None, digits)),
            *([Cell(STATUS_WORDS[each.trial.status])] if mixed else []), Cell(duration(each.trial.seconds)),
            *(Cell(value_words(known[name]) if name in known else "–") for name in names),
        )  # fmt: skip

    told = f"The best {SHOWN} of {len(ordered)} trials" if len(shown) < len(ordered) else f"All {len(ordered)} trials"
    return Table(
        name=f"{name}-trials", caption=f"{told}, from best to worst.",
        columns=(
            "Trial", label, *(["Status"] if mixed else []), "Time", *_heads([stage.names.get(n, n) for n in names]),
        ),
        rows=tuple(map(line, shown)),
        records=tuple({"trial": each.order, "value": each.trial.value, **each.trial.assignments} for each in shown),
    )  # fmt: skip


def _heads(names: Sequence[str]) -> list[str]:
    """Without the stage, where all options are of one."""
    stages = {name.rpartition(".")[0] for name in names}
    return [name.rpartition(".")[2] for name in names] if len(stages) == 1 else list(names)
