"""Records finished studies while others still train."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from ctlr.config import BenchmarkConfig, resolved_yaml
from ctlr.errors import CtlrError
from ctlr.report.finished import Finished
from ctlr.specs import ModelCard, StoredArrays, StudyResult
from ctlr.tracking import MlflowTracker, NullTracker, Outcome, Status, TrackedData, TrackedModel, Tracker, study_params
from ctlr.workspace import Workspace

__all__ = ["AT_DEFAULTS", "Recorder", "make_tracker", "tracked_data"]

AT_DEFAULTS: Mapping[str, str] = {"ctlr.options": "defaults"}
"""Tags of a study that a tuned benchmark trained with the options in its file."""


def make_tracker(config: BenchmarkConfig, workspace: Workspace) -> Tracker:
    """The tracker that a benchmark asks for."""
    if config.tracking.backend == "none":
        return NullTracker()
    return MlflowTracker(config.tracking.uri, workspace)


def tracked_data(config: BenchmarkConfig, arrays: Mapping[str, StoredArrays]) -> list[TrackedData]:
    """What a benchmark learns from, as a tracker tells it.

    Args:
        config: The benchmark.
        arrays: Stored images by the dataset's name.
    """
    targets = {transfer.target.data for transfer in config.transfers}
    return [
        TrackedData(
            name=name, digest=stored.fingerprint, kind=config.datasets[name].kind, images=stored.rows,
            subjects=stored.subjects, image_shape=stored.shape, evaluates=name in targets,
        )
        for name, stored in arrays.items()
    ]  # fmt: skip


class Recorder:
    """Hands results to a tracker in a thread of its own, so that no worker waits for a database.

    A tracker that fails stops recording, not the run: `error` then says why, and the next run records what is missing.

    Args:
        tracker: Where to.
        config: The benchmark.
        workspace: Where results lie.
        environment: Versions, commit and machine.
        arrays: Stored images by the dataset's name.
    """

    def __init__(
        self, tracker: Tracker, config: BenchmarkConfig, workspace: Workspace, environment: Mapping[str, str],
        arrays: Mapping[str, StoredArrays],
    ) -> None:  # fmt: skip
        self.error: CtlrError | None = None
        self._tracker = tracker
        self._config = config
        self._workspace = workspace
        self._environment = dict(environment)
        self._arrays = dict(arrays)
        self._waiting: queue.Queue[tuple[StudyResult, Mapping[str, str]] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._record, name="recorder", daemon=True)
        self._failed = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._waiting.put(None)
        self._thread.join()
        if self.error is not None:
            return
        status: Status = "interrupted" if kind is not None else "failed" if self._failed else "finished"
        try:
            self._tracker.finish(status)
        except CtlrError as fault:
            self.error = fault

    def put(self, result: StudyResult, tags: Mapping[str, str] | None = None) -> None:
        """Have a result recorded; returns at once."""
        self._waiting.put((result, tags or {}))

    def conclude(self, finished: Finished, page: Path) -> None:
        """Record what the benchmark came to, once its report is written and the block has ended."""
        if self.error is not None:
            return

        def gather() -> Outcome:
            from ctlr.outcome.concluding import outcome_of  # reads every prediction

            return outcome_of(finished, page)

        try:
            self._tracker.log_outcome(finished.identity(), gather)
        except CtlrError as fault:
            self.error = fault

    def _record(self) -> None:
        try:
            self._start()
            while (waiting := self._waiting.get()) is not None:
                self._log(*waiting)
        except CtlrError as fault:
            self.error = fault

    def _start(self) -> None:
        config = self._config
        self._tracker.start(
            config.name,
            identity=config.identity(),
            params={"sample_sizes": str(list(config.sample_sizes)), "seeds": str(list(config.seeds))},
            tags={"ctlr.version": self._environment["ctlr"]},
            files={
                "benchmark.yaml": resolved_yaml(config, public=True),
                "environment.json": json.dumps(self._environment, indent=1),
            },
            data=tracked_data(config, self._arrays),
            description=config.description,
        )

    def _log(self, result: StudyResult, tags: Mapping[str, str]) -> None:
        self._failed += result.status == "failed"
        folder = self._workspace.root / result.path
        model = None
        if self._config.tracking.models and result.status == "ok" and (folder / "model.json").exists():
            kind, identity = folder.parent.name, folder.name
            card = self._workspace.read(kind, identity, "model.json", ModelCard.model_validate_json)
            model = TrackedModel(
                folder=folder, image_shape=card.shape, n_classes=len(card.classes), preparation=card.preparation,
                inputs=card.inputs,
            )  # fmt: skip
        known = result.model_copy(update={"environment": result.environment | self._environment})
        self._tracker.log_study(known, folder, params=study_params(result.study), tags=tags, model=model)
