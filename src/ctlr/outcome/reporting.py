"""The report of a benchmark in its workspace."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ctlr import __version__
from ctlr.config import BenchmarkConfig, resolved_yaml
from ctlr.specs import SearchResult, StoredArrays, StudyResult, TransferScores, fingerprint
from ctlr.workspace import Workspace, write_aside

__all__ = ["write_report"]


def write_report(
    config: BenchmarkConfig,
    results: Sequence[StudyResult],
    arrays: Mapping[str, StoredArrays],
    searches: Sequence[SearchResult],
    workspace: Workspace,
    *,
    origin: Mapping[str, str],
    seconds: float,
    transfers: Sequence[TransferScores] = (),
    at_defaults: Sequence[StudyResult] = (),
) -> Path:
    """Write the report into `reports/<name>`, unless the one that stands there says the same.

    Args:
        config: The benchmark.
        results: Of its studies, failed ones too.
        arrays: Stored arrays by the dataset's name.
        searches: What tuning found.
        workspace: Where results lie.
        origin: Versions, commit and machine, as `environment` gives them.
        seconds: That the runs have taken; 0 when unknown.
        transfers: What was foretold of each pair of source and target.
        at_defaults: Of tuned studies with the options in the file.

    Returns:
        Path of `report.html`.
    """
    out = workspace.root / "reports" / config.name
    text = resolved_yaml(config, public=True)
    contents = [value.model_dump_json() for value in (*results, *searches, *transfers, *at_defaults)]
    identity = fingerprint(__version__, text, json.dumps(dict(origin)), str(round(seconds)), *contents)
    mark = out / "identity"
    if mark.exists() and mark.read_text() == identity:
        return out / "report.html"
    from ctlr.report.page import build_report

    page = build_report(
        results,
        title=config.name,
        description=config.description,
        root=workspace.root,
        out=out,
        command=f"ctlr run {config.name}.yaml",
        config_yaml=text,
        environment=origin,
        excluded=[f"{name}: {each.reason}" for name, stored in arrays.items() for each in stored.excluded],
        wall_seconds=seconds,
        bootstrap=config.report.bootstrap,
        confidence=config.report.confidence,
        searches=searches,
        budget="seconds" if config.tuning is not None and config.tuning.trials is None else "trials",
        validation=config.tuning.validation if config.tuning is not None else "holdout",
        transfers=transfers,
        at_defaults=at_defaults,
    )
    write_aside(mark, identity.encode())
    return page
