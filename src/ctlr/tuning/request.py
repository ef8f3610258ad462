"""What a trial's command line asks for, as a value, and the study of a benchmark that it names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic import Field

from ctlr.config import BenchmarkConfig
from ctlr.errors import ConfigError, nearest
from ctlr.plan import make_plan
from ctlr.specs import MeanSpec, Study, Value
from ctlr.tuning.options import Stage, check_stage, parse_validation, with_options

__all__ = ["TrialRequest", "pick_study", "requested_study"]


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


def requested_study(request: TrialRequest, config: BenchmarkConfig) -> Study:
    """The study that a request names, options not yet replaced; the request is checked whole.

    Raises:
        ConfigError: There is no such study, or more than one; an option or a stage does not fit it.
    """
    study = pick_study(request, config)
    check_stage(study, request.assignments, request.stage)
    with_options(study, request.assignments)
    resampled = parse_validation(request.validation).kind != "holdout"
    if resampled and request.stage == "pretrain":
        raise ConfigError("`--stage pretrain` is judged by the source's validation subjects. Remove `--validation`.")
    if resampled and request.checkpoint is not None:
        raise ConfigError("`--checkpoint-dir` holds the weights of one training. Use `--validation holdout`.")
    if request.checkpoint is not None and any(name.startswith("encoder.") for name in request.assignments):
        raise ConfigError(
            "`--checkpoint-dir` hands weights on, which fit one encoder alone. Leave `encoder.*` as it is."
        )
    return study


def pick_study(request: TrialRequest, config: BenchmarkConfig) -> Study:
    """The one study of a benchmark that a request names.

    Raises:
        ConfigError: There is none, or more than one; says what there is.
    """
    studies = [study for study in make_plan(config).studies if not isinstance(study.method, MeanSpec)]
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
