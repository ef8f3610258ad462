"""The last step: report and records, also of a run that failed on its way."""

from __future__ import annotations

import html
import logging
from pathlib import Path
from typing import Any

from ctlr.cluster.submission import Submission, shut_to_strangers
from ctlr.errors import CtlrError
from ctlr.events import SharedLog
from ctlr.outcome.finished import read_finished
from ctlr.outcome.provenance import environment
from ctlr.outcome.recording import AT_DEFAULTS, Recorder, make_tracker
from ctlr.outcome.reporting import write_report
from ctlr.report.finished import Finished
from ctlr.workspace import Workspace

__all__ = ["report_benchmark"]

log = logging.getLogger("ctlr")


def report_benchmark(workspace: str, submission: str, page: str) -> dict[str, Any]:
    """Write the report of what is finished, and record it where the benchmark says so; whatever came before.

    Args:
        workspace: Folder that every task mounts.
        submission: Its name.
        page: File to write the report to once more, for whoever shows it.

    Returns:
        Counts of studies, and what keeps the report from being whole.

    Raises:
        CtlrError: The tracking server cannot be reached; the report is written.
    """
    shut_to_strangers()
    refused = run = None
    try:
        run = Submission(Workspace(workspace), submission)
        refused = run.kept("faults", "preprocess")
        origin = environment(run.config, run.folder)
        finished = read_finished(run.config, run.workspace, run.arrays(), run.searches(), environment=origin)
        if not finished.results:
            raise CtlrError("No study is finished.")
    except CtlrError as error:  # an earlier task has failed for it
        return _nothing(page, refused or error.reason, run)
    report = write_report(finished)
    SharedLog(run.workspace.root, run.config.name).write("run.ended")
    Path(page).write_bytes(report.read_bytes())
    _record(run, finished, report)
    results = finished.results
    failed = sum(result.status == "failed" for result in results)
    missing = len(run.plan.studies) - len(results)
    log.info("%s: %d studies, %d failed, %d not finished; %s", run.name, len(results), failed, missing, report)
    return {"studies": len(results), "failed": failed, "not_finished": missing, "workspace": str(run.workspace.root),
            "path": str(report.relative_to(run.workspace.root))}  # fmt: skip


def _record(run: Submission, finished: Finished, report: Path) -> None:
    tracker = make_tracker(run.config, run.workspace)
    recorder = Recorder(tracker, run.config, run.workspace, finished.environment, run.arrays())
    with recorder:
        for result in finished.results:
            recorder.put(result)
        for result in finished.at_defaults:
            recorder.put(result, AT_DEFAULTS)
    recorder.conclude(finished, report)
    if recorder.error is not None:
        raise CtlrError(f"{recorder.error} Results are safe in the workspace; submit again to record what is missing.")


def _nothing(page: str, reason: str, run: Submission | None) -> dict[str, Any]:
    log.error("%s", reason)
    if run is not None:
        SharedLog(run.workspace.root, run.config.name).write("run.failed", reason=reason)
    Path(page).write_text(f"<!doctype html><title>CTLR</title><p>There is nothing to report: {html.escape(reason)}</p>")
    return {"studies": 0, "failed": 0, "reason": reason}
