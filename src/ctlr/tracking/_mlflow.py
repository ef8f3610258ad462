"""MLflow behind the port: runs held by id, never the global active run."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from ctlr.specs import StudyResult
from ctlr.tracking._data import data_inputs
from ctlr.tracking._model import save_mlflow_model
from ctlr.tracking._port import Outcome, Status, TrackedData, TrackedModel, data_state
from ctlr.tracking._registry import forget_versions, register
from ctlr.tracking._rows import Params, Point, epoch_points, final_points, made_from, study_tags, write_files
from ctlr.tracking._stores import (
    DATA,
    OUTCOME,
    SUPERSEDED,
    TRAINING,
    Found,
    Known,
    LocalStore,
    ServerStore,
    Store,
    import_mlflow,
    mlflow_faults_named,
)
from ctlr.workspace import Workspace, disk_faults_named

__all__ = ["MlflowTracker"]

_STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED", "ok": "FINISHED"}

_OURSELVES = {"mlflow.user": "ctlr", "mlflow.source.name": "ctlr", "mlflow.source.type": "LOCAL"}
"""MLflow would ask the machine for its user and script."""

_NOTE = "mlflow.note.content"
"""The tag that MLflow shows as a run's description."""

_METRICS_A_BATCH, _PARAMS_A_BATCH = 900, 100
"""MLflow takes 1000 entries at a time, 100 of them parameters."""


@dataclass(frozen=True)
class _Session:
    """MLflow, opened."""

    mlflow: ModuleType
    client: Any
    experiment: str


class MlflowTracker:
    """Records into MLflow: the workspace's own database, or a server.

    A benchmark that is wholly recorded in the workspace is recognised without importing MLflow, which takes seconds.
    Its run on a server stands below the one in MLFLOW_RUN_ID, where that is set.

    Args:
        uri: Of a server (http or https); None for `mlflow.db` and `mlartifacts/` in the workspace.
        workspace: Where steps leave their results.
    """

    def __init__(self, uri: str | None, workspace: Workspace) -> None:
        self._store: Store = ServerStore(uri) if uri else LocalStore(workspace)
        self._root = workspace.root
        # Kubeflow's plug-in for MLflow has begun a run for the task; in the workspace's own database there is none.
        self._parent = os.environ.get("MLFLOW_RUN_ID", "") if uri else ""
        self._benchmark = ""
        self._session: _Session | None = None
        self._found = Found("", "")

    def start(
        self, benchmark: str, *, identity: str, params: Params, tags: Mapping[str, str], files: Mapping[str, str],
        data: Sequence[TrackedData] = (), description: str = "",
    ) -> str:  # fmt: skip
        """Begin or take up a benchmark's run; one that was recorded of other data is deleted, with all below it.

        Raises:
            CtlrError: MLflow cannot be reached or refuses.
            MissingExtraError: MLflow is not installed.
        """
        self._benchmark, state = benchmark, data_state(data)
        found = self._store.recorded(identity) or self._search(identity)
        if found is not None and found.data and state and found.data != state:
            self._discard_whole(found)
            found = None
        if found is None:
            about = {**tags, _NOTE: description} if description else tags
            found = Found(self._create(identity, params, about, files), "RUNNING")
        if state and found.data != state:
            self._log_data(found.run_id, data)
            found = replace(found, data=state)
        self._found = found
        return found.run_id

    def log_study(
        self, result: StudyResult, folder: Path, *, params: Params, tags: Mapping[str, str], model: TrackedModel | None
    ) -> str:
        """Record a study as a run below the benchmark's; see `Tracker`.

        Raises:
            CtlrError: MLflow cannot be reached or refuses.
        """
        study, status = result.study.id, _STATUS[result.status]
        known = self._found.studies.get(study)
        if known is not None and known[1:] == (status, made_from(result)):
            return known.run_id
        with self._opened() as session:
            if known is not None:
                _discard(session, known.run_id)
            parent = {"mlflow.parentRunId": self._found.run_id}
            run_id = self._new_run(session, study, {**tags, **study_tags(result), **parent})
            points = itertools.chain(final_points(result), epoch_points(folder / "history.csv"))
            _log(session, run_id, points, params)
            with self._aside() as files:
                write_files(result, folder, files)
                self._store.put_run_files(session.client, run_id, files)
            if model is not None:
                self._log_model(session, run_id, model)
            # Last: a run that is cut off before stays RUNNING, and is recorded anew.
            session.client.set_terminated(run_id, status)
        self._found.studies[study] = Known(run_id, status, made_from(result))
        self._found = replace(self._found, outcome="")  # the best model's version may have gone with its run
        return run_id

    def finish(self, status: Status) -> None:
        """End the benchmark's run."""
        if self._session is None and self._found.status == _STATUS[status]:
            return
        with self._opened() as session:
            session.client.set_terminated(self._found.run_id, _STATUS[status])

    def log_outcome(self, made_from: str, gather: Callable[[], Outcome]) -> None:
        """Record what the benchmark came to, register its best models, and put what is older aside; see `Tracker`.

        Runs of studies that are no part of the benchmark any more are deleted. Runs of another file with this
        benchmark's name stay, marked with the id of this one.

        Raises:
            CtlrError: MLflow cannot be reached or refuses.
        """
        if self._found.outcome == made_from:
            return
        outcome, run_id = gather(), self._found.run_id
        with self._opened() as session:
            client = session.client
            client.set_tag(run_id, _NOTE, outcome.description)
            _log(session, run_id, outcome.points, {})
            with self._aside() as folder:
                for path in outcome.report.iterdir():
                    if path.is_file() and path.suffix and not path.name.startswith("."):
                        shutil.copyfile(path, folder / path.name)
                self._store.put_run_files(client, run_id, folder, "report")
            for study in self._found.studies.keys() - outcome.studies:
                _discard(session, self._found.studies.pop(study).run_id)
            runs = {study: known.run_id for study, known in self._found.studies.items()}
            register(client, session.experiment, self._benchmark, outcome.best, runs)
            self._take_place(session)
            client.set_tag(run_id, OUTCOME, made_from)  # last: what is cut off before is recorded anew
        self._found = replace(self._found, outcome=made_from)

    def _take_place(self, session: _Session) -> None:
        """Mark the runs of other files with the same name, by a tag and in their names, and take the mark from ours."""
        ours = self._found.run_id
        if SUPERSEDED in session.client.get_run(ours).data.tags:
            session.client.delete_tag(ours, SUPERSEDED)
            session.client.update_run(ours, name=self._benchmark)
        for run in [*_runs(session, f"attributes.run_name = '{self._benchmark}'")]:
            if "ctlr.benchmark" in run.data.tags and run.info.run_id != ours:
                session.client.set_tag(run.info.run_id, SUPERSEDED, ours)
                session.client.update_run(run.info.run_id, name=f"{self._benchmark} (superseded)")

    def _log_data(self, run_id: str, data: Sequence[TrackedData]) -> None:
        with self._opened() as session:
            inputs = [entity for each in data for entity in data_inputs(session.mlflow, each)]
            session.client.log_inputs(run_id, inputs)
            session.client.set_tag(run_id, DATA, data_state(data))

    def _discard_whole(self, found: Found) -> None:
        with self._opened() as session:
            for run in [*_runs(session, f"tags.`mlflow.parentRunId` = '{found.run_id}'")]:
                if "ctlr.study" in run.data.tags:  # anybody may add runs
                    _discard(session, run.info.run_id)
            session.client.delete_run(found.run_id)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[_Session]:
        if self._session is None:
            mlflow = import_mlflow()
            with mlflow_faults_named(mlflow, self._store.place):
                client = self._store.open(mlflow)
                self._session = _Session(mlflow, client, self._experiment(client))
        with mlflow_faults_named(self._session.mlflow, self._store.place):
            yield self._session

    def _experiment(self, client: Any) -> str:
        """Id of the experiment that bears the benchmark's name, or of the run that this one is part of."""
        if self._parent:
            return str(client.get_run(self._parent).info.experiment_id)
        known = client.get_experiment_by_name(self._benchmark)
        if known is None:
            return self._store.create_experiment(client, self._benchmark)
        if known.lifecycle_stage == "deleted":
            client.restore_experiment(known.experiment_id)
        for key, value in TRAINING.items():
            if key not in known.tags:  # else somebody has chosen
                client.set_experiment_tag(known.experiment_id, key, value)
        return str(known.experiment_id)

    def _search(self, identity: str) -> Found | None:
        """The benchmark's run and its studies, by their tags."""
        with self._opened() as session:
            for parent in _runs(session, f"tags.`ctlr.benchmark` = '{identity}'"):
                below = _runs(session, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
                ours = (run for run in below if "ctlr.study" in run.data.tags)  # anybody may add runs
                return Found.of(parent.info.run_id, parent.info.status, parent.data.tags, dict(map(_known, ours)))
        return None

    def _create(self, identity: str, params: Params, tags: Mapping[str, str], files: Mapping[str, str]) -> str:
        with self._opened() as session:
            above = {"mlflow.parentRunId": self._parent} if self._parent else {}
            run_id = self._new_run(session, self._benchmark, {**tags, **above, "ctlr.benchmark": identity})
            _log(session, run_id, (), params)
            with self._aside() as folder:
                for name, text in files.items():
                    (folder / name).write_text(text)
                self._store.put_run_files(session.client, run_id, folder)
        return run_id

    def _new_run(self, session: _Session, name: str, tags: Mapping[str, str]) -> str:
        run = session.client.create_run(session.experiment, run_name=name, tags={**tags, **_OURSELVES})
        return str(run.info.run_id)

    def _log_model(self, session: _Session, run_id: str, model: TrackedModel) -> None:
        logged = session.client.create_logged_model(
            session.experiment, name="model", source_run_id=run_id, tags=_OURSELVES
        )
        with self._aside() as folder:
            save_mlflow_model(session.mlflow, model, folder, model_id=logged.model_id, run_id=run_id)
            self._store.put_model(session.client, logged.model_id, folder / "model")
        session.client.finalize_logged_model(logged.model_id, "READY")
        session.client.log_outputs(run_id, [session.mlflow.entities.LoggedModelOutput(logged.model_id, step=0)])

    @contextlib.contextmanager
    def _aside(self) -> Iterator[Path]:
        """An empty folder on the workspace's disk, gone afterwards unless it is moved."""
        with disk_faults_named(self._root), tempfile.TemporaryDirectory(dir=self._root, prefix=".mlflow-") as private:
            folder = Path(private) / "content"  # a temporary folder itself is closed to all but its owner
            folder.mkdir()
            yield folder


def _known(run: Any) -> tuple[str, Known]:
    tags = run.data.tags
    return tags["ctlr.study"], Known(run.info.run_id, run.info.status, tags.get("ctlr.made_from", ""))


def _runs(session: _Session, condition: str) -> Iterator[Any]:
    token = None
    while True:
        page = session.client.search_runs([session.experiment], condition, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _discard(session: _Session, run_id: str) -> None:
    """Delete a run, the models that came of it, and their versions in the registry."""
    forget_versions(session.client, run_id)
    models = session.client.search_logged_models([session.experiment], filter_string=f"source_run_id = '{run_id}'")
    for model in models:
        session.client.delete_logged_model(model.model_id)
    session.client.delete_run(run_id)


def _log(session: _Session, run_id: str, points: Iterable[Point], params: Params) -> None:
    entities, now = session.mlflow.entities, time.time_ns() // 1_000_000
    metrics = [entities.Metric(point.key, point.value, now, point.step) for point in points]
    settings = [entities.Param(key, str(value)) for key, value in params.items()]
    while metrics or settings:
        session.client.log_batch(run_id, metrics[:_METRICS_A_BATCH], settings[:_PARAMS_A_BATCH])
        metrics, settings = metrics[_METRICS_A_BATCH:], settings[_PARAMS_A_BATCH:]
