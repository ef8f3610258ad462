"""What a run would do: the plan with its shared steps and an estimate of the time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ctlr.cli.show import show, show_rows
from ctlr.config import BenchmarkConfig
from ctlr.cost import Cost, costs
from ctlr.engine import count_subjects, default_workers, known_rates
from ctlr.plan import Plan, make_plan
from ctlr.specs import MethodSpec

__all__ = ["preview"]


def preview(
    config: BenchmarkConfig, workspace: Path, workers: int | None, device: str, output: str, *, measured: bool
) -> None:
    """Print studies, shared steps and estimated time to stdout; of the data, names alone are read.

    Args:
        config: The benchmark.
        workspace: Where earlier runs left what an image costs.
        workers: Processes that would share the work.
        device: Where it would run.
        output: table, json or yaml.
        measured: Time a few training steps where no earlier run has shown a rate.
    """
    plan = make_plan(config)
    rates = known_rates(workspace)
    if measured:
        from ctlr.steps.calibrate import measure

        rates = measure(plan, "cuda" if device.startswith("cuda") else "cpu") | rates
    rows = costs(plan, count_subjects(plan.datasets), rates)
    crew = workers or default_workers(device, config.compute.threads)
    summary = {
        "benchmark": config.name,
        "datasets": [data.name for data in plan.datasets],
        "studies": len(plan.studies),
        "searches": len(plan.searches),
        "shared_pretrainings": len(plan.pretrainings),
        "transfer_scores": len(plan.transfers),
        "workers": crew,
        "estimated_seconds": _total(rows, crew),
        "sizes": [{"n_train": size, "n_validation": config.split.n_validation(size)} for size in config.sample_sizes],
        "methods": {label: _trained(method) for label, method in config.methods.items()},
    }
    if output != "table":
        steps = [row.model_dump(mode="json") for row in rows]
        show(summary | {"costs": steps, "study_ids": [study.id for study in plan.studies]}, output)
        return
    show_rows(f"{config.name}: what `ctlr run` does", [_row(row) for row in rows])
    methods = [{"method": label, "views": method.views_words, "refit": "yes" if method.finetune.refit else "no"}
               for label, method in config.methods.items()]  # fmt: skip
    show_rows("Random views through which stages see images, and whether methods are refitted", methods)
    _say(plan, summary)


def _trained(method: MethodSpec) -> dict[str, Any]:
    """Views by stage, null where there are none, and whether it is refitted."""
    views = {stage: views and views.words for stage, views in method.views_by_stage.items()}
    return {"views": views, "refit": method.finetune.refit}


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
    scores = f", and {len(plan.transfers)} steps score the transfers" if plan.transfers else ""
    sizes = ", ".join(f"{size['n_train']} + {size['n_validation']}" for size in summary["sizes"])
    show(
        f"Labelled subjects, n (training + validation): {sizes}.\n"
        f"{searches}{len(plan.studies)} studies share {len(plan.pretrainings)} pretrainings{scores}. "
        f"Estimated time: {time}.\n"
        "What is finished already in the workspace is not done again.",
        "table",
    )
