"""One trial of a benchmark's search in a pod of its own: `python -m ctlr.cluster.trial WORKSPACE SUBMISSION JOB`.

What it trains lies in the submission; the command line holds the trial's name and the values of its options. Metrics go
to standard output as Katib's collector reads them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ctlr.cluster.submission import Submission
from ctlr.engine import check_device
from ctlr.errors import CtlrError, WorkspaceError
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
        _train(submission, job_of(submission, given.job, given.name, given.set))
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


def _train(submission: Submission, job: TrialJob) -> None:
    from ctlr.steps.trial import run_trial

    check_device(job.device)
    run_trial(job, submission.arrays(), submission.workspace, report=_report, device=job.device)


def _report(metrics: Mapping[str, float]) -> None:
    sys.stdout.write(f"{metric_line(metrics, datetime.now(UTC))}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
