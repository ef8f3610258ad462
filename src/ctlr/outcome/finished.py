"""What stands of a benchmark in a workspace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ctlr.config import BenchmarkConfig
from ctlr.data.store import read_table
from ctlr.data.summary import summarise
from ctlr.engine import collect, collect_at_defaults, collect_least_errors, collect_transfers
from ctlr.plan import Plan, make_plan
from ctlr.report.finished import Finished
from ctlr.specs import SearchResult, StoredArrays, StudyResult, TargetSummary
from ctlr.workspace import Workspace

__all__ = ["read_finished"]


def read_finished(
    config: BenchmarkConfig,
    workspace: Workspace,
    arrays: Mapping[str, StoredArrays],
    searches: Sequence[SearchResult] = (),
    *,
    environment: Mapping[str, str],
    seconds: float = 0.0,
    folder: Path | None = None,
    typed: str = "",
) -> Finished:
    """Read a benchmark as far as it has been run.

    There is no result as long as images are not stored or searches have not ended: nothing of a tuned benchmark is to
    be reported with options as they were before.

    Args:
        config: The benchmark.
        workspace: Where results lie.
        arrays: Stored arrays by the dataset's name.
        searches: What tuning found.
        environment: Versions, commit and machine, as `ctlr.outcome.provenance.environment` gives them.
        seconds: That the runs have taken; 0 when unknown.
        folder: Of the benchmark's file, where that is known.
        typed: The command that began it; empty without one.
    """
    found = Finished(
        config=config, root=workspace.root, results=(), searches=tuple(searches), environment=environment,
        seconds=seconds, arrays=dict(arrays), folder=folder, typed=typed,
        excluded=tuple(f"{name}: {each.reason}" for name, stored in arrays.items() for each in stored.excluded),
    )  # fmt: skip
    plan, lost = make_plan(config), list[StudyResult]()
    if len(arrays) < len(plan.datasets) or len(searches) < len(plan.searches):
        return found
    if plan.searches:
        from ctlr.searches import tuned_plan  # brings the samplers, which are slow to load

        plan, lost = tuned_plan(plan, searches)
    return replace(
        found, targets=_targets(plan, arrays, workspace), results=(*collect(plan, arrays, workspace), *lost),
        transfers=tuple(collect_transfers(plan, arrays, workspace)),
        at_defaults=tuple(collect_at_defaults(plan, arrays, workspace)),
        least_errors=tuple(collect_least_errors(plan, arrays, workspace)),
    )  # fmt: skip


def _targets(plan: Plan, arrays: Mapping[str, StoredArrays], workspace: Workspace) -> tuple[TargetSummary, ...]:
    """What is stored of each target, source target and column that is learned beside it."""
    ends = [end for study in plan.studies for end in study.learned]
    return tuple(
        summarise(read_table(arrays[name], workspace), end, arrays[name].units)
        for (name, _), end in {(end.data.name, end.task.name): end for end in ends}.items()
    )
