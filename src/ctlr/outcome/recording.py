"""Records finished studies while others still train."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from ctlr.config import BenchmarkConfig, resolved_yaml
from ctlr.errors import CtlrError
from ctlr.specs import ModelCard, StudyResult
from ctlr.tracking import MlflowTracker, NullTracker, Status, TrackedModel, Tracker, study_params
from ctlr.workspace import Workspace

__all__ = ["AT_DEFAULTS", "Recorder", "make_tracker"]

AT_DEFAULTS: Mapping[str, str] = {"ctlr.options": "defaults"}
"""Tags of a study that a tuned benchmark trained with the options in its file."""


def make_tracker(config: BenchmarkConfig, workspace: Workspace) -> Tracker:
    """The tracker that a benchmark asks for."""
    if config.tracking.backend == "none":
        return NullTracker()
    return MlflowTracker(config.tracking.uri, workspace)


class Recorder:
    """Hands results to a tracker in a thread of its own, so that no worker waits for a database.

    A tracker that fails stops recording, not the run: `error` then says why, and the next run records what is missing.

    Args:
        tracker: Where to.
        config: The benchmark.
        workspace: Where results lie.
        environment: Versions, commit and machine.
    """

    def __init__(
        self, tracker: Tracker, config: BenchmarkConfig, workspace: Workspace, environment: Mapping[str, str]
    ) -> None:
        self.error: CtlrError | None = None
        self._tracker = tracker
        self._config = config
        self._workspace = workspace
        self._environment = dict(environment)
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
