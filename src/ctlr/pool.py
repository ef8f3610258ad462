"""Jobs that need one another, done by a crew of worker processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctlr.crew import Crew, Event, Job, Perform
from ctlr.interrupts import held

__all__ = ["Event", "Job", "Outcome", "Perform", "run_jobs"]


@dataclass(frozen=True)
class Outcome:
    """What came of a job: its JSON answer, or the reason of its failure in one line."""

    answer: str = ""
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return not self.reason


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
        start, arguments, workers, log: See `Crew`.
        on_event: Told what happens, in this process.

    Returns:
        An outcome for each job.

    Raises:
        WorkspaceError: The workspace can take no more (full disk): going on would fail every job.
        KeyboardInterrupt: Passed on after every worker has ended.
    """
    board = _Board(jobs, on_event)
    crew = Crew(start, arguments, workers, log)
    with held():  # signals act where the crew listens
        try:
            while not board.finished:
                while crew.has_room and (job := board.take()) is not None:
                    crew.give(job)
                for event in crew.listen():
                    board.note(event)
        finally:
            crew.dismiss()
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

    def take(self) -> Job | None:
        """The dearest job that can start now, started."""
        pending = self.waiting.keys() | self.running
        job = next((job for job in self.waiting.values() if pending.isdisjoint(job.needs)), None)
        if job is not None:
            del self.waiting[job.id]
            self.running.add(job.id)
            self.on_event(Event(job, "started"))
        return job

    def note(self, event: Event) -> None:
        """Pass on what happened; a failed job fails what needed it."""
        if event.state == "progress":
            self.on_event(event)
            return
        self.running.remove(event.job.id)
        done = event.state == "finished"
        self._settle(event.job, Outcome(answer=event.text) if done else Outcome(reason=event.text))

    def _settle(self, job: Job, outcome: Outcome) -> None:
        self.outcomes[job.id] = outcome
        self.on_event(Event(job, "finished" if outcome.ok else "failed", text=outcome.answer or outcome.reason))
        if outcome.ok:
            return
        for other in [other for other in self.waiting.values() if job.id in other.needs]:
            if self.waiting.pop(other.id, None) is not None:
                self._settle(other, Outcome(reason=f"{job.kind} failed: {outcome.reason}"))
