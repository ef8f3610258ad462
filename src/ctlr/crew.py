"""Worker processes that keep torch loaded and survive one another's deaths."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import json
import multiprocessing
import multiprocessing.connection
import multiprocessing.context
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import secrets
import signal
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ctlr import wishes
from ctlr.claims import give_all_back
from ctlr.errors import CtlrError, TakenOver, WorkspaceError
from ctlr.interrupts import came_again, check, held, wakeup
from ctlr.specs import Trial, TrialReport
from ctlr.workspace import disk_faults_named

__all__ = ["Crew", "Event", "Job", "Perform", "TrialNews", "prepare"]


@dataclass(frozen=True)
class Job:
    """A piece of work for one worker.

    Attributes:
        id: Unique name.
        kind: What is to be done; the worker's function knows it.
        payload: JSON.
        needs: Ids of jobs that come first; when one of them fails, so does this.
        cost: Larger ones start earlier.
        makes: Family and identity of the result that it leaves in the workspace; None for none that others may make.
    """

    id: str
    kind: str
    payload: str
    needs: tuple[str, ...] = ()
    cost: float = 0.0
    makes: tuple[str, str] | None = None


@dataclass(frozen=True)
class TrialNews:
    """What happens to a trial of a search: it starts, has reported or has ended."""

    round: int
    """Of the search, from 1."""
    trial: Trial
    report: TrialReport | None = None


@dataclass(frozen=True)
class Event:
    """What happens to a job: started, progress (done of total), finished, failed or stopped; taken: others are at it.

    Between its start and its progress come starting and ready, where a new worker has to load what it needs first.

    A search tells of its trials besides: `trial` is the state of one that starts or has reported, and `progress` comes
    with one that has ended.

    Attributes:
        job: Whose event it is.
        state: What happens.
        done, total: Of progress.
        text: The job's answer, the reason of its failure, or the numbers of `row` in a line.
        row: Numbers that came with progress.
        told: What the user's own terminal shows of a failure; it may name files and subjects, the reason does not.
        trial: Of a search, which trial it is.
        facts: Of a search that starts, what it is judged by and its budget.
    """

    job: Job
    state: str
    done: int = 0
    total: int = 0
    text: str = ""
    row: Mapping[str, float] = field(default_factory=dict)
    told: str = ""
    trial: TrialNews | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


Perform = Callable[[str, str, Callable[[int, int, Mapping[str, float]], None]], str]
"""What a worker does: (kind, payload, progress) -> JSON answer."""

_LEAVE_SECONDS = 5.0
"""Workers that are asked to leave and have not after so long are killed."""
_LOOK_SECONDS = 0.1
"""Between two looks at whether Ctrl-C was pressed again while they leave."""
_FORKS = sys.platform == "linux"
_PARENTLESS = 255
"""Exit code of a worker whose end nobody could tell: what it was forked from was killed, and took it along."""
_EXPENDABLE = 500
"""Thousandths of all memory that Linux adds to what a worker uses when it looks for what to kill for want of memory."""
_starting = threading.Lock()
"""One process starts at a time: for that moment the main module is another one."""
_OUT_OF_MEMORY = "out of memory; lower `batch_size` or --workers"


@dataclass
class _Worker:
    number: int
    process: multiprocessing.process.BaseProcess
    connection: Connection
    job: Job | None = None


class Crew:
    """Worker processes that keep what they have loaded, each at one job at most; hired when there is work for them.

    Ctrl-C and SIGTERM act while it listens, or when a call has done all that it does; whoever keeps accounts of jobs
    between calls holds signals back meanwhile (`ctlr.interrupts.held`).

    Args:
        start: Importable; called once in each worker with its number and `arguments`, returns what it performs. Where
            it fails, the worker's first job fails for that reason.
        arguments: Of `start`; plain values.
        workers: Processes at most.
        log: Folder for the tracebacks of unexpected failures.
        on_ready: Told while it listens, of the job that a new worker begins with, that it has loaded what it needs.
    """

    def __init__(
        self,
        start: Callable[..., Perform],
        arguments: tuple[Any, ...],
        workers: int,
        log: Path,
        on_ready: Callable[[Job], object] = bool,
    ) -> None:
        self._on_ready = on_ready
        self._start, self._arguments, self._limit, self._log = start, arguments, workers, log
        self._workers: list[_Worker] = []
        self._told: list[Event] = []
        """What happened, and nobody has heard of yet: a signal came before they could."""

    @property
    def has_room(self) -> bool:
        """Whether a job could start at once."""
        return len(self._workers) < self._limit or any(worker.job is None for worker in self._workers)

    @property
    def hires(self) -> bool:
        """Whether the next job is given to a new worker, which may take as long as libraries take to load."""
        return all(worker.job is not None for worker in self._workers)

    def give(self, job: Job) -> None:
        """Have a job done by an idle worker, or by a new one where there is room."""
        with held():
            worker = next((worker for worker in self._workers if worker.job is None), None) or self._hire()
            worker.job = job
            with contextlib.suppress(BrokenPipeError):  # a dead worker is noticed by its sentinel
                worker.connection.send_bytes(json.dumps(["job", job.id, job.kind, job.payload]).encode())

    def stop(self, job_id: str) -> None:
        """End a job at its next progress; its worker stays. A job that is not under way is left alone."""
        with held(), contextlib.suppress(BrokenPipeError):
            for worker in self._workers:
                if worker.job is not None and worker.job.id == job_id:
                    worker.connection.send_bytes(json.dumps(["stop", job_id]).encode())

    def kill(self, job_id: str) -> None:
        """End a job's worker, which does not answer; the job fails."""
        for worker in self._workers:
            if worker.job is not None and worker.job.id == job_id:
                worker.process.kill()

    def listen(self, seconds: float | None = None) -> list[Event]:
        """Wait for messages or deaths, at most so long, and tell what happened; None waits for ever.

        Where somebody wants the run to pause (`ctlr.wishes`), it returns only when it goes on.

        One worker's death fails the job that it was at, and no other.

        Raises:
            WorkspaceError: The workspace can take no more (full disk): going on would fail every job.
            KeyboardInterrupt: A signal has come; no message has been taken.
        """
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            left = wishes.LOOK_SECONDS if until is None else max(0.0, until - time.monotonic())
            self._told += self._listen(0.0 if self._told else left)
            if not wishes.awake():
                self._hold()
            if self._told or not self._workers or (until is not None and time.monotonic() >= until):
                events, self._told = self._told, []
                return events

    def _listen(self, seconds: float) -> list[Event]:
        awaited: dict[Any, _Worker] = {}
        for worker in self._workers:
            awaited[worker.connection] = worker
            awaited[worker.process.sentinel] = worker
        with held():
            with wakeup() as signals:
                ready = multiprocessing.connection.wait([*awaited, *signals], min(seconds, wishes.LOOK_SECONDS))
            # Before anything is heard: a signal to the whole group has ended the workers too, which is no failure.
            check()
            found = {id(awaited[source]): awaited[source] for source in ready if source in awaited}
            events = [self._hear(worker) for worker in found.values()]
        return [event for event in events if event is not None]

    def _hold(self) -> None:
        """Have the workers hold until nobody wants the run to pause any more."""
        with wishes.held_up():
            self._send(["pause"])
            while not wishes.awake():
                self._told += self._listen(wishes.LOOK_SECONDS)
                if not self._workers:
                    time.sleep(wishes.LOOK_SECONDS)
            self._send(["go on"])

    def _send(self, message: list[str]) -> None:
        with held():
            for worker in self._workers:
                if worker.job is not None:
                    with contextlib.suppress(BrokenPipeError):
                        worker.connection.send_bytes(json.dumps(message).encode())

    def dismiss(self) -> None:
        """End every worker: idle ones at their leave, busy ones by SIGTERM, deaf ones by SIGKILL.

        A second Ctrl-C meanwhile kills those that are left at once.
        """
        with held():
            for worker in self._workers:
                if worker.job is None:
                    with contextlib.suppress(OSError):
                        worker.connection.send_bytes(b"null")
                else:
                    worker.process.terminate()
            until = time.monotonic() + _LEAVE_SECONDS
            for worker in self._workers:
                while worker.process.is_alive() and time.monotonic() < until and not came_again():
                    worker.process.join(_LOOK_SECONDS)
                if worker.process.is_alive():
                    worker.process.kill()
                    worker.process.join()
                worker.connection.close()
            self._workers.clear()

    def _hire(self) -> _Worker:
        number = min(set(range(self._limit)) - {worker.number for worker in self._workers})
        context = _context()
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_work,
            args=(theirs, number, self._start, self._arguments, str(self._log), dict(os.environ)),
            daemon=True,
        )
        with _starting, _deaf_to_interrupts(), _without_main():
            _start(process)
            theirs.close()
            self._workers.append(_Worker(number, process, ours))
        return self._workers[-1]

    def _hear(self, worker: _Worker) -> Event | None:
        """A worker's next message, or its death; the dead leave the crew."""
        try:
            if worker.connection.poll():
                message = json.loads(worker.connection.recv_bytes())
                if message == ["ready"] and worker.job is not None:
                    self._on_ready(worker.job)
                event = _event(message, worker)
                if event is not None and event.text == _OUT_OF_MEMORY:  # what it still holds, the next job would lack
                    worker.process.kill()
                    self._bury(worker)
                return event
        except (EOFError, OSError):
            worker.process.join(5)
        if worker.process.is_alive():
            return None
        self._bury(worker)
        return _ended(worker, "failed", _death(worker.process.exitcode))

    def _bury(self, worker: _Worker) -> None:
        worker.process.join(5)
        self._workers.remove(worker)
        worker.connection.close()


def _start(process: multiprocessing.process.BaseProcess) -> None:
    """Start a process; what it is forked from may have been killed, and is then still leaving."""
    until = time.monotonic() + _LEAVE_SECONDS
    while True:
        try:
            return process.start()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def prepare() -> None:
    """Have what workers need loaded meanwhile, by the process that they are forked from; returns at once."""
    if _FORKS:
        with _deaf_to_interrupts():
            _context()
            multiprocessing.forkserver.ensure_running()


def _context() -> Any:
    """How workers start: forked from a process that has loaded what they need, and no more.

    Not from this one, whose threads and locks they would share. Where forks of loaded libraries are unsafe (macOS), or
    unknown (Windows), each worker loads all by itself.
    """
    if not _FORKS:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ctlr.preloaded"])
    return context


def _event(message: list[Any], worker: _Worker) -> Event | None:
    match message:
        case ["progress", int(done), int(total), dict(row)] if worker.job is not None:
            return Event(worker.job, "progress", done, total, _numbers(row), row)
        case ["finished" | "stopped" | "taken" as state, str(text)]:
            return _ended(worker, state, text)
        case ["failed", str(reason), str(told)]:
            return _ended(worker, "failed", reason, told)
        case ["fault", str(reason)]:
            raise WorkspaceError(reason)
    return None


def _numbers(row: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value:.4g}" for name, value in row.items() if name not in ("epoch", "seconds", "lr"))


def _ended(worker: _Worker, state: str, text: str, told: str = "") -> Event | None:
    job, worker.job = worker.job, None
    return None if job is None else Event(job, state, text=text, told=told)


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Have a process that starts in the block never hear Ctrl-C.

    A terminal interrupts the whole group, workers that are still loading among them; the parent decides what ends.
    """
    multiprocessing.resource_tracker.ensure_running()  # it lets interrupts through when it starts
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which the child inherits
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Have a process that starts in the block not run the program's main module, which a spawned one does.

    A script that starts a run without `if __name__ == "__main__":` would start it again in every worker. What workers
    perform is importable by its name, so that they need nothing of it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _death(code: int | None) -> str:
    if code == -signal.SIGKILL or (_FORKS and code == _PARENTLESS):
        return "the worker was killed (signal 9), most likely for want of memory; lower `batch_size` or --workers"
    if code is not None and code < 0:
        return f"the worker ended by signal {-code} ({signal.Signals(-code).name})"
    return f"the worker ended with exit code {code}"


# ---------------------------------------------------------------- in the worker


class _Stopped(Exception):
    """The parent wants the job under way ended."""


def _work(
    connection: Connection,
    number: int,
    start: Callable[..., Perform],
    arguments: tuple[Any, ...],
    log: str,
    environment: Mapping[str, str],
) -> None:
    """A worker's life."""
    _die_with_parent()
    _die_first()
    os.environ.clear()
    os.environ.update(environment)  # what it was forked from began with an older one
    signal.signal(signal.SIGTERM, _leave)

    @functools.cache
    def perform() -> Perform:
        loaded = start(number, *arguments)
        connection.send_bytes(b'["ready"]')
        return loaded

    with contextlib.suppress(EOFError, BrokenPipeError):
        while (message := json.loads(connection.recv_bytes())) is not None:
            match message:
                case ["job", str(name), str(kind), str(payload)]:
                    progress = functools.partial(_progress, connection, name)
                    connection.send_bytes(json.dumps(_attempt(perform, kind, payload, progress, Path(log))).encode())
            # A wish to stop that comes after its job has ended is void.


def _leave(number: int, frame: types.FrameType | None) -> None:
    """End by the signal that came; what was claimed is free for others at once."""
    give_all_back()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _progress(connection: Connection, name: str, done: int, total: int, row: Mapping[str, float]) -> None:
    """Tell the parent, and hear whether it wants the job to go on."""
    connection.send_bytes(json.dumps(["progress", done, total, dict(row)]).encode())
    paused = False
    while paused or connection.poll():
        message = json.loads(connection.recv_bytes())
        if message == ["stop", name]:
            raise _Stopped
        paused = message == ["pause"] or (paused and message != ["go on"])


def _attempt(perform: Callable[[], Perform], kind: str, payload: str, progress: Any, log: Path) -> list[str]:
    """Do one job; whatever it raises becomes a reason."""
    try:
        return ["finished", perform()(kind, payload, progress)]
    except _Stopped:
        return ["stopped", ""]
    except BrokenPipeError:
        raise
    except TakenOver as error:
        return ["taken", error.reason]
    except WorkspaceError as error:
        return ["fault", str(error)]
    except CtlrError as error:
        return ["failed", error.reason, str(error)]
    except Exception as error:  # noqa: BLE001 (a study's failure is a value, whatever raised it)
        if _lacks_memory(error):
            return ["failed", _OUT_OF_MEMORY, ""]
        return _unexpected(error, log / f"{kind}-{_name_here()}.log")


def _lacks_memory(error: Exception) -> bool:
    """Whether it is want of memory, of the device or for a library, that an error tells."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    told = str(error).lower()
    return any(sign in told for sign in ("out of memory", "allocate memory", "bad_alloc", "failed to map segment"))


@functools.cache
def _name_here() -> str:
    """Of this worker: process ids are alike in every pod that shares the workspace."""
    return secrets.token_hex(4)


def _unexpected(error: Exception, log: Path) -> list[str]:
    """Give the reason in a line; the traceback goes to a file, below those of the worker's earlier failures.

    What a library says may name a file or a person: it is told, and no part of the reason.
    """
    try:
        with disk_faults_named(log.parent):
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a") as file:
                file.writelines(traceback.format_exception(error))
    except WorkspaceError as fault:
        return ["fault", str(fault)]
    first = next(iter(str(error).strip().splitlines()), "no message")
    where = f"(traceback in logs/{log.name})"
    return ["failed", f"{type(error).__name__} {where}", f"{type(error).__name__}: {first} {where}"]


def _die_first() -> None:
    """Have Linux kill a worker, the largest one, where memory runs out, before what all workers depend on.

    The process that they are forked from has loaded as much as most of them, and its end would be the end of all.
    """
    own = Path("/proc/self/oom_score_adj")
    with contextlib.suppress(OSError, ValueError):  # not Linux, or /proc is hidden
        own.write_text(str(min(int(own.read_text()) + _EXPENDABLE, 1000)))


def _die_with_parent() -> None:
    """Ask Linux to end this process when its parent is killed: an orphan would write beside the next run.

    A forked worker's parent is the process that loads; that one ends with ours, as soon as no worker keeps the pipe
    open by which it notices.
    """
    if sys.platform != "linux":
        return
    if isinstance(multiprocessing.process.current_process(), multiprocessing.context.ForkServerProcess):
        os.close(multiprocessing.forkserver._forkserver._forkserver_alive_fd)  # type: ignore[attr-defined]
    pr_set_pdeathsig = 1
    before = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is None or os.getppid() != before or not parent.is_alive():  # it was killed before we asked
        os._exit(1)
