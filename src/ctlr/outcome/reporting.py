"""The report of a benchmark in its workspace."""

from __future__ import annotations

from pathlib import Path

from ctlr.report.finished import Finished
from ctlr.report.page import build_report
from ctlr.workspace import write_aside

__all__ = ["write_report"]


def write_report(finished: Finished) -> Path:
    """Write the report into `reports/<name>` of the workspace, unless the one that stands there says the same.

    Returns:
        Path of `report.html`.
    """
    config = finished.config
    out = finished.root / "reports" / config.name
    identity, mark = finished.identity(), out / "identity"
    if mark.exists() and mark.read_text() == identity:
        return out / "report.html"
    page = build_report(
        finished.results, title=config.name, description=config.description, root=finished.root, out=out,
        command=finished.command, config_yaml=finished.yaml, environment=finished.environment,
        excluded=finished.excluded, wall_seconds=finished.seconds, bootstrap=config.report.bootstrap,
        confidence=finished.level, searches=finished.searches, budget=finished.budget,
        validation=finished.validation, transfers=finished.transfers, at_defaults=finished.at_defaults,
    )  # fmt: skip
    write_aside(mark, identity.encode())
    return page
