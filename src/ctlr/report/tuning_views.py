"""What the page shows of a benchmark's searches: sentences, tables and drawings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctlr.report import parameter_plots, tuning, tuning_plots, tuning_tables
from ctlr.report.contests import Contest, Done
from ctlr.report.displays import capital
from ctlr.report.formats import Table
from ctlr.report.importance import importance
from ctlr.report.plots import Style
from ctlr.report.search_stages import Line, StageTrials, course, join_rounds, search_records, value_of, window
from ctlr.report.selection import selection_rows
from ctlr.report.svg import INK, Panel
from ctlr.report.tuning import Budget
from ctlr.report.tuning_share import share_rows, share_table, share_words
from ctlr.report.tuning_words import (
    ambiguous,
    budget_words,
    failures,
    failures_at_defaults,
    objective_label,
    searched,
    title,
)
from ctlr.specs import SearchResult, StudyResult, TaskSpec, dns_name

__all__ = ["MethodFigures", "ProgressPair", "StageFigures", "TuningView", "stage_figures", "tuning_view"]


@dataclass(frozen=True, kw_only=True)
class StageFigures:
    """Drawings of one stage of one search."""

    heading: str
    trials: Panel
    timeline: Panel
    importance: Panel | None
    importance_words: str
    """Why there is no drawing of it."""
    parallel: Panel | None
    slices: tuple[Panel, ...]
    counts: str
    """Trials by how they ended."""
    stopped: bool
    failed: bool
    beyond: bool
    """Whether values lie beyond the edge of the drawings."""


@dataclass(frozen=True)
class MethodFigures:
    """Drawings of one search."""

    label: str
    heading: str
    stages: tuple[StageFigures, ...]


@dataclass(frozen=True)
class ProgressPair:
    """All methods at one size: best so far by trials, and by device seconds."""

    heading: str
    panels: tuple[Panel, Panel]


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
    progress: tuple[ProgressPair, ...]
    methods: tuple[MethodFigures, ...]
    detail: str
    """The size whose searches are drawn one by one: the largest."""
    records: tuple[Mapping[str, object], ...]
    """One row a trial."""


def tuning_view(
    searches: Sequence[SearchResult],
    contests: Sequence[Contest],
    style: Mapping[str, Style],
    root: Path,
    *,
    budget: Budget,
    validation: str,
    level: float,
    at_defaults: Sequence[StudyResult | Done] = (),
) -> TuningView:
    """Compute and draw.

    Args:
        searches: At least one.
        contests: Of the studies that were trained with what was chosen.
        style: By method; methods without a result may be missing.
        root: Of the workspace, for the trials' validation predictions.
        budget: What every search was given the same of.
        validation: How trials were judged: holdout, kfold:K or repeats:R.
        level: Share of intervals that hold the true value.
        at_defaults: The same studies with the options in the file.
    """
    style = {search.study.method.label: Style(INK, "o") for search in searches} | dict(style)
    ledger = tuning.ledger_rows(searches)
    spread = tuning.spread_rows(ledger)
    lost = tuning.lost_rows(searches)
    selection = selection_rows(searches, contests, root, level=level)
    labelled = {search.study.n_train: search.study.labelled for search in searches}
    tables = {
        "ledger": tuning_tables.ledger_table(ledger, labelled),
        "chosen": tuning_tables.choices_table(tuning.choice_rows(searches), labelled),
        "selection": tuning_tables.selection_table(selection, level=level, labelled=labelled),
        "failed": tuning_tables.failures_table(lost, labelled),
    } | ({"spread": tuning_tables.spread_table(spread, labelled)} if spread else {})
    share = share_rows(contests, at_defaults, level=level)
    if share:
        tables["share"] = share_table(share, level=level)
    size = max((s.study.n_train for s in searches if s.stages), default=0)
    return TuningView(
        searched=searched(searches, ledger, budget=budget, validation=validation),
        budget=budget_words(spread, budget, labelled),
        flagged=any(row.exceeds(budget) for row in spread), tables=tables,
        share=share_words(share) if share else "",
        failures=(*failures(searches), *failures_at_defaults(at_defaults)),
        progress=tuple(_progress(searches, style)), detail=labelled.get(size, "0"),
        methods=tuple(
            _method(search, style, number, ambiguous(searches))
            for number, search in enumerate(s for s in searches if s.study.n_train == size and s.stages)
        ),
        records=tuple(search_records(searches)),
    )  # fmt: skip


# ---------------------------------------------------------------- methods side by side


def _progress(searches: Sequence[SearchResult], style: Mapping[str, Style]) -> list[ProgressPair]:
    """One pair a transfer, encoder and size; methods without a source stand beside every source."""
    lines = {id(search): Line.of(search.study) for search in searches}
    groups: dict[tuple[Line, int], list[SearchResult]] = {}
    for search in searches:
        line = lines[id(search)]
        beside = {each.source for each in lines.values() if _end(each) == _end(line)}
        for source in [line.source] if line.source else sorted(beside - {""}) or [""]:
            key = line._replace(method="", source=source)
            groups.setdefault((key, search.study.n_train), []).append(search)
    several = len({line for line, _ in groups}) > 1
    pairs = []
    for number, ((line, _), group) in enumerate(groups.items()):
        panels = _pair(group, style, f"tuning-{number}")
        if panels is not None:
            where = f"{line.transfer}, {line.encoder}, " if several else ""
            pairs.append(ProgressPair(f"{where}n = {group[0].study.labelled}", panels))
    return pairs


def _end(line: Line) -> Line:
    """What is predicted, by which encoder."""
    return line._replace(method="", source="")


def _pair(group: Sequence[SearchResult], style: Mapping[str, Style], name: str) -> tuple[Panel, Panel] | None:
    curves = {search.study.method.label: found for search in group if (found := _course(search))}
    if not curves:
        return None
    search = next(search for search in group if search.study.method.label in curves)
    objective = search.stages[-1].objective
    shared = {
        "style": style, "label": objective_label(objective, search.study.target.task),
        "better": "lower" if objective.direction == "minimize" else "higher",
    }  # fmt: skip
    by_trials = {method: [(trials, best) for trials, _, best in found] for method, found in curves.items()}
    by_seconds = {method: [(seconds, best) for _, seconds, best in found] for method, found in curves.items()}
    return (
        tuning_plots.progress_plot(by_trials, across="Trials", whole=True, name=f"{name}-t", **shared),  # type: ignore[arg-type]
        tuning_plots.progress_plot(by_seconds, across="Device seconds", whole=False, name=f"{name}-s", **shared),  # type: ignore[arg-type]
    )


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


def _method(search: SearchResult, style: Mapping[str, Style], number: int, more: bool) -> MethodFigures:
    label = search.study.method.label
    task = search.study.target.task
    return MethodFigures(
        label, title(search.study, more),
        tuple(
            stage_figures(
                stage, heading=capital(tuning_tables.STAGE_WORDS[stage.stage]), colour=style[label].colour,
                label=objective_label(stage.objective, task if stage.stage != "pretrain" else _source_task(search)),
                name=dns_name(f"tuning-{number}-{stage.stage}"),
            )
            for stage in join_rounds(search.stages)
            if stage.tried
        ),
    )  # fmt: skip


def _source_task(search: SearchResult) -> TaskSpec:
    source = search.study.source
    return source.task if source is not None else search.study.target.task


def stage_figures(stage: StageTrials, *, heading: str, colour: str, label: str, name: str) -> StageFigures:
    """Draw a stage.

    Args:
        stage: At least one trial.
        heading: Above the drawings.
        colour: Of the method.
        label: Of the objective, with its unit.
        name: Of the drawings on their page.
    """
    found = importance(stage)
    scored = bool(stage.scored)
    low, high = window([value_of(e) for e in stage.scored], stage.objective.direction == "minimize")
    return StageFigures(
        heading=heading, trials=tuning_plots.trials_plot(stage, colour=colour, label=label, name=f"{name}-h"),
        timeline=tuning_plots.timeline_plot(stage, name=f"{name}-t"),
        importance=parameter_plots.importance_plot(found, names=stage.names, colour=colour, name=f"{name}-i")
        if found.shares else None,
        importance_words=found.reason,
        counts=tuning_plots.counted(stage),
        stopped=any(each.trial.status == "EarlyStopped" for each in stage.scored),
        failed=any(each.trial.status == "Failed" for each in stage.tried),
        beyond=any(not low <= value_of(each) <= high for each in stage.scored),
        parallel=parameter_plots.parallel_plot(stage, colour=colour, label=label, name=f"{name}-p") if scored else None,
        slices=tuple(
            parameter_plots.slice_plot(stage, parameter, colour=colour, label=label, name=f"{name}-{place}")
            for place, parameter in enumerate(stage.parameters)
        ) if scored else (),
    )  # fmt: skip
