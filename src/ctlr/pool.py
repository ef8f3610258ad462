"""Worker processes that keep torch loaded and survive one another's deaths."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import multiprocessing
import multiprocessing.connection
import multiprocessing.resource_tracker
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ctlr.errors import CtlrError, WorkspaceError
from ctlr.workspace import disk_faults_named

__all__ = ["Event", "Job", "Outcome", "run_jobs"]


@dataclass(frozen=True)
class Job:
    """A piece of work for one worker.

    Attributes:
        id: Unique name.
        kind: What is to be done; the worker's function knows it.
        payload: JSON.
        needs: Ids of jobs that come first; when one of them fails, so does this.
        cost: Larger ones start earlier.
    """

    id: str
    kind: str
    payload: str
    needs: tuple[str, ...] = ()
    cost: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What came of a job: its JSON answer, or the reason of its failure in one line."""

    answer: str = ""
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return not self.reason


@dataclass(frozen=True)
class Event:
    """What happens to a job: started, progress (done of total), finished or failed."""

    job: Job
    state: str
    done: int = 0
    total: int = 0
    text: str = ""


Perform = Callable[[str, str, Callable[[int, int, Mapping[str, float]], None]], str]
"""What a worker does: (kind, payload, progress) -> JSON answer."""

_OUT_OF_MEMORY = "out of memory; lower `batch_size` or --workers"


@dataclass
class _Worker:
    number: int
    process: multiprocessing.process.BaseProcess
    connection: Connection
    job: Job | None = None


def run_jobs(
    jobs: Sequence[Job],
    *,
    start: Callable[..., Perform],
    arguments: tuple[Any, ...],
    workers: int,
    log: Path,
    on_event: Callable[[Event], None],
) -> dict[str, Outcome]:
    """Run jobs in worker processes, each as soon as what it needs is done.

    Args:
        jobs: In any order; a need that is not among them counts as done.
        start: Importable; called once in each worker with its number and `arguments`, returns what it performs. Where
            it fails, the worker's first job fails for that reason.
        arguments: Of `start`; plain values.
        workers: Processes at most.
        log: Folder for the tracebacks of unexpected failures.
        on_event: Told what happens, in this process.

    Returns:
        An outcome for each job. One worker's death fails the job that it was at, and no other.

    Raises:
        WorkspaceError: The workspace can take no more (full disk): going on would fail every job.
    """
    board = _Board(jobs, on_event)
    crew: list[_Worker] = []
    try:
        while not board.finished:
            for worker in crew:
                board.assign(worker)
            while len(crew) < workers and board.ready:
                number = min(set(range(workers)) - {worker.number for worker in crew})
                crew.append(_hire(number, start, arguments, log))
                board.assign(crew[-1])
            _listen(crew, board)
    finally:
        _dismiss(crew)
    return board.outcomes


class _Board:
    """Which jobs wait, run and are done."""

    def __init__(self, jobs: Sequence[Job], on_event: Callable[[Event], None]) -> None:
        self.waiting = {job.id: job for job in sorted(jobs, key=lambda job: -job.cost)}
        self.running: set[str] = set()
        self.outcomes: dict[str, Outcome] = {}
        self.on_event = on_event

    @property
    def finished(self) -> bool:
        """Whether nothing waits or runs."""
        return not self.waiting and not self.running

    @property
    def ready(self) -> Job | None:
        """The dearest job that could start now."""
        pending = self.waiting.keys() | self.running
        return next((job for job in self.waiting.values() if pending.isdisjoint(job.needs)), None)

    def assign(self, worker: _Worker) -> None:
        """Give an idle worker a job, if there is one."""
        job = self.ready if worker.job is None else None
        if job is None:
            return
        del self.waiting[job.id]
        self.running.add(job.id)
        worker.job = job
        self.on_event(Event(job, "started"))
        with contextlib.suppress(BrokenPipeError):  # a dead worker is noticed by its sentinel
            worker.connection.send_bytes(json.dumps([job.kind, job.payload]).encode())

    def close(self, worker: _Worker, outcome: Outcome) -> None:
        """Note what came of a worker's job, and fail what needed it if it failed."""
        job, worker.job = worker.job, None
        if job is None:
            return
        self.running.remove(job.id)
        self._settle(job, outcome)

    def _settle(self, job: Job, outcome: Outcome) -> None:
        self.outcomes[job.id] = outcome
        self.on_event(Event(job, "finished" if outcome.ok else "failed", text=outcome.answer or outcome.reason))
        if outcome.ok:
            return
        for other in [other for other in self.waiting.values() if job.id in other.needs]:
            if self.waiting.pop(other.id, None) is not None:
                self._settle(other, Outcome(reason=f"{job.kind} failed: {outcome.reason}"))


def _hire(number: int, start: Callable[..., Perform], arguments: tuple[Any, ...], log: Path) -> _Worker:
    # spawn: a forked child would share torch's threads and locks with its parent.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, number, start, arguments, str(log)), daemon=True)
    with _interrupts_held():
        process.start()
    theirs.close()
    return _Worker(number, process, ours)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Keep Ctrl-C back while a process starts, which inherits this and stays deaf to it.

    A terminal interrupts the whole group, workers that are still loading among them; the parent decides what ends.
    """
    multiprocessing.resource_tracker.ensure_running()  # it lets interrupts through when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _listen(crew: list[_Worker], board: _Board) -> None:
    """Wait for the next messages or deaths, and act on them; the dead leave the crew."""
    awaited: dict[Any, _Worker] = {}
    for worker in crew:
        awaited[worker.connection] = worker
        awaited[worker.process.sentinel] = worker
    for worker in {
        id(awaited[source]): awaited[source] for source in multiprocessing.connection.wait(awaited)
    }.values():
        try:
            if worker.connection.poll():
                _receive(json.loads(worker.connection.recv_bytes()), worker, board)
                continue
        except (EOFError, OSError):
            worker.process.join(5)
        if not worker.process.is_alive():
            crew.remove(worker)
            worker.connection.close()
            board.close(worker, Outcome(reason=_death(worker.process.exitcode)))


def _receive(message: list[Any], worker: _Worker, board: _Board) -> None:
    match message:
        case ["progress", int(done), int(total), str(text)] if worker.job is not None:
            board.on_event(Event(worker.job, "progress", done, total, text))
        case ["answer", str(answer)]:
            board.close(worker, Outcome(answer=answer))
        case ["fault", str(reason)]:
            raise WorkspaceError(reason)
        case ["failure", str(reason)]:
            board.close(worker, Outcome(reason=reason))


def _death(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "the worker was killed (signal 9), most likely for want of memory; lower `batch_size` or --workers"
    if code is not None and code < 0:
        return f"the worker ended by signal {-code} ({signal.Signals(-code).name})"
    return f"the worker ended with exit code {code}"


def _dismiss(crew: Iterable[_Worker]) -> None:
    """End every worker: idle ones at their leave, busy ones by SIGTERM, deaf ones by SIGKILL."""
    crew = list(crew)
    for worker in crew:
        if worker.job is None:
            with contextlib.suppress(OSError):
                worker.connection.send_bytes(b"null")
        else:
            worker.process.terminate()
    for worker in crew:
        worker.process.join(5)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.connection.close()


def _work(
    connection: Connection, number: int, start: Callable[..., Perform], arguments: tuple[Any, ...], log: str
) -> None:
    """A worker's life."""
    _die_with_parent()

    @functools.cache
    def perform() -> Perform:
        return start(number, *arguments)

    def progress(done: int, total: int, row: Mapping[str, float]) -> None:
        text = " ".join(f"{name}={value:.4g}" for name, value in row.items() if name not in ("epoch", "seconds", "lr"))
        connection.send_bytes(json.dumps(["progress", done, total, text]).encode())

    with contextlib.suppress(EOFError, BrokenPipeError):
        while (message := json.loads(connection.recv_bytes())) is not None:
            kind, payload = message
            connection.send_bytes(json.dumps(_attempt(perform, kind, payload, progress, Path(log))).encode())


def _attempt(perform: Callable[[], Perform], kind: str, payload: str, progress: Any, log: Path) -> list[str]:
    """Do one job; whatever it raises becomes a reason."""
    try:
        return ["answer", perform()(kind, payload, progress)]
    except BrokenPipeError:
        raise
    except WorkspaceError as error:
        return ["fault", str(error)]
    except CtlrError as error:
        return ["failure", str(error)]
    except MemoryError:
        return ["failure", _OUT_OF_MEMORY]
    except Exception as error:  # noqa: BLE001 (a study's failure is a value, whatever raised it)
        return _unexpected(error, log / f"{kind}-{os.getpid()}.log")


def _unexpected(error: Exception, log: Path) -> list[str]:
    """Give the reason in a line; the traceback goes to a file, below those of the worker's earlier failures."""
    if "out of memory" in str(error) or "can't allocate memory" in str(error):
        return ["failure", _OUT_OF_MEMORY]
    try:
        with disk_faults_named(log.parent):
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a") as file:
                file.writelines(traceback.format_exception(error))
    except WorkspaceError as fault:
        return ["fault", str(fault)]
    first = next(iter(str(error).strip().splitlines()), "no message")
    return ["failure", f"{type(error).__name__}: {first} (traceback in logs/{log.name})"]


def _die_with_parent() -> None:
    """Ask Linux to end this process when its parent is killed: an orphan would write beside the next run."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
        parent = multiprocessing.parent_process()
        if parent is None or os.getppid() != parent.pid:  # it was killed before we asked
            os._exit(1)
