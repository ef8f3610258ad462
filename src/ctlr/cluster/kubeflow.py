"""The client of a Kubeflow Pipelines server: submit, watch, cancel."""

from __future__ import annotations

import contextlib
import http.client
import importlib.resources
import io
import json
import logging
import re
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from ctlr.addresses import fault_of_address
from ctlr.cluster.platform import Workers, placed
from ctlr.cluster.pods import TaskState
from ctlr.cluster.request import Request
from ctlr.errors import ClusterError, require
from ctlr.specs import PlatformSpec
from ctlr.tuning.katib import kubeconfig_faults_named

__all__ = ["Kubeflow", "RunState", "pipeline_documents"]

SECONDS_TO_ANSWER = 30
POLL_SECONDS = 2.0
PATIENCE = 30
"""Times in a row that a server may fail to answer while a run is watched."""
OLDEST = (2, 16)
"""The first Kubeflow Pipelines that knows `securityContext` of a task (kubeflow/pipelines 12832)."""
FINISHED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")

_FORWARD = (
    "If the cluster is not reachable from this machine, open a way and name it:\n"
    "  kubectl port-forward --namespace kubeflow service/ml-pipeline 8888:8888\n"
    "  --host http://localhost:8888"
)

_STRANGE = (
    "{place} answers, but not as Kubeflow Pipelines does: a page to log in, perhaps. Give a session's cookies in "
    "CTLR_KFP_COOKIES or a token in CTLR_KFP_TOKEN, or correct --host."
)


@dataclass(frozen=True)
class RunState:
    """A run as the server knows it."""

    id: str
    name: str
    state: str
    created: datetime | None
    ended: datetime | None
    reason: str
    tasks: tuple[TaskState, ...]

    @property
    def finished(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in FINISHED


def pipeline_documents(platform: PlatformSpec, workers: Workers) -> str:
    """The compiled pipeline with a platform written into it: what is uploaded."""
    file = importlib.resources.files("ctlr.cluster").joinpath("compiled", "benchmark.yaml")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    pipeline = next(iter(yaml.load_all(file.read_text(), Loader=loader)))
    return yaml.safe_dump_all(placed(pipeline, platform, workers), width=120)


class Kubeflow:
    """A Kubeflow Pipelines server, reached as kfp's own client reaches it.

    Args:
        host: Its address; empty for the one in KF_PIPELINES_ENDPOINT, of the cluster that this runs in, or of kubectl's
            context.
        namespace: Of the runs, where users have namespaces of their own; empty where there is one for all.
        context: Of kubectl's configuration; empty for the current one.
        token: Of the server; empty for none.
        cookies: Of a session that a browser has opened; empty for none.

    Raises:
        ClusterError: No server answers.
        MissingExtraError: kfp is not installed.
    """

    def __init__(
        self, host: str = "", *, namespace: str = "", context: str = "", token: str = "", cookies: str = ""
    ) -> None:
        kfp = require("kfp", extra="cluster")
        self._namespace = namespace or None
        if host:
            _check_reachable(host, token, cookies)
        else:
            _check_configured(context)
        with warnings.catch_warnings(), _faults_named(host), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore", FutureWarning)  # the client says that it knows version 2 only
            self._client = kfp.Client(
                host=host or None, existing_token=token or None, cookies=cookies or None, kube_context=context or None
            )
        self.host: str = self._client._existing_config.host
        _check_version(self.host)

    def submit(self, request: Request, platform: PlatformSpec, *, name: str, experiment: str) -> str:
        """Start a run.

        Args:
            request: Its arguments, and how many workers it has.
            platform: Where its pods run.
            name: Of the run.
            experiment: Of Kubeflow Pipelines, made where there is none: a folder of runs.

        Returns:
            The run's id.
        """
        # kfp's client prints links that lead nowhere: the API's address is not that of the pages.
        with TemporaryDirectory() as folder, _faults_named(self.host), contextlib.redirect_stdout(io.StringIO()):
            file = Path(folder) / "pipeline.yaml"
            file.write_text(pipeline_documents(platform, request.workers))
            found = self._client.create_experiment(experiment, namespace=self._namespace)
            run = self._client.run_pipeline(
                found.experiment_id,
                name,
                pipeline_package_path=str(file),
                params=request.parameters(),
                service_account=platform.service_account,
            )
            return str(_named(run).run_id)

    def run(self, run_id: str) -> RunState:
        """A run as it stands now."""
        with _faults_named(self.host, run_id):
            found = _named(self._client.runs.run_service_get_run(run_id=run_id, _request_timeout=SECONDS_TO_ANSWER))
        details = found.run_details.task_details or [] if found.run_details else []
        # Tasks with children are loops and stages; their pods only say what comes next.
        tasks = [_task(each) for each in details if not each.child_tasks and not each.display_name.endswith("driver")]
        tasks.sort(key=lambda task: (task.began is None, str(task.began), task.name))
        return RunState(
            id=found.run_id,
            name=found.display_name,
            state=str(found.state or "PENDING").upper(),
            created=found.created_at,
            ended=_past(found.finished_at),
            reason=_reason(found.error),
            tasks=tuple(tasks),
        )

    def cancel(self, run_id: str) -> None:
        """End a run; what its steps have finished stays in the workspace."""
        with _faults_named(self.host, run_id):
            self._client.runs.run_service_terminate_run(run_id=run_id, _request_timeout=SECONDS_TO_ANSWER)

    def wait(
        self, run_id: str, on_change: Callable[[RunState], None], *, poll_seconds: float = POLL_SECONDS
    ) -> RunState:
        """Watch a run to its end; a server that does not answer for a while is asked again.

        Args:
            run_id: Its id.
            on_change: Told the run whenever it looks different.
            poll_seconds: Between two looks.

        Raises:
            ClusterError: The server has not answered ten times in a row, or knows no such run.
        """
        last, silent = None, 0
        while True:
            try:
                state, silent = self.run(run_id), 0
            except ClusterError:
                silent += 1
                if last is None or silent >= PATIENCE:
                    raise
            else:
                if state != last:
                    on_change(state)
                last = state
                if state.finished:
                    return state
            time.sleep(poll_seconds)


def _check_reachable(host: str, token: str, cookies: str) -> None:
    """Ask a server whether it is one, once and soon: kfp's client has more patience than people."""
    address = host if "//" in host else f"https://{host}"
    if fault := fault_of_address(address):
        raise ClusterError(
            f"The address of Kubeflow Pipelines (--host) {fault}. Give a token in CTLR_KFP_TOKEN, or a session's "
            "cookies in CTLR_KFP_COOKIES."
        )
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    asked = urllib.request.Request(
        f"{address.rstrip('/')}/apis/v2beta1/healthz", headers=headers | ({"Cookie": cookies} if cookies else {})
    )
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            if not isinstance(json.load(answer), dict):
                raise ValueError
    except urllib.error.HTTPError as error:
        if re.search(r"\.googleusercontent\.com$", address.rstrip("/")):
            return  # there the client itself knows who asks
        if error.code in (401, 403):  # the client would ask five times
            raise ClusterError(_refusal(error.code, str(error.reason), address, "")) from error
        if error.code < 400:
            raise ClusterError(_STRANGE.format(place=address)) from error
        raise ClusterError(
            f"{address} answers {error.code} ({error.reason}): no Kubeflow Pipelines. {_FORWARD}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ClusterError(_STRANGE.format(place=address)) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise ClusterError(f"Kubeflow Pipelines at {address} cannot be reached: {reason}. {_FORWARD}") from error


def _named(run: Any) -> Any:
    """A run that the server has answered with.

    Raises:
        ValueError: It is none: the answer came from something else.
    """
    if not getattr(run, "run_id", None):
        raise ValueError("no run")
    return run


def _check_configured(context: str) -> None:
    """Refuse to ask a cluster that nobody has named: kfp's client would look for it on this machine, and for long.

    Raises:
        ClusterError: This is no pod, and kubectl's configuration names no cluster.
    """
    config = require("kubernetes.config", extra="cluster")
    try:
        config.load_incluster_config()
    except config.ConfigException:
        with kubeconfig_faults_named(
            "Name Kubeflow Pipelines' address by --host, or a configuration of kubectl's by KUBECONFIG."
        ):
            config.load_kube_config(context=context or None)


def _check_version(host: str) -> None:
    """Refuse a server whose pods would fail one after the other; one that does not say its version is tried.

    Raises:
        ClusterError: It is older than `OLDEST`.
    """
    found = None
    with (
        contextlib.suppress(OSError, ValueError, KeyError, TypeError, http.client.HTTPException),
        urllib.request.urlopen(f"{host.rstrip('/')}/apis/v2beta1/healthz", timeout=10) as answer,
    ):
        found = re.match(r"(\d+)\.(\d+)", json.load(answer)["tag_name"])
    if found is not None and (int(found[1]), int(found[2])) < OLDEST:
        raise ClusterError(
            f"Kubeflow Pipelines at {host} is {found.string}. CTLR needs {'.'.join(map(str, OLDEST))} or newer, which "
            "gives pods the user and the restrictions that its pipeline asks for; older ones fail at every task."
        )


@contextlib.contextmanager
def _faults_named(host: str, run_id: str = "") -> Iterator[None]:
    """Turn what the client raises into errors that name the address and the remedy."""
    import urllib3.exceptions

    kfp_server_api = require("kfp_server_api", extra="cluster")
    place = host or "the cluster's address"
    silent, root = logging.NullHandler(), logging.getLogger()
    root.addHandler(silent)  # else the client prints a traceback whenever it tries again
    try:
        yield
    except kfp_server_api.ApiException as error:
        raise ClusterError(_refusal(error.status, str(error.reason), place, run_id)) from error
    except (ValueError, TypeError, AttributeError, LookupError) as error:  # of an answer that no such server gives
        raise ClusterError(_STRANGE.format(place=place)) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ClusterError(f"Kubeflow Pipelines at {place} cannot be reached: {_plain(error)}. {_FORWARD}") from error
    finally:
        root.removeHandler(silent)


def _plain(error: Exception) -> str:
    """Why no connection came about, without the objects that were at it."""
    text = str(getattr(error, "reason", None) or error)
    return re.sub(r"^.*\[Errno -?\d+\] |^HTTPS?Connection(Pool)?\([^)]*\): ", "", text).rstrip(".")


def _refusal(status: int, reason: str, place: str, run_id: str) -> str:
    match status:
        case 401 | 403:
            return (
                f"Kubeflow Pipelines at {place} refuses ({status} {reason}). Give a token in CTLR_KFP_TOKEN or a "
                "session's cookies in CTLR_KFP_COOKIES, and your namespace by --namespace."
            )
        case 404 if run_id:
            return f"Kubeflow Pipelines at {place} knows no run {run_id!r}. `ctlr submit` prints the id of its run."
        case _:
            return f"Kubeflow Pipelines at {place} answers {status}: {reason}."


def _task(detail: Any) -> TaskState:
    state = str(detail.state or "PENDING").upper()
    return TaskState(str(detail.display_name), state, detail.start_time, _past(detail.end_time), _reason(detail.error))


def _past(moment: datetime | None) -> datetime | None:
    """The moment; the server gives 1970 for what has not come."""
    return moment if moment is not None and moment.year > 1970 else None


def _reason(error: Any) -> str:
    return str(error.message or "") if error is not None else ""
