"""What a run would do: the plan with its shared steps and an estimate of the time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ctlr.cli.show import show, show_rows
from ctlr.config import BenchmarkConfig
from ctlr.cost import RUN, Cost, costs, known_sizes
from ctlr.engine import default_workers, known_rates
from ctlr.errors import ConfigError, WorkspaceError
from ctlr.foresight import listings, measure_together, sizes, stored_arrays, work_left
from ctlr.plan import Plan, make_plan
from ctlr.specs import MethodSpec, SearchResult

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
    """Print studies, shared steps, what is left of them and its estimated time to stdout.

    Of the data, names and tables alone are read, and a few images where they are timed.

    Args:
        config: The benchmark.
        workspace: Where earlier runs left what an image costs.
        workers: Processes that would share the work.
        device: Where it would run.
        output: table, json or yaml.
        measured: Time a few images and training steps where no earlier run has shown a rate.
        detect: A gain to be seen, and the benchmark's file: what it needs is printed too.

    Raises:
        ConfigError: A dataset is smaller than what is asked of it.
        DataError: A dataset cannot be listed, or a target not used.
    """
    plan = make_plan(config)
    found = listings(plan)
    known = sizes(plan, found)
    rates = known_rates(workspace)
    stored, searches = stored_arrays(plan, found, workspace), _searches(config, workspace)
    plan, left = work_left(config, plan, searches, stored, workspace)
    crew = workers or default_workers(device, config.compute.threads)
    if measured:
        rates = measure_together(plan, known, found, workers=crew, device=device) | rates
    rows = costs(plan, known, rates, left)
    summary = {
        "benchmark": config.name,
        "datasets": [data.name for data in plan.datasets],
        "studies": len(plan.studies),
        "searches": len(plan.searches),
        "studies_at_defaults": len(plan.at_defaults),
        "shared_pretrainings": len(plan.pretrainings),
        "transfer_scores": len(plan.transfers),
        "workers": crew,
        "steps_done": sum(row.done for row in rows),
        "steps_left": sum(row.steps for row in rows),
        "estimated_seconds": _total(rows, crew, rates.get(RUN, 0.0)),
        "sizes": [{"n_train": size, "n_validation": config.split.n_validation(size)} for size in config.sample_sizes],
        "methods": {label: _trained(method) for label, method in config.methods.items()},
    }
    foreseen: dict[str, Any] = {}
    if detect is not None:
        from ctlr.cli.detection import detected, say_detected  # brings scipy and scikit-learn, which are slow to load

        known_subjects = {name: size.subjects for name, size in (known_sizes(plan) | known).items()}
        foreseen = {"detect": detected(config, plan, workspace, known_subjects, *detect)}
    if output != "table":
        steps = [row.model_dump(mode="json") for row in rows]
        show(summary | foreseen | {"costs": steps, "study_ids": [study.id for study in plan.studies]}, output)
        return
    show_rows(f"{config.name}: what `ctlr run` does", [_row(row) for row in rows])
    methods = [{"method": label, "views": method.views_words, "refit": "yes" if method.finetune.refit else "no"}
               for label, method in config.methods.items()]  # fmt: skip
    show_rows("Random views through which stages see images, and whether methods are refitted", methods)
    _say(plan, summary)
    if foreseen:
        say_detected(foreseen["detect"])


def _trained(method: MethodSpec) -> dict[str, Any]:
    """Views by stage, null where there are none, and whether it is refitted."""
    views = {stage: views and views.words for stage, views in method.views_by_stage.items()}
    return {"views": views, "refit": method.finetune.refit}


def _row(cost: Cost) -> dict[str, Any]:
    return {
        "step": cost.stage, "data": cost.data, "method": cost.method, "encoder": cost.encoder,
        "done": cost.done, "to do": cost.steps, "images": "?" if cost.images is None else cost.images,
        "minutes of one worker": "?" if cost.seconds is None else f"{cost.seconds / 60:.1f}",
    }  # fmt: skip


def _searches(config: BenchmarkConfig, workspace: Path) -> list[SearchResult]:
    """What the searches of the benchmark's last run found."""
    if config.tuning is None:
        return []
    from ctlr.cli.session import last_run

    try:
        last = last_run(workspace)
    except (ConfigError, WorkspaceError):
        return []
    return last.searches if last.config.identity() == config.identity() else []


def _total(rows: list[Cost], workers: int, outside: float) -> float | None:
    """Seconds of the whole run; steps of a few seconds at the most are left out where their rate is unknown."""
    rows = [row for row in rows if row.steps]
    if not rows:
        return 0.0
    known = [row.seconds for row in rows if row.stage not in ("preprocess", "score", "fit") or row.seconds is not None]
    if any(seconds is None for seconds in known):
        return None
    return round(outside + sum(seconds for seconds in known if seconds is not None) / workers, 1)


def _say(plan: Plan, summary: dict[str, Any]) -> None:
    seconds = summary["estimated_seconds"]
    time = (
        "nothing is left to do"
        if seconds == 0
        else "no earlier run shows what an image costs here; `ctlr run --dry-run` measures it"
        if seconds is None
        else f"at most about {max(1, math.ceil(seconds / 60))} min with {summary['workers']} workers"
    )
    searches = f"{len(plan.searches)} searches come first. " if plan.searches else ""
    finished, unfinished = summary["steps_done"], summary["steps_left"]
    done = f"{finished} of {finished + unfinished} steps are finished in the workspace; what is left is counted above."
    again = (
        f"{len(plan.at_defaults)} of them train every method with the options in the file too, for tuning's share of "
        "its gain; `tuning.share: false` leaves them out. "
        if plan.at_defaults
        else ""
    )
    scores = f", and {len(plan.transfers)} steps score the transfers" if plan.transfers else ""
    sizes = ", ".join(f"{size['n_train']} + {size['n_validation']}" for size in summary["sizes"])
    show(
        f"Labelled subjects, n (training + validation): {sizes}.\n"
        f"{searches}{len(plan.trained)} studies share {len(plan.pretrainings)} pretrainings{scores}. {again}"
        f"Estimated time: {time}.\n{done}",
        "table",
    )
