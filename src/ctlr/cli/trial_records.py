"""Trials in MLflow: one run a trial below one run a search."""

from __future__ import annotations

import contextlib
import csv
import queue
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from ctlr.config import BenchmarkConfig
from ctlr.errors import CtlrError
from ctlr.outcome.recording import make_tracker, tracked_data
from ctlr.specs import StoredArrays, StudyResult, fingerprint
from ctlr.tracking import Tracker, study_params
from ctlr.tuning.options import with_options
from ctlr.tuning.request import TrialJob, TrialResult
from ctlr.workspace import Workspace

__all__ = ["TrialRecord", "TrialRecords"]


@dataclass
class TrialRecord:
    """A trial as far as it has come.

    Attributes:
        job: What is tried.
        name: Of the trial; Katib's are the experiment's name, a hyphen and a code.
        rows: What it reported, in order.
        result: None unless it ran to its end.
        reason: Of a failure.
        stopped: Whether it was ended early, for good reason.
    """

    job: TrialJob
    name: str
    rows: list[dict[str, float]] = field(default_factory=list)
    result: TrialResult | None = None
    reason: str = ""
    stopped: bool = False

    @property
    def scores(self) -> dict[str, float]:
        """Validation metrics by their plain names; the last that were reported where it was ended early."""
        found = self.result.scores if self.result else self.rows[-1] if self.stopped and self.rows else {}
        return {name.removeprefix("val_"): value for name, value in found.items() if name.startswith("val_")}

    @property
    def experiment(self) -> str:
        """The search that it belongs to."""
        return self.name.rpartition("-")[0] or "single"


class TrialRecords:
    """Records trials where the benchmark says so; a tracker that fails fails no trial.

    As a context it records in a thread of its own what `put` is given, so that no trial waits for a database.

    Args:
        config: The benchmark.
        workspace: Where its steps leave their results.
        arrays: Stored images that trials learn from, by the dataset's name.

    Attributes:
        error: Why nothing more is recorded.
    """

    def __init__(self, config: BenchmarkConfig, workspace: Workspace, arrays: Mapping[str, StoredArrays]) -> None:
        self.error: CtlrError | None = None
        self._config, self._workspace = config, workspace
        self._data = tracked_data(config, arrays)
        self._trackers: dict[str, Tracker] = {}
        self._waiting: queue.Queue[TrialRecord | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="trial-records", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._waiting.put(None)
        self._thread.join()

    def put(self, record: TrialRecord) -> None:
        """Have a trial recorded; returns at once."""
        self._waiting.put(record)

    @contextlib.contextmanager
    def following(self, job: TrialJob, name: str) -> Iterator[TrialRecord]:
        """Yield a record to fill, and record it at the block's end, also when the trial fails."""
        record = TrialRecord(job, name)
        try:
            yield record
        except CtlrError as error:
            record.reason = error.reason
            raise
        finally:
            if record.result is not None or record.reason:
                self.write(record)

    def write(self, record: TrialRecord) -> None:
        """Record a trial now."""
        if self._config.tracking.backend == "none" or self.error is not None:
            return
        try:
            self._write(record)
        except CtlrError as fault:
            self.error = fault

    def _work(self) -> None:
        while (record := self._waiting.get()) is not None:
            self.write(record)

    def _write(self, record: TrialRecord) -> None:
        tracker = self._tracker(record)
        study = with_options(record.job.study, record.job.assignments)
        found = record.result
        result = StudyResult(
            study=study, status="ok" if found or record.stopped else "failed", reason=record.reason,
            scores={"validation": record.scores} if record.scores else {}, seconds=found.seconds if found else {},
            epochs=found.epochs if found else 0, best_epoch=found.best_epoch if found else 0,
        )  # fmt: skip
        tags = {"ctlr.trial": record.name, "ctlr.stage": record.job.stage, "ctlr.validation": record.job.validation}
        with tempfile.TemporaryDirectory(prefix="ctlr-trial-") as private:
            _write_history(Path(private) / "history.csv", record.rows)
            tracker.log_study(result, Path(private), params=study_params(study), tags=tags, model=None)
        tracker.finish("finished")

    def _tracker(self, record: TrialRecord) -> Tracker:
        identity = fingerprint(
            "trials", self._config.identity(), record.experiment, record.job.stage, record.job.validation
        )
        if identity not in self._trackers:
            tracker = make_tracker(self._config, self._workspace)
            # Pods that begin together would each begin a run of the search.
            with self._workspace.exclusively("tracking", identity):
                tracker.start(
                    f"{self._config.name}-{record.experiment}", identity=identity,
                    params={"stage": record.job.stage, "validation": record.job.validation}, tags={}, files={},
                    data=self._data, description=self._config.description,
                )  # fmt: skip
            self._trackers[identity] = tracker
        return self._trackers[identity]


def _write_history(path: Path, rows: list[dict[str, float]]) -> None:
    """One row an epoch."""
    epochs = [row for row in rows if "epoch" in row]
    columns = list(dict.fromkeys(name for row in epochs for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(epochs)
