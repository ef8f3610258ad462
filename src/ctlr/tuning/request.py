"""What a trial's command line asks for, what a trial needs to know, and what comes of it, as values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from ctlr.config import BenchmarkConfig
from ctlr.errors import ConfigError, nearest
from ctlr.plan import make_plan
from ctlr.specs import Study, Value
from ctlr.tuning.options import Stage, check_stage, check_validation, parse_validation, with_options

__all__ = ["TrialJob", "TrialRequest", "TrialResult", "metric_line", "pick_study", "requested_job"]


class TrialRequest(Value):
    """One trial of a benchmark's study."""

    benchmark: str
    """File."""
    study: str
    """Label of its method, or its id."""
    n_train: int | None = None
    """None: the largest."""
    encoder: str | None = None
    seed: int | None = None
    """None: the benchmark's first."""
    transfer: str | None = None
    """`dataset.task:dataset.task`, source and target; the target alone will do."""
    assignments: dict[str, str] = Field(default_factory=dict)
    stage: Stage = "finetune"
    validation: str = "holdout"
    workspace: str = "workspace"
    device: str = "auto"
    checkpoint: str | None = None
    """Folder of weights to begin from, when there are some, and to leave the trial's in."""
    name: str = ""
    """Of the trial, for records."""


class TrialJob(Value):
    """All that a trial is made from, besides stored arrays."""

    study: Study
    """What is tuned, options not yet replaced."""
    assignments: dict[str, str] = Field(default_factory=dict)
    """Value by option's name; see `ctlr.tuning.options`."""
    stage: Stage = "finetune"
    validation: str = "holdout"
    """holdout, kfold:K (over train and validation subjects) or repeats:R (seeds from the study's on)."""
    device: str = "auto"
    """cpu, cuda, cuda:N or auto: the worker's GPU where it has one."""
    checkpoint: str | None = None
    """Folder of weights to begin from, when there are some, and to leave the trial's in."""
    folder: str | None = None
    """Where `validation.csv`, the predictions on validation subjects, goes; None keeps none."""
    most_megabytes: float | None = None
    """Of the network's weights; a larger one fails before it trains."""
    most_milliseconds: float | None = None
    """For one image by itself, likewise."""

    def check(self) -> None:
        """Refuse options that the study has not, or that the stage cannot tune.

        Raises:
            ConfigError: Names them, one a line.
        """
        check_stage(self.study, self.assignments, self.stage)
        with_options(self.study, self.assignments)
        scheme = parse_validation(self.validation)
        try:
            check_validation(self.study, scheme)
        except ConfigError as error:
            raise ConfigError(f"`--validation`: {error}") from error
        resampled = scheme.kind != "holdout"
        if resampled and self.stage == "pretrain":
            raise ConfigError(
                "`--stage pretrain` is judged by the source's validation subjects. Remove `--validation`."
            )
        if self.checkpoint is None:
            return
        if resampled or self.stage == "pretrain":
            raise ConfigError("`--checkpoint-dir` holds the weights of one finetuning. Use `--validation holdout`.")
        if any(name.startswith("encoder.") for name in self.assignments):
            raise ConfigError("`--checkpoint-dir` hands weights on, which fit one encoder alone. Remove `encoder.*`.")


class TrialResult(Value):
    """What came of a trial."""

    study: Study
    """With the trial's options."""
    stage: Stage
    metric: str
    """What trials are compared by."""
    value: float
    """Of the weights that were kept, or the mean over folds or seeds."""
    scores: dict[str, float] = Field(default_factory=dict)
    """Every validation metric, likewise."""
    epochs: int
    """Over all folds or seeds."""
    best_epoch: int
    """Of the last one."""
    seconds: dict[str, float] = Field(default_factory=dict)
    """finetune: what this trial spent; pretrain: what its pretraining took, which other trials may share."""


def requested_job(request: TrialRequest, config: BenchmarkConfig) -> TrialJob:
    """The trial that a request describes, checked.

    Raises:
        ConfigError: There is no such study, or more than one; an option or a stage does not fit it.
    """
    job = TrialJob(
        study=pick_study(request, config), assignments=request.assignments, stage=request.stage,
        validation=request.validation, device=request.device, checkpoint=request.checkpoint,
    )  # fmt: skip
    job.check()
    return job


def pick_study(request: TrialRequest, config: BenchmarkConfig) -> Study:
    """The one study of a benchmark that a request names.

    Raises:
        ConfigError: There is none, or more than one; says what there is.
    """
    studies = [study for study in make_plan(config).studies if not study.method.untuned]
    exact = [study for study in studies if study.id == request.study]
    if exact:
        return exact[0]
    labels = list(config.methods)
    studies = _only("--study", request.study, studies, lambda study: study.method.label, labels)
    studies = _only("--encoder", request.encoder, studies, lambda study: study.encoder.label)
    if request.transfer is not None:
        targets = [study for study in studies if request.transfer == _end(study.target)]
        studies = targets or _only("--transfer", request.transfer, studies, _transfer)
    n_train = request.n_train or max(study.n_train for study in studies)
    studies = _only("--n", n_train, studies, lambda study: study.n_train)
    seed = config.seeds[0] if request.seed is None else request.seed
    studies = _only("--seed", seed, studies, lambda study: study.seed)
    if len(studies) > 1:
        raise ConfigError(_ambiguous(request.study, studies))
    return studies[0]


def metric_line(metrics: Mapping[str, float], now: datetime) -> str:
    """A line that Katib's collector reads: an RFC 3339 time, then `name=value`; only finite numbers stand in it.

    Katib takes the latest value by its time: of values without one, or with the same, its database may give any.
    Numbers have all their digits, so that a search in pods goes by those that one on a laptop goes by.
    """
    stamp = now.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    numbers = {name: repr(float(value)).removesuffix(".0") for name, value in metrics.items() if math.isfinite(value)}
    return " ".join([stamp, *(f"{name}={number}" for name, number in numbers.items())])


def _only(
    option: str, wanted: Any, studies: Sequence[Study], of: Callable[[Study], Any], known: Iterable[str] = ()
) -> list[Study]:
    """The studies with the wanted value; all of them where none is wanted."""
    if wanted is None:
        return list(studies)
    found = [study for study in studies if of(study) == wanted]
    if not found:
        names = known or {str(of(study)) for study in studies}
        raise ConfigError(f"`{option} {wanted}`: the benchmark has no such study. {nearest(str(wanted), names)}")
    return found


def _ambiguous(name: str, studies: Sequence[Study]) -> str:
    encoders = sorted({study.encoder.label for study in studies})
    transfers = sorted({_transfer(study) for study in studies})
    hints = []
    if len(encoders) > 1:
        hints.append(f"--encoder {'|'.join(encoders)}")
    if len(transfers) > 1:
        hints.append(f"--transfer {'|'.join(transfers)}")
    return f"`--study {name}` names {len(studies)} studies of the benchmark. Say which: {' and '.join(hints)}."


def _transfer(study: Study) -> str:
    return f"{_end(study.source)}:{_end(study.target)}" if study.source is not None else _end(study.target)


def _end(end: Any) -> str:
    return f"{end.data.name}.{end.task.name}"
