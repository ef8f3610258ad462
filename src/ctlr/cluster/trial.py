"""One trial of a benchmark's search in a pod of its own: `python -m ctlr.cluster.trial WORKSPACE SUBMISSION JOB`.

What it trains lies in the submission; the command line holds the trial's name and the values of its options. Metrics go
to standard output as Katib's collector reads them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ctlr.cluster.submission import Submission
from ctlr.engine import check_device
from ctlr.errors import CtlrError, TrainingError, WorkspaceError
from ctlr.tuning.engine import OUT_OF_TIME, SILENT
from ctlr.tuning.options import objective_of
from ctlr.tuning.request import TrialJob, metric_line
from ctlr.workspace import Workspace

__all__ = ["job_of", "main"]


def main(words: Sequence[str]) -> int:
    """Run the trial; 0 where it has a value."""
    parser = argparse.ArgumentParser(prog="python -m ctlr.cluster.trial")
    parser.add_argument("workspace", type=Path)
    parser.add_argument("submission")
    parser.add_argument("job")
    parser.add_argument("--name", required=True)
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE")
    given = parser.parse_args(words)
    try:
        submission = Submission(Workspace(given.workspace), given.submission)
        turn = submission.kept("turns", given.job) or {}
        _train(submission, job_of(submission, given.job, given.name, given.set), turn)
    except CtlrError as error:
        sys.stderr.write(f"Error: {error}\n")
        return error.exit_code
    return 0


def job_of(submission: Submission, job: str, name: str, settings: Sequence[str]) -> TrialJob:
    """The job that the submission keeps, with this trial's values.

    Raises:
        WorkspaceError: The submission keeps no such job.
    """
    value = submission.kept("trials", job)
    if value is None:
        raise WorkspaceError(f"Submission {submission.name} keeps no trial {job!r}. Submit the benchmark again.")
    kept = TrialJob.model_validate_json(json.dumps(value))
    folder = None if kept.folder is None else str(Path(kept.folder).with_name(name))
    return kept.model_copy(
        update={"assignments": dict(setting.split("=", 1) for setting in settings), "folder": folder}
    )


class _Over(Exception):
    """A turn ends the trial, which has a value."""


def _train(submission: Submission, job: TrialJob, turn: Mapping[str, float | None]) -> None:
    """Train; in a race no longer than its turn once there is a value, nor beyond the race's goal."""
    from ctlr.steps.trial import run_trial

    check_device(job.device)
    metric, direction = objective_of(job.study, job.stage)
    watch = _Watch(metric, direction, turn.get("seconds"), turn.get("goal"), whole=job.validation != "holdout")

    def report(metrics: Mapping[str, float]) -> None:
        sys.stdout.write(f"{metric_line(metrics, datetime.now(UTC))}\n")
        sys.stdout.flush()
        watch.see(metrics)

    with contextlib.suppress(_Over):
        run_trial(job, submission.arrays(), submission.workspace, report=report, device=job.device)


@dataclass
class _Watch:
    """Ends a trial as the engine of a laptop does, which Katib cannot.

    Attributes:
        metric, direction: It is judged by, and `min` or `max`.
        seconds: That it may take once it has a value, and four times as long before; None for any time.
        goal: At which it is good enough; None for none.
        whole: Whether a value counts only at its end, as that of folds.
    """

    metric: str
    direction: str
    seconds: float | None = None
    goal: float | None = None
    whole: bool = False
    began: float = field(default_factory=time.monotonic)
    valued: bool = False

    def see(self, metrics: Mapping[str, float]) -> None:
        """Hear what the trial has reported; raises where it is to end."""
        value = metrics.get(self.metric)
        self.valued = self.valued or (value is not None and not self.whole)
        if "epoch" not in metrics or "best_epoch" in metrics:
            return  # it has ended by itself
        if value is not None and not self.whole and self._reached(value):
            raise _Over
        if self.seconds is None:
            return
        taken = time.monotonic() - self.began
        if self.valued and taken > self.seconds:
            raise _Over
        if taken > SILENT * self.seconds:
            raise TrainingError(f"its {SILENT * self.seconds:.3g} {OUT_OF_TIME} before it had a value")

    def _reached(self, value: float) -> bool:
        if self.goal is None:
            return False
        return value >= self.goal if self.direction == "max" else value <= self.goal


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
