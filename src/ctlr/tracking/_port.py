"""Where runs are recorded: the port, and the two trackers that need no package."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from ctlr.specs import InputColumn, Preparation, StudyResult, fingerprint
from ctlr.tracking._rows import Params, Point, made_from

__all__ = [
    "BestModel",
    "MemoryTracker",
    "NullTracker",
    "Outcome",
    "RecordedStudy",
    "Status",
    "TrackedData",
    "TrackedModel",
    "Tracker",
]

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


@dataclass(frozen=True, kw_only=True)
class TrackedData:
    """A dataset that a benchmark learns from, as its images are stored."""

    name: str
    digest: str
    """Fingerprint of the stored images."""
    kind: str
    """As its file says: bids, images, …"""
    images: int
    subjects: int
    image_shape: tuple[int, ...]
    """(C, *spatial) of one of them."""
    evaluates: bool
    """Whether methods are also tested on it: it is a target."""


@dataclass(frozen=True, kw_only=True)
class BestModel:
    """A study whose model is the best of a transfer."""

    study: str
    """Its id."""
    words: str
    """Why it is."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a benchmark came to."""

    description: str
    """Markdown: what it asks, and the answer."""
    points: Sequence[Point]
    """Gains, their intervals and counts; the step is the number of labelled training subjects."""
    report: Path
    """Folder of the report; its files are recorded, folders in it are not."""
    studies: frozenset[str]
    """Ids of all its studies; others that are recorded for it are of an earlier state."""
    best: Mapping[str, BestModel]
    """By the name that the model is registered by."""


class Tracker(Protocol):
    """Records a benchmark as a tree of runs: the benchmark, and below it one run a study.

    Contract: recording the same benchmark, study or outcome again changes nothing and returns the same id; a study
    whose status has changed, whose result was made from other data, or whose recording was cut off, is recorded anew,
    and so is a benchmark whose data have changed: what was recorded of the older data is gone. Nothing that is recorded
    names a path, a user, a subject or a machine, as long as the values given do not.
    """

    def start(
        self, benchmark: str, *, identity: str, params: Params, tags: Mapping[str, str], files: Mapping[str, str],
        data: Sequence[TrackedData] = (), description: str = "",
    ) -> str:  # fmt: skip
        """Begin or take up a benchmark's run.

        Args:
            benchmark: Name.
            identity: What makes it the same benchmark: `BenchmarkConfig.identity()`.
            params: Recorded when the run is new.
            tags: Likewise.
            files: Texts by file name (resolved benchmark, environment), likewise.
            data: What it learns from; none where that is not to be told.
            description: What it asks, likewise.

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

    def log_outcome(self, made_from: str, gather: Callable[[], Outcome]) -> None:
        """Record what the benchmark came to.

        Args:
            made_from: Equal for equal outcomes.
            gather: Asked for the outcome where it is not recorded yet.
        """
        ...


class NullTracker:
    """Records nothing."""

    def start(
        self, benchmark: str, *, identity: str, params: Params, tags: Mapping[str, str], files: Mapping[str, str],
        data: Sequence[TrackedData] = (), description: str = "",
    ) -> str:  # fmt: skip
        """Return an empty id."""
        return ""

    def log_study(
        self, result: StudyResult, folder: Path, *, params: Params, tags: Mapping[str, str], model: TrackedModel | None
    ) -> str:
        """Return an empty id."""
        return ""

    def finish(self, status: Status) -> None:
        """Do nothing."""

    def log_outcome(self, made_from: str, gather: Callable[[], Outcome]) -> None:
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
    """Id of the run by the benchmark's identity and its data."""
    studies: dict[tuple[str, str], RecordedStudy] = field(default_factory=dict)
    """By (id of the benchmark's run, id of the study)."""
    files: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """By id of the benchmark's run."""
    data: dict[str, Sequence[TrackedData]] = field(default_factory=dict)
    """Likewise."""
    outcomes: dict[str, tuple[str, Outcome]] = field(default_factory=dict)
    """Likewise: what it was made from, and the outcome."""
    status: Status | None = None
    parent: str = ""

    def start(
        self, benchmark: str, *, identity: str, params: Params, tags: Mapping[str, str], files: Mapping[str, str],
        data: Sequence[TrackedData] = (), description: str = "",
    ) -> str:  # fmt: skip
        """Begin or take up a benchmark's run."""
        state = data_state(data)
        for known in [known for known in self.benchmarks if known.startswith(f"{identity} ")]:
            if state and known != f"{identity} {state}":
                self._forget(self.benchmarks.pop(known))
        self.parent = self.benchmarks.setdefault(f"{identity} {state}", f"{benchmark}-{identity[:8]}-{state[:8]}")
        self.files.setdefault(self.parent, files)
        self.data.setdefault(self.parent, data)
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

    def log_outcome(self, made_from: str, gather: Callable[[], Outcome]) -> None:
        """Keep the outcome."""
        if self.outcomes.get(self.parent, ("",))[0] != made_from:
            self.outcomes[self.parent] = (made_from, gather())

    def _forget(self, parent: str) -> None:
        self.studies = {key: study for key, study in self.studies.items() if key[0] != parent}
        for kept in (self.files, self.data, self.outcomes):
            kept.pop(parent, None)


def data_state(data: Sequence[TrackedData]) -> str:
    """Equal as long as the stored images are; empty where nothing is told of them."""
    return fingerprint(*sorted(f"{each.name} {each.digest}" for each in data)) if data else ""
