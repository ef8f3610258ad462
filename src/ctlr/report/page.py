"""The report: one self-contained HTML file, tables beside it, and a model card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from ctlr.report.privacy import scrub
from ctlr.specs import SearchResult, StudyResult, TransferScores
from ctlr.workspace import disk_faults_named, write_aside

__all__ = ["build_report"]


def build_report(
    results: Sequence[StudyResult],
    *,
    title: str,
    description: str,
    root: Path,
    out: Path,
    command: str,
    config_yaml: str,
    environment: Mapping[str, str],
    excluded: Sequence[str],
    wall_seconds: float,
    bootstrap: int = 2000,
    confidence: float = 0.95,
    searches: Sequence[SearchResult] = (),
    budget: Literal["trials", "seconds"] = "trials",
    validation: str = "holdout",
    transfers: Sequence[TransferScores] = (),
    at_defaults: Sequence[StudyResult] = (),
) -> Path:
    """Write `report.html`, `results.csv`, `model-card.md`, `models.json` and `tables/*` into a folder.

    With several pairs of source and target, a section says which of them gained, and whether a score told beforehand.
    With searches, a section on tuning stands in the report, and every trial in `trials.csv`.

    Equal results give equal bytes: nothing of the day, the machine's paths or its user enters.

    Args:
        results: Every study, failed ones too.
        title: Of the benchmark.
        description: What it asks.
        root: Of the workspace; `result.path` lies below.
        out: Folder to write to; made when it does not exist.
        command: That made the results.
        config_yaml: The resolved configuration.
        environment: Package versions, git commit, platform.
        excluded: Why each image that was left out is bad.
        wall_seconds: Of the whole run; 0 when unknown.
        bootstrap: Draws of pairs behind the interval of a rank correlation.
        confidence: Share of intervals that hold the true value.
        searches: What tuning tried and chose; their trials' validation predictions lie below `root`.
        budget: What every search was given the same of, trials or device seconds.
        validation: How trials were judged: holdout, kfold:K or repeats:R.
        transfers: What scores and distances said of each pair of source and target.
        at_defaults: Of tuned studies with the options in the file: what tuning is worth is measured against them.

    Returns:
        Path of `report.html`.

    Raises:
        DataError: Studies of one transfer were tested on different subjects, or a history is damaged.
        WorkspaceError: The folder cannot be written.
    """
    # scikit-learn and matplotlib are slow to load: whoever imports this module and builds no report does without.
    from ctlr.report.contents import contents
    from ctlr.report.formats import records_csv, to_csv, to_latex, to_markdown
    from ctlr.report.model_card import model_card, model_records
    from ctlr.report.templating import render

    found = contents(
        results, root=root, environment=environment, excluded=excluded, wall_seconds=wall_seconds,
        bootstrap=bootstrap, level=confidence, searches=searches, budget=budget, validation=validation,
        transfers=transfers, at_defaults=at_defaults,
    )  # fmt: skip
    prose = {
        "title": scrub(title), "description": scrub(description), "command": scrub(command),
        "config_yaml": scrub(config_yaml),
    }  # fmt: skip
    records = [result.record() | {"reason": scrub(result.reason)} for result in found.results]
    files = {
        f"tables/{table.name}.{suffix}": write(table)
        for table in found.written
        for suffix, write in (("csv", to_csv), ("md", to_markdown), ("tex", to_latex))
    }
    files["results.csv"] = records_csv(records)
    if found.tuning is not None:
        files["trials.csv"] = records_csv(found.tuning.records)
    files["model-card.md"] = model_card(found.views, title=prose["title"], root=root)
    files["models.json"] = json.dumps(model_records(found.views), indent=1)
    files["report.html"] = render("report.html.j2", found=found, **prose)
    with disk_faults_named(out):
        (out / "tables").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_aside(out / name, text.encode())
    return out / "report.html"
