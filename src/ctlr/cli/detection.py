"""What `ctlr plan --detect` says."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctlr.cli.show import show, show_rows
from ctlr.config import BenchmarkConfig
from ctlr.outcome.detection import Foretold, foretell
from ctlr.plan import Plan
from ctlr.report.wording import METRIC_WORDS

__all__ = ["detected", "say_detected"]


def detected(
    config: BenchmarkConfig, plan: Plan, workspace: Path, subjects: Mapping[str, int], gain: float, file: Path
) -> dict[str, Any]:
    """What a benchmark would show of a gain, for programs; with `pilot`, the run that is missing, where one is."""
    rows = foretell(config, plan, workspace, subjects, gain)
    found = {"gain": gain, "power": 0.8, "rows": [row.model_dump(mode="json") for row in rows]}
    if any(row.seen is None for row in rows):
        found["pilot"] = _pilot(config, workspace, file)
    return found


def _pilot(config: BenchmarkConfig, workspace: Path, file: Path) -> str:
    """The command that shows the spread; what it finishes, the whole run need not do again."""
    seeds = ", ".join(map(str, (*config.seeds, *(s for s in range(3) if s not in config.seeds))[:3]))
    return shlex.join(["ctlr", "run", str(file), "--set", f"seeds=[{seeds}]", "--workspace", str(workspace)])


def say_detected(found: Mapping[str, Any]) -> None:
    """Print it: a sentence a size, and what other numbers of seeds and test subjects would show."""
    rows = [Foretold.model_validate(row, strict=False) for row in found["rows"]]
    several = len({(row.transfer, row.encoder) for row in rows}) > 1
    show("\n".join(_sentence(row, found["gain"], several) for row in rows), "table")
    if "pilot" in found:
        show(
            "Where no spread was seen, nothing can be told: two seeds or more of scratch and of another method have to "
            f"be finished in the workspace. A pilot, which the whole run then goes on from:\n  {found['pilot']}\n"
            "or a cut-down copy of the file, in this workspace or in one that `--workspace` names.",
            "table",
        )
    known = [row for row in rows if row.seen is not None]
    if known:
        measure = f" ({known[0].unit})" if len({row.unit for row in known}) == 1 and known[0].unit else ""
        show_rows(
            f"Gains{measure} that are seen with 80 % power after Holm's correction",
            [cells for row in known for cells in _grid(row, several)],
        )


def _sentence(row: Foretold, gain: float, several: bool) -> str:
    where = f"{row.transfer}, {row.encoder}, " if several else ""
    start = f"{where}n = {row.n_train}:"
    if row.seen is None:
        return f"{start} no spread was seen."
    methods, seeds, tested = row.seen
    metric, measure = METRIC_WORDS[row.metric], f" {row.unit}" if row.unit else ""
    shown = (
        "one seed gives no verdict."
        if row.detectable is None
        else f"with {row.seeds} seeds and {row.test_subjects} test subjects you will see gains in {metric} above "
        f"{row.detectable:.2g}{measure} only (above {row.detectable_alone:.2g} in a single comparison, here are "
        f"{row.comparisons})."
    )
    seen = f"Spread of {_many(methods, 'method')}, {seeds} seeds, {tested} test subjects."
    return f"{start} {shown} {_needs(row, gain, measure)} {seen}"


def _needs(row: Foretold, gain: float, measure: str) -> str:
    enough = row.detectable is not None and row.detectable <= gain
    if enough:
        return f"That is enough for {gain:g}{measure}."
    seeds = (
        f"{row.seeds_needed} seeds"
        if row.seeds_needed is not None
        else f"more test subjects, since no number of seeds is enough with {row.test_subjects}"
    )
    words = f"For {gain:g}{measure} take {seeds}"
    if row.test_subjects_needed is not None:
        return f"{words}, or {row.test_subjects_needed} test subjects."
    return f"{words}; more test subjects alone are not enough with {_many(row.seeds, 'seed')}."


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def _grid(row: Foretold, several: bool) -> list[dict[str, Any]]:
    """One line a number of test subjects, one column a number of seeds."""
    found: dict[int, dict[str, Any]] = {}
    for cell in row.grid:
        head = {"transfer": row.transfer, "encoder": row.encoder} if several else {}
        line = found.setdefault(
            cell.test_subjects, {**head, "n": str(row.n_train), "test subjects": str(cell.test_subjects)}
        )
        line[f"{cell.seeds} seeds"] = f"{cell.gain:.2g}"
    return list(found.values())
