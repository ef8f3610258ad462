"""What a workspace holds of a benchmark, as runs for TensorBoard: studies, pretrainings, trials of searches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ctlr.report.finished import Finished
from ctlr.specs import SearchResult, Study, StudyResult, Trial
from ctlr.tracking import Board, BoardRun, Params, Point, epoch_points, final_points, study_params
from ctlr.tuning.engine import read_journal
from ctlr.tuning.options import known_options

__all__ = ["write_searches", "write_studies"]

_FACTORS = ("method", "encoder", "source", "target", "n_train", "seed")


def write_studies(finished: Finished, board: Board) -> tuple[int, int]:
    """Write a benchmark's runs onto a board, as far as they have ended: studies, pretrainings, trials of its searches.

    What stands there already is not written again; runs of the same benchmark that are no longer part of it, or that
    came of other data, are removed.

    Args:
        finished: The benchmark.
        board: Each benchmark has a folder in it.

    Returns:
        How many runs there are, and how many of them were written.

    Raises:
        WorkspaceError: The disk refuses.
    """
    name = finished.config.name
    runs = [
        *_with_differing(
            [
                *_studies(finished.results, finished.root, f"{name}/studies"),
                *_studies(finished.at_defaults, finished.root, f"{name}/at-defaults"),
            ]
        ),
        *_pretrainings((*finished.results, *finished.at_defaults), finished.root, f"{name}/pretraining"),
        *(run for search in finished.searches for run in _trials(search, finished.root, f"{name}/trials")),
    ]
    judged_by = dict.fromkeys(
        f"{split}_{result.study.target.task.headline}"
        for split in ("test", "validation")
        for result in finished.results
    )
    searched = dict.fromkeys(stage.objective.metric for search in finished.searches for stage in search.stages)
    return len(runs), board.write(runs, below=name, judged_by=[*judged_by, *searched])


def write_searches(root: Path, board: Board) -> tuple[int, int]:
    """Write the trials of a workspace's searches by `ctlr tune`, as `write_studies` does; a search has a folder.

    Raises:
        WorkspaceError: The disk refuses, or a search's journal is damaged.
    """
    runs, written = 0, 0
    for folder in sorted((root / "experiments").glob("*/")):
        if (history := read_journal(folder)) is None:
            continue
        name, metric, began = (
            f"searches/{folder.name}",
            history.experiment.objective.metric,
            history.started.timestamp(),
        )
        found = [
            _trial(trial, f"{name}/{trial.name}", metric, trial.assignments, began + trial.started + trial.seconds)
            for trial in history.trials
            if trial.ended
        ]
        runs += len(found)
        written += board.write(found, below=name, judged_by=[metric])
    return runs, written


def _studies(results: Iterable[StudyResult], root: Path, place: str) -> Iterator[BoardRun]:
    for result in results:
        folder = root / result.path
        yield BoardRun(
            name=f"{place}/{result.study.id}", curves=list(_curves(folder)), finals=list(final_points(result)),
            params=_options(result.study), ended=_time_of(folder / "result.json") if result.path else 0.0,
            failed=result.status == "failed",
        )  # fmt: skip


def _options(study: Study) -> Params:
    """What a study was trained with; a method without a network has options of a finetuning that mean nothing."""
    without = ("method.method",) if study.method.trains_network else ("method.method", "method.finetune.")
    return {name: value for name, value in study_params(study).items() if not name.startswith(without)}


def _with_differing(runs: Sequence[BoardRun]) -> list[BoardRun]:
    """The runs with the factors and those options that are not alike wherever there are such: not two hundred."""
    values: dict[str, set[str | float]] = {}
    for run in runs:
        for name, value in run.params.items():
            values.setdefault(name, set()).add(value)
    shown = [name for name, found in values.items() if len(found) > 1 or name in _FACTORS]
    return [replace(run, params={name: run.params[name] for name in shown if name in run.params}) for run in runs]


def _pretrainings(results: Iterable[StudyResult], root: Path, place: str) -> Iterator[BoardRun]:
    """One run for each that studies share; curves alone, since no study's score is its."""
    for identity, result in {result.pretraining: result for result in results if result.pretraining}.items():
        folder = root / "pretrained" / identity
        study = result.study
        name = f"{study.method.label}-{study.encoder.label}-s{study.seed}-{identity[:8]}"
        finals = [Point(metric, value, 0) for metric, value in result.pretrain_scores.items()]
        yield BoardRun(
            name=f"{place}/{name}", curves=list(_curves(folder)), finals=finals, params={},
            ended=_time_of(folder / "result.json"),
        )  # fmt: skip


def _trials(search: SearchResult, root: Path, place: str) -> Iterator[BoardRun]:
    study, known = search.study, known_options(search.study)
    about: Params = {"method": study.method.label, "encoder": study.encoder.label, "n_train": study.n_train}
    for stage in search.stages:
        for trial in stage.trials:
            if trial.ended:
                named = {
                    _in_study(stage.options.get(name, name), known): text for name, text in trial.assignments.items()
                }
                ended = _time_of(root / search.path / trial.name, root / search.path / "search.json")
                yield _trial(trial, f"{place}/{trial.name}", stage.objective.metric, named, ended, about)


def _in_study(option: str, known: Mapping[str, Sequence[str]]) -> str:
    """An option as `study_params` calls it."""
    addresses = (option, f"method.{option}", f"finetune.{option}")
    return next((".".join(known[address]) for address in addresses if address in known), option)


def _trial(
    trial: Trial, name: str, metric: str, named: Mapping[str, str], ended: float, about: Params | None = None
) -> BoardRun:
    finals = [Point("seconds", trial.seconds, 0)]
    if trial.value is not None:
        finals.append(Point(metric, trial.value, 0))
    params = {**(about or {}), **{option: _number(text) for option, text in named.items()}}
    failed = trial.status not in ("Succeeded", "EarlyStopped")
    return BoardRun(name=name, curves=list(_reported(trial)), finals=finals, params=params, ended=ended, failed=failed)


def _reported(trial: Trial) -> Iterator[Point]:
    """Its reports by epoch, or by their number; after epochs, one without is of the weights that were kept."""
    before, counted = 0.0, any("epoch" in report.metrics for report in trial.reports)
    for report in trial.reports:
        if counted and "epoch" not in report.metrics:
            continue
        epoch = int(report.metrics.get("epoch", report.step))
        for name, value in report.metrics.items():
            if name != "epoch" and math.isfinite(value):
                yield Point(f"epoch/{name}", value, epoch)
        yield Point("epoch/seconds", report.seconds - before, epoch)
        before = report.seconds


def _number(text: str) -> str | float:
    """A parameter's value; numbers as such, so that they have an axis."""
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) else text


def _curves(folder: Path) -> Iterator[Point]:
    return epoch_points(folder / "history.csv")


def _time_of(*places: Path) -> float:
    """When the first of them that is there was written; 0 where none is."""
    return next((place.stat().st_mtime for place in places if place.exists()), 0.0)
