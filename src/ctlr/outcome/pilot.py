"""What finished studies of a workspace tell of a benchmark before it is run: how far its gains scatter."""

from __future__ import annotations

from pathlib import Path

from ctlr.plan import Plan
from ctlr.report.numbers.contests import Contest, contests, load
from ctlr.specs import DataTask, Study, StudyResult

__all__ = ["contest_key", "pilot_contests"]

Cell = tuple[str, ...]


def pilot_contests(plan: Plan, root: Path) -> list[Contest]:
    """Finished studies of a benchmark, whatever their seeds; also those of a cut-down copy of its file.

    Copies may have other seeds, sample sizes, test subjects or precision: of those that were run, the one with the most
    studies is taken. Tuned studies are known by their names, since a search decides their options.

    Args:
        plan: Of the benchmark.
        root: Workspace; need not exist.
    """
    wanted = {_cell(study, named=bool(plan.searches)): study for study in plan.studies}
    found: dict[str, dict[tuple[Cell, Cell], list[StudyResult]]] = {}
    for path in sorted((root / "studies").glob("*/result.json")):
        try:
            result = StudyResult.model_validate_json(path.read_bytes())
        except (OSError, ValueError):  # of another version, or being written
            continue
        like = wanted.get(_cell(result.study, named=bool(plan.searches)))
        if like is not None and result.status == "ok":
            options = _cell(result.study, named=False)[2:4]
            cells = found.setdefault(_world(result), {})
            cells.setdefault((_cell(like, named=True), options), []).append(_renamed(result, like))
    if not found:
        return []
    largest = max(found.values(), key=lambda cells: sum(map(len, cells.values())))
    chosen: dict[Cell, list[StudyResult]] = {}
    for (cell, _), results in largest.items():  # of one name with several options, those with the most seeds
        chosen[cell] = max(chosen.get(cell, []), results, key=len)
    return contests(load([result for results in chosen.values() for result in results], root))


def contest_key(contest: Contest) -> tuple[str, str, str]:
    """What tells contests of one benchmark apart."""
    return _end(contest.target), _end(contest.source), contest.encoder.label


def _cell(study: Study, *, named: bool) -> Cell:
    """What studies of one cell of the grid have alike; `named`: their methods by name, else by options."""
    study = study.without_folders()
    method, encoder = study.method, study.encoder
    options = [part.model_copy(update={"label": ""}).model_dump_json() for part in (method, encoder)]
    names = [f"{method.method} {method.label}", encoder.label]
    return (_end(study.target), _end(study.source), *(names if named else options), str(study.n_train))


def _end(end: DataTask | None) -> str:
    return "" if end is None else end.identity()


def _world(result: StudyResult) -> str:
    """What the studies of one comparison have alike: images, who is tested, precision."""
    study = result.study
    return " ".join((result.arrays, study.split.identity(), study.compute.identity(), str(study.n_reserved)))


def _renamed(result: StudyResult, like: Study) -> StudyResult:
    """The result under the names of the benchmark, which may be others where it was made."""
    method = result.study.method.model_copy(update={"label": like.method.label})
    encoder = result.study.encoder.model_copy(update={"label": like.encoder.label})
    changed = {"method": method, "encoder": encoder, "target": like.target, "source": like.source}
    return result.model_copy(update={"study": result.study.model_copy(update=changed)})
