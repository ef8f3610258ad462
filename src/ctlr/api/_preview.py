"""What a run would do: the plan with its shared steps and an estimate of the time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctlr.api._frames import frame
from ctlr.api._html import paragraphs, table

if TYPE_CHECKING:
    import pandas as pd

    from ctlr.config import BenchmarkConfig
    from ctlr.cost import Cost
    from ctlr.plan import Plan
    from ctlr.specs import EncoderSpec, Exclusion, MethodSpec, SearchResult, TargetSummary

__all__ = ["Preview", "preview"]

_BRIEF = ("preprocess", "score", "assess", "fit")
"""Stages of a few seconds: without a rate they are left out of the time of a run."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a run would do; `BenchmarkFile.plan` makes one."""

    config: BenchmarkConfig
    """The benchmark."""
    plan: Plan
    """Its studies, pretrainings and searches as values; with what searches have found, where they have ended."""
    steps: tuple[Cost, ...]
    """Steps of one kind together, what is left and what is done of them."""
    workers: int
    """Processes that would share the work."""
    estimated_seconds: float | None
    """Of the whole run, at most; 0 where nothing is left, None where no earlier run shows what an image costs here."""
    subjects: Mapping[str, int]
    """By dataset, as far as they are known before images are read."""
    targets: tuple[TargetSummary, ...] = ()
    """What the tables hold of each target."""
    faults: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By dataset and reason: subjects and files that names and tables show to be unusable."""
    left_out: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By dataset and reason: files that are not read though nothing is wrong with them."""

    @property
    def costs(self) -> pd.DataFrame:
        """One row a kind of step.

        Columns: `stage` (preprocess, tune, pretrain, score, fit, finetune, defaults), `data`, `method`, `encoder`,
        `steps` (that are left), `done` (that the workspace holds), `images` (through the loss or through preprocessing;
        NaN where not known), `seconds` (of one worker; NaN where no earlier step has shown a rate).

        Raises:
            MissingExtraError: pandas is not installed.
        """
        columns = ("stage", "data", "method", "encoder", "steps", "done", "images", "seconds")
        return frame([step.model_dump(mode="json") for step in self.steps], columns)

    @property
    def summary(self) -> dict[str, Any]:
        """The whole in numbers, as `ctlr plan --output json` prints them."""
        plan, config = self.plan, self.config
        sizes = [{"n_train": size, "n_validation": config.split.n_validation(size)} for size in config.sample_sizes]
        return {
            "benchmark": config.name,
            "datasets": [data.name for data in plan.datasets],
            "studies": len(plan.studies),
            "searches": len(plan.searches),
            "studies_at_defaults": len(plan.at_defaults),
            "shared_pretrainings": len(plan.pretrainings),
            "transfer_scores": len(plan.transfers),
            "workers": self.workers,
            "steps_done": sum(row.done for row in self.steps),
            "steps_left": sum(row.steps for row in self.steps),
            "estimated_seconds": self.estimated_seconds,
            "targets": [target.model_dump(mode="json") for target in self.targets],
            "faults": self.faults,
            "left_out": self.left_out,
            "sizes": sizes,
            "methods": {label: _trained(method, self.ndim) for label, method in config.methods.items()},
            "options": self.options,
        }

    @property
    def options(self) -> dict[str, dict[str, Any]]:
        """Options of methods and encoders that are not their defaults, but for views: by place, then by name."""
        found = {f"methods.{label}": _set(method) for label, method in self.config.methods.items()}
        found |= {f"encoders.{label}": _set(encoder) for label, encoder in self.config.encoders.items()}
        return {place: options for place, options in found.items() if options}

    @property
    def ndim(self) -> int:
        """Sides of the images."""
        return max(data.ndim for data in self.plan.datasets)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The kinds of steps for people: unknown numbers are `?`."""
        return [_row(cost) for cost in self.steps]

    @property
    def data_rows(self) -> list[dict[str, Any]]:
        """One a target, for people."""
        return [
            {"dataset": target.data, "task": target.task, "column": target.column,
             "images": f"{target.known} of {target.images}", "holds": target.words}
            for target in self.targets
        ]  # fmt: skip

    @property
    def data_words(self) -> list[str]:
        """What may be wrong with the data, a line each."""
        warnings = [f"{each.data}.{each.task}: {warning}" for each in self.targets for warning in each.warnings]
        for told, what in ((self.faults, "cannot be used"), (self.left_out, "not read")):
            for name, reasons in told.items():
                warnings += [f"{name}: {count} {what}: {reason}" for reason, count in reasons.items()]
        return warnings

    @property
    def words(self) -> str:
        """The whole in sentences, one a line."""
        plan, seconds = self.plan, self.estimated_seconds
        time = (
            "nothing is left to do"
            if seconds == 0
            else "no earlier run shows what an image costs here; `ctlr run --dry-run` measures it"
            if seconds is None
            else f"at most about {max(1, math.ceil(seconds / 60))} min with {self.workers} workers"
        )
        searches = f"{len(plan.searches)} searches come first. " if plan.searches else ""
        finished = sum(row.done for row in self.steps)
        planned = finished + sum(row.steps for row in self.steps)
        done = f"{finished} of {planned} steps are finished in the workspace; what is left is counted above."
        again = (
            f"{len(plan.at_defaults)} of them train every method with the options in the file too, for tuning's share "
            "of its gain; `tuning.share: false` leaves them out. "
            if plan.at_defaults
            else ""
        )
        scores = f", and {len(plan.transfers)} steps score the transfers" if plan.transfers else ""
        split = self.config.split
        sizes = ", ".join(f"{size} + {split.n_validation(size)}" for size in self.config.sample_sizes)
        return (
            f"Labelled subjects, n (training + validation): {sizes}.\n"
            f"{searches}{len(plan.trained)} studies share {len(plan.pretrainings)} pretrainings{scores}. {again}"
            f"Estimated time: {time}.\n{done}"
        )

    def __repr__(self) -> str:
        studies = len(self.plan.trained)
        return f"<ctlr.Preview {self.config.name!r}: {studies} studies, {self.summary['steps_left']} steps left>"

    def _repr_html_(self) -> str:
        lines = [*self.data_words, *self.words.splitlines()]
        targets = table("Targets", self.data_rows) if self.targets else ""
        return table(f"{self.config.name}: what a run does", self.rows) + targets + paragraphs(*lines)


def preview(config: BenchmarkConfig, root: Path, *, workers: int | None, device: str, measured: bool) -> Preview:
    """Look at what a benchmark's run would do; see `BenchmarkFile.plan`."""
    from ctlr.cost import RUN, costs, known_sizes
    from ctlr.engine import default_workers, known_rates
    from ctlr.foresight import listings, measure_together, sizes, stored_arrays, summaries, work_left
    from ctlr.plan import make_plan

    plan = make_plan(config)
    found = listings(plan)
    known = sizes(plan, found)
    rates = known_rates(root)
    stored, searches = stored_arrays(plan, found, root), _searches(config, root)
    plan, left = work_left(config, plan, searches, stored, root)
    crew = workers or default_workers(device, config.compute.threads)
    if measured:
        rates = measure_together(plan, known, found, workers=crew, device=device) | rates
    rows = costs(plan, known, rates, left, workers=crew)
    return Preview(
        config=config, plan=plan, steps=tuple(rows), workers=crew,
        estimated_seconds=_total(_trained_rows(plan, rows), crew, rates.get(RUN, 0.0)),
        subjects={name: size.subjects for name, size in (known_sizes(plan) | known).items()},
        targets=tuple(summaries(plan, found)),
        faults=_counted({name: listing.faults for name, listing in found.items()}),
        left_out=_counted({name: listing.left_out for name, listing in found.items()}),
    )  # fmt: skip


def _counted(told: Mapping[str, Sequence[Exclusion]]) -> dict[str, dict[str, int]]:
    """How often each reason is given, by dataset."""
    return {name: dict(Counter(each.reason for each in places)) for name, places in told.items() if places}


def _searches(config: BenchmarkConfig, root: Path) -> list[SearchResult]:
    """What the searches of the benchmark's last run found."""
    if config.tuning is None:
        return []
    from ctlr.errors import ConfigError, WorkspaceError
    from ctlr.outcome.remembered import last_run

    try:
        last = last_run(root)
    except (ConfigError, WorkspaceError):
        return []
    return last.searches if last.config.identity() == config.identity() else []


def _trained_rows(plan: Plan, rows: Sequence[Cost]) -> list[Cost]:
    """Kinds of steps whose time counts: of what is trained after a race the dearest, as many as there are finalists."""
    race = plan.tuning.race if plan.tuning is not None else None
    searched = {
        (study.method.label, study.encoder.label if study.method.has_encoder else "") for study in plan.searches
    }
    racing = [row for row in rows if row.stage in ("fit", "finetune") and (row.method, row.encoder) in searched]
    if race is None or any(row.seconds is None and row.stage not in _BRIEF for row in racing):
        return list(rows)
    dearest = sorted(racing, key=lambda row: -(row.seconds or 0.0))
    kept = dearest[: race.finalists]
    kept += [row for row in dearest if row.stage == "fit" and row not in kept][:1]  # the best one without a network
    return [row for row in rows if row not in racing or row in kept]


def _total(rows: Sequence[Cost], workers: int, outside: float) -> float | None:
    """Seconds of the whole run; steps of a few seconds at the most are left out where their rate is unknown."""
    rows = [row for row in rows if row.steps]
    if not rows:
        return 0.0
    known = [row.seconds for row in rows if row.stage not in _BRIEF or row.seconds is not None]
    if any(seconds is None for seconds in known):
        return None
    return round(outside + sum(seconds for seconds in known if seconds is not None) / workers, 1)


def _trained(method: MethodSpec, ndim: int) -> dict[str, Any]:
    """Views by stage, null where there are none, and whether it is refitted."""
    views = {stage: views and views.at(ndim).words for stage, views in method.views_by_stage.items()}
    return {"views": views, "refit": method.refits}


def _set(spec: MethodSpec | EncoderSpec) -> dict[str, Any]:
    """Options that differ from the defaults, `finetune.lr` and the like; views are told by themselves."""
    own = {"label", "method", "name", "plugin"}
    found: dict[str, Any] = {}
    pending = [("", spec.model_dump(mode="json", exclude_defaults=True, exclude=own))]
    for above, values in pending:
        for name, value in values.items():
            if isinstance(value, dict):
                pending.append((f"{above}{name}.", value))
            elif name != "views":
                found[f"{above}{name}"] = value
    return {name: value for name, value in found.items() if ".views." not in f".{name}"}


def _row(cost: Cost) -> dict[str, Any]:
    return {
        "step": cost.stage, "data": cost.data, "method": cost.method, "encoder": cost.encoder,
        "done": cost.done, "to do": cost.steps, "images": "?" if cost.images is None else cost.images,
        "minutes of one worker": "?" if cost.seconds is None else f"{cost.seconds / 60:.1f}",
    }  # fmt: skip
