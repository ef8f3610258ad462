"""Where MLflow keeps things: a database in the workspace, or a server.

In the workspace, artifact addresses begin with `mlflow-artifacts:/` and stand for the folder `mlartifacts` beside the
database: no path of this machine is in it, the workspace can be moved, and `mlflow ui`, run in the workspace's folder,
finds both by its defaults.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Protocol

from ctlr.durable import flush_folder
from ctlr.errors import CtlrError, require
from ctlr.workspace import Workspace, disk_faults_named, write_aside

__all__ = [
    "DATA",
    "OUTCOME",
    "SUPERSEDED",
    "TRAINING",
    "Found",
    "Known",
    "LocalStore",
    "ServerStore",
    "Store",
    "import_mlflow",
    "mlflow_faults_named",
]

PROXIED = "mlflow-artifacts:/"

DATA, OUTCOME, SUPERSEDED = "ctlr.data", "ctlr.outcome", "ctlr.superseded_by"
"""Tags of a benchmark's run; of another file with the same name, the last one is there."""

TRAINING = {"mlflow.experimentKind": "custom_model_development"}
"""The tag by which MLflow 3 shows an experiment's training runs; it would ask, or guess, and open on traces."""

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing about a study leaves the machine
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # standard output belongs to data
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

_OWN_AFFAIRS: dict[str, type[Warning]] = {
    "The ``noload`` loader strategy": DeprecationWarning,
    ".*Any type hint is inferred as AnyType": UserWarning,
}
"""What MLflow warns itself of while it is imported. Filtered, since `catch_warnings` would disturb other threads."""


def import_mlflow() -> ModuleType:
    """MLflow, without telemetry and chatter.

    Raises:
        MissingExtraError: It is not installed.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    for message, category in _OWN_AFFAIRS.items():
        warnings.filterwarnings("ignore", message=message, category=category)
    mlflow = require("mlflow", extra="tracking")
    require("mlflow.pyfunc", extra="tracking")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow


@contextlib.contextmanager
def mlflow_faults_named(mlflow: ModuleType, place: str) -> Iterator[None]:
    """Turn what MLflow raises into an error with a remedy.

    Raises:
        CtlrError: Instead of an MlflowException, or of what its uploads of files let through.
    """
    requests = require("requests", extra="tracking")
    try:
        yield
    except (mlflow.MlflowException, requests.RequestException) as error:
        reason = str(error).splitlines()[0]
        raise CtlrError(
            f"MLflow ({place}) refused: {reason} Studies are safe in the workspace: mend it and run `ctlr resume`, "
            "or go on with --set tracking.backend=none."
        ) from error


class Known(NamedTuple):
    """A study's run."""

    run_id: str
    status: str
    """MLflow's."""
    made_from: str
    """What its result was made from, see `ctlr.tracking._rows.made_from`."""


@dataclass(frozen=True)
class Found:
    """What is recorded of a benchmark already."""

    run_id: str
    status: str
    studies: dict[str, Known] = field(default_factory=dict)
    """By study id."""
    data: str = ""
    """State of the data that it was made from, see `ctlr.tracking._port.data_state`; empty where that is not known."""
    outcome: str = ""
    """What the recorded outcome was made from; empty without one, or where another run has taken this one's place."""

    @classmethod
    def of(cls, run_id: str, status: str, tags: Mapping[str, str], studies: dict[str, Known]) -> Found:
        """By the tags of its run."""
        outcome = "" if SUPERSEDED in tags else tags.get(OUTCOME, "")
        return cls(run_id, status, studies, tags.get(DATA, ""), outcome)


class Store(Protocol):
    """A place for runs and files."""

    place: str
    """For messages."""

    def recorded(self, identity: str) -> Found | None:
        """What is recorded of a benchmark, where that can be told without MLflow."""
        ...

    def open(self, mlflow: ModuleType) -> Any:
        """An `MlflowClient`, ready to use."""
        ...

    def create_experiment(self, client: Any, name: str) -> str:
        """A new experiment's id."""
        ...

    def put_run_files(self, client: Any, run_id: str, folder: Path, below: str = "") -> None:
        """Keep a folder's files as a run's artifacts, in place of those that are below that name."""
        ...

    def put_model(self, client: Any, model_id: str, folder: Path) -> None:
        """Keep a folder as a logged model."""
        ...


_TAGGED = """
    SELECT run.run_uuid, run.status, study.value, source.value FROM runs run
    JOIN tags asked ON asked.run_uuid = run.run_uuid AND asked.key = ?
    LEFT JOIN tags study ON study.run_uuid = run.run_uuid AND study.key = 'ctlr.study'
    LEFT JOIN tags source ON source.run_uuid = run.run_uuid AND source.key = 'ctlr.made_from'
    WHERE asked.value = ? AND run.lifecycle_stage = 'active'
"""
"""(run id, status, study, what it was made from) of the runs where a tag has a value."""


class LocalStore:
    """`mlflow.db` and `mlartifacts/` in a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.root = workspace.root
        self.database = self.root.absolute() / "mlflow.db"
        self.place = str(self.root / "mlflow.db")

    def open(self, mlflow: ModuleType) -> Any:
        """An `MlflowClient`; the database is made first where there is none.

        Processes that make MLflow's tables together break each other's: a lock lets one do it.
        """
        with disk_faults_named(self.root), (self.root / "mlflow.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.database.exists():
                _make_database(self.database)
            address = f"sqlite:///{self.database}"
            client = mlflow.MlflowClient(tracking_uri=address, registry_uri=address)
            client.search_experiments(max_results=1)
        return client

    def create_experiment(self, client: Any, name: str) -> str:
        """A new experiment's id."""
        return str(client.create_experiment(name, artifact_location=f"{PROXIED}{name}", tags=TRAINING))

    def put_run_files(self, client: Any, run_id: str, folder: Path, below: str = "") -> None:
        """Move a folder to where a run's artifacts lie."""
        address = client.get_run(run_id).info.artifact_uri
        self._move(folder, f"{address}/{below}" if below else address)

    def put_model(self, client: Any, model_id: str, folder: Path) -> None:
        """Move a folder to where a logged model lies."""
        self._move(folder, client.get_logged_model(model_id).artifact_location)

    def _move(self, folder: Path, address: str) -> None:
        place = self.root / "mlartifacts" / address.removeprefix(PROXIED)
        with disk_faults_named(self.root):
            place.parent.mkdir(parents=True, exist_ok=True)
            flush_folder(folder)
            if place.exists():
                place.rename(folder.with_name("before"))  # beside the folder, and gone with it
            folder.replace(place)

    def recorded(self, identity: str) -> Found | None:
        """What the database says of a benchmark; None where it cannot be told."""
        if not self.database.exists():
            return None
        try:
            with contextlib.closing(sqlite3.connect(f"{self.database.as_uri()}?mode=ro", uri=True)) as database:
                parents = database.execute(_TAGGED, ("ctlr.benchmark", identity)).fetchall()
                if not parents:
                    return None
                run_id, status, *_ = parents[0]
                rows = database.execute(_TAGGED, ("mlflow.parentRunId", run_id)).fetchall()
                tags = dict(database.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (run_id,)).fetchall())
        except sqlite3.Error:
            return None
        studies = {study: Known(run, state, source or "") for run, state, study, source in rows}
        return Found.of(run_id, status, tags, studies)


def _make_database(path: Path) -> None:
    """Make MLflow's tables aside and put them in place whole.

    MLflow migrates them some fifty times with a flush each: 6 s on a disk, 1 s in memory.
    """
    memory = Path("/dev/shm")
    tables = require("mlflow.store.tracking.sqlalchemy_store", extra="tracking")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else path.parent) as folder:
        made = Path(folder) / path.name
        # A client would note the working directory as the place of the default experiment's files; this notes none.
        tables.SqlAlchemyStore(f"sqlite:///{made}", PROXIED).engine.dispose()
        write_aside(path, made.read_bytes())


def _cause(error: BaseException) -> str:
    """The innermost reason, in a line: MLflow wraps what the network says in advice about its own settings."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return next(iter(str(error).splitlines()), type(error).__name__)


class ServerStore:
    """An MLflow server; who we are for it stands in MLFLOW_TRACKING_USERNAME and the like, as MLflow reads them."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self.place = self.uri

    def recorded(self, identity: str) -> Found | None:
        """None: a server has to be asked."""
        return None

    def open(self, mlflow: ModuleType) -> Any:
        """An `MlflowClient`.

        Raises:
            CtlrError: No server answers, or it refuses us; told at once, where MLflow would try for minutes.
        """
        rest = require("mlflow.utils.rest_utils", extra="tracking")
        # With what MLflow's own requests bear: a user, a token, certificates.
        ours = require("mlflow.tracking._tracking_service.utils", extra="tracking").get_default_host_creds(self.uri)
        try:
            answer = rest.http_request(ours, "/health", "GET", max_retries=0, timeout=10, raise_on_status=False)
        except mlflow.MlflowException as error:
            raise self._silent(_cause(error)) from error
        if answer.status_code in (401, 403):
            raise CtlrError(
                f"tracking.uri: the MLflow server at {self.uri} refuses us ({answer.status_code} {answer.reason}). "
                "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, as it asks for."
            )
        if not answer.ok:
            raise self._silent(f"{answer.status_code} {answer.reason}")
        return mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def _silent(self, why: str) -> CtlrError:
        return CtlrError(
            f"tracking.uri: no MLflow server answers at {self.uri} ({why}). "
            "Start it, correct the address, or run with --set tracking.uri=null."
        )

    def create_experiment(self, client: Any, name: str) -> str:
        """A new experiment's id."""
        return str(client.create_experiment(name, tags=TRAINING))

    def put_run_files(self, client: Any, run_id: str, folder: Path, below: str = "") -> None:
        """Upload a folder's files as a run's artifacts."""
        client.log_artifacts(run_id, str(folder), below or None)

    def put_model(self, client: Any, model_id: str, folder: Path) -> None:
        """Upload a folder as a logged model."""
        client.log_model_artifacts(model_id, str(folder))
