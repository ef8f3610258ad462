"""Scores of transfers: what could have been said about them before the target task was learned."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy import special
from torch import Tensor

from ctlr.data.development import Development
from ctlr.data.store import ArrayStore
from ctlr.data.strata import quantile_codes
from ctlr.data.targets import Targets
from ctlr.encoders import build_head
from ctlr.errors import ConfigError, CtlrError, DataError
from ctlr.specs import ClassTable, PretrainSpec, TransferScores, TransferSpec
from ctlr.steps.assembly import development_of, first_encoder, seed_for, source_of
from ctlr.steps.keys import Arrays, pretrain_key, transfer_key
from ctlr.steps.pretrain import encoder_weights
from ctlr.training.checkpoint import read_tensors
from ctlr.training.images import Images
from ctlr.training.placement import place
from ctlr.transferability.distance import ClassDistances, Classes, class_distances
from ctlr.transferability.pca import COMPONENTS
from ctlr.transferability.pictures import pictures_bytes, pictures_of
from ctlr.transferability.scores import combined_class_variance, h_score, leep, log_me, nce
from ctlr.workspace import Workspace, write_aside

__all__ = ["classes_of", "score_transfer"]

BINS = 5
"""Quantile bins that stand for the classes of a numeric target, where it has images enough for as many."""
BATCH = 32
PICTURES = "pictures.safetensors"
"""What a transfer's distances are drawn from."""

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def score_transfer(spec: TransferSpec, arrays: Arrays, workspace: Workspace, *, device: str = "cpu") -> TransferScores:
    """Score a transfer on the target's labelled training images; its validation and test images stay unseen.

    With a pretraining: LEEP and NCE of its predictions, LogME, H-score and combined class variance of its features.
    Without: modified and plain Hausdorff distances between the images' classes on joint principal components, means
    over the pairs of classes. A score that cannot be computed is left out with its reason.

    Leaves `result.json` in the workspace, and of distances `pictures.safetensors`: what the report draws.

    Raises:
        DataError, ConfigError: The target's data do not allow a split.
        WorkspaceError: The pretraining's weights are missing or damaged.
    """
    key = transfer_key(spec, arrays)
    if not workspace.has("transfers", key):
        began = time.perf_counter()
        torch.set_num_threads(spec.compute.threads)
        development = development_of(spec, arrays, workspace)
        if spec.pretraining is None:
            found = _distances(spec, development, arrays, workspace)
        else:
            found = _model_scores(spec.pretraining, development, arrays, workspace, device)
        result = _result(spec, found, len(development.train), arrays, time.perf_counter() - began)
        with workspace.publish("transfers", key) as partial:
            if found.tables and len(found.tables["modified"].components.axes) > 1:
                result = result.model_copy(update={"pictures": f"transfers/{key}/{PICTURES}"})
                write_aside(partial / PICTURES, _pictures(spec, found.tables["modified"], arrays))
            write_aside(partial / "result.json", result.model_dump_json(indent=1).encode())
    return workspace.read("transfers", key, "result.json", TransferScores.model_validate_json)


@dataclass
class _Found:
    """Scores, and why the others are missing."""

    scores: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    tables: dict[str, ClassDistances] = field(default_factory=dict)

    def attempt(self, name: str, compute: Callable[[], float]) -> None:
        """Keep the score, or the reason why there is none."""
        try:
            value = compute()
        except (DataError, ConfigError, np.linalg.LinAlgError) as error:
            self.left_out[name] = error.reason if isinstance(error, CtlrError) else str(error)
            return
        if np.isfinite(value):
            self.scores[name] = value
        else:
            self.left_out[name] = "It is no finite number on these images."


def _result(spec: TransferSpec, found: _Found, images: int, arrays: Arrays, seconds: float) -> TransferScores:
    placeless = spec.without_folders()
    measured = next(iter(found.tables.values()), None)
    return TransferScores(
        source=placeless.source, target=placeless.target, n_train=spec.n_train, seed=spec.seed,
        encoder=spec.pretraining.encoder if spec.pretraining else None,
        pretraining=pretrain_key(spec.pretraining, arrays) if spec.pretraining else "",
        scores=found.scores, left_out=found.left_out,
        source_classes=measured.source if measured else (), target_classes=measured.target if measured else (),
        tables={name: ClassTable(forward=_rows(d.forward), backward=_rows(d.backward))
                for name, d in found.tables.items()},
        per_class=measured.per_class if measured else 0,
        components=len(measured.components.axes) if measured else 0,
        explained=float(measured.components.explained.sum()) if measured else 0.0,
        images=images, seconds=seconds,
    )  # fmt: skip


def _rows(table: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(map(float, row)) for row in table)


# ---------------------------------------------------------------- features and predictions


def _model_scores(
    spec: PretrainSpec, development: Development, arrays: Arrays, workspace: Workspace, device: str
) -> _Found:
    assert spec.source is not None
    numeric_source = spec.source.task.kind == "regression"
    features, outputs = _features_and_outputs(spec, development, arrays, workspace, device)
    targets, train = development.targets, development.train
    codes, _ = _coded(targets, train)
    found = _Found()
    found.attempt("leep", lambda: leep(_probabilities(outputs, numeric_source), codes))
    found.attempt("nce", lambda: nce(_source_codes(outputs, numeric_source), codes))
    found.attempt("log_me", lambda: _log_me(features, targets, train, codes))
    found.attempt("h_score", lambda: _h_score(features, codes))
    found.attempt("class_variance", lambda: combined_class_variance(features, codes))
    return found


def _features_and_outputs(
    spec: PretrainSpec, development: Development, arrays: Arrays, workspace: Workspace, device: str
) -> tuple[Floats, Floats | None]:
    """(N, width) features of the target's training images, and (N, Z) raw outputs of the source's head."""
    encoder = first_encoder(spec, development.store.arrays)
    encoder.load_state_dict(encoder_weights(spec, arrays, workspace))
    encoder.eval()
    # Few images, once: rounded features would save nothing, and differ between processors.
    exact = spec.compute.model_copy(update={"precision": "float32"})
    placement = place(encoder, exact, device, development.store.arrays.shape)
    placement.put(encoder)
    images = Images([(development.store, development.train)], placement.device)
    index = np.arange(len(images))
    chunks = [index[i : i + BATCH] for i in range(0, len(index), BATCH)]
    with torch.inference_mode(), placement.autocast():
        found = [encoder(placement.lay_out(batch)).float().cpu() for batch in images.batches(chunks)]
    features = torch.cat(found)
    folder = workspace.folder("pretrained", pretrain_key(spec, arrays))
    outputs = _head_outputs(folder / "head.safetensors", features)
    return features.double().numpy(), outputs


def _head_outputs(path: Path, features: Tensor) -> Floats | None:
    """(N, Z); None where an older version's pretraining left no head."""
    if not path.exists():
        return None
    weights, _ = read_tensors(path)
    head = build_head(features.shape[1], len(weights["1.bias"]), dropout=0.0, seed=0)
    head.load_state_dict(weights)
    head.eval()
    with torch.inference_mode():
        return np.asarray(head(features).double().numpy())


def _known_outputs(outputs: Floats | None) -> Floats:
    if outputs is None:
        raise DataError(
            "An older version of CTLR pretrained this encoder and kept no head, so there are no source predictions. "
            "Use a new workspace for this score."
        )
    return outputs


def _probabilities(outputs: Floats | None, numeric_source: bool) -> Floats:
    if numeric_source:
        raise DataError("The source task is a regression: its model predicts no probabilities of classes.")
    return np.asarray(special.softmax(_known_outputs(outputs), axis=1))


def _source_codes(outputs: Floats | None, numeric_source: bool) -> Codes:
    """(N,) predicted source classes, or quantile bins of the predicted numbers."""
    known = _known_outputs(outputs)
    return _quantile_bins(known[:, 0]) if numeric_source else np.asarray(known.argmax(1))


def _log_me(features: Floats, targets: Targets, train: Codes, codes: Codes) -> float:
    if targets.classes:
        return log_me(features, codes, classification=True)
    values = targets.values[train]
    # In standard deviations, so that evidence does not depend on the target's unit.
    return log_me(features, (values - values.mean()) / (values.std() or 1.0), classification=False)


def _h_score(features: Floats, codes: Codes) -> float:
    n, width = features.shape
    if n <= width + 1:
        raise DataError(
            f"The H-score needs more images than features; with {n} images of {width} features it is the number of "
            "classes less one, whatever the source."
        )
    return h_score(features, codes)


def _coded(targets: Targets, rows: Codes) -> tuple[Codes, tuple[str, ...]]:
    """Classes 0..K-1 of those rows that have images, or quantile bins of a numeric target; and their names."""
    values = targets.values[rows]
    if targets.classes:
        met, codes = np.unique(values, return_inverse=True)
        return codes.astype(np.int64), tuple(targets.classes[int(code)] for code in met)
    codes = _quantile_bins(values)
    ends = [(values[codes == code].min(), values[codes == code].max()) for code in range(codes.max() + 1)]
    return codes, tuple(f"{low:.4g} to {high:.4g}" for low, high in ends)


def _pictures(spec: TransferSpec, measured: ClassDistances, arrays: Arrays) -> bytes:
    components = measured.components
    pictures = pictures_of(
        measured.source, measured.target, measured.points, mean=components.mean, axes=components.axes,
        explained=components.explained, shape=arrays[spec.target.data.name].shape, seed=seed_for(spec.seed, "pictures"),
    )  # fmt: skip
    return pictures_bytes(pictures)


def _quantile_bins(values: Floats) -> Codes:
    """(N,) bins 0..K-1 that hold two values each at least, where not too many are equal."""
    codes = quantile_codes(values, max(2, min(BINS, len(values) // 4)))
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


# ---------------------------------------------------------------- distances between images


def _distances(spec: TransferSpec, development: Development, arrays: Arrays, workspace: Workspace) -> _Found:
    found = _Found()
    kinds = {"hausdorff_modified": "modified", "hausdorff_plain": "plain"}
    try:
        found.tables = _class_distances(spec, development, arrays, workspace)
    except (DataError, ConfigError) as error:
        found.left_out = dict.fromkeys(kinds, error.reason)
        return found
    for name, kind in kinds.items():
        table = found.tables[kind]
        for suffix, distances in (("", table.both), ("_forward", table.forward), ("_backward", table.backward)):
            found.scores[f"{name}{suffix}"] = float(distances.mean())
    return found


def _class_distances(
    spec: TransferSpec, development: Development, arrays: Arrays, workspace: Workspace
) -> dict[str, ClassDistances]:
    """Class by class, modified and plain, on the same components."""
    source = source_of(spec, arrays, workspace, development)
    assert source is not None
    labelled = np.concatenate([source.train, source.validation])
    if source.store is development.store and np.isin(labelled, development.train).any():
        raise DataError("Source and target share images, so their distance says nothing of the transfer.")
    ends = [classes_of(source.store, source.targets, labelled)]
    ends.append(classes_of(development.store, development.targets, development.train))
    images = min(len(rows) for end in ends for rows in end.rows) * sum(len(end.names) for end in ends)
    most = min(COMPONENTS, images - 1, ends[0].width)
    cut = seed_for(spec.seed, "distance")
    modified = class_distances(*ends, seed=cut, n_components=most)
    plain = class_distances(*ends, seed=cut, components=modified.components, modified=False)
    return {"modified": modified, "plain": plain}


def classes_of(store: ArrayStore, targets: Targets, rows: Codes) -> Classes:
    """Those images by class, or by quantile bin of a numeric target, a row of numbers each."""
    codes, names = _coded(targets, rows)
    width = math.prod(store.arrays.shape)
    by_class = tuple(rows[codes == code] for code in range(len(names)))
    return Classes(names, by_class, lambda wanted: store.read(wanted).reshape(len(wanted), width), width)
