"""Evaluation: the only step of a study that opens the test set."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ctlr import __version__
from ctlr.data.inputs import cells_of
from ctlr.data.splits import draw_split, rows_of
from ctlr.data.store import ArrayStore
from ctlr.data.targets import Targets, read_targets
from ctlr.errors import TrainingError
from ctlr.shallow.model import SavedFamily, save_family
from ctlr.shallow.sample import Predict
from ctlr.specs import Answer, Checkpoint, PretrainSpec, Study, StudyResult
from ctlr.steps.assembly import (
    Scaling,
    also_scores,
    constant_remedy,
    diverged_remedy,
    scores_of,
    write_predictions,
)
from ctlr.steps.baselines import Baseline, baseline_of
from ctlr.steps.keys import Arrays, pretrain_key, study_key
from ctlr.steps.monitoring import write_reference
from ctlr.steps.surface import has_surface, write_surface
from ctlr.training.checkpoint import TrainedModel, load_model, save_model
from ctlr.training.metrics import is_constant
from ctlr.workspace import Workspace, write_aside

__all__ = ["evaluate"]


_POINTS = 8192
"""That are predicted at a time."""


def evaluate(study: Study, arrays: Arrays, workspace: Workspace, *, device: str = "cpu") -> StudyResult:
    """Score a study on train, validation and test: the only place where the test set is opened.

    One that trains a network is finetuned before; any other is fitted here.

    After a refit the validation subjects count as trained on, and `before_refit` has the validation scores of the
    training that chose the epoch.

    Raises:
        TrainingError: Predictions are constant, or no number.
    """
    key = study_key(study, arrays)
    if not workspace.has("studies", key):
        began = time.perf_counter()
        torch.set_num_threads(study.compute.threads)
        stored = arrays[study.target.data.name]
        store = ArrayStore(stored, workspace)
        targets = read_targets(store.table, study.target.task, study.target.data.name)
        split = draw_split(
            store.table, targets, study.split, n_train=study.n_train, n_reserved=study.n_reserved, seed=study.seed
        )
        sides = {"train": split.train, "validation": split.validation, "test": split.test}
        if study.method.refits:  # who chose the epoch was then trained on
            sides = {"train": (*split.train, *split.validation), "test": split.test}
        of_side = {side: rows_of(store.table, subjects) for side, subjects in sides.items()}
        rows = {side: chosen[targets.known[chosen]] for side, chosen in of_side.items()}
        baseline = None
        if not study.method.trains_network and study.method.role != "floor":
            baseline = baseline_of(study, store, targets, arrays, workspace, device=device)
        predict, model = _predictor(study, key, targets, rows["train"], workspace, device, baseline)
        predictions = {side: predict(store, chosen) for side, chosen in rows.items() if side != "test"}
        predicting = time.perf_counter()
        predictions["test"] = predict(store, rows["test"])
        seconds_per_image = (time.perf_counter() - predicting) / max(1, len(rows["test"]))
        _check_predictions(study, predictions)
        asked = [read_targets(store.table, other.task, study.target.data.name) for other in study.target.others]
        beside = [
            baseline_of(study, store, other, arrays, workspace, device=device, also=place)
            for place, other in enumerate(asked)
            if baseline is not None and not study.method.reads_source  # which says nothing of them
        ]
        others = _also(study, store, rows, asked, beside, model, device)
        # What has learned from the validation subjects is not judged by them.
        judged = [side for side in rows if side != "validation" or baseline is None or baseline.validated]
        scores = {side: _scores(targets, rows["train"], rows[side], predictions[side]) for side in judged}
        for side in judged:
            for other, said in others:
                scores[side] |= also_scores(other, rows[side], said[side], Scaling(other, _known(other, rows["train"])))
        with workspace.publish("studies", key) as partial:
            write_predictions(partial / "predictions.csv", store, targets, rows, predictions, workspace, others)
            plain = study.method.role != "floor" and not study.target.task.inputs
            if plain and has_surface(stored, targets):
                write_surface(partial / "surface.npz", store, targets, rows, predict)
            if model is not None:
                for name in ("model.safetensors", "model.json", "history.csv"):
                    _share(model / name, partial / name)
            elif isinstance(left := baseline.model if baseline is not None else None, SavedFamily):
                save_family(partial, _together(left, asked, beside))
            elif left is not None:
                save_model(partial, left)
            if (partial / "model.json").exists() and len(stored.shape) > 2:
                write_reference(partial, store, rows, {side: predictions[side] for side in judged})
            if model is not None and study.method.refits:
                # By which the epoch was chosen: of another network than the one scored here.
                scores["before_refit"] = _trained(workspace, model).scores
            elif baseline is not None and baseline.before_refit:
                scores["before_refit"] = dict(baseline.before_refit)
            result = StudyResult(
                study=study.without_folders(), scores=scores, path=f"studies/{key}", arrays=stored.fingerprint,
                split=split.identity(), n_validation=len(split.validation),
                seconds_per_image=seconds_per_image if study.method.role != "floor" else 0.0,
                environment={"ctlr": __version__, "torch": torch.__version__, "numpy": np.__version__},
                **_provenance(study, arrays, workspace, model, baseline, stored.seconds, time.perf_counter() - began),
            )  # fmt: skip
            write_aside(partial / "result.json", result.model_dump_json(indent=1).encode())
    return workspace.read("studies", key, "result.json", StudyResult.model_validate_json)


def _trained(workspace: Workspace, model: Path) -> Checkpoint:
    """The record of the finetuning that left a model."""
    return workspace.read("finetuned", model.name, "result.json", Checkpoint.model_validate_json)


def _share(file: Path, place: Path) -> None:
    """The same file in two folders; a copy where the file system knows no hard links."""
    try:
        os.link(file, place)
    except OSError:
        shutil.copyfile(file, place)


def _predictor(
    study: Study,
    key: str,
    targets: Targets,
    train: npt.NDArray[np.int64],
    workspace: Workspace,
    device: str,
    baseline: Baseline | None,
) -> tuple[Predict, Path | None]:
    """How rows are predicted, and the folder of the model that does it."""
    if baseline is not None:
        return baseline.predict, None
    if study.method.role == "floor":
        floor = _floor(targets, train)
        return lambda _, rows: np.repeat(floor, len(rows), axis=0), None
    folder = workspace.folder("finetuned", key)
    model = load_model(folder, device)
    assert isinstance(model, TrainedModel)

    def predict(store: ArrayStore, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return _each(model, store, rows)[model.card.target]

    return predict, folder


def _also(
    study: Study,
    store: ArrayStore,
    rows: Mapping[str, npt.NDArray[np.int64]],
    every: Sequence[Targets],
    beside: Sequence[Baseline],
    folder: Path | None,
    device: str,
) -> list[tuple[Targets, dict[str, npt.NDArray[np.float64]]]]:
    """What is said of the task's other targets, by the network or by what was fitted to them."""
    if not every:
        return []
    if study.method.role == "floor":
        floors = [(targets, _floor(targets, _known(targets, rows["train"]))) for targets in every]
        return [(targets, {side: np.repeat(floor, len(chosen), axis=0) for side, chosen in rows.items()})
                for targets, floor in floors]  # fmt: skip
    if folder is None:
        return [(targets, {side: baseline.predict(store, chosen) for side, chosen in rows.items()})
                for targets, baseline in zip(every if beside else (), beside, strict=True)]  # fmt: skip
    model = load_model(folder, device)
    assert isinstance(model, TrainedModel)
    said = {side: _each(model, store, chosen) for side, chosen in rows.items()}
    return [(targets, {side: found[targets.column] for side, found in said.items()}) for targets in every]


def _together(first: SavedFamily, every: Sequence[Targets], beside: Sequence[Baseline]) -> SavedFamily:
    """A family's models of all targets as one."""
    others = tuple(each.model.model for each in beside if isinstance(each.model, SavedFamily))
    answers = tuple(
        Answer(target=targets.column, classes=targets.classes, mean=model.mean, std=model.std)
        for targets, model in zip(every, others, strict=True)
    )
    return SavedFamily(first.card.model_copy(update={"also": answers}), first.model, others)


def _known(targets: Targets, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return rows[targets.known[rows]]


def _each(model: TrainedModel, store: ArrayStore, rows: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.float64]]:
    """Every target of rows of a store, some at a time."""
    step = 64 if store.arrays.shape[1:] else _POINTS
    parts = [rows[i : i + step] for i in range(0, max(1, len(rows)), step)]
    found = [model.predict_each(store.read(part), inputs=_beside(model, store, part), trusted=True) for part in parts]
    return {target: np.concatenate([each[target] for each in found]) for target in found[0]}


def _beside(model: TrainedModel, store: ArrayStore, rows: npt.NDArray[np.int64]) -> dict[str, list[str]]:
    """Cells of the columns that a model reads beside the images."""
    return {column.name: cells_of(store.table, column.name, rows) for column in model.card.inputs}


def _floor(targets: Targets, train: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The training mean (1,), or the training classes' shares (1, K), whose largest is the majority."""
    if not targets.classes:
        return np.array([targets.values[train].mean()])
    counts = np.bincount(targets.values[train].astype(np.int64), minlength=len(targets.classes)).astype(np.float64)
    return np.asarray(counts / counts.sum())[None]


def _check_predictions(study: Study, predictions: Mapping[str, npt.NDArray[np.float64]]) -> None:
    if study.method.role == "floor":
        return
    seen = np.concatenate([values for side, values in predictions.items() if side != "train"])
    if not np.isfinite(seen).all():
        raise TrainingError(f"the predictions are no finite numbers; {diverged_remedy(study.method)}")
    if study.method.role == "method" and is_constant(seen):
        raise TrainingError(f"the predictions are constant; {constant_remedy(study.method)}")


def _scores(
    targets: Targets,
    train: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    predictions: npt.NDArray[np.float64],
) -> dict[str, float]:
    return scores_of(Scaling(targets, train), targets.values[rows], predictions) if len(rows) else {}


def _provenance(
    study: Study,
    arrays: Arrays,
    workspace: Workspace,
    model: Path | None,
    baseline: Baseline | None,
    preprocess: float,
    evaluation: float,
) -> dict[str, Any]:
    """Costs and origins of a study, from the records of its steps."""
    fitting = baseline.seconds if baseline is not None else None
    found: dict[str, Any] = {"seconds": {"preprocess": preprocess, "evaluate": evaluation - (fitting or 0.0)}}
    if fitting is not None:
        found["seconds"]["fit"] = fitting
    if model is not None:
        tuned = _trained(workspace, model)
        trained = workspace.read("finetuned", model.name, "trained.json", json.loads)
        found["seconds"]["finetune"] = tuned.seconds
        found |= {
            "epochs": tuned.epochs, "best_epoch": tuned.best_epoch, "parameters": trained["parameters"],
            "device": trained["device"], "weights": tuned.sha256,
        }  # fmt: skip
    spec = PretrainSpec.of(study)
    if spec is not None:
        key = pretrain_key(spec, arrays)
        record = workspace.read("pretrained", key, "result.json", Checkpoint.model_validate_json)
        found["seconds"]["pretrain"] = record.seconds
        found |= {
            "pretraining": key, "pretrain_scores": record.scores, "pretrain_device": record.device,
            "pretrain_weights": record.sha256,
        }  # fmt: skip
    return found
