"""Start a trial's program, signal all that it has started, and say why it has ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ctlr.specs import Experiment

__all__ = [
    "CannotStartError",
    "death",
    "limit_seconds",
    "output_of",
    "passed_over",
    "signal_group",
    "start_program",
]


class CannotStartError(Exception):
    """A program that cannot be started; says why."""


def start_program(argv: list[str], environment: dict[str, str], working_dir: str) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, its output and errors in one pipe that does not block.

    Raises:
        CannotStartError: It does not exist, is not executable, or its folder is missing.
    """
    if not argv:
        raise CannotStartError("the trial's container names no command; write it, for the image is not used here")
    if working_dir and not Path(working_dir).is_dir():
        raise CannotStartError(f"its workingDir {working_dir} is no folder on this machine")
    try:
        process = subprocess.Popen(
            argv,
            env=environment,
            cwd=working_dir or None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
        )
    except FileNotFoundError as error:
        raise CannotStartError(f"its command {argv[0]!r} does not exist on this machine") from error
    except (OSError, ValueError) as error:  # not executable, another machine's, too long, a NUL in an argument
        raise CannotStartError(f"its command {argv[0]!r} cannot be started: {error}") from error
    os.set_blocking(output_of(process).fileno(), False)
    return process


def output_of(process: subprocess.Popen[bytes]) -> IO[bytes]:
    """The pipe of a program that was started here."""
    if process.stdout is None:
        raise AssertionError("started with a pipe")
    return process.stdout


def signal_group(group: int, number: int) -> None:
    """Signal a program and all that it has started, if anything is left of them."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing is left of it
        os.killpg(group, number)


def death(code: int, tail: str) -> str:
    """Why a program has ended, in one line."""
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return "was killed (signal 9), most likely for want of memory; make it smaller, or run fewer at once"
    if code < 0:
        return f"ended by signal {-code} ({signal.Signals(-code).name})"
    last = next((line.strip() for line in reversed(tail.splitlines()) if line.strip()), "it printed nothing")
    return f"ended with exit code {code}: {last[:200]}"


def limit_seconds(experiment: Experiment) -> float | None:
    """A job's activeDeadlineSeconds, or that of its pod; Kubeflow's jobs have it in their `runPolicy`."""
    job: Any = experiment.manifest
    for key in ("spec", "trialTemplate", "trialSpec", "spec"):
        job = job.get(key) or {}
    pod = (job.get("template") or {}).get("spec") or {}
    limits = [place.get("activeDeadlineSeconds") for place in (job, pod, job.get("runPolicy") or {})]
    return min((float(limit) for limit in limits if isinstance(limit, int | float)), default=None)


def passed_over(experiment: Experiment) -> list[str]:
    """What a manifest says of its trials and a program on this machine does without, each in some words."""
    template = experiment.manifest["spec"]["trialTemplate"]
    return list(dict.fromkeys(_passed_over(template["trialSpec"], template["primaryContainerName"])))


def _passed_over(node: Any, primary: str) -> Iterator[str]:
    """Depth first, as it stands in the manifest."""
    if isinstance(node, list):
        for each in node:
            yield from _passed_over(each, primary)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in ("initContainers", "containers"):
            names = [
                str(each.get("name")) for each in value or () if key != "containers" or each.get("name") != primary
            ]
            if names:
                yield f"{'initContainers' if key == 'initContainers' else 'other containers'} ({', '.join(names)})"
        elif key == "backoffLimit" and value:
            yield f"backoffLimit {value} (a trial that fails is not run again)"
        elif key == "restartPolicy" and value == "OnFailure":
            yield "restartPolicy OnFailure (a trial that fails is not run again)"
        elif key in ("completions", "parallelism", "replicas") and isinstance(value, int) and value > 1:
            yield f"{key} {value} (a trial is one program)"
        elif key == "env":
            names = [str(each.get("name")) for each in value or () if "valueFrom" in each]
            if names:
                yield f"valueFrom ({', '.join(names)}: set by this shell, or not at all)"
        elif key in ("envFrom", "lifecycle") and value:
            yield key
        elif key == "volumeMounts" and value:
            yield f"volumeMounts ({', '.join(str(each.get('mountPath')) for each in value)})"
        yield from _passed_over(value, primary)
