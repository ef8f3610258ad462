"""Runs as TensorBoard reads them: one folder a run, one file of events in it, written by TensorBoard's own package.

Times come from what is told, never from the clock: the same run makes the same file, and is not written twice.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctlr.errors import require
from ctlr.specs import fingerprint
from ctlr.tracking._rows import Params, Point
from ctlr.workspace import disk_faults_named, sweep, write_aside

__all__ = ["Board", "BoardRun"]

FINAL = "final/"
"""Before the name of a number that is no curve."""

_OURS = "events.out.tfevents.*.ctlr.*"
_FORMAT = "1"
_SECONDS = "epoch/seconds"
"""Of each epoch: what the times of its other numbers are told by."""


@dataclass(frozen=True, kw_only=True)
class BoardRun:
    """A training, or a trial of a search."""

    name: str
    """Folder below the board's, e.g. `demo/studies/vat-age-n20-s0-…`."""
    curves: Sequence[Point]
    """Named `epoch/…`, by epoch."""
    finals: Sequence[Point]
    params: Params
    """What sets it apart in the table of hyperparameters; it is left out of that where there are none."""
    ended: float
    """Seconds since 1970."""
    failed: bool = False

    def made_from(self) -> str:
        """Equal for equal files."""
        points = [[*point] for point in (*self.curves, *self.finals)]
        return fingerprint(_FORMAT, json.dumps([points, dict(self.params), round(self.ended, 3), self.failed]))


class Board:
    """A folder for `tensorboard --logdir`.

    Args:
        root: The folder; made where it does not exist.

    Raises:
        MissingExtraError: TensorBoard's package is not installed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._runs: list[BoardRun] = []
        self._judged_by: dict[str, None] = {}
        self._protos = require("tensorboard.compat.proto.event_pb2", extra="tensorboard")
        self._records = require("tensorboard.summary.writer.record_writer", extra="tensorboard")
        self._api = require("tensorboard.plugins.hparams.api_pb2", extra="tensorboard")
        self._said = require("tensorboard.plugins.hparams.plugin_data_pb2", extra="tensorboard")
        self._metadata = require("tensorboard.plugins.hparams.metadata", extra="tensorboard")

    def write(self, runs: Sequence[BoardRun], *, below: str, judged_by: Sequence[str]) -> int:
        """Have the part of the board below a folder hold these runs and no others; returns how many were written.

        A run that stands there already is left as it is. Files that are not ours are left alone.

        Args:
            runs: All that there are.
            below: Folder that they all lie in.
            judged_by: Names of the final numbers that the table of hyperparameters shows.

        Raises:
            WorkspaceError: The disk refuses.
        """
        self._runs += runs
        self._judged_by |= dict.fromkeys(judged_by)
        written, kept = 0, set[Path]()
        with disk_faults_named(self._root):
            for run in runs:
                path = self._root / run.name / f"events.out.tfevents.{int(run.ended):010d}.ctlr.{run.made_from()}"
                kept.add(path)
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_aside(path, self._file(self._events(run), run.ended))
                    written += 1
            for stale in set((self._root / below).rglob(_OURS)) - kept:
                _remove(stale, self._root)
            sweep(self._root / below)
        return written

    def finish(self) -> None:
        """Say what the table of hyperparameters has for columns; TensorBoard would take every number of every epoch.

        One file says it of all runs that were written, since TensorBoard reads but one.
        """
        api, columns, judged_by = self._api, _columns(self._runs), list(self._judged_by)
        infos = [
            api.HParamInfo(name=name, type=api.DATA_TYPE_FLOAT64 if numeric else api.DATA_TYPE_STRING)
            for name, numeric in columns.items()
        ]
        metrics = [api.MetricInfo(name=api.MetricName(tag=FINAL + name)) for name in judged_by]
        time = min((run.ended for run in self._runs), default=0.0)
        experiment = api.Experiment(hparam_infos=infos, metric_infos=metrics, time_created_secs=time)
        identity = fingerprint(_FORMAT, json.dumps([columns, judged_by, time]))
        path = self._root / f"events.out.tfevents.{int(time):010d}.ctlr.{identity}"
        with disk_faults_named(self._root):
            if not path.exists():
                self._root.mkdir(parents=True, exist_ok=True)
                write_aside(path, self._file([self._told("EXPERIMENT_TAG", time, experiment=experiment)], time))
            for stale in set(self._root.glob(_OURS)) - {path}:
                _remove(stale, self._root)

    def _events(self, run: BoardRun) -> Iterator[Any]:
        before_end = _before_end(run.curves)
        if run.params:
            start = self._said.SessionStartInfo(start_time_secs=run.ended - before_end[0])
            for name, value in run.params.items():
                field = "number" if isinstance(value, int | float) and not isinstance(value, bool) else "string"
                setattr(start.hparams[name], f"{field}_value", value if field == "number" else str(value).lower())
            yield self._told("SESSION_START_INFO_TAG", run.ended, session_start_info=start)
        for point in run.curves:
            if point.key != _SECONDS:
                yield self._scalar(point, run.ended - before_end.get(point.step, 0.0))
        for point in run.finals:
            yield self._scalar(point._replace(key=FINAL + point.key), run.ended)
        if run.params:
            status = self._api.STATUS_FAILURE if run.failed else self._api.STATUS_SUCCESS
            end = self._said.SessionEndInfo(status=status, end_time_secs=run.ended)
            yield self._told("SESSION_END_INFO_TAG", run.ended, session_end_info=end)

    def _told(self, tag: str, time: float, **said: Any) -> Any:
        """What the table of hyperparameters reads: a summary without a number."""
        metadata = self._metadata.create_summary_metadata(self._said.HParamsPluginData(**said))
        event = self._protos.Event(wall_time=time)
        event.summary.value.add(tag=getattr(self._metadata, tag), metadata=metadata, tensor=self._metadata.NULL_TENSOR)
        return event

    def _scalar(self, point: Point, time: float) -> Any:
        event = self._protos.Event(wall_time=time, step=point.step)
        event.summary.value.add(tag=point.key, simple_value=point.value)
        return event

    def _file(self, events: Iterable[Any], time: float) -> bytes:
        held = io.BytesIO()
        records = self._records.RecordWriter(held)
        for event in (self._protos.Event(wall_time=time, file_version="brain.Event:2"), *events):
            records.write(event.SerializeToString())
        return held.getvalue()


def _before_end(curves: Iterable[Point]) -> dict[int, float]:
    """Seconds from an epoch's end to that of the last one, by epoch; at 0 the whole."""
    seconds = {point.step: point.value for point in curves if point.key == _SECONDS}
    left, found = 0.0, {}
    for step in sorted(seconds, reverse=True):
        found[step] = left
        left += seconds[step]
    return found | {0: left}


def _columns(runs: Iterable[BoardRun]) -> dict[str, bool]:
    """Every hyperparameter, and whether all its values are numbers."""
    found: dict[str, bool] = {}
    for run in runs:
        for name, value in run.params.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            found[name] = found.get(name, True) and number
    return found


def _remove(path: Path, root: Path) -> None:
    """Remove a file, and the folders that it leaves empty."""
    path.unlink(missing_ok=True)
    for folder in path.relative_to(root).parents:
        if folder != Path():
            with contextlib.suppress(OSError):
                (root / folder).rmdir()
