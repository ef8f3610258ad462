"""Parts that steps are put together from."""

from __future__ import annotations

import csv
import io
import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ctlr.cells import guarded
from ctlr.data.development import Development, SourceData, open_development, open_source
from ctlr.data.inputs import encoded_rows
from ctlr.data.store import ArrayStore
from ctlr.data.targets import Targets
from ctlr.encoders import build_encoder
from ctlr.encoders.base import Encoder
from ctlr.errors import DataError, TrainingError
from ctlr.methods.base import predict_outputs
from ctlr.methods.losses import SeveralLoss, TaskLoss
from ctlr.specs import (
    Checkpoint,
    DataTask,
    InputColumn,
    MethodSpec,
    PretrainSpec,
    StoredArrays,
    Study,
    TaskSpec,
    TransferSpec,
    also_name,
    fingerprint,
)
from ctlr.steps.keys import Arrays
from ctlr.training.fit import Fitted, Validation
from ctlr.training.images import Images, Labelled
from ctlr.training.metrics import classification_scores, regression_scores
from ctlr.training.placement import Placement
from ctlr.workspace import Workspace, write_aside

__all__ = [
    "Progress",
    "Scaling",
    "SeveralScaling",
    "Validator",
    "also_scores",
    "as_target",
    "checkpoint_of",
    "columns_beside",
    "constant_remedy",
    "development_of",
    "diverged_remedy",
    "drop_checkpoints",
    "finetuning_source",
    "first_encoder",
    "known_of",
    "labelled_rows",
    "pool_parts",
    "scores_of",
    "seed_for",
    "several",
    "source_of",
    "task_loss",
    "timed",
    "write_history",
    "write_predictions",
]

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Told (epoch, epochs, history row)."""


def pool_parts(
    pool: str, development: Development, source: SourceData | None
) -> list[tuple[ArrayStore, npt.NDArray[np.int64]]]:
    """Images that self-supervision may see, of the datasets that the option names."""
    parts = [(development.store, development.pool)] if pool != "source" or source is None else []
    if source is not None and source.store is not development.store and pool != "target":
        parts.append((source.store, np.concatenate([source.train, source.validation])))
    return parts or [(development.store, development.pool)]


class Scaling:
    """Standardisation of a numeric target by its training mean and deviation; classes pass unchanged.

    Attributes:
        bins: Quintiles of the training target, between which `f1_bins` counts.
    """

    def __init__(self, targets: Targets, train: npt.NDArray[np.int64]) -> None:
        self.mean, self.std = 0.0, 1.0
        self.bins = np.empty(0)
        if not targets.classes:
            values = targets.values[train]
            self.bins = np.quantile(values, (0.2, 0.4, 0.6, 0.8))
            self.mean, self.std = float(values.mean()), float(values.std()) or 1.0
        self.classes = targets.classes

    def scale(self, target: Tensor | None) -> Tensor | None:
        """Standardise; unknown targets stay unknown."""
        return target if target is None or self.classes else (target - self.mean) / self.std

    def restore(self, outputs: Tensor) -> npt.NDArray[np.float64]:
        """Values in the target's units, or probabilities."""
        plain = outputs.double().cpu()
        return plain.softmax(1).numpy() if self.classes else plain[:, 0].numpy() * self.std + self.mean


class SeveralScaling(Scaling):
    """The same of several targets of one network.

    Args:
        first: Of the first target.
        others: Of the others.
    """

    def __init__(self, first: Scaling, others: Sequence[Scaling]) -> None:
        vars(self).update(vars(first))
        self._parts = (first, *others)

    def scale(self, target: Tensor | None) -> Tensor | None:
        """Standardise (N, T) targets, each by its own."""
        if target is None:
            return None
        columns = zip(target.unbind(dim=1), self._parts, strict=True)
        return torch.stack([scaling.scale(values) for values, scaling in columns], dim=1)  # type: ignore[misc]

    def restore(self, outputs: Tensor) -> npt.NDArray[np.float64]:
        """Of the first target."""
        return self.restore_each(outputs)[0]

    @property
    def others(self) -> tuple[Scaling, ...]:
        """Those beside the first."""
        return self._parts[1:]

    def restore_each(self, outputs: Tensor) -> list[npt.NDArray[np.float64]]:
        """Of each target, the first one's first."""
        widths = [max(1, len(part.classes)) for part in self._parts]
        parts = zip(torch.split(outputs, widths, dim=1), self._parts, strict=True)
        return [scaling.restore(each) for each, scaling in parts]


def several(
    task: TaskSpec,
    also: Sequence[Targets],
    train: npt.NDArray[np.int64],
    first: tuple[TaskLoss, Scaling],
    class_weights: str | None,
    placement: Placement,
) -> tuple[TaskLoss, Scaling]:
    """Loss and scaling of all of a network's targets; those of the first where it has no other.

    Args:
        task: Which ones, and what they weigh.
        also: Those beside the first, by row.
        train: Rows that are trained on.
        first: Loss and scaling of the first.
        class_weights: As of `task_loss`.
        placement: Where it lies.

    Raises:
        DataError: No training subject has one of the labels.
    """
    if not also:
        return first
    found = [task_loss(targets, known_of(targets, train), class_weights, placement) for targets in also]
    weighed = [(loss, other.weight) for (loss, _), other in zip(found, task.also, strict=True)]
    loss = SeveralLoss(first[0], weighed, balanced=task.balance == "uncertainty")
    return loss, SeveralScaling(first[1], [scaling for _, scaling in found])


def known_of(targets: Targets, train: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Those of the training rows that have one of a task's other targets.

    Raises:
        DataError: None has.
    """
    known = train[targets.known[train]]
    if not len(known):
        raise DataError(
            f"Target {targets.column!r} of `also` must be known for some training subjects of dataset "
            f"{targets.dataset!r}; it is for none of {len(train)}. Raise `sample_sizes`, or leave it out."
        )
    return known


def also_scores(
    targets: Targets, rows: npt.NDArray[np.int64], predictions: npt.NDArray[np.float64], scaling: Scaling
) -> dict[str, float]:
    """Metrics of another target than the first, over the rows that have it, under names that say so.

    Args:
        targets: By row of the store.
        rows: (N,) that were predicted.
        predictions: (N,) or (N, K).
        scaling: Whose `bins` count.
    """
    known = targets.known[rows]
    if not known.any():
        return {}
    scores = scores_of(scaling, targets.values[rows[known]], predictions[known])
    return {f"{also_name(targets.column)}_{metric}": value for metric, value in scores.items()}


def task_loss(
    targets: Targets, train: npt.NDArray[np.int64], class_weights: str | None, placement: Placement
) -> tuple[TaskLoss, Scaling]:
    """The task's loss and the scaling of its target, both from training rows."""
    weights = None
    if targets.classes and class_weights == "balanced":
        counts = np.bincount(targets.values[train].astype(np.int64), minlength=len(targets.classes))
        weights = torch.tensor(counts.sum() / (len(counts) * counts.clip(1)), dtype=torch.float32)
        weights = weights.to(placement.device)
    return TaskLoss(classes=len(targets.classes), weights=weights), Scaling(targets, train)


def scores_of(scaling: Scaling, truth: npt.NDArray[Any], predictions: npt.NDArray[np.float64]) -> dict[str, float]:
    """Scores of predictions of rows, of a target that is scaled so."""
    if scaling.classes:
        return classification_scores(truth.astype(np.int64), predictions)
    return regression_scores(truth, predictions, bins=scaling.bins)


class Validator:
    """Judges weights on validation rows, by the task's headline metric.

    Args:
        encoder: Whose weights are judged.
        head: Likewise.
        rows: Images, or what the first `start` blocks made of them, with their targets.
        start: The block that comes first.
        end: What is predicted.
        loss: Of the task.
        scaling: Of its target.
        placement: Where the weights are.
        also: Scores of other targets than the first, from the outputs.
    """

    def __init__(
        self,
        encoder: Encoder,
        head: nn.Module,
        rows: Labelled,
        start: int,
        end: DataTask,
        loss: TaskLoss,
        scaling: Scaling,
        placement: Placement,
        also: Callable[[Tensor], Mapping[str, float]] | None = None,
    ) -> None:
        assert rows.target is not None
        scaled = scaling.scale(rows.target)
        assert scaled is not None
        self._encoder, self._head, self._start = encoder, head, start
        self._rows, self._scaled = rows, scaled
        self._loss, self._scaling, self._placement = loss, scaling, placement
        self._headline, self._sign = end.task.headline, 1.0 if end.task.direction == "max" else -1.0
        self._truth = rows.target.cpu().numpy()
        self._also = also
        if also:
            self._truth = self._truth[:, 0].astype(np.int64 if loss.classes else np.float32)

    def predict(self) -> npt.NDArray[np.float64]:
        """(N,) values in the target's units, or (N, K) probabilities."""
        return self._scaling.restore(self._outputs())

    def __call__(self) -> Validation:
        """How good the current weights are.

        Raises:
            TrainingError: Their loss is no finite number.
        """
        outputs = self._outputs()
        with torch.inference_mode(), self._placement.autocast():
            cost = float(self._loss(outputs, self._scaled))
        if not math.isfinite(cost):
            raise TrainingError(f"the validation loss became {cost}; lower `lr` or set `clip`")
        scores = scores_of(self._scaling, self._truth, self._scaling.restore(outputs))
        if self._also is not None:
            scores |= self._also(outputs)
        # A metric can be undefined for one epoch's predictions (r of constant ones): such an epoch is never the best.
        known = self._headline in scores
        return Validation(self._sign * scores[self._headline] if known else -math.inf, cost, scores)

    def _outputs(self) -> Tensor:
        index = np.arange(len(self._rows))
        chunks = [index[i : i + 32] for i in range(0, len(index), 32)]
        with torch.inference_mode(), self._placement.autocast():
            return torch.cat(
                [
                    predict_outputs(self._encoder, self._head, images, self._start, columns=self._columns(chunk))
                    for chunk, images in zip(chunks, self._rows.images.batches(chunks), strict=True)
                ]
            )

    def _columns(self, chunk: npt.NDArray[np.int64]) -> Tensor | None:
        columns = self._rows.columns
        return None if columns is None else columns[torch.from_numpy(chunk).to(columns.device)]


def development_of(spec: Study | PretrainSpec | TransferSpec, arrays: Arrays, workspace: Workspace) -> Development:
    """The target's data without its test set.

    A pretraining that uses no labelled target rows has no n_train: its pool is the same for every one.
    """
    return open_development(
        spec.target, arrays[spec.target.data.name], workspace, split=spec.split,
        n_train=spec.n_train or 2, n_reserved=spec.n_reserved, seed=spec.seed,
    )  # fmt: skip


def source_of(
    spec: Study | PretrainSpec | TransferSpec, arrays: Arrays, workspace: Workspace, development: Development
) -> SourceData | None:
    """The source's labelled images, where there is a source."""
    if spec.source is None:
        return None
    same = spec.source.data.name == spec.target.data.name
    return open_source(
        spec.source, arrays[spec.source.data.name], workspace,
        among=development if same else None, seed=seed_for(spec.seed, "watch"),
        validation=spec.split.source_validation,
    )  # fmt: skip


def finetuning_source(
    study: Study, arrays: Arrays, workspace: Workspace, development: Development
) -> SourceData | None:
    """The source's labelled images, where the study's finetuning itself looks at them."""
    if not study.method.reads_source_while_finetuning:
        return None
    return source_of(study, arrays, workspace, development)


def first_encoder(spec: Study | PretrainSpec, arrays: StoredArrays, purpose: str = "encoder") -> Encoder:
    """The encoder with its first weights, which depend on the seed alone: every method starts from the same ones.

    Args:
        spec: Names it.
        arrays: Images of the shape that it takes.
        purpose: Another one draws other weights.
    """
    channels, *spatial = arrays.shape
    return build_encoder(spec.encoder, channels=channels, ndim=len(spatial), seed=seed_for(spec.seed, purpose))


def labelled_rows(
    store: ArrayStore,
    targets: Targets,
    rows: npt.NDArray[np.int64],
    placement: Placement,
    inputs: Sequence[InputColumn] = (),
    also: Sequence[Targets] = (),
) -> Labelled:
    """Those rows with their targets as they stand in the table, and what is read beside their images.

    With other targets beside the first the target is (N, T), NaN where unknown.
    """
    target = as_target(targets.values[rows], targets.classes, placement)
    if also:
        every = [np.where(each.known, each.values, np.nan)[rows] for each in (targets, *also)]
        target = as_target(np.stack(every, axis=1), (), placement)
    return Labelled(
        Images([(store, rows)], placement.device), target, columns_beside(inputs, [(store, rows)], placement)
    )


def columns_beside(
    inputs: Sequence[InputColumn], parts: Sequence[tuple[ArrayStore, npt.NDArray[np.int64]]], placement: Placement
) -> Tensor | None:
    """(N, C) of all rows; a column is missing where a store's table does not have it. None where nothing is read."""
    if not inputs:
        return None
    found = [encoded_rows(inputs, store.table, rows) for store, rows in parts]
    return torch.from_numpy(np.concatenate(found)).to(placement.device)


def as_target(values: npt.NDArray[Any], classes: Sequence[str], placement: Placement) -> Tensor:
    """Targets as the loss takes them."""
    kind = torch.int64 if classes else torch.float32
    return torch.from_numpy(np.asarray(values)).to(placement.device, kind)


def seed_for(seed: int, purpose: str) -> int:
    """An independent 63-bit seed for each purpose."""
    return int(fingerprint(str(seed), purpose)[:15], 16)


def write_history(path: Path, fitted: Fitted) -> None:
    """One row an epoch, as CSV."""
    columns = list(dict.fromkeys(key for row in fitted.history for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in fitted.history:
        writer.writerow({key: f"{value:.6g}" for key, value in row.items()})
    write_aside(path, text.getvalue().encode())


def write_predictions(
    path: Path,
    store: ArrayStore,
    targets: Targets,
    rows: Mapping[str, npt.NDArray[np.int64]],
    predictions: Mapping[str, npt.NDArray[np.float64]],
    workspace: Workspace,
    also: Sequence[tuple[Targets, Mapping[str, npt.NDArray[np.float64]]]] = (),
) -> None:
    """One row an image: pseudonym, split, truth, prediction (and a probability for each class).

    Args:
        path: To write.
        store: Whose images.
        targets: By row.
        rows: Of each split.
        predictions: Of each split, in the order of its rows.
        workspace: Knows the pseudonyms.
        also: Other targets with their predictions; an empty cell where the truth is not known.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names_of_others = [column for other, _ in also for column in _columns_of(other, f"{also_name(other.column)}_")]
    writer.writerow(["subject", "split", *_columns_of(targets, ""), *names_of_others])
    for side, chosen in rows.items():
        codes = store.table.subject.codes[chosen]
        met, place = np.unique(codes, return_inverse=True)
        names = workspace.pseudonyms(store.table.subject.values[code] for code in met.tolist())
        told = [_told(targets, chosen, predictions[side]), *(_told(each, chosen, said[side]) for each, said in also)]
        for who, *cells in zip(place.tolist(), *told, strict=True):
            writer.writerow((names[who], side, *itertools.chain.from_iterable(cells)))
    write_aside(path, text.getvalue().encode())


def _columns_of(targets: Targets, before: str) -> list[str]:
    return [f"{before}y_true", f"{before}y_pred", *(f"{before}p_{name}" for name in targets.classes)]


def _told(
    targets: Targets, rows: npt.NDArray[np.int64], predictions: npt.NDArray[np.float64]
) -> Iterator[tuple[str, ...]]:
    """Cells of each row: truth, prediction, and a probability for each class."""
    classes = [guarded(name) for name in targets.classes]
    known = targets.known[rows].tolist()
    for there, truth, predicted in zip(known, targets.values[rows], predictions, strict=True):
        if classes:
            said = (classes[int(np.argmax(predicted))], *(f"{p:.6g}" for p in predicted))
            yield (classes[int(truth)] if there else "", *said)
        else:
            yield (f"{truth:.6g}" if there else "", f"{float(predicted):.6g}")


def constant_remedy(method: MethodSpec) -> str:
    """What to do where a method says the same for everyone."""
    if not method.trains_network:
        return "set other options: smaller leaves, a weaker penalty, or other `features`"
    return "raise `epochs` or `lr`, or unfreeze blocks"


def diverged_remedy(method: MethodSpec) -> str:
    """What to do where a method's predictions are no numbers."""
    return "lower `lr` or set `clip`" if method.trains_network else "set other options, or other `features`"


def checkpoint_of(stage: Literal["pretrain", "finetune"], path: str, sha: str, fitted: Fitted) -> Checkpoint:
    """Record of a finished stage."""
    return Checkpoint(
        path=path, stage=stage, sha256=sha, epochs=fitted.epochs, best_epoch=fitted.best_epoch,
        scores=fitted.kept_scores, seconds=fitted.seconds, samples=fitted.samples,
    )  # fmt: skip


def timed(record: Checkpoint, began: float) -> Checkpoint:
    """The record with the seconds of its whole step, which began at that `time.perf_counter()`."""
    return record.model_copy(update={"wall": max(record.seconds, time.perf_counter() - began)})


def drop_checkpoints(folder: Path) -> None:
    """Remove what only an unfinished stage needs."""
    for name in ("checkpoint.safetensors", "best.safetensors"):
        (folder / name).unlink(missing_ok=True)
