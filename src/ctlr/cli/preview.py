"""What a run would do: the plan with its shared steps and an estimate of the time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ctlr.cli.show import show, show_rows
from ctlr.config import BenchmarkConfig
from ctlr.cost import Cost, all_subjects, costs
from ctlr.engine import count_subjects, default_workers, known_rates
from ctlr.plan import Plan, make_plan

__all__ = ["preview"]


def preview(
    config: BenchmarkConfig,
    workspace: Path,
    workers: int | None,
    device: str,
    output: str,
    *,
    measured: bool,
    detect: tuple[float, Path] | None = None,
) -> None:
    """Print studies, shared steps and estimated time to stdout; of the data, names alone are read.

    Args:
        config: The benchmark.
        workspace: Where earlier runs left what an image costs.
        workers: Processes that would share the work.
        device: Where it would run.
        output: table, json or yaml.
        measured: Time a few training steps where no earlier run has shown a rate.
        detect: A gain to be seen, and the benchmark's file: what it needs is printed too.
    """
    plan = make_plan(config)
    rates = known_rates(workspace)
    if measured:
        from ctlr.steps.calibrate import measure

        rates = measure(plan, "cuda" if device.startswith("cuda") else "cpu") | rates
    subjects = count_subjects(plan.datasets)
    rows = costs(plan, subjects, rates)
    crew = workers or default_workers(device, config.compute.threads)
    summary = {
        "benchmark": config.name,
        "datasets": [data.name for data in plan.datasets],
        "studies": len(plan.studies),
        "searches": len(plan.searches),
        "studies_at_defaults": len(plan.at_defaults),
        "shared_pretrainings": len(plan.pretrainings),
        "transfer_scores": len(plan.transfers),
        "workers": crew,
        "estimated_seconds": _total(rows, crew),
    }
    foreseen: dict[str, Any] = {}
    if detect is not None:
        from ctlr.cli.detection import detected, say_detected  # brings scipy and scikit-learn, which are slow to load

        foreseen = {"detect": detected(config, plan, workspace, all_subjects(plan, subjects), *detect)}
    if output != "table":
        steps = [row.model_dump(mode="json") for row in rows]
        show(summary | foreseen | {"costs": steps, "study_ids": [study.id for study in plan.studies]}, output)
        return
    show_rows(f"{config.name}: what `ctlr run` does", [_row(row) for row in rows])
    _say(plan, summary)
    if foreseen:
        say_detected(foreseen["detect"])


def _row(cost: Cost) -> dict[str, Any]:
    return {
        "step": cost.stage, "data": cost.data, "method": cost.method, "encoder": cost.encoder, "times": cost.steps,
        "images": "?" if cost.images is None else cost.images,
        "minutes of one worker": "?" if cost.seconds is None else f"{cost.seconds / 60:.1f}",
    }  # fmt: skip


def _total(rows: list[Cost], workers: int) -> float | None:
    """Seconds of the whole run; steps of a few seconds at the most are left out where their rate is unknown."""
    known = [row.seconds for row in rows if row.stage not in ("preprocess", "score") or row.seconds is not None]
    if any(seconds is None for seconds in known):
        return None
    return round(sum(seconds for seconds in known if seconds is not None) / workers, 1)


def _say(plan: Plan, summary: dict[str, Any]) -> None:
    seconds = summary["estimated_seconds"]
    time = (
        "no earlier run shows what an image costs here; `ctlr run --dry-run` measures it"
        if seconds is None
        else f"at most about {max(1, math.ceil(seconds / 60))} min with {summary['workers']} workers"
    )
    searches = f"{len(plan.searches)} searches come first. " if plan.searches else ""
    again = (
        f"{len(plan.at_defaults)} of them train every method with the options in the file too, for tuning's share of "
        "its gain; `tuning.share: false` leaves them out. "
        if plan.at_defaults
        else ""
    )
    scores = f", and {len(plan.transfers)} steps score the transfers" if plan.transfers else ""
    show(
        f"{searches}{len(plan.trained)} studies share {len(plan.pretrainings)} pretrainings{scores}. {again}"
        f"Estimated time: {time}.\n"
        "What is finished already in the workspace is not done again.",
        "table",
    )
