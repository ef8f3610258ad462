"""Jobs that need one another, done by a crew of worker processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctlr.crew import Crew, Event, Job, Perform
from ctlr.interrupts import held

__all__ = ["LOOK_SECONDS", "Event", "Job", "Outcome", "Perform", "run_jobs"]

LOOK_SECONDS = 1.0
"""Between two looks at jobs that other runs are at."""


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
    elsewhere: Callable[[Job], Outcome | None] | None = None,
    taken: Callable[[Job], bool] = lambda job: False,
) -> dict[str, Outcome]:
    """Run jobs in worker processes, each as soon as what it needs is done.

    Other runs may be at the same jobs: one that is taken is passed over until it is done, or free again.

    Args:
        jobs: In any order; a need that is not among them counts as done.
        start, arguments, workers, log: See `Crew`.
        on_event: Told what happens, in this process.
        elsewhere: What came of a job that another run has done; None while none has.
        taken: Whether another run is at a job now.

    Returns:
        An outcome for each job.

    Raises:
        WorkspaceError: The workspace can take no more (full disk): going on would fail every job.
        KeyboardInterrupt: Passed on after every worker has ended.
    """
    board = _Board(jobs, on_event, elsewhere, taken)
    crew = Crew(start, arguments, workers, log, lambda job: on_event(Event(job, "ready")))
    with held():  # signals act where the crew listens
        try:
            while not board.finished:
                while crew.has_room and (job := board.take()) is not None:
                    if crew.hires:
                        on_event(Event(job, "starting"))
                    crew.give(job)
                if not board.finished:
                    for event in crew.listen(LOOK_SECONDS if board.passed_over else None):
                        board.note(event)
        finally:
            crew.dismiss()
    return board.outcomes


class _Board:
    """Which jobs wait, run and are done."""

    def __init__(
        self,
        jobs: Sequence[Job],
        on_event: Callable[[Event], None],
        elsewhere: Callable[[Job], Outcome | None] | None,
        taken: Callable[[Job], bool],
    ) -> None:
        self.waiting = {job.id: job for job in sorted(jobs, key=lambda job: -job.cost)}
        self.running: set[str] = set()
        self.outcomes: dict[str, Outcome] = {}
        self.on_event, self.elsewhere, self.taken = on_event, elsewhere, taken
        self.passed_over = False
        """Whether a job could start, were others not at it."""

    @property
    def finished(self) -> bool:
        """Whether nothing waits or runs."""
        return not self.waiting and not self.running

    def take(self) -> Job | None:
        """The dearest job that can start now, started; those that others have done meanwhile are settled."""
        while True:
            self.passed_over, before = False, len(self.outcomes)
            for job in list(self.waiting.values()):
                if job.id not in self.waiting or not self._is_ready(job):
                    continue
                outcome = self.elsewhere(job) if self.elsewhere is not None else None
                if outcome is not None:
                    del self.waiting[job.id]
                    self._settle(job, outcome)
                elif self.taken(job):
                    self.passed_over = True
                else:
                    del self.waiting[job.id]
                    self.running.add(job.id)
                    self.on_event(Event(job, "started"))
                    return job
            if len(self.outcomes) == before:  # else what needed those that are settled may start now
                return None

    def _is_ready(self, job: Job) -> bool:
        return not any(need in self.waiting or need in self.running for need in job.needs)

    def note(self, event: Event) -> None:
        """Pass on what happened; a failed job fails what needed it."""
        if event.state == "progress":
            self.on_event(event)
            return
        self.running.remove(event.job.id)
        if event.state == "taken":
            self.waiting[event.job.id] = event.job
            self.on_event(event)
            return
        done = event.state == "finished"
        self._settle(event.job, Outcome(answer=event.text) if done else Outcome(reason=event.text), event.told)

    def _settle(self, job: Job, outcome: Outcome, told: str = "") -> None:
        self.outcomes[job.id] = outcome
        state = "finished" if outcome.ok else "failed"
        self.on_event(Event(job, state, text=outcome.answer or outcome.reason, told=told))
        if outcome.ok:
            return
        for other in [other for other in self.waiting.values() if job.id in other.needs]:
            if self.waiting.pop(other.id, None) is not None:
                self._settle(other, Outcome(reason=f"{job.kind} failed: {outcome.reason}"))
