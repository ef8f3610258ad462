"""The runs of a workspace in a row each, and its studies by their ids."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctlr.errors import ConfigError
from ctlr.runs._fold import Run, Runs, Step
from ctlr.runs._headline import Best, best_reported
from ctlr.runs._ranking import headline
from ctlr.specs import StudyResult

__all__ = ["FoundStudy", "Listed", "find_study", "listed"]

_MOST = 5
"""Ids that are named where several begin alike."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A run, as it stands in a list."""

    workspace: Path
    run: Run
    life: str
    best: tuple[Best, ...]
    """What its report says; none as long as it has not ended."""
    report: Path | None

    @property
    def headline(self) -> str:
        """Test scores of the best where it has ended, else the best on validation so far, or the reason why not."""
        if self.best:
            return "; ".join(each.words for each in self.best)
        if self.run.end is not None and (reason := self.run.end.get("reason")):
            return str(reason)
        return f"so far, on validation: {found}" if (found := headline(self.run)) else ""

    @property
    def record(self) -> dict[str, Any]:
        """For programs."""
        run = self.run
        return {
            "run": run.name, "workspace": str(self.workspace), "state": self.life, "began": run.began.get("time"),
            "last": run.time or None, "seconds": round(run.seconds, 3), "studies_done": run.studies_done,
            "studies": run.began.get("studies"), "failed": len(run.failed), "headline": self.headline,
            "best": [vars(each) for each in self.best], "report": str(self.report) if self.report else None,
        }  # fmt: skip


def listed(root: Path) -> list[Listed]:
    """Runs that have left something in a workspace, the last one first.

    Raises:
        ConfigError: The folder is no workspace.
    """
    if not (root / "workspace.json").is_file():
        raise ConfigError(
            f"{root} is no workspace: it has no workspace.json. Name the folder of `ctlr run --workspace`."
        )
    runs = Runs(root)
    return [_listed(root, name, runs.read(name)) for name in runs.names()]


def _listed(root: Path, name: str, run: Run) -> Listed:
    folder = root / "reports" / name
    page = folder / "report.html"
    life = run.life(root)
    there = page.is_file()
    if life == "waiting" and there:  # of a version that told no events
        life = "finished"
    best = tuple(best_reported(folder)) if there and life == "finished" else ()
    return Listed(workspace=root, run=run, life=life, best=best, report=page if there else None)


@dataclass(frozen=True, kw_only=True)
class FoundStudy:
    """A study of a workspace."""

    id: str
    run: str
    """Name of its benchmark."""
    step: Step | None
    """What its run told of it; None where it was done for another benchmark, and this one has its result."""
    record: Mapping[str, Any]
    """Its factors and scores, as in `results.csv`; without scores where it has not ended."""
    folder: Path | None
    """Where its files are."""


def find_study(root: Path, text: str) -> FoundStudy | None:
    """The study whose id is, or alone begins with, a text; None where there is none.

    Raises:
        ConfigError: Several begin so.
    """
    found = {study.id: study for study in _studies(root) if study.id.startswith(text)}
    if text in found:
        return found[text]
    if len(found) > 1:
        names = ", ".join(sorted(found)[:_MOST]) + (f" and {len(found) - _MOST} more" if len(found) > _MOST else "")
        raise ConfigError(f"{len(found)} studies begin with {text!r}: {names}. Write more of the one that you mean.")
    return next(iter(found.values()), None)


def _studies(root: Path) -> Iterator[FoundStudy]:
    """The studies of all reports, then of all events, which tell more."""
    runs = Runs(root)
    for name in runs.names():
        path = root / "reports" / name / "results.csv"
        if path.is_file():
            with path.open(newline="") as file:
                for row in csv.DictReader(file):
                    yield FoundStudy(id=row["study"], run=name, step=None, record=row, folder=None)
    for name in reversed(runs.names()):  # the last run's word counts
        for step in runs.read(name).studies:
            yield _of_step(root, name, step)


def _of_step(root: Path, name: str, step: Step) -> FoundStudy:
    key = step.id.rpartition(" ")[2]
    folder, failed = root / "studies" / key, root / "failed" / f"{key}.json"
    record: Mapping[str, Any] = {
        key: step.facts[key] for key in ("study", "method", "encoder", "source", "target", "n_train", "seed")
    }
    for file in (folder / "result.json", failed):
        try:
            record = StudyResult.model_validate_json(file.read_bytes()).record()
            break
        except (OSError, ValueError):
            continue
    there = folder if (folder / "result.json").is_file() else None
    return FoundStudy(id=str(step.facts["study"]), run=name, step=step, record=record, folder=there)
