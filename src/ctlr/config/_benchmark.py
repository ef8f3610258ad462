"""What a benchmark file says, checked: `BenchmarkConfig` and its parts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ctlr.addresses import fault_of_address
from ctlr.config._document import dotted
from ctlr.config._parts import Parts, Transfer
from ctlr.config._rules import broken_rules
from ctlr.config._tuning import TuningSpec
from ctlr.specs import (
    AnyDataset,
    AnyEncoder,
    AnyMethod,
    ComputeSpec,
    FinetuneSpec,
    FitSpec,
    LeakSpec,
    PlatformSpec,
    SplitSpec,
    TaskSpec,
    Value,
    dns_name,
    fingerprint,
    use_files,
)

__all__ = ["BenchmarkConfig", "Frame", "ReportSpec", "TrackingSpec", "TrainingSpec"]


def _name(text: str) -> str:
    if dns_name(text, 40) != text:
        raise ValueError(
            "must be at most 40 of a-z, 0-9 and '-', a letter first, since folders, runs and pods are named after it; "
            f"got {text!r}. Write {dns_name(text, 40)!r}"
        )
    return text


def _distinct(items: tuple[int, ...]) -> tuple[int, ...]:
    twice = sorted(item for item, count in Counter(items).items() if count > 1)
    if twice:
        raise ValueError(f"must hold each number once; {', '.join(map(str, twice))} stands there twice. Remove one")
    return items


def _server(text: str) -> str:
    if fault := fault_of_address(text):
        raise ValueError(
            f"{fault}. Name an MLflow server, or write null for none; set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in the environment"
        )
    return text


def _loaded(files: tuple[str, ...]) -> tuple[str, ...]:
    use_files(map(Path, files))
    return files


class TrackingSpec(Value):
    """Where runs are recorded."""

    backend: Literal["none", "mlflow"] = "none"
    """mlflow needs the extra ctlr[tracking]."""
    uri: Annotated[str, AfterValidator(_server)] | None = None
    """Address of an MLflow server (http or https); without one, a database in the workspace."""
    models: bool = True
    """Whether each study's model is recorded too."""


class ReportSpec(Value):
    """What the report has to say, and how sure it has to be."""

    bayes_error: bool = False
    """Estimate the least error that any classifier could have on each target with classes, and say when the estimate is
    worthless."""
    bootstrap: Annotated[int, Field(ge=100, le=100_000)] = 2000
    """Draws of pairs behind the interval of a rank correlation of scores with gains."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Share of intervals that hold the true value."""
    paths: Literal["written", "names"] = "written"
    """written: the report repeats the command as it was typed and folders as this file has them, home folders and
    users' names hidden, so that it can be run again. names: a dataset's name stands for its folder, and no command."""
    privacy: Annotated[Literal["standard", "strict"], Field(exclude_if=lambda kept: kept == "standard")] = "standard"
    """What the page shows of single subjects: standard draws a few images, volumes of heads without a face; strict none
    of data that are not public: no gallery, no views, no best and worst images, and means of 20 subjects or more."""
    time_to: float | None = None
    """Say after how many epochs and seconds each method's validation score first reaches this value of the headline
    metric."""


class TrainingSpec(Value):
    """Options for every method that does not set its own."""

    pretrain: FitSpec = FitSpec()
    finetune: FinetuneSpec = FinetuneSpec()
    """`n_frozen`, `l2_sp`, `norm_statistics` and a linear probe go to the methods that pretrain only."""


class Frame(Value):
    """What of a benchmark names no dataset, task, encoder or method."""

    name: Annotated[str, AfterValidator(_name)]
    """Of the benchmark: letters a-z, digits and '-'."""
    description: str = ""
    """What it asks, for the report's first lines."""
    plugins: Annotated[tuple[str, ...], AfterValidator(_loaded)] = ()
    """Files of Python code beside this one with methods, encoders or kinds of data of your own; see the page on adding
    one."""
    sample_sizes: Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=1), AfterValidator(_distinct)]
    """Labelled training subjects of the target, one point of the learning curve each; those who validate come on top:
    20 + 20."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), AfterValidator(_distinct)]
    """Each repeats the whole grid with other subjects, weights and views."""
    baselines: tuple[str, ...] | None = None
    """What stands beside the methods in every table without being listed there, by name; null: all that apply."""
    split: SplitSpec = SplitSpec()
    leaks: LeakSpec = LeakSpec()
    """What counts as a leak, and what is accepted."""
    compute: ComputeSpec = ComputeSpec()
    tuning: TuningSpec | None = None
    """Search for each method's best options first; null runs them as they are written."""
    tracking: TrackingSpec = TrackingSpec()
    report: ReportSpec = ReportSpec()
    platform: PlatformSpec = PlatformSpec()
    """Where on a cluster its pods run; a laptop has no use for it."""


class BenchmarkConfig(Frame):
    """A benchmark, resolved: every option of every method stands in it, and every rule holds."""

    datasets: dict[str, AnyDataset]
    tasks: dict[str, TaskSpec]
    transfers: tuple[Transfer, ...]
    """What is learned where, and what may help: the target, and the source where there is one."""
    encoders: dict[str, AnyEncoder]
    methods: dict[str, AnyMethod]

    @model_validator(mode="after")
    def _check(self) -> Self:
        faults = [f"{dotted(where)}: {text}" for where, text in broken_rules(parts_of(self))]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def identity(self) -> str:
        """Fingerprint of what decides results: not of folders' places, prose, leaks, tracking, report, platform."""
        return fingerprint(self.model_dump_json(exclude=_INCIDENTAL))


_INCIDENTAL: dict[str, Any] = {
    **dict.fromkeys(("description", "plugins", "leaks", "tracking", "report", "platform"), True),
    "datasets": {"__all__": {"root"}},
    "tuning": {"experiments", "warm_start"},
}


def parts_of(config: BenchmarkConfig) -> Parts:
    """The values that rules across sections look at."""
    return Parts(
        datasets=dict(config.datasets),
        tasks=dict(config.tasks),
        transfers=dict(enumerate(config.transfers)),
        encoders=dict(config.encoders),
        methods=dict(config.methods),
        split=config.split,
        sample_sizes=config.sample_sizes,
        tuning=config.tuning,
        baselines=config.baselines,
    )
