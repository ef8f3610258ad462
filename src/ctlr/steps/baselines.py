"""How those predict that train no network: fitted to labels, or the source's network as it is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from ctlr import shallow
from ctlr.data.development import Development, SourceData
from ctlr.data.preparation import preparation_of
from ctlr.data.store import ArrayStore
from ctlr.data.targets import Targets
from ctlr.errors import DataError
from ctlr.shallow.linear import Linear
from ctlr.shallow.model import FamilyModel, SavedFamily
from ctlr.shallow.sample import Predict, Sample
from ctlr.specs import ModelCard, PretrainSpec, Study, fingerprint
from ctlr.steps.assembly import Scaling, development_of, known_of, scores_of, source_of
from ctlr.steps.keys import RECIPE, Arrays
from ctlr.steps.pretrain import source_model
from ctlr.training.checkpoint import TrainedModel
from ctlr.training.frozen import Frozen
from ctlr.workspace import Workspace

__all__ = ["Baseline", "baseline_of", "fit_development"]

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Baseline:
    """A baseline, or a method without a network, that is ready to predict.

    Attributes:
        predict: Of rows of the target's store, or of another one with images of that shape.
        seconds: That fitting took; None where nothing was fitted.
        model: What it leaves to be used: its network, or a family's model; None for most baselines.
        validated: Whether validation subjects tell how good it is: it has not learned from them.
        before_refit: Validation scores of a model that has learned from the training subjects alone; empty without one.
    """

    predict: Predict
    seconds: float | None = None
    model: TrainedModel | SavedFamily | None = None
    validated: bool = True
    before_refit: Mapping[str, float] = field(default_factory=dict)


def baseline_of(
    study: Study,
    store: ArrayStore,
    targets: Targets,
    arrays: Arrays,
    workspace: Workspace,
    *,
    device: str,
    also: int | None = None,
) -> Baseline:
    """Make a study ready that trains no network, without looking at the test set.

    Args:
        study: Of a baseline or a family.
        store: The target's images.
        targets: Of the target; only its classes are looked at.
        arrays: Stored arrays by the dataset's name.
        workspace: Where they and the source's network lie.
        device: cpu or cuda.
        also: Place of the target among the task's other ones; None for the first. What learns the source has none.

    Raises:
        DataError: The source knows other classes than the target.
        TrainingError: A family has nothing to learn from.
    """
    if study.method.shallow:
        return _shallow(study, targets, arrays, workspace, also)
    spec = PretrainSpec.of(study)
    assert spec is not None
    model = source_model(spec, store, arrays, workspace, device)
    place = _columns(study, model.card.classes, targets.classes)

    def predict(store: ArrayStore, rows: Rows) -> Floats:
        chunks = [model.predict(store.read(rows[i : i + 64])) for i in range(0, len(rows), 64)]
        return np.concatenate(chunks or [model.predict(store.read(rows))])[..., place]

    return Baseline(predict, model=model)


def _shallow(study: Study, targets: Targets, arrays: Arrays, workspace: Workspace, also: int | None) -> Baseline:
    method = study.method
    began = time.perf_counter()
    development = development_of(study, arrays, workspace)
    known = source_of(study, arrays, workspace, development) if method.reads_source else development
    assert known is not None
    if also is not None:
        known = _asked_for(development, also)
    place = _columns(study, known.targets.classes, targets.classes)
    validates = not method.reads_source and method.validates(study.target.data.ndim)
    if method.reads_source:
        with threadpool_limits(study.compute.threads):
            fitted: Predict = _kept(study, known, arrays, workspace)
    else:
        fitted = fit_development(study, known, workspace)
    before: dict[str, float] = {}
    if method.refits and isinstance(known, Development):
        before = _validation_scores(known, fitted)
        fitted = fit_development(study, known, workspace, refit=True)
    seconds = time.perf_counter() - began

    def predict(store: ArrayStore, rows: Rows) -> Floats:
        with threadpool_limits(study.compute.threads):
            return fitted(store, rows)[..., place]

    saved = SavedFamily(_card(study, development, fitted), fitted) if isinstance(fitted, FamilyModel) else None
    return Baseline(
        predict, seconds=seconds, model=saved, validated=method.reads_source or validates, before_refit=before
    )


def _validation_scores(known: Development, predict: Predict) -> dict[str, float]:
    rows = known.validation
    if not len(rows):
        return {}
    return scores_of(Scaling(known.targets, known.train), known.targets.values[rows], predict(known.store, rows))


def _asked_for(development: Development, also: int) -> Development:
    """The same subjects with another target, as far as they have it.

    Raises:
        DataError: No training subject has.
    """
    targets, validation = development.also[also], development.validation
    train = known_of(targets, development.train)
    return replace(development, targets=targets, train=train, validation=validation[targets.known[validation]])


def fit_development(
    study: Study, known: Development | SourceData, workspace: Workspace, *, refit: bool = False
) -> Predict:
    """Fit a study's model without a network to labelled images.

    Args:
        study: Of such a method.
        known: The images, the test set sealed.
        workspace: Where features are kept.
        refit: Whether it learns from the validation images as from the others.

    Raises:
        TrainingError: A family has nothing to learn from.
    """
    validates = study.method.validates(study.target.data.ndim) and not refit
    with threadpool_limits(study.compute.threads):
        sample = _sample(known, validates=validates, workspace=workspace)
        task = study.target.task
        sample = replace(sample, inputs=task.inputs if study.method.needs_inputs else task.fused)
        if study.method.reads_frozen_encoder:
            sample = replace(sample, embedding=Frozen.of(study))
        fitted: Predict = shallow.fit(study.method, sample)
    return fitted


def _card(study: Study, development: Development, model: FamilyModel) -> ModelCard:
    shape = development.store.arrays.shape
    return ModelCard(
        encoder=study.encoder if study.method.reads_frozen_encoder else None,
        method=study.without_folders().method.model_copy(update={"label": ""}),
        channels=shape[0], ndim=len(shape) - 1, shape=shape, task=study.target.task.kind,
        target=study.target.task.target, classes=development.targets.classes, mean=model.mean, std=model.std,
        preparation=preparation_of(study.target, development.store, development.train), inputs=model.inputs,
    )  # fmt: skip


def _sample(known: Development | SourceData, *, validates: bool = False, workspace: Workspace | None = None) -> Sample:
    """All labelled images; those of validation subjects by themselves where something is chosen by them."""

    def of(rows: Rows) -> Sample:
        values = known.targets.values[rows]
        return Sample(known.store, rows, values, len(known.targets.classes), workspace=workspace)

    if validates:
        return replace(of(known.train), validation=of(known.validation))
    return of(np.concatenate([known.train, known.validation]))


def _kept(study: Study, known: Development | SourceData, arrays: Arrays, workspace: Workspace) -> Predict:
    """The source's linear model: the same for every size, seed and target, so it is fitted once and kept."""
    source = study.without_folders().source
    assert source is not None
    key = fingerprint(
        str(RECIPE), study.method.model_dump_json(exclude={"label"}), source.identity(),
        arrays[source.data.name].fingerprint, str(study.compute.threads),
    )  # fmt: skip
    with workspace.exclusively("shallow", key):
        if not workspace.has("shallow", key):
            model: Linear = shallow.fit(study.method, _sample(known))
            with workspace.publish("shallow", key) as partial:
                model.save(partial / "linear.safetensors")
    return Linear.load(workspace.folder("shallow", key) / "linear.safetensors")


def _columns(study: Study, known: tuple[str, ...], wanted: tuple[str, ...]) -> list[int] | slice:
    """Where the target's classes stand among the model's."""
    if known == wanted:
        return slice(None)
    if set(known) != set(wanted):
        raise DataError(
            f"The source knows the classes {', '.join(known)}, and the target asks for {', '.join(wanted)}: its model "
            f"cannot stand unchanged. Name the same `classes` in both tasks, or leave {study.method.method!r} out of "
            "`baselines`."
        )
    return [known.index(name) for name in wanted]
