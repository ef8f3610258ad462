"""What the components call: workers of a benchmark's stages, what comes before them, and what comes after.

A worker claims a step that is ready in the workspace, does it and goes on, until nothing of its stage is left: the same
engine as a laptop's, beside as many others as there are pods. What a later attempt cannot mend (tuning that failed, a
loss that is no number) is a value in the workspace, so that no retry repeats it; `evaluate_benchmark`, which is not
retried, raises it. A worker that is told to end gives its claims back; one that is not (Kubeflow's launcher passes no
signal on) is seen to be gone by its claims. Others go on either way.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ctlr.cluster.submission import Submission, shut_to_strangers, submitted, unpacked
from ctlr.engine import (
    check_device,
    collect,
    collect_at_defaults,
    default_workers,
    gate,
    jobs_left,
    preprocess_all,
    run_jobs_left,
    run_pretrainings,
)
from ctlr.errors import ClusterError, ConfigError, CtlrError, WorkspaceError, nearest
from ctlr.events import SharedLog, Teller
from ctlr.plan import Plan
from ctlr.pool import Event
from ctlr.specs import DatasetSpec, PlatformSpec, StudyResult, kind_of_image
from ctlr.workspace import Workspace

__all__ = ["Stage", "evaluate_benchmark", "preprocess_datasets", "work"]

log = logging.getLogger("ctlr")

Facts = dict[str, Any]
"""Plain words and numbers about what was done: what an artefact's metadata can hold."""
Stage = Literal["pretrain", "tune", "train"]
"""What workers of a stage claim: pretrainings that trials start from; searches; whatever is left of the plan."""


def preprocess_datasets(workspace: str, submission: str, run: str, sent: str) -> Facts:
    """Place a benchmark in the workspace, store its images, and refuse what cannot be run.

    Bad input is refused here, before anything has been trained: a benchmark or manifest that breaks a rule, data that
    cannot be used, a leak. From then on what fails has failed in this run, and is not tried again by it.

    Args:
        workspace: Folder that every task mounts.
        submission: Its name.
        run: Id of the pipeline's run.
        sent: What `ctlr.cluster.submission.packed` gave: datasets' folders lie below the workspace.

    Returns:
        What is stored of each dataset.

    Raises:
        ConfigError, DataError, LeakageError: It cannot be run, and no other attempt mends it.
        WorkspaceError: The disk is full, say: another attempt may succeed.
    """
    shut_to_strangers()
    benchmark, manifests, platform, study = unpacked(sent)
    run_of = submitted(submission, benchmark, manifests, Workspace(workspace))
    place = PlatformSpec.model_validate_json(platform)
    with _task(run_of, "preprocess") as facts, _told(run_of):
        _check(run_of)
        plan = _narrowed(run_of.plan, study)
        run_of.place(run, place, study)
        log_of = SharedLog(run_of.workspace.root, run_of.config.name)
        log_of.write(
            "run.began", benchmark=run_of.config.name, identity=run_of.config.identity(), workers=place.workers,
            studies=len(plan.studies), run=run, submission=run_of.name, host=socket.gethostname(),
        )  # fmt: skip
        told = _Telling(Teller(log_of), _say)
        for data in run_of.plan.datasets:
            facts[data.name] = _preprocessed(run_of, data, place.processes, told)
        gate(plan, run_of.arrays(), run_of.workspace)
        run_of.begin(run)
        log.info("%s: %d studies, %d pretrainings", run_of.name, len(plan.studies), len(plan.pretrainings))
    if facts["status"] != "ok":
        raise WorkspaceError("The pod was taken away before all images were stored. Submit the benchmark again.")
    return facts


@contextlib.contextmanager
def _told(run: Submission) -> Iterator[None]:
    """Leave for the report why the block refuses a benchmark."""
    run.forget("faults", "preprocess")
    try:
        yield
    except WorkspaceError:
        raise  # it may not take the reason either
    except CtlrError as error:
        run.keep("faults", "preprocess", error.reason)
        raise


def _check(run: Submission) -> None:
    if run.config.tracking.backend == "mlflow" and run.config.tracking.uri is None:
        raise ConfigError("tracking.uri: a cluster's runs need the address of an MLflow server. Name it, or set none.")
    if run.plan.searches:
        from ctlr.searches import check_manifests  # brings the samplers, which are slow to load

        check_manifests(run.config, run.plan)


def _preprocessed(run: Submission, data: DatasetSpec, processes: int, on_event: Callable[[Event], None]) -> str:
    try:
        stored = preprocess_all([data], run.workspace, workers=processes, on_event=on_event)[data.name]
    except WorkspaceError:
        raise  # a full disk may have room again
    except CtlrError as error:
        # Of all datasets the faults are told at once.
        run.keep("arrays", data.name, {"reason": error.reason, "told": str(error)})
        return f"failed: {error.reason}"
    run.keep("arrays", data.name, stored.model_dump(mode="json"))
    excluded = f", {len(stored.excluded)} left out" if stored.excluded else ""
    images = f"{stored.rows} {kind_of_image(len(stored.shape) - 1)}s"
    return f"{images} of {stored.subjects} subjects{excluded}, in {stored.path}"


def work(workspace: str, submission: str, run: str, stage: Stage) -> Facts:
    """Claim steps of a stage, and do them, until none is left.

    Args:
        workspace, submission, run: As of `preprocess_datasets`.
        stage: What to claim.

    Returns:
        What this worker did.

    Raises:
        WorkspaceError, ClusterError: The disk is full, or a server does not answer: another attempt may succeed.
    """
    shut_to_strangers()
    return _worked(_work_on(workspace, submission, run), stage)


def evaluate_benchmark(workspace: str, submission: str, run: str) -> tuple[Facts, list[StudyResult]]:
    """See that nothing is left, doing what was lost on the way; then give every study's result.

    Arguments as of `work`.

    Raises:
        CtlrError: Tuning has failed, for the reason that it gives.
    """
    shut_to_strangers()
    on = _work_on(workspace, submission, run)
    facts, sent = _worked(on, "train"), on.submission
    if reason := facts.get("reason"):
        raise CtlrError(str(sent.kept("faults", "tune") or reason))
    arrays, plan = sent.arrays(), _trained_plan(sent, on.study)
    results = [*collect(plan, arrays, sent.workspace), *collect_at_defaults(plan, arrays, sent.workspace)]
    states = Counter(result.status for result in results)
    return facts | {"studies": len(results), "failed": states["failed"]}, results


# ---------------------------------------------------------------- stages


@dataclass(frozen=True)
class _Work:
    """What a worker works on, and where."""

    submission: Submission
    run: str
    platform: PlatformSpec
    study: str
    since: float
    """What failed before is tried again."""

    @property
    def workers(self) -> int:
        """Processes of the pod: one a GPU, or as its cores allow."""
        threads = self.submission.config.compute.threads
        if self.platform.device == "cpu":
            return max(1, self.platform.processes // threads)
        return default_workers(self.platform.device, threads)


def _work_on(workspace: str, submission: str, run: str) -> _Work:
    sent = Submission(Workspace(workspace), submission)
    since = sent.began(run)
    if since is None:
        raise WorkspaceError(
            f"The data of run {run!r} of {sent.name} have not been checked. Submit the benchmark again."
        )
    return _Work(sent, run, *sent.placed(run), since)


def _worked(on: _Work, stage: Stage) -> Facts:
    """Work on a stage; what no other attempt mends is among the facts, and kept."""
    with _task(on.submission, stage) as facts, on.submission.workspace.shared():
        try:
            teller = Teller(SharedLog(on.submission.workspace.root, on.submission.config.name))
            _STAGES[stage](on, _Telling(teller, _Counting(facts)))
        except (WorkspaceError, ClusterError):
            raise
        except CtlrError as error:
            log.error("%s", error)
            on.submission.keep("faults", stage, error.reason)
            facts |= {"status": "failed", "reason": error.reason}
    return facts


def _pretrain(on: _Work, on_event: Callable[[Event], None]) -> None:
    """What trials start from, made before them: a trial that waits for it would hold a GPU meanwhile."""
    from ctlr.searches import first_pretrainings  # brings the samplers, which are slow to load

    check_device(on.platform.device)
    sent, arrays = on.submission, on.submission.arrays()
    run_pretrainings(
        first_pretrainings(sent.config, sent.plan, arrays), arrays, sent.workspace, workers=on.workers,
        device=on.platform.device, since=on.since, on_event=on_event,
    )  # fmt: skip


def _tune(on: _Work, on_event: Callable[[Event], None]) -> None:
    sent = on.submission
    if not sent.plan.searches:
        return
    from ctlr.searches import run_searches

    sent.forget("faults", "tune")
    arrays, device, bench = sent.arrays(), on.platform.device, None
    if on.platform.trials == "katib":
        from ctlr.cluster.trials import KatibBench  # brings the Kubernetes client

        # This process watches; a GPU that it held could be the one that its trials wait for.
        device, bench = "cpu", KatibBench(sent, on.platform, arrays, on.run, on_event)
    else:
        check_device(device)
    found = run_searches(
        sent.config, sent.plan, arrays, sent.workspace, workers=on.workers, device=device, since=on.since,
        on_event=on_event, bench=bench,
    )  # fmt: skip
    # Every worker of this stage sees the same in the end; whichever is last to say so makes no difference.
    sent.keep("searches", "all", [search.model_dump(mode="json") for search in found])


def _train(on: _Work, on_event: Callable[[Event], None]) -> None:
    check_device(on.platform.device)
    sent, arrays = on.submission, on.submission.arrays()
    run_jobs_left(
        jobs_left(_trained_plan(sent, on.study), arrays, sent.workspace), arrays, sent.workspace, workers=on.workers,
        device=on.platform.device, since=on.since, on_event=on_event,
    )  # fmt: skip


_STAGES: Mapping[Stage, Callable[[_Work, Callable[[Event], None]], None]] = {
    "pretrain": _pretrain, "tune": _tune, "train": _train,
}  # fmt: skip


def _trained_plan(sent: Submission, study: str) -> Plan:
    """The plan with what its searches found, narrowed to the study that is wanted.

    Raises:
        ConfigError: A search has not ended: nothing is trained with options as they were before.
    """
    plan = sent.plan
    if plan.searches:
        from ctlr.searches import tuned_plan

        found = sent.searches()
        if len(found) < len(plan.searches):
            raise ConfigError(
                sent.kept("faults", "tune") or f"Searches of {sent.name} have not ended. Submit the benchmark again."
            )
        plan = tuned_plan(plan, found)[0]
    return _narrowed(plan, study)


def _narrowed(plan: Plan, study: str) -> Plan:
    """The plan of one study; all of it where none is named."""
    if not study:
        return plan
    wanted = tuple(each for each in plan.studies if each.id == study)
    if not wanted:
        raise ConfigError(f"{nearest(study, (each.id for each in plan.studies))} No study has the id {study!r}.")
    return plan.model_copy(update={"studies": wanted, "at_defaults": (), "least_errors": ()})


# ---------------------------------------------------------------- what a task says, and how it ends


@contextlib.contextmanager
def _task(run: Submission, name: str) -> Iterator[Facts]:
    """Keep a task's log in the workspace, since its pod's goes; and end well when the pod is taken away."""
    facts: Facts = {"status": "ok", "workspace": str(run.workspace.root), "submission": run.name}
    began = time.monotonic()
    with _logged(run, name), _ended_by_sigterm():
        try:
            yield facts
        except KeyboardInterrupt:
            log.warning("This pod is taken away: what it was at is free for others, from its last epoch on.")
            facts["status"] = "taken away"
        except CtlrError as error:
            log.error("%s", error)
            raise
        log.info("%s ended after %.0f s: %s", name, time.monotonic() - began, facts)
    facts["seconds"] = round(time.monotonic() - began, 3)


@contextlib.contextmanager
def _logged(run: Submission, name: str) -> Iterator[None]:
    handler = logging.FileHandler(run.log_file(f"{name}-{secrets.token_hex(4)}"), delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    level = log.level
    log.setLevel(min(level or logging.INFO, logging.INFO))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()
        log.setLevel(level)


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Kubernetes ends a pod by SIGTERM, and by SIGKILL half a minute later."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Telling:
    """Writes events of the steps that this pod does, and passes all of them on; other pods tell of theirs."""

    def __init__(self, teller: Teller, on_event: Callable[[Event], None]) -> None:
        self._teller, self._on_event = teller, on_event
        self._here: set[str] = set()

    def __call__(self, event: Event) -> None:
        job = event.job.id
        if event.state == "started":
            self._here.add(job)
        if job in self._here and event.state != "taken":
            self._teller(event)
        if event.state in ("taken", "finished", "failed"):
            self._here.discard(job)
        self._on_event(event)


class _Counting:
    """Tells a pod's log what happens, and counts what was done here, by kind."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._here: set[str] = set()

    def __call__(self, event: Event) -> None:
        if event.state != "trial":  # one that has ended comes as progress
            _say(event)
        job = event.job
        if event.state == "started":
            self._here.add(job.id)
        elif event.state == "taken":
            self._here.discard(job.id)
        elif event.state in ("finished", "failed") and job.id in self._here:
            word = f"{job.kind}_{event.state}"
            self._facts[word] = self._facts.get(word, 0) + 1


def _say(event: Event) -> None:
    place = f" {event.done}/{event.total}" if event.total else ""
    numbers = " ".join(f"{name}={value:.4g}" for name, value in event.row.items())
    told = event.text if event.job.kind in ("preprocess", "tune") or event.state == "failed" else numbers
    log.info("%s %s%s %s", event.job.id, event.state, place, told)
