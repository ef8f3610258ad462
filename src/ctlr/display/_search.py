"""Follows a search on stderr: a live table on a terminal, else one line a trial that has ended."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rich.console import Console
from rich.live import Live
from rich.table import Table

from ctlr.specs import Experiment, Trial, TrialReport
from ctlr.tuning.engine import better

__all__ = ["SearchDisplay", "short"]


class SearchDisplay:
    """Told what happens to trials.

    Args:
        experiment: Its objective and counts are shown.
        max_trials: In place of the manifest's.
        earlier: Trials that had ended before, in a run that this one continues: counted, and not shown again.
    """

    def __init__(self, experiment: Experiment, max_trials: int | None = None, *, earlier: Iterable[Trial] = ()) -> None:
        self._experiment = experiment
        self._total = max_trials or experiment.max_trials
        self._console = Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._began: dict[int, float] = {}
        self._running: dict[int, tuple[Trial, TrialReport | None]] = {}
        self._ended = 0
        self._failed = 0
        self._best: Trial | None = None
        for trial in earlier:
            self._count(trial)

    def __enter__(self) -> SearchDisplay:
        if self._console.is_terminal:
            self._live = Live(self._table(), console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, trial: Trial, report: TrialReport | None) -> None:
        """Take in that a trial was proposed, has reported, or has ended."""
        self._began.setdefault(trial.number, time.monotonic())
        if trial.ended:
            self._running.pop(trial.number, None)
            self._finish(trial)
        else:
            self._running[trial.number] = (trial, report or self._running.get(trial.number, (trial, None))[1])
        if self._live is not None:
            self._live.update(self._table())

    def _count(self, trial: Trial) -> None:
        self._ended += 1
        failed = trial.status == "Failed"
        self._failed += failed
        value, best = trial.value, self._best.value if self._best is not None else None
        if value is not None and not failed and (best is None or better(self._experiment.objective, value, best)):
            self._best = trial

    def _finish(self, trial: Trial) -> None:
        self._count(trial)
        failed = trial.status == "Failed"
        place = f"[{self._ended}/{self._total}]" if self._total else f"[{self._ended}]"
        came = f"FAILED: {trial.reason}" if failed else self._value(trial)
        stopped = "" if trial.status in ("Succeeded", "Failed") else f" ({trial.status})"
        line = f"{place} {trial.name} {came}{stopped} {trial.seconds:.1f} s  {_settings(trial)}"
        self._console.print(line, style="red" if failed else None, markup=False, soft_wrap=True)

    def _value(self, trial: Trial) -> str:
        name = self._experiment.objective.metric
        return f"{name}={trial.value:.4g}" if trial.value is not None else f"no {name}"

    def _table(self) -> Table:
        best = f", best {self._value(self._best)} by {self._best.name}" if self._best is not None else ""
        failed = f", {self._failed} failed" if self._failed else ""
        of = f" of {self._total}" if self._total else ""
        title = f"{self._experiment.name}: {self._ended}{of} trials ended{failed}{best}"
        table = Table(title=title, title_justify="left", box=None, expand=True)
        for column in ("trial", "report", "seconds"):
            table.add_column(column, no_wrap=True, justify="left" if column == "trial" else "right")
        table.add_column("metrics", no_wrap=True)
        table.add_column("assignment", no_wrap=True, overflow="ellipsis", ratio=1)
        for trial, report in self._running.values():
            seconds = f"{time.monotonic() - self._began[trial.number]:.0f}"
            metrics = " ".join(f"{name}={value:.4g}" for name, value in report.metrics.items()) if report else ""
            table.add_row(trial.name, str(report.step) if report else "", seconds, metrics, _settings(trial))
        return table


def _settings(trial: Trial) -> str:
    return " ".join(f"{name}={short(value)}" for name, value in trial.assignments.items())


def short(text: str) -> str:
    """A long decimal in four digits."""
    try:
        return f"{float(text):.4g}" if len(text) > 8 else text
    except ValueError:
        return text
