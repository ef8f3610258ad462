"""Trials that are calls of a Python function, in this process."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Mapping

from ctlr.interrupts import released
from ctlr.specs import Trial
from ctlr.tuning.launchers.launcher import Ended, Reported

__all__ = ["Answer", "FunctionLauncher", "Objective"]

Answer = float | Mapping[str, float]
"""The objective's value, or every metric by name."""

Objective = Callable[[Mapping[str, str]], Answer | Iterator[Answer]]
"""What a trial calls with its assignments; a generator reports at each of its steps."""


class FunctionLauncher:
    """Run trials by calling a function, one step of one trial after another.

    Args:
        function: Called with a trial's assignments. Whatever it raises fails that trial.
        metric: Name of what a bare number is: the experiment's objective.
    """

    def __init__(self, function: Objective, metric: str) -> None:
        self._function = function
        self._metric = metric
        self._waiting: dict[int, Trial] = {}
        self._running: dict[int, tuple[Iterator[Answer], float]] = {}
        self._stopped: list[Reported | Ended] = []

    def start(self, trial: Trial, parent: Trial | None = None) -> None:
        """Put a trial in line."""
        self._waiting[trial.number] = trial

    def wait(self, seconds: float | None) -> list[Reported | Ended]:
        """Take the trial whose turn it is one step further."""
        events, self._stopped = self._stopped, []
        if events:
            return events
        if self._waiting:
            number = next(iter(self._waiting))
            trial = self._waiting.pop(number)
            return self._attempt(number, time.monotonic(), lambda: self._call(trial))
        if self._running:
            number = next(iter(self._running))
            steps, started = self._running.pop(number)
            return self._attempt(number, started, lambda: self._step(number, steps, started))
        return []

    def seconds(self, number: int) -> float:
        """Since its first step."""
        return time.monotonic() - self._running[number][1] if number in self._running else 0.0

    def stop(self, number: int) -> None:
        """Take a trial out of the line."""
        started = time.monotonic()
        if number in self._running:
            steps, started = self._running.pop(number)
            with released():
                getattr(steps, "close", lambda: None)()
        elif self._waiting.pop(number, None) is None:
            return
        self._stopped.append(Ended(number, ok=False, seconds=time.monotonic() - started, stopped=True))

    def close(self) -> None:
        """Forget every trial."""
        for number in [*self._waiting, *self._running]:
            self.stop(number)
        self._stopped.clear()

    def _call(self, trial: Trial) -> list[Reported | Ended]:
        started = time.monotonic()
        with released():
            answer = self._function(trial.assignments)
        if isinstance(answer, Iterator):
            return self._step(trial.number, answer, started)
        seconds = time.monotonic() - started
        return [
            Reported(trial.number, self._metrics(answer), seconds),
            Ended(trial.number, ok=True, seconds=seconds),
        ]

    def _step(self, number: int, steps: Iterator[Answer], started: float) -> list[Reported | Ended]:
        try:
            with released():
                answer = next(steps)
        except StopIteration:
            return [Ended(number, ok=True, seconds=time.monotonic() - started)]
        self._running[number] = steps, started
        return [Reported(number, self._metrics(answer), time.monotonic() - started)]

    def _metrics(self, answer: Answer) -> dict[str, float]:
        if isinstance(answer, Mapping):
            return {name: float(value) for name, value in answer.items()}
        return {self._metric: float(answer)}

    def _attempt(
        self, number: int, started: float, step: Callable[[], list[Reported | Ended]]
    ) -> list[Reported | Ended]:
        try:
            return step()
        except Exception as error:  # noqa: BLE001 (a trial's failure is a value, whatever raised it)
            self._running.pop(number, None)
            first = next(iter(str(error).strip().splitlines()), "no message")
            tail = "".join(traceback.format_exception(error))
            seconds = time.monotonic() - started
            return [Ended(number, ok=False, reason=f"{type(error).__name__}: {first}", tail=tail, seconds=seconds)]
        except KeyboardInterrupt:
            self._running[number] = iter(()), started  # it has not ended: the engine stops it
            raise
