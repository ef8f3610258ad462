"""What a plan costs: steps, images through the loss, and seconds where earlier steps have shown a rate."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from ctlr.config import TuningSpec
from ctlr.errors import ConfigError
from ctlr.plan import Plan
from ctlr.specs import (
    AnyMethod,
    DatasetSpec,
    EncoderSpec,
    FitSpec,
    PretrainSpec,
    SplitSpec,
    Study,
    Value,
)

__all__ = [
    "RUN",
    "Cost",
    "Size",
    "Work",
    "costs",
    "fitted_images",
    "known_sizes",
    "n_test",
    "planned_images",
    "rate_key",
    "search_identity",
    "watched_images",
    "work_of",
]

Stage = Literal["preprocess", "tune", "pretrain", "score", "assess", "fit", "finetune", "defaults"]
"""`defaults`: finetuning of tuned methods with the options in the file."""
RUN = "run"
"""Under which key the seconds of a run outside its steps are kept: starting workers, waiting at the end, the report."""


class Size(Value):
    """How much a dataset holds."""

    subjects: int
    images: int
    """More than subjects where some have several scans."""
    pools: dict[str, int] = Field(default_factory=dict)
    """By target task: images that are neither tested nor set aside for validation, where that was drawn."""
    classes: dict[str, int] = Field(default_factory=dict)
    """By target task, where that was read."""


Sizes = Mapping[str, Size]
"""By dataset."""


class Cost(Value):
    """What steps of one kind cost together; an upper bound, since early stopping may end a step before."""

    stage: Stage
    data: str
    method: str
    """Label, or for a shared pretraining the method's own name; empty for preprocessing."""
    encoder: str
    """Label; empty for preprocessing."""
    steps: int
    """That are left to do."""
    done: int = 0
    """That the workspace holds already; neither images nor seconds count them."""
    images: int | None
    """Through the loss, or through preprocessing; None where the number of images is not known yet."""
    seconds: float | None
    """Of one worker; None where no earlier step has shown a rate."""


class Work(Value):
    """What a step of a run costs."""

    like: str = ""
    """Equal among steps whose images cost about the same."""
    images: int
    """Through the loss; a step that trains nothing counts as one image of its kind. An upper bound, as of `Cost`."""
    seconds: float | None
    """Of one worker; None where no earlier run has shown a rate."""
    study: bool
    """Whether it is one of the benchmark's own studies."""


@dataclass(frozen=True, kw_only=True)
class _Step:
    stage: Stage
    data: DatasetSpec
    images: int | None
    identity: str
    """Of the spec that is worked on."""
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
    shape = "x".join(map(str, data.stored_shape))
    kind = method.method if method is not None else ""
    net = f"{encoder.name}*{encoder.width:g}" if encoder is not None else ""
    net += "".join(f",{name}={value}" for name, value in encoder.own_options.items()) if encoder is not None else ""
    source = data.kind if stage == "preprocess" else ""
    return " ".join(filter(None, (stage, source, kind, net, shape)))


def costs(
    plan: Plan,
    sizes: Sizes,
    seconds_per_image: Mapping[str, float],
    left: Container[str] | None = None,
    *,
    workers: int = 1,
) -> list[Cost]:
    """Cost by stage, dataset, method and encoder.

    Args:
        plan: What is to be done.
        sizes: By dataset; those whose specs say them are known without.
        seconds_per_image: By `rate_key`: seconds / images of earlier steps. Where a rate is missing, so are seconds.
        left: Identities of the specs that are not finished; None for all.
        workers: Processes, all of which a race keeps busy, whose seconds are on the clock.

    Raises:
        ConfigError: A dataset is smaller than what is asked of it; names the numbers and the remedy.
    """
    sizes = known_sizes(plan) | dict(sizes)
    groups: dict[tuple[str, str, str, str], list[_Step]] = {}
    for step in _steps(plan, sizes, workers):
        groups.setdefault((step.stage, step.data.name, step.method_name, step.encoder_name), []).append(step)
    return [_cost(steps, seconds_per_image, left) for steps in groups.values()]


def known_sizes(plan: Plan) -> dict[str, Size]:
    """Of datasets whose specs say them."""
    known = {data.name: data.known_subjects for data in plan.datasets}
    return {name: Size(subjects=count, images=count) for name, count in known.items() if count is not None}


def _cost(planned: list[_Step], seconds_per_image: Mapping[str, float], left: Container[str] | None) -> Cost:
    first = planned[0]
    steps = [step for step in planned if left is None or step.identity in left]
    counted = [step.images for step in steps if step.images is not None]
    images = sum(counted) if len(counted) == len(steps) else None
    # A trial is a finetuning, or a fit, that is thrown away.
    learned: Stage = "finetune" if first.method is None or first.method.trains_network else "fit"
    stage: Stage = learned if first.stage in ("tune", "defaults") else first.stage
    rate = seconds_per_image.get(rate_key(stage, first.data, first.method, first.encoder))
    budget = [step.seconds for step in steps if step.seconds is not None]
    seconds = sum(budget) if budget else None if images is None or rate is None else images * rate
    seconds = seconds if steps else 0.0
    return Cost(
        stage=first.stage,
        data=first.data.name,
        method=first.method_name,
        encoder=first.encoder_name,
        steps=len(steps),
        done=len(planned) - len(steps),
        images=images,
        seconds=seconds,
    )


def _steps(plan: Plan, sizes: Sizes, workers: int) -> Iterator[_Step]:
    for data in plan.datasets:
        images = sizes[data.name].images if data.name in sizes else None
        yield _Step(stage="preprocess", data=data, images=images, identity=data.identity())
    for study in plan.searches:
        assert plan.tuning is not None
        yield _Step(
            stage="tune",
            data=study.target.data,
            images=_search_images(study, plan.tuning, sizes),
            identity=search_identity(study),
            method=study.method,
            encoder=study.encoder if study.method.has_encoder else None,
            seconds=_search_seconds(study, plan, workers),
        )
    for spec in plan.pretrainings * (2 if plan.pretrains_anew else 1):
        images = _pretrain_images(spec, sizes)
        yield _Step(
            stage="pretrain", data=spec.target.data, images=images, identity=spec.identity(), method=spec.method,
            encoder=spec.encoder,
        )  # fmt: skip
    for transfer in plan.transfers:
        # Each image passes the encoder once, forwards, or its pixels are compared: little beside any training.
        needed = transfer.pretraining
        yield _Step(
            stage="score",
            data=transfer.target.data,
            images=_rows(transfer.n_train, transfer.target.data.name, sizes),
            identity=transfer.identity(),
            method=needed.method if needed else None,
            encoder=needed.encoder if needed else None,
        )
    for asked in plan.least_errors:
        data = asked.target.data
        images = sizes[data.name].images if data.name in sizes else None
        yield _Step(stage="assess", data=data, images=images, identity=asked.identity())
    for study in plan.trained:
        if study.method.shallow:
            images = fitted_images(study, sizes)
            yield _Step(
                stage="fit", data=study.target.data, images=images, identity=study.identity(), method=study.method
            )
    finetunings: dict[Stage, tuple[Study, ...]] = {"finetune": plan.studies, "defaults": plan.at_defaults}
    for stage, studies in finetunings.items():
        for study in studies:
            if study.method.trains_network:
                yield _Step(
                    stage=stage,
                    data=study.target.data,
                    images=_study_images(study, sizes),
                    identity=study.identity(),
                    method=study.method,
                    encoder=study.encoder,
                )


def planned_images(spec: Study | PretrainSpec, sizes: Sizes) -> int | None:
    """Images that a step passes through the loss; None where the number of subjects is not known."""
    return _study_images(spec, sizes) if isinstance(spec, Study) else _pretrain_images(spec, sizes)


def work_of(spec: Study | PretrainSpec, sizes: Sizes, seconds_per_image: Mapping[str, float], *, own: bool) -> Work:
    """What a study or a pretraining costs.

    Args:
        spec: Of the step.
        sizes: By dataset.
        seconds_per_image: By `rate_key`.
        own: Whether it is one of the benchmark's own studies.
    """
    if isinstance(spec, PretrainSpec):
        key, images = rate_key("pretrain", spec.target.data, spec.method, spec.encoder), _pretrain_images(spec, sizes)
    elif spec.method.trains_network:
        key = rate_key("finetune", spec.target.data, spec.method, spec.encoder)
        images = _study_images(spec, sizes)
    else:
        key, images = rate_key("fit", spec.target.data, spec.method), fitted_images(spec, sizes)
    rate = seconds_per_image.get(key)
    return Work(
        like=key, images=images or 1, seconds=None if rate is None or images is None else rate * images, study=own
    )


def watched_images(spec: Study | PretrainSpec, sizes: Sizes) -> tuple[int, int]:
    """Images that a step predicts after each epoch, and once at its end."""
    target, split = spec.target.data.name, spec.split
    if isinstance(spec, Study):
        held = spec.n_validation
        tested = n_test(split, sizes[target].subjects) if target in sizes else 0
        return _rows(held, target, sizes), _rows(spec.n_train + held + tested, target, sizes)
    if spec.learns.labels == "target":
        return _rows(split.n_validation(spec.n_train or 1), target, sizes), 0
    source = spec.source.data.name if spec.source else target
    if spec.learns.labels is None or source not in sizes:
        return 0, 0
    images = sizes[source].images if source != target else _pool(spec, sizes[target])
    return round(split.source_validation * images), 0


def _search_seconds(study: Study, plan: Plan, workers: int) -> float | None:
    """Device seconds of a search, where time is the budget; in a race an equal share, though it will not be."""
    assert plan.tuning is not None
    seconds, race = plan.tuning.seconds, plan.tuning.race
    if seconds is None or race is None:
        return seconds
    heat = [each for each in plan.searches if (each.target, each.n_train) == (study.target, study.n_train)]
    return seconds * workers / len(heat)


def _search_images(study: Study, tuning: TuningSpec, sizes: Sizes) -> int | None:
    """Images of a search: as many for a trial as its options stand in the file; unknown where time is the budget."""
    if tuning.seconds is not None or tuning.trials is None:
        return None
    parts = int(tuning.validation.partition(":")[2] or 1)
    if not study.method.trains_network:
        fitted = fitted_images(study, sizes)
        return None if fitted is None else tuning.trials * parts * fitted
    spec = PretrainSpec.of(study)
    pretrain = _pretrain_images(spec, sizes) if spec is not None and tuning.order != "target_only" else 0
    if pretrain is None:
        return None
    finetune = _finetune_images(study, study.n_train, sizes) * parts
    if tuning.order == "source_then_target" and spec is not None:
        half = tuning.trials // 2
        return half * finetune + (tuning.trials - half) * pretrain
    return tuning.trials * (finetune + pretrain)


def search_identity(study: Study) -> str:
    """Identity of the search that begins from a study."""
    return f"search {study.identity()}"


def _study_images(study: Study, sizes: Sizes) -> int:
    """Images of a study's finetuning; a refit comes on top, for as many epochs at the most."""
    again = _finetune_images(study, study.n_train + study.n_validation, sizes) if study.method.refits else 0
    return _finetune_images(study, study.n_train, sizes) + again


def _finetune_images(study: Study, subjects: int, sizes: Sizes) -> int:
    images, steps = _fit_images(study.method.finetune, _rows(subjects, study.target.data.name, sizes))
    return images + steps * study.method.images_beside


def _rows(subjects: int, data: str, sizes: Sizes) -> int:
    """Images of so many subjects, each with as many as the dataset's have on average."""
    return round(subjects * sizes[data].images / max(1, sizes[data].subjects)) if data in sizes else subjects


def fitted_images(study: Study, sizes: Sizes) -> int | None:
    """Labelled images that a model without a network is fitted to: the source's, or the study's, without those that
    validate it."""
    if study.method.reads_source and study.source is not None:
        size = sizes.get(study.source.data.name)
        return size.images if size else None
    held = 0 if study.method.validates(study.target.data.ndim) else study.n_validation
    return _rows(study.n_train + held, study.target.data.name, sizes)


def _pretrain_images(spec: PretrainSpec, sizes: Sizes) -> int | None:
    """Images of a pretraining; its pool is what the target leaves free, and the source."""
    target, source = spec.target.data.name, spec.source.data.name if spec.source else spec.target.data.name
    if spec.learns.labels == "target":
        return _fit_images(spec.fit, _rows(spec.n_train or 0, target, sizes))[0]
    if target not in sizes or source not in sizes:
        return None
    pool = _pool(spec, sizes[target])
    other = sizes[source].images if source != target else 0
    if spec.learns.labels == "source":
        return _fit_images(spec.fit, round(0.9 * (other or pool)))[0]  # a tenth watches
    seen = {"source": other or pool, "target": pool, "both": pool + other}
    return _fit_images(spec.fit, seen[spec.learns.images])[0]


def _pool(spec: PretrainSpec, size: Size) -> int:
    """Images of the target that are neither tested nor set aside for validation."""
    if spec.target.task.name in size.pools:
        return size.pools[spec.target.task.name]
    tested = n_test(spec.split, size.subjects)
    pool = size.subjects - spec.n_reserved - tested
    if pool < 1:
        raise ConfigError(
            f"`sample_sizes` sets {spec.n_reserved} subjects aside for validation and `split.test` {tested} for the "
            f"test; dataset {spec.target.data.name!r} has {size.subjects}, and none is left to train on. Lower "
            "`sample_sizes`, `split.test` or `split.validation`."
        )
    return round(pool * size.images / size.subjects)


def n_test(split: SplitSpec, subjects: int) -> int:
    """Test subjects among so many."""
    return round(split.test * subjects) if split.test < 1 else round(split.test)


def _fit_images(spec: FitSpec, rows: int) -> tuple[int, int]:
    """(images, steps) of all epochs over a stream of rows, which is cut into batches of about the same length."""
    batches = max(1, math.ceil(rows / spec.batch_size))
    steps = spec.steps_per_epoch or batches
    return round(spec.epochs * steps * rows / batches), spec.epochs * steps
