"""Start a run, stop it, go on with it, delete what it told.

A run is `ctlr run` as a process of its own session: it survives the server, and hears no signal that was meant for it.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ctlr.claims import holder_of, is_claimed
from ctlr.errors import ConfigError, DataError, WorkspaceError
from ctlr.events import process_start
from ctlr.runs import Run
from ctlr.wishes import Wishes, read_wishes, write_wishes
from ctlr.workspace import write_aside

__all__ = [
    "OUTPUT",
    "UNDER_WAY",
    "add_time",
    "benchmark_file",
    "delete",
    "go_on",
    "look",
    "output_of",
    "race_seconds",
    "start",
    "stop",
    "wish",
]

UNDER_WAY = ("running", "paused")
"""Lives of a run whose process is there."""
_PATIENCE = 300
"""Seconds that a look is waited for."""
OUTPUT = "output.log"
"""What a run that the app started has printed, in the folder of its events."""


def benchmark_file(root: Path, name: str) -> Path:
    """Where the app writes the benchmark of a run."""
    return root / "runs" / name / f"{name}.yaml"


def start(root: Path, name: str, words: list[str]) -> subprocess.Popen[bytes]:
    """Start `ctlr WORDS` beside the workspace's other work; returns at once.

    Args:
        root: Workspace.
        name: Of the benchmark, whose folder keeps what is printed.
        words: Command and options, without the workspace.

    Raises:
        WorkspaceError: A run leads in the workspace.
    """
    if is_claimed(root, "runs", "lead"):
        raise WorkspaceError(
            f"A run is under way in this workspace ({holder_of(root, 'runs', 'lead')}). Wait for it to end, or stop it."
        )
    folder = root / "runs" / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / OUTPUT).open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ctlr", *words, "--workspace", str(root)], cwd=folder, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    threading.Thread(target=_see_off, args=(process, folder / OUTPUT), daemon=True).start()
    return process


def look(root: Path, words: list[str]) -> str:
    """Run `ctlr WORDS`, which changes nothing but what it looks at first, to its end; what it says.

    Raises:
        DataError: It refuses; says why.
        WorkspaceError: It takes longer than somebody waits.
    """
    command = [sys.executable, "-m", "ctlr", *words, "--workspace", str(root)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise WorkspaceError(
            f"It takes more than {_PATIENCE} s. Run it in a shell: {shlex.join(command[2:])}"
        ) from error
    if done.returncode:
        raise DataError(done.stderr.strip().removeprefix("Error: ") or f"ctlr ended with exit code {done.returncode}.")
    return done.stderr.strip()


def _see_off(process: subprocess.Popen[bytes], output: Path) -> None:
    """Take note of a run's end, so that it does not stay as a zombie; a run that could not begin says so."""
    if code := process.wait():
        with contextlib.suppress(OSError), output.open("a") as file:
            file.write(f"ctlr ended with exit code {code}.\n")


def go_on(root: Path, name: str) -> None:
    """Go on with a run that was interrupted, or do what failed once more.

    Raises:
        ConfigError: The workspace has run another benchmark since, and this one's file is not here.
        WorkspaceError: A run leads in the workspace.
    """
    from ctlr.outcome.remembered import last_run

    with contextlib.suppress(ConfigError):
        if last_run(root).config.name == name:
            start(root, name, ["resume"])
            return
    file = _own_file(root, name)
    if file is None:
        raise ConfigError(
            f"The workspace has run another benchmark since {name}. Go on with it by its own file: "
            f"ctlr run FILE --workspace {root}"
        )
    start(root, name, ["run", str(file)])


def _own_file(root: Path, name: str) -> Path | None:
    """The benchmark of a run, where the app or `ctlr automl` wrote it."""
    files = (benchmark_file(root, name), root / "automl" / f"{name}.yaml")
    return next((file for file in files if file.is_file() and not file.is_symlink()), None)


def _race_of(file: Path) -> float | None:
    try:
        tuning = YAML(typ="safe", pure=True).load(file.read_text())["tuning"]
        return float(tuning["seconds"]) if tuning.get("race") is not None else None
    except (OSError, YAMLError, KeyError, TypeError, ValueError, AttributeError):
        return None


def race_seconds(root: Path, name: str) -> float | None:
    """Seconds that a run's searches race for, as its file says; None where there is no race, or no file here."""
    file = _own_file(root, name)
    return _race_of(file) if file is not None else None


def add_time(root: Path, run: Run, seconds: float) -> None:
    """Give a race more seconds, in its file, and go on with it.

    Raises:
        ConfigError: It is no race, or its file is not here.
        WorkspaceError: A run leads in the workspace.
    """
    file, before = _own_file(root, run.name), race_seconds(root, run.name)
    if file is None or before is None:
        raise ConfigError(f"{run.name} is no race whose file lies in the workspace: no time can be added here.")
    if is_claimed(root, "runs", "lead"):
        raise WorkspaceError("A run is under way in this workspace. Stop it first, or wait for it to end.")
    yaml = YAML()
    yaml.width = 120
    values, text = yaml.load(file.read_text()), io.StringIO()
    total = before + seconds
    values["tuning"]["seconds"] = int(total) if total == int(total) else total
    yaml.dump(values, text)
    write_aside(file, text.getvalue().encode())
    write_wishes(root, run.name, Wishes())  # who adds time wants more than what was asked for
    start(root, run.name, ["run", str(file)])


def stop(run: Run) -> None:
    """Interrupt a run as Ctrl-C does: what is finished stays, and `go_on` goes on.

    The process is held by a descriptor before it is looked at, so that no other one that has taken its number since is
    ever hit.

    Raises:
        WorkspaceError: It runs on another machine, or runs no more.
    """
    began = run.began
    if not began or run.end is not None:
        raise WorkspaceError(f"{run.name} does not run.")
    if run.submission:
        raise WorkspaceError(f"{run.name} runs on a cluster. End it there: `ctlr cancel {began.get('run')}`.")
    if began.get("host") != socket.gethostname():
        raise WorkspaceError(f"{run.name} runs on {began.get('host')}. Stop it there, with Ctrl-C or `kill -INT`.")
    try:
        place = os.pidfd_open(int(began["pid"]))
    except (ProcessLookupError, ValueError) as error:
        raise WorkspaceError(f"{run.name} runs no more: its process was killed. Go on with it.") from error
    try:
        if process_start(int(began["pid"])) != began.get("started"):
            raise WorkspaceError(f"{run.name} runs no more: its process was killed. Go on with it.")
        signal.pidfd_send_signal(place, signal.SIGINT)
    finally:
        os.close(place)


def wish(root: Path, run: Run, **changed: Any) -> None:
    """Say what is wanted of a run that is under way, here or on another machine; it heeds it within a second.

    Args:
        root: Workspace.
        run: Which.
        changed: Fields of `Wishes`.

    Raises:
        WorkspaceError: It is not under way.
    """
    if run.life(root) not in UNDER_WAY:
        raise WorkspaceError(f"{run.name} is not under way. Go on with it first.")
    write_wishes(root, run.name, replace(read_wishes(root, run.name), **changed))


def delete(root: Path, run: Run) -> None:
    """Remove what a run told, its report and its file; models and scores stay, which other runs may share.

    Raises:
        WorkspaceError: It is under way.
    """
    if run.life(root) in UNDER_WAY:
        raise WorkspaceError(f"{run.name} is under way. Stop it first.")
    for kind in ("runs", "reports"):
        folder = root / kind / run.name
        if folder.is_symlink():
            folder.unlink()
        else:
            shutil.rmtree(folder, ignore_errors=True)


def output_of(root: Path, name: str, most: int = 20_000) -> str:
    """The end of what a run printed; empty where the app did not start it."""
    try:
        with (root / "runs" / name / OUTPUT).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - most))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
