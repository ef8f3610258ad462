"""The report of a benchmark in its workspace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ctlr.durable import LIST, is_whole, list_files
from ctlr.outcome.views import drawn_views
from ctlr.report.finished import Finished
from ctlr.report.page import build_report
from ctlr.workspace import disk_faults_named, sweep, write_aside

__all__ = ["write_report"]


def write_report(finished: Finished) -> Path:
    """Write the report into `reports/<name>` of the workspace, unless the one that stands there says the same.

    Views of a few images are drawn before, where they are not there yet.

    Returns:
        Path of `report.html`.
    """
    finished = replace(finished, views=drawn_views(finished))
    out = finished.root / "reports" / finished.config.name
    identity, mark = finished.identity(), out / "identity"
    if (out / LIST).exists() and is_whole(out) and mark.read_bytes() == identity.encode():
        return out / "report.html"
    with disk_faults_named(out):
        sweep(out)
        page = build_report(finished, out)
        write_aside(mark, identity.encode())
        list_files(out)
    return page
