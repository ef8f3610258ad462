"""Follows a search on stderr, as a run is followed: below the trials that have ended, or a line for each of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, Self

from rich.text import Text

from ctlr.crew import Event, Job, TrialNews
from ctlr.display._board import Sight, board, status
from ctlr.display._memory import Memory
from ctlr.display._run import LINE_SECONDS, JsonLines
from ctlr.display._screen import Screen
from ctlr.events import Teller, UnkeptLog
from ctlr.runs import Run, Search, outlook
from ctlr.specs import Experiment, Trial, TrialReport

__all__ = ["SearchDisplay", "SearchLines", "SearchSilent", "SearchWatcher", "short"]


class SearchWatcher(Protocol):
    """Told what happens to trials, while it is entered."""

    def __enter__(self) -> Any:
        """Trials begin."""

    def __exit__(self, *error: object) -> None:
        """They have ended, or were interrupted."""

    def __call__(self, trial: Trial, report: TrialReport | None) -> None:
        """A trial was proposed, has reported, or has ended."""


class SearchSilent:
    """Tells nobody."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing."""

    def __call__(self, trial: Trial, report: TrialReport | None) -> None:
        """Nothing."""


class SearchLines:
    """Writes what happens to stderr as lines of JSON: the events of a search.

    Args:
        experiment: Its objective and counts are told.
        max_trials: In place of the manifest's.
    """

    def __init__(self, experiment: Experiment, max_trials: int | None = None) -> None:
        self._told = _Told(experiment, max_trials, UnkeptLog(JsonLines().told))

    def __enter__(self) -> Self:
        self._told.begin()
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._told.end()

    def __call__(self, trial: Trial, report: TrialReport | None) -> None:
        """Write it."""
        self._told(trial, report)


class SearchDisplay:
    """Shows what happens to trials.

    Args:
        experiment: Its objective and counts are shown.
        max_trials: In place of the manifest's.
        earlier: Trials that had ended before, in a run that this one continues: counted, and not shown again.
    """

    def __init__(self, experiment: Experiment, max_trials: int | None = None, *, earlier: Iterable[Trial] = ()) -> None:
        self._metric, self._total = experiment.objective.metric, max_trials or experiment.max_trials
        self._run, self._memory, self._last = Run(experiment.name), Memory(), time.monotonic()
        self._screen = Screen(self._lines, self._tick)
        self._told = _Told(experiment, max_trials, UnkeptLog(self._run.take))
        self._told.begin()
        for trial in earlier:
            self._told(trial, None)
        self._told.restart()

    def __enter__(self) -> Self:
        self._screen.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._screen.__exit__(*error)

    def __call__(self, trial: Trial, report: TrialReport | None) -> None:
        """Take in that a trial was proposed, has reported, or has ended."""
        with self._screen.lock:
            self._told(trial, report)
        if trial.ended:
            self._last = time.monotonic()
            self._screen.say(self._ended(trial))

    def _ended(self, trial: Trial) -> Text:
        ended, failed = len(self._search.order), trial.status == "Failed"
        place = f"[{ended}/{self._total}]" if self._total else f"[{ended}]"
        came = f"FAILED: {trial.reason}" if failed else self._value(trial)
        stopped = "" if trial.status in ("Succeeded", "Failed") else f" ({trial.status})"
        line = f"{place} {trial.name} {came}{stopped} {trial.seconds:.1f} s  {_settings(trial)}"
        return Text(line, style="red" if failed else "")

    @property
    def _search(self) -> Search:
        return next(iter(self._run.searches.values()))

    def _value(self, trial: Trial) -> str:
        return f"{self._metric}={trial.value:.4g}" if trial.value is not None else f"no {self._metric}"

    def _tick(self) -> None:
        if not self._screen.is_live and time.monotonic() - self._last >= LINE_SECONDS:
            self._last = time.monotonic()
            self._screen.say(status(self._run, self._sight()))

    def _lines(self, width: int, height: int) -> list[Text]:
        return board(self._run, self._sight(), width, height)

    def _sight(self) -> Sight:
        now = time.time()
        return Sight(now=now, outlook=outlook(self._run, now), memory=self._memory.words)


class _Told:
    """Tells a log what happens to trials, as a run tells of its searches."""

    def __init__(self, experiment: Experiment, max_trials: int | None, log: UnkeptLog) -> None:
        self._log, self._tell = log, Teller(log)
        self._job = Job(experiment.name, "tune", "")
        self._facts: Mapping[str, Any] = {
            "metric": experiment.objective.metric, "direction": experiment.objective.direction[:3],
            "trials": max_trials or experiment.max_trials, "budget_seconds": None,
        }  # fmt: skip

    def begin(self) -> None:
        self._tell(Event(self._job, "started", facts=self._facts))

    def restart(self) -> None:
        """Have the clock begin now."""
        self._log.write("run.began", benchmark=self._job.id, identity=None, studies=0, workers=1)
        self.begin()

    def end(self) -> None:
        self._tell(Event(self._job, "finished"))

    def __call__(self, trial: Trial, report: TrialReport | None) -> None:
        self._tell(Event(self._job, "trial", trial=TrialNews(1, trial, report)))


def _settings(trial: Trial) -> str:
    return " ".join(f"{name}={short(value)}" for name, value in trial.assignments.items())


def short(text: str) -> str:
    """A long decimal in four digits."""
    try:
        return f"{float(text):.4g}" if len(text) > 8 else text
    except ValueError:
        return text
