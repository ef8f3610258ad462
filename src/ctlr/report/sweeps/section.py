"""What the page shows of sweeps over finetuning's options: sentences, tables, drawings."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ctlr.report.findings import Findings, View
from ctlr.report.numbers.rows import Direction, GainRow
from ctlr.report.numbers.sweeps import PLAIN, Comparison, Setting, Sweep, option_words, value_words
from ctlr.report.section import Section
from ctlr.report.sweeps.plot import sweep_plot
from ctlr.report.theme.formats import Cell, Table, decimals, listed, number
from ctlr.report.theme.svg import Panel
from ctlr.report.wording import Answer, factors, interval, metric_label, p_words, percent, verdict_cell

__all__ = ["SweepFigures", "SweepView", "sweep_view", "sweeps"]


_WORDS: Mapping[Direction, str] = {"gain": "better", "none": "none", "negative": "worse", "untested": "not tested"}


@dataclass(frozen=True)
class SweepFigures:
    """One sweep of one contest."""

    heading: str
    findings: tuple[Answer, ...]
    """One a size: what was chosen, and a note for each option."""
    panels: tuple[Panel, ...]
    """One a size."""
    tables: tuple[Table, Table]
    """What was chosen against what, and every setting."""


@dataclass(frozen=True, kw_only=True)
class SweepView:
    """All sweeps of a report."""

    summary: tuple[str, ...]
    """A sentence an option, over all transfers and sizes."""
    sweeps: tuple[SweepFigures, ...]


def sweeps(found: Findings) -> Iterator[Section]:
    """Nothing where no two methods differ in their finetuning alone."""
    view = sweep_view(found.views)
    if view is not None:
        yield Section(
            anchor="finetuning", heading="Which finetuning", template="sweeps/sweeps.html.j2", shows=view,
            summary=view.summary, tables=tuple(table for each in view.sweeps for table in each.tables),
        )  # fmt: skip


def sweep_view(views: Sequence[View]) -> SweepView | None:
    """Draw the sweeps of all contests; None where no two methods differ in their finetuning alone."""
    found = [(view.heading, view.rows.level, sweep) for view in views for sweep in view.sweeps]
    if not found:
        return None
    return SweepView(
        summary=tuple(_summary([sweep for *_, sweep in found])),
        sweeps=tuple(_figures(heading, level, sweep, index) for index, (heading, level, sweep) in enumerate(found)),
    )


# ---------------------------------------------------------------- sentences


def _summary(found: Sequence[Sweep]) -> list[str]:
    """What was chosen how often, and how often it was measurably better than the plain value and the runner-up."""
    compared = dict.fromkeys(comparison.option for sweep in found for comparison in sweep.comparisons)
    return [_of_option(option, found) for option in compared]


def _of_option(option: str, found: Sequence[Sweep]) -> str:
    """One sentence."""
    having = [sweep for sweep in found if option in sweep.options]
    choices = [sweep.choice(option, size) for sweep in having for size in sweep.sizes]
    chosen = [choice.options[option] for choice in choices if choice is not None]
    counts = Counter(option_words(option, value) for value in chosen).most_common()
    words = f"Validation subjects chose {listed([f'{value} in {n} of {len(chosen)} cases' for value, n in counts])}"
    own = [(index, c) for index, sweep in enumerate(having) for c in sweep.comparisons if c.option == option]
    plain = [c for _, c in own if c.plain]
    # The last comparison at a size is with the runner-up, which may have the plain value.
    runners_up = {(index, c.chosen.gain.n_train): c for index, c in own}
    for rival, against in (
        (option_words(option, PLAIN.get(option)), plain),
        ("the runner-up", list(runners_up.values())),
    ):
        tested = [c for c in against if c.gain.tested]
        if tested:
            better = sum(c.stands and c.gain.mean > 0 for c in tested)
            words += f"; {better or 'none'} of {len(tested)} measurably better than {rival}"
        elif against:
            words += f"; not tested against {rival} (one seed)"
    return f"{words}."


def _finding(sweep: Sweep, size: int, level: float) -> Answer:
    chosen = sweep.chosen(size)
    digits = _digits(sweep)
    named = listed([option_words(name, value) for name, value in chosen.options.items()])
    text = f"At n = {sweep.contest.labelled(size)} validation subjects chose ‘{chosen.method}’ ({named}). "
    text += "Its gain over scratch on the test set "
    text += f"is {_amount(chosen.gain, digits, percent(level) + ' interval ')}."
    own = [comparison for comparison in sweep.comparisons if comparison.chosen.gain.n_train == size]
    return Answer(text, tuple(_note(list(group), digits) for _, group in itertools.groupby(own, lambda c: c.option)))


def _note(comparisons: Sequence[Comparison], digits: int) -> str:
    """What one option's choice is worth."""
    first = comparisons[0]
    value = option_words(first.option, first.chosen.options[first.option])
    against = [_against(comparison, digits) for comparison in comparisons]
    return f"{value} (‘{first.chosen.method}’) {'; '.join(against)}."


def _amount(row: GainRow, digits: int, words: str) -> str:
    return f"{number(row.gain.mean, digits, sign=True)} ({words}{interval(row.gain, digits, sign=True)})"


def _against(comparison: Comparison, digits: int) -> str:
    value = option_words(comparison.option, comparison.other.options[comparison.option])
    rank = "the best with" if comparison.plain else "the runner-up,"
    gain = comparison.gain
    verdict = "measurably better" if gain.mean > 0 else "measurably worse"
    if gain.shown and not comparison.stands:
        verdict = f"{verdict} taken alone, yet not among all comparisons"
    if not gain.shown:
        verdict = "no measurable difference" if gain.tested else "not tested (one seed)"
    return (
        f"against {rank} {value} (‘{comparison.other.method}’): {number(gain.mean, digits, sign=True)} "
        f"({interval(gain, digits, sign=True)}), {verdict}"
    )


def _digits(sweep: Sweep) -> int:
    return decimals(end for s in sweep.settings for end in (s.gain.gain.mean, s.gain.gain.low, s.gain.gain.high))


# ---------------------------------------------------------------- tables


def _figures(heading: str, level: float, sweep: Sweep, index: int) -> SweepFigures:
    return SweepFigures(
        heading=heading, findings=tuple(_finding(sweep, size, level) for size in sweep.sizes),
        panels=tuple(sweep_plot(sweep, size, name=f"sweep-{index}-{size}") for size in sweep.sizes),
        tables=(_choices_table(sweep, level, index), _settings_table(sweep, level, index)),
    )  # fmt: skip


def _choices_table(sweep: Sweep, level: float, index: int) -> Table:
    digits = _digits(sweep)

    def line(c: Comparison) -> tuple[Cell, ...]:
        return (
            Cell(c.option), Cell(sweep.contest.labelled(c.chosen.gain.n_train)),
            Cell(option_words(c.option, c.chosen.options[c.option])),
            Cell(option_words(c.option, c.other.options[c.option]), "plain" if c.plain else "runner-up"),
            Cell(number(c.gain.mean, digits, sign=True), interval(c.gain, digits, sign=True)),
            verdict_cell(c.gain, stands=c.stands, words=_WORDS), Cell(p_words(c.p_holm)),
        )  # fmt: skip

    return Table(
        name=f"choices-{sweep.contest.slug}-{index}",
        caption="Chosen on validation subjects, against the best setting with the plain value and with the "
        f"runner-up's, in {metric_label(sweep.contest)} on the test set with its {percent(level)} interval; p "
        f"is adjusted for {sum(c.gain.tested for c in sweep.comparisons)} comparisons (Holm).",
        columns=("Option", "n", "Chosen", "Against", "Gain", "Verdict", "p"), headers=1,
        rows=tuple(map(line, sweep.comparisons)),
        records=tuple(
            factors(sweep.contest)
            | {"n_train": c.chosen.gain.n_train, "option": c.option, "chosen": c.chosen.options[c.option],
               "other": c.other.options[c.option], "plain": "yes" if c.plain else "no",
               "chosen_method": c.chosen.method, "other_method": c.other.method, "gain": c.gain.mean,
               "low": c.gain.low, "high": c.gain.high, "p": c.gain.p, "p_holm": c.p_holm,
               "stands": "yes" if c.stands else "no"}
            for c in sweep.comparisons
        ),
    )  # fmt: skip


def _settings_table(sweep: Sweep, level: float, index: int) -> Table:
    digits = _digits(sweep)
    chosen = {size: sweep.chosen(size) for size in sweep.sizes}
    places = decimals(abs(s.validation) for s in sweep.settings)

    def line(setting: Setting) -> tuple[Cell, ...]:
        row = setting.gain
        best = setting is chosen[row.n_train]
        return (
            Cell(setting.method), Cell(sweep.contest.labelled(row.n_train)),
            *(Cell(value_words(value)) for value in setting.options.values()),
            Cell(number(abs(setting.validation), places), tone="best" if best else ""),
            Cell(number(row.gain.mean, digits, sign=True), interval(row.gain, digits, sign=True)),
            verdict_cell(row.gain, stands=row.stands),
        )  # fmt: skip

    return Table(
        name=f"settings-{sweep.contest.slug}-{index}",
        caption=f"Every setting: mean validation score, and gain over scratch in {metric_label(sweep.contest)} on "
        f"the test set with its {percent(level)} interval. The best validation score of a size stands out.",
        columns=("Method", "n", *sweep.options, "Validation", "Gain", "Verdict"), headers=1,
        rows=tuple(map(line, sweep.settings)),
        records=tuple(
            factors(sweep.contest)
            | {"method": s.method, "n_train": s.gain.n_train}
            | dict(s.options)
            | {"validation": abs(s.validation), "gain": s.gain.gain.mean, "low": s.gain.gain.low,
               "high": s.gain.gain.high, "chosen": "yes" if s is chosen[s.gain.n_train] else "no"}
            for s in sweep.settings
        ),
    )  # fmt: skip
