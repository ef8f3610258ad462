"""What the page shows of a benchmark's searches: sentences, tables and drawings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from ctlr.report.findings import Findings
from ctlr.report.numbers.contests import load
from ctlr.report.section import Section
from ctlr.report.theme.formats import Table, records_csv
from ctlr.report.theme.styles import Style
from ctlr.report.theme.svg import INK, Panel
from ctlr.report.tuning import course_plots, rows, tables
from ctlr.report.tuning.chosen import chosen_yaml
from ctlr.report.tuning.selection import selection_rows
from ctlr.report.tuning.share import share_rows, share_table, share_words
from ctlr.report.tuning.stage_figures import StageFigures, stage_figures
from ctlr.report.tuning.stages import Line, course, join_rounds, search_records, value_of
from ctlr.report.tuning.words import (
    ambiguous,
    budget_words,
    failures,
    failures_at_defaults,
    objective_label,
    race_name,
    searched,
    title,
)
from ctlr.report.wording import capital
from ctlr.specs import SearchResult, Study

__all__ = ["MethodFigures", "Progress", "TuningView", "tuning", "tuning_view"]


@dataclass(frozen=True)
class MethodFigures:
    """Drawings of one search."""

    label: str
    heading: str
    stages: tuple[StageFigures, ...]


@dataclass(frozen=True)
class Progress:
    """All methods at one size on one axis: best so far by what the budget counts."""

    heading: str
    panel: Panel
    folded: bool
    """Whether it waits behind a click: at other sizes than the largest."""


@dataclass(frozen=True, kw_only=True)
class TuningView:
    """The tuning section, ready for the page."""

    searched: str
    """One sentence or two: what was searched and how."""
    budget: str
    flagged: bool
    """Whether methods are not compared at the same cost."""
    tables: Mapping[str, Table]
    share: str
    """What tuning itself gained; empty where no study was trained with the options in the file too."""
    failures: tuple[str, ...]
    """Searches that chose nothing and studies that failed with the options in the file, and why."""
    progress: tuple[Progress, ...]
    yaml: tuple[tuple[str, str], ...]
    """(heading, lines to copy into the benchmark's file) of what was chosen, the largest size first."""
    methods: tuple[MethodFigures, ...]
    detail: str
    """Which searches are drawn one by one: those at the largest size; of many, the best of each target."""


def tuning(found: Findings) -> Iterator[Section]:
    """Nothing where nothing was tuned."""
    if found.finished.searches:
        view = tuning_view(found)
        yield Section(
            anchor="tuning", heading="Tuning", template="tuning/tuning.html.j2", style="tuning/tuning.css", shows=view,
            tables=tuple(view.tables.values()), hint=_hint(found.finished.searches),
            files={"trials.csv": records_csv(search_records(found.finished.searches))},
        )  # fmt: skip


def _hint(searches: Sequence[SearchResult]) -> str:
    """`8 searches, 192 trials`; what several searches share counts once."""
    own = sum(len(stage.trials) / stage.shared_by for search in searches for stage in search.stages)
    return f"{len(searches)} search{'es' if len(searches) != 1 else ''}, {round(own)} trials"


def tuning_view(found: Findings) -> TuningView:
    """Compute and draw what searches, of which there is at least one, tried and chose."""
    finished, searches = found.finished, found.finished.searches
    looks = {search.study.method.label: Style(INK, "o") for search in searches} | dict(found.styles)
    labelled = {search.study.n_train: search.study.labelled for search in searches}
    at_defaults = load(finished.at_defaults, finished.root)
    ledger = rows.ledger_rows(searches)
    spread = rows.spread_rows(ledger)
    share = share_rows(found.contests, at_defaults, level=finished.level)
    size = max((s.study.n_train for s in searches if s.stages), default=0)
    largest = [search for search in searches if search.study.n_train == size and search.stages]
    drawn = _drawn(largest)
    detail = f"At n = {labelled.get(size, '0')}, the largest size" + (
        "" if len(drawn) == len(largest)
        else f": of {len(largest)} searches the best of each target and encoder, by validation subjects"
    )  # fmt: skip
    return TuningView(
        searched=searched(searches, ledger, budget=finished.budget, validation=finished.validation),
        budget=budget_words(spread, finished.budget, labelled),
        flagged=any(row.exceeds(finished.budget) for row in spread),
        tables=_tables(found, labelled)
        | ({"spread": tables.spread_table(spread, labelled)} if spread else {})
        | ({"share": share_table(share, level=finished.level, labelled=labelled)} if share else {}),
        share=share_words(share) if share else "",
        failures=(*failures(searches), *failures_at_defaults(at_defaults)),
        progress=tuple(_progress(found, looks)), yaml=tuple(_yaml(searches)), detail=detail,
        methods=tuple(_method(search, found, looks, number) for number, search in enumerate(drawn, start=1)),
    )  # fmt: skip


def _tables(found: Findings, labelled: Mapping[int, str]) -> dict[str, Table]:
    searches, level = found.finished.searches, found.finished.level
    selection = selection_rows(searches, found.contests, found.finished.root, level=level)
    return {
        "ledger": tables.ledger_table(rows.ledger_rows(searches), labelled),
        "chosen": tables.choices_table(rows.choice_rows(searches), labelled),
        "selection": tables.selection_table(selection, level=level, labelled=labelled),
        "failed": tables.failures_table(rows.lost_rows(searches), labelled),
    }


# ---------------------------------------------------------------- methods side by side


def _progress(found: Findings, style: Mapping[str, Style]) -> Iterator[Progress]:
    """One drawing a transfer, encoder and size; methods without a source stand beside every source.

    In a race all encoders compete, so that they share one.
    """
    tuning = found.finished.config.tuning
    race = tuning is not None and tuning.race is not None
    groups = _groups(found.finished.searches, race=race)
    several = len({line for line, _ in groups}) > 1
    largest = max(size for _, size in groups)
    for (line, size), group in sorted(groups.items(), key=lambda each: -each[0][1]):
        panel = _panel(_named(group) if race else {each.study.method.label: each for each in group}, found, style)
        if panel is not None:
            where = "".join(f"{each}, " for each in (line.transfer, line.encoder) if each) if several else ""
            yield Progress(f"{where}n = {group[0].study.labelled}", panel, folded=size < largest)


def _groups(searches: Sequence[SearchResult], *, race: bool) -> dict[tuple[Line, int], list[SearchResult]]:
    """Searches that are held against each other, by what they have in common and their size."""
    lines = {id(search): Line.of(search.study) for search in searches}
    groups: dict[tuple[Line, int], list[SearchResult]] = {}
    for search in searches:
        line = lines[id(search)]
        beside = {each.source for each in lines.values() if _end(each) == _end(line)}
        for source in [line.source] if line.source else sorted(beside - {""}) or [""]:
            key = line._replace(method="", source=source, encoder="" if race else line.encoder)
            groups.setdefault((key, search.study.n_train), []).append(search)
    return groups


def _end(line: Line) -> Line:
    """What is predicted, by which encoder."""
    return line._replace(method="", source="")


def _named(group: Sequence[SearchResult]) -> dict[str, SearchResult]:
    """Searches of a race by their names in its ranking."""
    return {race_name(search.study): search for search in group}


def _panel(named: Mapping[str, SearchResult], found: Findings, style: Mapping[str, Style]) -> Panel | None:
    budget = found.finished.budget
    courses = {name: points for name, search in named.items() if (points := _course(search))}
    if not courses:
        return None
    first = next(search for name, search in named.items() if name in courses)
    objective = first.stages[-1].objective
    return course_plots.progress_plot(
        {
            name: [(trials if budget == "trials" else seconds, best) for trials, seconds, best in points]
            for name, points in courses.items()
        },
        style=_looks({name: named[name].study for name in courses}, style),
        label=objective_label(objective, found.unit(first.study.target)),
        better="lower" if objective.direction == "minimize" else "higher",
        across="Trials" if budget == "trials" else "Device seconds", whole=budget == "trials",
    )  # fmt: skip


def _looks(studies: Mapping[str, Study], style: Mapping[str, Style]) -> dict[str, Style]:
    """A method's own look; its encoders, where several compete, differ in their marks."""
    looks, used = {}, dict[str, int]()
    for name, study in studies.items():
        look, label = style[study.method.label], study.method.label
        turn = used[label] = used.get(label, -1) + 1
        marker = _MARKERS[(_MARKERS.index(look.marker or "o") + turn) % len(_MARKERS)] if turn else look.marker
        looks[name] = replace(look, marker=marker)
    return looks


_MARKERS = "osD^vP*X"


def _yaml(searches: Sequence[SearchResult]) -> Iterator[tuple[str, str]]:
    """What was chosen as lines of a benchmark's file, one text a transfer, encoder and size."""
    groups = _groups(searches, race=False)
    several = len({line for line, _ in groups}) > 1
    for (line, _), group in sorted(groups.items(), key=lambda each: -each[0][1]):
        if text := chosen_yaml(group):
            where = f"{line.transfer}, {line.encoder}, " if several else ""
            yield f"{where}n = {group[0].study.labelled}", text


def _course(search: SearchResult) -> list[tuple[float, float, float]]:
    """(trials charged, device seconds charged, best so far) after each trial of the last stage, once there is a best.

    What came before the last stage is charged at its beginning.
    """
    if not search.stages:
        return []
    *before, last = join_rounds(search.stages)
    if last.stage == "pretrain":
        return []
    trials = sum(len(stage.tried) / stage.shared_by for stage in before)
    seconds = search.pretrain_seconds / search.pretrain_shared_by
    seconds += sum(each.trial.seconds / stage.shared_by for stage in before for each in stage.tried)
    return course(last, trials=trials, seconds=seconds)


# ---------------------------------------------------------------- one by one


_MANY = 16
"""Searches, of which each has some eight drawings, that a page can hold."""


def _drawn(searches: Sequence[SearchResult]) -> Sequence[SearchResult]:
    """All of them; of many the best of each line, whatever its method."""
    if len(searches) <= _MANY:
        return searches
    best: dict[Line, tuple[float, SearchResult]] = {}
    for search in searches:
        last = join_rounds(search.stages)[-1]
        if last.best is not None:
            loss = value_of(last.best) * (1 if last.objective.direction == "minimize" else -1)
            line = Line.of(search.study)._replace(method="")
            best[line] = min(best.get(line, (loss, search)), (loss, search), key=itemgetter(0))
    return [search for _, search in best.values()]


def _method(search: SearchResult, found: Findings, style: Mapping[str, Style], place: int) -> MethodFigures:
    study = search.study
    label = study.method.label
    return MethodFigures(
        label, title(study, ambiguous(found.finished.searches)),
        tuple(
            stage_figures(
                stage, heading=capital(tables.STAGE_WORDS[stage.stage]), colour=style[label].key,
                label=objective_label(
                    stage.objective, found.unit((stage.stage == "pretrain" and study.source) or study.target)
                ),
                name=f"search-{place}-{stage.stage}",
            )
            for stage in join_rounds(search.stages)
            if stage.tried
        ),
    )  # fmt: skip
