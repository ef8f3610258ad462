"""A family's model: features, how they are put on one scale, and what its learner has found. Arrays, never a pickle."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from scipy import linalg

from ctlr.data.inputs import encoded, encoded_rows, given_cells, input_columns
from ctlr.data.preparation import check_images
from ctlr.data.store import ArrayStore
from ctlr.errors import TrainingError, WorkspaceError
from ctlr.shallow.families import FamilySpec
from ctlr.shallow.features import Embedding, FeatureStore, Singles, computed, span_of
from ctlr.shallow.sample import Floats, Rows, Sample
from ctlr.specs import InputColumn, ModelCard
from ctlr.workspace import write_aside

__all__ = ["FamilyModel", "Learner", "SavedFamily", "fit_family", "load_family", "save_family"]

BLOCK = 64
"""Images that are predicted at a time, a last block filled up: sums are taken in one order, whoever else is asked."""
_LEAST_SPREAD = 0.01
"""Of a feature, as a share of the features' usual one, by which it is divided at least: what hardly varies is noise."""
_RANK = 1e-10
"""Components with less of the largest one's variance are rounding."""
_WEIGHTS = "model.safetensors"


class Learner(Protocol):
    """What learns from features, and predicts from what was learned: a module of `ctlr.shallow.learners`.

    Features are (N, F) float32 whose mean squared length is 1; targets are codes 0 … K - 1, all of which occur, or
    standardised numbers where K is 0.
    """

    def learn(self, spec: Any, features: Singles, target: Any, n_classes: int) -> dict[str, NDArray[Any]]:
        """What was found, by name."""

    def predict(self, spec: Any, arrays: Mapping[str, NDArray[Any]], features: Singles, n_classes: int) -> Floats:
        """(N, K) shares, or (N,) standardised numbers."""

    def check(self, arrays: Mapping[str, NDArray[Any]], width: int, n_classes: int) -> None:
        """Raise a ValueError or a KeyError where `predict` could not use them: they come from a file."""


@dataclass(frozen=True, eq=False)
class FamilyModel:
    """A fitted model; `ctlr.shallow.sample.Predict` of rows.

    Attributes:
        spec: Its options.
        arrays: What it consists of: `span`, `classes` (codes that were met), `shift`, `scale` and perhaps `basis` of
            the features, `column_shift` and `column_scale` of what columns become, those of its learner below `model.`
            and of a frozen network below `encoder.`.
        n_classes: 0 for a regression.
        mean, std: Of the training target.
        features: Where features of stored rows are kept.
        inputs: Columns that it reads beside the image.
    """

    spec: FamilySpec
    arrays: Mapping[str, NDArray[Any]]
    n_classes: int
    mean: float = 0.0
    std: float = 1.0
    features: FeatureStore = field(default_factory=FeatureStore)
    inputs: tuple[InputColumn, ...] = ()

    def __call__(self, store: ArrayStore, rows: Rows) -> Floats:
        """(N,) values or (N, n_classes) shares of rows of a store."""
        columns = encoded_rows(self.inputs, store.table, rows) if self.inputs else None
        return self._predicted(_beside(self.features.read(store, rows, self.spec.features), columns))

    def of_images(self, images: Singles, columns: Singles | None = None) -> Floats:
        """The same of (N, C, *S) images, and of the (N, D) numbers that columns beside them are."""
        low, high = self.arrays["span"]
        span = float(low), float(high)
        return self._predicted(_beside(computed(images, self.spec.features, span, self.features.embedding), columns))

    @cached_property
    def _own(self) -> Mapping[str, NDArray[Any]]:
        return _below(self.arrays, "model.")

    def _predicted(self, features: Singles) -> Floats:
        if not len(features):
            return np.empty((0, self.n_classes) if self.n_classes else 0)
        met = self.arrays["classes"]
        parts = [
            _learner(self.spec).predict(self.spec, self._own, _scaled(self.arrays, block), len(met))[:rows]
            for block, rows in _blocks(features)
        ]
        found = np.concatenate(parts)
        if not self.n_classes:
            return np.asarray(found * self.std + self.mean)
        shares = np.zeros((len(found), self.n_classes))
        shares[:, met] = found
        return shares


def fit_family(spec: FamilySpec, sample: Sample) -> FamilyModel:
    """Fit a model to a sample's images; those that validate are not looked at, but for their features.

    Raises:
        TrainingError: The images, or what they show, are all the same; or a feature is no number.
    """
    held = sample.rows if sample.validation is None else np.concatenate([sample.rows, sample.validation.rows])
    store = FeatureStore(sample.workspace, np.unique(held), sample.embedding)
    features = store.read(sample.store, sample.rows, spec.features)
    inputs, columns = tuple[InputColumn, ...](), None
    if sample.inputs:
        inputs = input_columns(sample.store.table, sample.inputs, sample.rows, "")
        columns = encoded_rows(inputs, sample.store.table, sample.rows)
    target: NDArray[Any] = sample.values
    met, mean, std = np.empty(0, np.int64), 0.0, 1.0
    if sample.n_classes:
        met, target = np.unique(sample.values.astype(np.int64), return_inverse=True)
    else:
        mean, std = float(target.mean()), float(target.std())
        target = (target - mean) / (std or 1.0)
    if len(met) == 1 or std == 0:
        raise TrainingError("the training subjects all show the same; raise `sample_sizes`")
    arrays = {"span": np.array(span_of(sample.store.arrays)), "classes": met} | _scaling(spec, features, columns)
    found = _learner(spec).learn(spec, _scaled(arrays, _beside(features, columns)), target, len(met))
    arrays |= {f"model.{name}": np.ascontiguousarray(each) for name, each in found.items()}
    if sample.embedding is not None:
        arrays |= {f"encoder.{name}": each for name, each in sample.embedding.arrays.items()}
    return FamilyModel(spec, arrays, sample.n_classes, mean, std, store, inputs)


def _learner(spec: FamilySpec) -> Learner:
    learner: Any = import_module(spec.learner)
    return learner  # type: ignore[no-any-return]


# ---------------------------------------------------------------- features on one scale


def _beside(features: Singles, columns: Singles | None) -> Singles:
    return features if columns is None else np.concatenate([features, columns], axis=1)


def _scaling(spec: FamilySpec, features: Singles, columns: Singles | None) -> dict[str, NDArray[Any]]:
    """`shift`, `scale` and, where components are asked for, `basis` (F, R) of features; of columns `column_shift` and
    `column_scale`, so that image and columns are half each of the squared length."""
    numbers = features.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise TrainingError(f"`features.kind: {spec.features.kind}` gives no finite numbers; choose another kind")
    shift, spread = numbers.mean(axis=0), numbers.std(axis=0)
    if not spread.any():
        raise TrainingError(f"`features.kind: {spec.features.kind}` is the same of every image; choose another kind")
    usual = np.sqrt((spread**2).mean())
    each = spec.features.scale == "each"
    scale = 1 / (np.maximum(spread, _LEAST_SPREAD * usual) if each else np.full_like(spread, usual))
    numbers = (numbers - shift) * scale
    found = {"shift": shift, "scale": scale}
    if spec.features.components is None:
        found["scale"] = scale / _length(numbers)
    else:
        basis = _components(numbers, spec.features.components)
        found["basis"] = basis / _length(numbers @ basis)
    if columns is not None:
        share, last = np.sqrt(0.5), "scale" if spec.features.components is None else "basis"
        middle = columns.mean(axis=0, dtype=np.float64)
        length = _length(columns - middle) or 1.0
        found |= {
            last: found[last] * share,
            "column_shift": middle,
            "column_scale": np.full_like(middle, share / length),
        }
    return found


def _length(vectors: Floats) -> float:
    """Root of the mean squared length."""
    return float(np.sqrt((vectors**2).sum(axis=1).mean()))


def _components(centred: Floats, most: int) -> Floats:
    """(F, R) directions of the greatest variance, the greatest first."""
    wide = centred.shape[1] > len(centred)
    values, vectors = linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    rank = max(1, min(most, int(np.count_nonzero(values > _RANK * values[-1]))))
    values, vectors = values[::-1][:rank], vectors[:, ::-1][:, :rank]
    return np.asarray(centred.T @ (vectors / np.sqrt(values)) if wide else vectors)


def _scaled(arrays: Mapping[str, NDArray[Any]], features: Singles) -> Singles:
    """(N, R) what a learner sees: centred, its mean squared length 1 over the training images.

    Columns stand behind the features.
    """
    width = len(arrays["shift"])
    numbers = (features[:, :width] - arrays["shift"]) * arrays["scale"]
    numbers = numbers @ arrays["basis"] if "basis" in arrays else numbers
    if "column_shift" in arrays:
        columns = (features[:, width:] - arrays["column_shift"]) * arrays["column_scale"]
        numbers = np.concatenate([numbers, columns], axis=1)
    return np.asarray(numbers, np.float32)


def _blocks(features: Singles) -> Iterator[tuple[Singles, int]]:
    """Blocks of one length, and how many rows of each count."""
    for start in range(0, len(features), BLOCK):
        part = features[start : start + BLOCK]
        yield np.concatenate([part, np.repeat(part[:1], BLOCK - len(part), axis=0)]), len(part)


# ---------------------------------------------------------------- on disk


@dataclass(frozen=True, eq=False)
class SavedFamily:
    """A family's model with its card, ready to predict, as `ctlr.training.checkpoint.TrainedModel` is.

    Attributes:
        card: What it means.
        model: Of the first target.
        also: Of the others, in the order of the card: each has learned by itself.
    """

    card: ModelCard
    model: FamilyModel
    also: tuple[FamilyModel, ...] = ()

    def predict(
        self, images: NDArray[np.float32], batch_size: int = 1024, *, inputs: Mapping[str, Sequence[Any]] | None = None,
        trusted: bool = False,
    ) -> NDArray[np.float64]:  # fmt: skip
        """Predict the target of preprocessed images, the first one where the model answers several; arguments and
        errors as of `predict_each`."""
        return self.predict_each(images, batch_size, inputs=inputs, trusted=trusted)[self.card.target]

    def predict_each(
        self, images: NDArray[np.float32], batch_size: int = 1024, *, inputs: Mapping[str, Sequence[Any]] | None = None,
        trusted: bool = False,
    ) -> dict[str, NDArray[np.float64]]:  # fmt: skip
        """Predict every target of preprocessed images; for files see `ctlr.serving.predict_files`.

        Args:
            images: (N, C, *S) float32.
            batch_size: Images whose features are held at a time; does not change the numbers.
            inputs: What the model reads beside the images, `card.inputs`, by the column's name: N values each, None
                where one is unknown.
            trusted: They come from the preprocessing that `card.preparation` tells of: values are not looked at.

        Returns:
            By target, in the order of `card.answers`: (N,) values in its units, or (N, K) shares in the order of its
            classes.

        Raises:
            DataError: An image has another shape, or values that the model's preprocessing does not give; or a column
                of `inputs` is missing.
        """
        if not trusted:
            images = np.ascontiguousarray(images, np.float32)
            check_images(images, self.card.shape, self.card.preparation)
        cells = given_cells(self.card.inputs, inputs, len(images))
        columns = encoded(self.card.inputs, cells) if self.card.inputs else None
        parts = [slice(start, start + batch_size) for start in range(0, max(1, len(images)), batch_size)]
        return {
            answer.target: np.concatenate(
                [model.of_images(images[part], None if columns is None else columns[part]) for part in parts]
            )
            for answer, model in zip(self.card.answers, (self.model, *self.also), strict=True)
        }


def save_family(folder: Path, saved: SavedFamily) -> None:
    """Write `model.safetensors` and `model.json` into a folder."""
    arrays = {name: np.ascontiguousarray(each) for name, each in saved.model.arrays.items()}
    for place, other in enumerate(saved.also):  # whose frozen network is the first one's
        own = {name: each for name, each in other.arrays.items() if not name.startswith("encoder.")}
        arrays |= {f"also.{place}.{name}": np.ascontiguousarray(each) for name, each in own.items()}
    write_aside(folder / "model.json", saved.card.model_dump_json(indent=1).encode())
    write_aside(folder / _WEIGHTS, save(arrays, {"meta": json.dumps({"crc32": _checksum(arrays)})}))


def load_family(
    folder: Path, card: ModelCard, embedded: Callable[[ModelCard, Mapping[str, NDArray[Any]]], Embedding] | None = None
) -> SavedFamily:
    """Read what `save_family` wrote.

    Args:
        folder: Where it lies.
        card: Beside it.
        embedded: Makes a frozen network of its weights.

    Raises:
        WorkspaceError: The file is missing or damaged, or does not fit the card.
    """
    spec = card.method
    try:
        if not isinstance(spec, FamilySpec):
            raise ValueError("its card names no model without a network")
        with safe_open(folder / _WEIGHTS, framework="np") as file:
            meta = json.loads((file.metadata() or {}).get("meta", "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        if meta.get("crc32") != _checksum(arrays):
            raise ValueError("other numbers than were written")
        embedding = embedded(card, _below(arrays, "encoder.")) if embedded is not None else None
        features = FeatureStore(embedding=embedding)
        each = [{name: value for name, value in arrays.items() if not name.startswith("also.")}]
        each += [_below(arrays, f"also.{place}.") for place in range(len(card.also))]
        models = []
        for answer, own in zip(card.answers, each, strict=True):
            _check(spec, own, card, len(answer.classes), embedding)
            models.append(FamilyModel(spec, own, len(answer.classes), answer.mean, answer.std, features, card.inputs))
    except (OSError, SafetensorError, ValueError, KeyError, IndexError) as error:
        raise WorkspaceError(
            f"{folder.name}/{_WEIGHTS} is missing or damaged ({error}). Remove that folder and run again."
        ) from error
    first, *others = models
    return SavedFamily(card, first, tuple(others))


def _check(
    spec: FamilySpec, arrays: Mapping[str, NDArray[Any]], card: ModelCard, n_classes: int, embedding: Embedding | None
) -> None:
    """Refuse arrays that do not fit each other or the card."""
    met = arrays["classes"]
    if met.ndim != 1 or len(met) > n_classes or not all(0 <= code < n_classes for code in met.tolist()):
        raise ValueError("its classes are not those of its card")
    if len(met) < 2 and n_classes:
        raise ValueError("it knows one class")
    if spec.features.misfit(card.shape):
        raise ValueError("its features are not those of its card's images")
    span = arrays["span"]
    if span.shape != (2,):
        raise ValueError("its intensities have no ends")
    one = np.zeros((1, *card.shape), np.float32)
    width = computed(one, spec.features, (float(span[0]), float(span[1])), embedding).shape[1]
    if arrays["shift"].shape != (width,) or arrays["scale"].shape != (width,):
        raise ValueError("its features are not those of its card's images")
    if "basis" in arrays:
        if arrays["basis"].ndim != 2 or len(arrays["basis"]) != width:
            raise ValueError("its components are not of its features")
        width = arrays["basis"].shape[1]
    if card.inputs:
        columns = sum(column.width for column in card.inputs)
        if arrays["column_shift"].shape != (columns,) or arrays["column_scale"].shape != (columns,):
            raise ValueError("its columns are not those of its card")
        width += columns
    if any(each.dtype.kind == "f" and not np.isfinite(each).all() for each in arrays.values()):
        raise ValueError("it holds numbers that are none")
    _learner(spec).check(_below(arrays, "model."), width, len(met))


def _below(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): each for name, each in arrays.items() if name.startswith(prefix)}


def _checksum(arrays: Mapping[str, NDArray[Any]]) -> int:
    """Of all numbers: a bit that the disk has flipped gives another model, which nothing else would tell."""
    checksum = 0
    for name in sorted(arrays):
        checksum = zlib.crc32(np.ascontiguousarray(arrays[name]).view(np.uint8).reshape(-1).data, checksum)
    return checksum
