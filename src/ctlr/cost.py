"""What a plan costs: steps, images through the loss, and seconds where earlier steps have shown a rate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from ctlr.config import TuningSpec
from ctlr.plan import Plan
from ctlr.specs import (
    AnyMethod,
    CohortSpec,
    CollectionSpec,
    DatasetSpec,
    EncoderSpec,
    FitSpec,
    MeanSpec,
    PretrainSpec,
    SelfferSpec,
    SimCLRSpec,
    SplitSpec,
    Study,
    SupervisedSpec,
    Value,
    VATSpec,
)

__all__ = ["Cost", "all_subjects", "costs", "n_test", "rate_key"]

Stage = Literal["preprocess", "tune", "pretrain", "score", "finetune", "defaults"]
"""`defaults`: finetuning of tuned methods with the options in the file."""
Sizes = Mapping[str, int]
"""Subjects by dataset."""


class Cost(Value):
    """What steps of one kind cost together; an upper bound, since early stopping may end a step before."""

    stage: Stage
    data: str
    method: str
    """Label, or for a shared pretraining the method's own name; empty for preprocessing."""
    encoder: str
    """Label; empty for preprocessing."""
    steps: int
    images: int | None
    """Through the loss, or through preprocessing; None where the number of subjects is not known yet."""
    seconds: float | None
    """Of one worker; None where no earlier step has shown a rate."""


@dataclass(frozen=True, kw_only=True)
class _Step:
    stage: Stage
    data: DatasetSpec
    images: int | None
    method: AnyMethod | None = None
    encoder: EncoderSpec | None = None
    seconds: float | None = None
    """Where time itself is the budget."""

    @property
    def method_name(self) -> str:
        return (self.method.label or self.method.method) if self.method else ""

    @property
    def encoder_name(self) -> str:
        return self.encoder.label if self.encoder else ""


def rate_key(
    stage: Stage, data: DatasetSpec, method: AnyMethod | None = None, encoder: EncoderSpec | None = None
) -> str:
    """Under which key the seconds of an image are kept: equal where an image costs about the same."""
    shape = "x".join(map(str, (data.preprocess.channels, *data.preprocess.shape)))
    kind = method.method if method is not None else ""
    net = f"{encoder.name}*{encoder.width:g}" if encoder is not None else ""
    return " ".join(filter(None, (stage, kind, net, shape)))


def costs(plan: Plan, subjects: Sizes, seconds_per_image: Mapping[str, float]) -> list[Cost]:
    """Cost by stage, dataset, method and encoder.

    Args:
        plan: What is to be done; steps that are finished already count too.
        subjects: By dataset; those of cohorts and published sets are known without.
        seconds_per_image: By `rate_key`: seconds / images of earlier steps. Where a rate is missing, so are seconds.
    """
    sizes = all_subjects(plan, subjects)
    groups: dict[tuple[str, str, str, str], list[_Step]] = {}
    for step in _steps(plan, sizes):
        groups.setdefault((step.stage, step.data.name, step.method_name, step.encoder_name), []).append(step)
    return [_cost(steps, seconds_per_image) for steps in groups.values()]


def all_subjects(plan: Plan, counted: Sizes) -> dict[str, int]:
    """Subjects by dataset: those that were counted, and those that a spec knows."""
    known = [data for data in plan.datasets if isinstance(data, CohortSpec | CollectionSpec)]
    return {data.name: data.subjects for data in known} | dict(counted)


def _cost(steps: list[_Step], seconds_per_image: Mapping[str, float]) -> Cost:
    first = steps[0]
    counted = [step.images for step in steps if step.images is not None]
    images = sum(counted) if len(counted) == len(steps) else None
    # A trial is a finetuning that is thrown away.
    stage: Stage = "finetune" if first.stage in ("tune", "defaults") else first.stage
    rate = seconds_per_image.get(rate_key(stage, first.data, first.method, first.encoder))
    budget = [step.seconds for step in steps if step.seconds is not None]
    seconds = sum(budget) if budget else None if images is None or rate is None else images * rate
    return Cost(
        stage=first.stage,
        data=first.data.name,
        method=first.method_name,
        encoder=first.encoder_name,
        steps=len(steps),
        images=images,
        seconds=seconds,
    )


def _steps(plan: Plan, sizes: Sizes) -> Iterator[_Step]:
    for data in plan.datasets:
        yield _Step(stage="preprocess", data=data, images=sizes.get(data.name))
    for study in plan.searches:
        assert plan.tuning is not None
        yield _Step(
            stage="tune",
            data=study.target.data,
            images=_search_images(study, plan.tuning, sizes),
            method=study.method,
            encoder=study.encoder,
            seconds=plan.tuning.seconds,
        )
    for spec in plan.pretrainings * (2 if plan.pretrains_anew else 1):
        images = _pretrain_images(spec, sizes)
        yield _Step(stage="pretrain", data=spec.target.data, images=images, method=spec.method, encoder=spec.encoder)
    for transfer in plan.transfers:
        # Each image passes the encoder once, forwards, or its pixels are compared: little beside any training.
        needed = transfer.pretraining
        yield _Step(
            stage="score",
            data=transfer.target.data,
            images=transfer.n_train,
            method=needed.method if needed else None,
            encoder=needed.encoder if needed else None,
        )
    finetunings: dict[Stage, tuple[Study, ...]] = {"finetune": plan.studies, "defaults": plan.at_defaults}
    for stage, studies in finetunings.items():
        for study in studies:
            if not isinstance(study.method, MeanSpec):
                yield _Step(
                    stage=stage,
                    data=study.target.data,
                    images=_finetune_images(study),
                    method=study.method,
                    encoder=study.encoder,
                )


def _search_images(study: Study, tuning: TuningSpec, sizes: Sizes) -> int | None:
    """Images of a search: as many for a trial as its options stand in the file; unknown where time is the budget."""
    if tuning.trials is None:
        return None
    spec = PretrainSpec.of(study)
    pretrain = _pretrain_images(spec, sizes) if spec is not None and tuning.order != "target_only" else 0
    if pretrain is None:
        return None
    finetune = _finetune_images(study) * int(tuning.validation.partition(":")[2] or 1)
    if tuning.order == "source_then_target" and spec is not None:
        half = tuning.trials // 2
        return half * finetune + (tuning.trials - half) * pretrain
    return tuning.trials * (finetune + pretrain)


def _finetune_images(study: Study) -> int:
    images, steps = _fit_images(study.method.finetune, study.n_train)
    return images + (steps * study.method.unlabelled_batch_size if isinstance(study.method, VATSpec) else 0)


def _pretrain_images(spec: PretrainSpec, sizes: Sizes) -> int | None:
    """Images of a pretraining; its pool is what the target leaves free, and the source."""
    if isinstance(spec.method, SelfferSpec):
        return _fit_images(spec.method.pretrain, spec.n_train or 0)[0]
    target, source = spec.target.data.name, spec.source.data.name if spec.source else spec.target.data.name
    if target not in sizes or source not in sizes:
        return None
    pool = sizes[target] - spec.n_reserved - n_test(spec.split, sizes[target])
    other = sizes[source] if source != target else 0
    if isinstance(spec.method, SupervisedSpec):
        return _fit_images(spec.method.pretrain, round(0.9 * (other or pool)))[0]  # a tenth watches
    assert isinstance(spec.method, SimCLRSpec)
    seen = {"source": other or pool, "target": pool, "both": pool + other}
    return _fit_images(spec.method.pretrain, seen[spec.method.pool])[0]


def n_test(split: SplitSpec, subjects: int) -> int:
    """Test subjects among so many."""
    return round(split.test * subjects) if split.test < 1 else round(split.test)


def _fit_images(spec: FitSpec, rows: int) -> tuple[int, int]:
    """(images, steps) of all epochs over a stream of rows."""
    steps = spec.steps_per_epoch or math.ceil(rows / spec.batch_size)
    images = steps * spec.batch_size if spec.steps_per_epoch else rows
    return spec.epochs * images, spec.epochs * steps
