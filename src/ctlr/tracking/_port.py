"""Where runs are recorded: the port, and the two trackers that need no package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from ctlr.specs import InputColumn, Preparation, StudyResult
from ctlr.tracking._rows import Params, made_from

__all__ = ["MemoryTracker", "NullTracker", "RecordedStudy", "Status", "TrackedModel", "Tracker"]

Status = Literal["finished", "failed", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class TrackedModel:
    """A trained model as `ctlr.training.checkpoint.load_model` reads it, and the shape of what goes in and out."""

    folder: Path
    """With model.safetensors and model.json; other files in it are left alone."""
    image_shape: tuple[int, ...]
    """(C, *spatial) of one preprocessed image."""
    n_classes: int = 0
    """Columns of its probabilities; 0 for regression, whose output is (N,) in the target's units."""
    preparation: Preparation | None = None
    """What stands between a file and its arrays."""
    inputs: tuple[InputColumn, ...] = ()
    """Columns that it reads beside the image."""


class Tracker(Protocol):
    """Records a benchmark as a tree of runs: the benchmark, and below it one run a study.

    Contract: recording the same benchmark or study again changes nothing and returns the same id; a study whose status
    has changed, whose result was made from other data, or whose recording was cut off, is recorded anew. Nothing that
    is recorded names a path, a user, a subject or a machine, as long as the values given do not.
    """

    def start(
        self, benchmark: str, *, identity: str, params: Params, tags: Mapping[str, str], files: Mapping[str, str]
    ) -> str:
        """Begin or take up a benchmark's run.

        Args:
            benchmark: Name.
            identity: What makes it the same benchmark: `BenchmarkConfig.identity()`.
            params: Recorded when the run is new.
            tags: Likewise.
            files: Texts by file name (resolved benchmark, environment), likewise.

        Returns:
            Id of the benchmark's run.
        """
        ...

    def log_study(
        self, result: StudyResult, folder: Path, *, params: Params, tags: Mapping[str, str], model: TrackedModel | None
    ) -> str:
        """Record a study: scores, seconds, `history.csv` by epoch, files, and its model where one is given.

        Args:
            result: With all scores.
            folder: Of the study; `predictions.csv` and `history.csv` in it are recorded where there are such.
            params: See `study_params`.
            tags: Free texts.
            model: What came of the study; None records none.

        Returns:
            Id of the study's run.
        """
        ...

    def finish(self, status: Status) -> None:
        """End the benchmark's run."""
        ...


class NullTracker:
    """Records nothing."""

    def start(
        self, benchmark: str, *, identity: str, params: Params, tags: Mapping[str, str], files: Mapping[str, str]
    ) -> str:
        """Return an empty id."""
        return ""

    def log_study(
        self, result: StudyResult, folder: Path, *, params: Params, tags: Mapping[str, str], model: TrackedModel | None
    ) -> str:
        """Return an empty id."""
        return ""

    def finish(self, status: Status) -> None:
        """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class RecordedStudy:
    """What a `MemoryTracker` was given."""

    run_id: str
    result: StudyResult
    params: Params
    tags: Mapping[str, str]
    model: TrackedModel | None


@dataclass
class MemoryTracker:
    """Records into memory: the double for tests."""

    benchmarks: dict[str, str] = field(default_factory=dict)
    """Id of the run by the benchmark's identity."""
    studies: dict[tuple[str, str], RecordedStudy] = field(default_factory=dict)
    """By (id of the benchmark's run, id of the study)."""
    files: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """By id of the benchmark's run."""
    status: Status | None = None
    parent: str = ""

    def start(
        self, benchmark: str, *, identity: str, params: Params, tags: Mapping[str, str], files: Mapping[str, str]
    ) -> str:
        """Begin or take up a benchmark's run."""
        self.parent = self.benchmarks.setdefault(identity, f"{benchmark}-{len(self.benchmarks)}")
        self.files.setdefault(self.parent, files)
        self.status = None
        return self.parent

    def log_study(
        self, result: StudyResult, folder: Path, *, params: Params, tags: Mapping[str, str], model: TrackedModel | None
    ) -> str:
        """Keep the study."""
        key = (self.parent, result.study.id)
        known = self.studies.get(key)
        if known is None or (known.result.status, made_from(known.result)) != (result.status, made_from(result)):
            run_id = f"{self.parent}-{result.study.id}"
            known = RecordedStudy(run_id=run_id, result=result, params=params, tags=tags, model=model)
            self.studies[key] = known
        return known.run_id

    def finish(self, status: Status) -> None:
        """Note the status."""
        self.status = status
