"""A search on Katib from its manifest to its end, or only to its start."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from ctlr.specs import Experiment, Trial, TrialReport
from ctlr.tuning.engine import Pace, Policy, RemoteOutcome, run_remotely
from ctlr.tuning.katib.connection import Connection, connect
from ctlr.tuning.katib.search import WATCH_SECONDS, KatibSearch

__all__ = ["remove_from_katib", "run_on_katib", "submit_to_katib"]


def _nothing(trial: Trial, report: TrialReport | None) -> None:
    """Tell nobody."""


def _mute(message: str) -> None:
    """Tell nobody."""


def run_on_katib(
    experiment: Experiment,
    *,
    namespace: str | None = None,
    context: str | None = None,
    connection: Connection | None = None,
    policy: Policy = "keep",
    timeout: float | None = None,
    pace: Pace | None = None,
    on_event: Callable[[Trial, TrialReport | None], None] = _nothing,
    on_notice: Callable[[str], None] = _mute,
) -> RemoteOutcome:
    """Run an experiment on a cluster with Katib, and wait for its end.

    An Experiment of the same name and content that is there is followed, or its result returned where it has ended.

    Args:
        experiment: As `read_experiment` returns it.
        namespace: Of the Experiment; None: the manifest's, the pod's or the context's, else `default`.
        context: Of the kubeconfig; None: the pod's service account, or the current one.
        connection: In place of both.
        policy: `delete` removes the Experiment once it has ended, well or not.
        timeout: Seconds after which to give up waiting; the Experiment goes on.
        pace: By which it grows; its `resumePolicy` must then be LongRunning.
        on_event: Told each trial when it appears and when it has ended, in this thread.
        on_notice: Told in a line what keeps trials from starting (no node with a GPU, no image, the quota), once each.

    Returns:
        What a run on this machine returns, and the Experiment with its status.

    Raises:
        ConfigError: Another Experiment has its name.
        ClusterError: The cluster cannot be reached or refuses, the Experiment was deleted, or the time is over.
        MissingExtraError: The `cluster` extra is not installed.
    """
    connection = connection or connect(context=context, namespace=namespace or experiment.namespace or None)
    seconds = WATCH_SECONDS if timeout is None else min(WATCH_SECONDS, max(math.ceil(timeout), 1))
    backend = KatibSearch(connection, watch_seconds=seconds)
    with _cancellable():
        return run_remotely(
            experiment, backend, policy=policy, timeout=timeout, pace=pace, on_event=on_event, on_notice=on_notice
        )


def remove_from_katib(experiment: Experiment, *, connection: Connection | None = None) -> None:
    """Delete an Experiment and all that belongs to it; one that is gone is none the worse."""
    KatibSearch(connection or connect(namespace=experiment.namespace or None)).remove(experiment)


@contextlib.contextmanager
def _cancellable() -> Iterator[None]:
    """Take SIGTERM, which a cancelled pipeline sends to its pods, for an interrupt while an Experiment is followed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def submit_to_katib(
    experiment: Experiment, *, namespace: str | None = None, context: str | None = None
) -> tuple[bool, str]:
    """Create an Experiment and wait for nothing; whether it was there already, and where it is.

    Raises:
        ConfigError, ClusterError, MissingExtraError: As `run_on_katib`.
    """
    backend = KatibSearch(connect(context=context, namespace=namespace or experiment.namespace or None))
    return backend.start(experiment), backend.place
