"""A trial of a search: a study with some options replaced, judged on validation subjects; the test set stays shut."""

from __future__ import annotations

import csv
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from ctlr.data.development import Development
from ctlr.data.folds import fold_development
from ctlr.errors import TrainingError
from ctlr.shallow.sample import Predict
from ctlr.specs import Checkpoint, PretrainSpec, Study
from ctlr.steps.assembly import (
    Progress,
    Scaling,
    constant_remedy,
    development_of,
    finetuning_source,
    scores_of,
    write_predictions,
)
from ctlr.steps.baselines import fit_development
from ctlr.steps.finetune import SURFACES, draw_learned, is_drawn, learn_target, pretrained_weights
from ctlr.steps.footprint import Footprint
from ctlr.steps.keys import Arrays, pretrain_key
from ctlr.steps.pretrain import pretrain
from ctlr.steps.surface import Places, write_shares
from ctlr.training.checkpoint import check_encoder, encoder_record, read_tensors, write_tensors
from ctlr.training.metrics import is_constant
from ctlr.tuning.options import Resampling, objective_of, parse_validation, with_options
from ctlr.tuning.request import TrialJob, TrialResult
from ctlr.workspace import Workspace

__all__ = ["Report", "Settle", "run_trial"]

Report = Callable[[Mapping[str, float]], None]
"""Told metrics by name, after every epoch."""
Settle = Callable[[str, float, float], None]
"""Told of a pretraining that the trial's options decide: its key, its device seconds, and the seconds that the trial
took to make it, or waited for whoever did."""

ENOUGH_MISSED = 20
"""Validation images of other classes that a trial has to miss, all of them, before it counts as having learned none."""
_LOOK_SECONDS = 0.5
"""Between two drawings of what a trial says of the plane."""
WEIGHTS = "weights.safetensors"
"""What a trial leaves in its checkpoint folder."""


def run_trial(
    job: TrialJob,
    arrays: Arrays,
    workspace: Workspace,
    *,
    report: Report,
    settle: Settle = lambda key, seconds, taken: None,
    device: str = "cpu",
) -> TrialResult:
    """Train a study with other options and score it on validation subjects.

    Reports after each epoch `epoch`, `train_loss` and the validation metrics as `val_mae` and the like, in the end the
    objective of the best epoch, whose weights would be kept; a method without a network has no epochs, and reports its
    scores once. With folds or repeats an epoch goes by other names
    (`fold_val_mae`), and the objective is the mean over the folds done so far. Epochs of a pretraining are
    `pretrain_epoch` and `pretrain_train_loss`.

    Folds share one pretraining, which sees images (never target labels) of those train subjects that a fold validates
    on: every trial of a search gains alike. A pretraining is made once, whoever asks first, and kept; other weights are
    not, unless there is a checkpoint folder.

    Args:
        job: The study, and what is tried.
        arrays: Stored arrays by the dataset's name.
        workspace: Where they lie, and where pretrainings go.
        report: Told metrics.
        settle: Told of pretrainings, where they are the trial's own (stages joint and pretrain).
        device: cpu or cuda; the job's own is the caller's to heed.

    Raises:
        ConfigError: An option is unknown, its value breaks a rule, or the stage cannot tune it.
        TrainingError: The loss is no longer finite, predictions on validation are constant, or the network is too
            large or too slow.
        DataError: The data do not allow it.
    """
    job.check()
    tuned = with_options(job.study, job.assignments)
    torch.set_num_threads(tuned.compute.threads)
    if job.stage == "pretrain":
        return _pretrain_alone(tuned, arrays, workspace, device, report, settle)
    footprint = Footprint(megabytes=job.most_megabytes, milliseconds=job.most_milliseconds)
    footprint.check_network(tuned, arrays[tuned.target.data.name], device)
    scheme = parse_validation(job.validation)
    metric, _ = objective_of(tuned, job.stage)
    done: list[_Part] = []
    pretrained: dict[str, float] = {}
    for study, development in _parts(tuned, scheme, arrays, workspace):
        spec = PretrainSpec.of(study)
        if spec is not None:
            began, key = time.monotonic(), pretrain_key(spec, arrays)
            made = pretrain(spec, arrays, workspace, device=device, progress=_pretraining(report))
            pretrained[key] = made.seconds
            if job.stage == "joint":
                settle(key, made.seconds, time.monotonic() - began)
        surfaces = Path(job.folder) / SURFACES if job.folder is not None and scheme.kind == "holdout" else None
        follow = _epochs(report) if scheme.kind == "holdout" else _epochs_of_part(report, scheme, len(done) + 1)
        part = _train(study, development, arrays, workspace, device, job.checkpoint, follow, footprint, surfaces)
        part.check(metric)
        done.append(part)
        if scheme.kind == "holdout":
            report(part.scores | ({"best_epoch": part.best_epoch} if part.epochs else {}))
        else:
            report({_word(scheme) + "s": len(done)} | _means(done))
    if job.folder is not None:
        _write_predictions(Path(job.folder), done, workspace)
    scores = _means(done)
    seconds = {"finetune" if tuned.method.trains_network else "fit": sum(part.seconds for part in done)}
    return TrialResult(
        study=tuned, stage=job.stage, metric=metric, value=scores[metric], scores=scores,
        epochs=sum(part.epochs for part in done), best_epoch=done[-1].best_epoch,
        seconds=seconds | ({"pretrain": sum(pretrained.values())} if pretrained else {}),
    )  # fmt: skip


@dataclass(frozen=True)
class _Part:
    """A training of a trial.

    Attributes:
        study: With the trial's options.
        development: Its data.
        predictions: (V,) values or (V, K) probabilities of validation rows.
        scores: Of the best epoch, under the names of metric lines.
        seconds: That learning took.
        epochs, best_epoch: 0 without a network.
    """

    study: Study
    development: Development
    predictions: npt.NDArray[np.float64]
    scores: dict[str, float]
    seconds: float
    epochs: int = 0
    best_epoch: int = 0

    def check(self, metric: str) -> None:
        """Refuse a predictor that says the same for everyone, whatever its score."""
        if is_constant(self.predictions):
            raise TrainingError(f"the predictions are constant; {constant_remedy(self.study.method)}")
        self._check_classes()
        if metric not in self.scores:
            raise TrainingError(f"`{metric}` is undefined for the validation subjects; set the task's `metric`")

    def _check_classes(self) -> None:
        """Refuse one class for all, which accuracy calls good where that class is frequent.

        Among few subjects it may happen to a predictor that has learned.
        """
        targets = self.development.targets
        if not targets.classes:
            return
        said = self.predictions.argmax(axis=1)
        missed = int((targets.values[self.development.validation] != said).sum())
        if (said == said[0]).all() and missed >= ENOUGH_MISSED:
            raise TrainingError(
                f"it predicts one class, {targets.classes[said[0]]}, for all {len(said)} of the validation set, of "
                f"which {missed} show another; {self._one_class_remedy}"
            )

    @property
    def _one_class_remedy(self) -> str:
        if not self.study.method.trains_network:
            return constant_remedy(self.study.method)
        return "raise `epochs`, change `lr`, or set `class_weights: balanced`"


def _parts(
    study: Study, scheme: Resampling, arrays: Arrays, workspace: Workspace
) -> Iterator[tuple[Study, Development]]:
    """The trainings of a trial: the study with its seed, and who trains and validates."""
    if scheme.kind == "repeats":
        for number in range(scheme.count):
            repeat = study.model_copy(update={"seed": study.seed + number})
            yield repeat, development_of(repeat, arrays, workspace)
        return
    whole = development_of(study, arrays, workspace)
    folds = [whole]
    if scheme.kind == "kfold":
        folds = fold_development(whole, study.split, folds=scheme.count, seed=study.seed)
    yield from ((study, development) for development in folds)


def _train(
    study: Study,
    development: Development,
    arrays: Arrays,
    workspace: Workspace,
    device: str,
    checkpoint: str | None,
    progress: Progress,
    footprint: Footprint,
    surfaces: Path | None,
) -> _Part:
    if not study.method.trains_network:
        return _fit(study, development, workspace, footprint, surfaces)
    source = finetuning_source(study, arrays, workspace, development)
    pretrained = pretrained_weights(study, arrays, workspace)
    weights, head = pretrained, None
    kept = Path(checkpoint) / WEIGHTS if checkpoint is not None else None
    if kept is not None and kept.exists():
        tensors, meta = read_tensors(kept)
        check_encoder(meta, study.encoder, kept)
        weights, head = _below(tensors, "encoder."), _below(tensors, "head.")
    with tempfile.TemporaryDirectory(prefix="ctlr-trial-") as private:
        tuned = learn_target(
            study, development, source, weights, Path(private), device=device, head_weights=head,
            pretrained=pretrained, progress=progress, surfaces=surfaces, pause=_LOOK_SECONDS,
        )  # fmt: skip
    if surfaces is not None and surfaces.is_dir():  # the weights that are kept have the last word, and are enough
        shutil.rmtree(surfaces)
        draw_learned(development, tuned, surfaces, tuned.fitted.best_epoch)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        parts = {"encoder": tuned.encoder.state_dict(), "head": tuned.head.state_dict()}
        tensors = {f"{part}.{name}": tensor for part, state in parts.items() for name, tensor in state.items()}
        write_tensors(kept, tensors, encoder_record(study.encoder))
    fitted = tuned.fitted
    return _Part(
        study, development, tuned.validator.predict(), _validation(fitted.kept_scores), fitted.seconds, fitted.epochs,
        fitted.best_epoch,
    )  # fmt: skip


def _fit(
    study: Study, development: Development, workspace: Workspace, footprint: Footprint, surfaces: Path | None
) -> _Part:
    """Fit a model without a network to the training rows, and score it on the validation rows."""
    began = time.perf_counter()
    predict = fit_development(study, development, workspace)
    seconds = time.perf_counter() - began
    with threadpool_limits(study.compute.threads):
        footprint.check_model(predict, development.store.arrays)
        predictions = predict(development.store, development.validation)
        if surfaces is not None and is_drawn(study, development):
            _draw_fitted(development, predict, surfaces)
    truth = development.targets.values[development.validation]
    scores = scores_of(Scaling(development.targets, development.train), truth, predictions)
    return _Part(study, development, predictions, _validation(scores), seconds)


def _draw_fitted(development: Development, predict: Predict, folder: Path) -> None:
    """Leave what a model without a network says of the plane, which has no epochs."""
    arrays = development.store.arrays
    points = development.store.read(development.train).astype(np.float64)
    folder.mkdir(parents=True, exist_ok=True)
    write_shares(
        folder / "000000.npz", points, lambda places: predict(Places(arrays, places), np.arange(len(places))), 0
    )


def _write_predictions(folder: Path, done: Sequence[_Part], workspace: Workspace) -> None:
    """`validation.csv`: one row a validation image, those of all folds or seeds below one another."""
    folder.mkdir(parents=True, exist_ok=True)
    first = done[0].development
    rows = {"validation": np.concatenate([part.development.validation for part in done])}
    predictions = {"validation": np.concatenate([part.predictions for part in done])}
    write_predictions(folder / "validation.csv", first.store, first.targets, rows, predictions, workspace)


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


# ---------------------------------------------------------------- pretraining alone


def _pretrain_alone(
    study: Study, arrays: Arrays, workspace: Workspace, device: str, report: Report, settle: Settle
) -> TrialResult:
    """Pretrain with the trial's options: judged by the source task, or without labels by the last epoch's loss."""
    spec = PretrainSpec.of(study)
    assert spec is not None
    metric, _ = objective_of(study, "pretrain")
    key = pretrain_key(spec, arrays)
    history = workspace.folder("pretrained", key) / "history.csv"
    made_before, began = workspace.has("pretrained", key), time.monotonic()
    record = pretrain(spec, arrays, workspace, device=device, progress=_epochs(report))
    settle(key, record.seconds, time.monotonic() - began)
    rows = list(_read_history(history))
    if made_before:
        for row in rows:
            report(_row(row))
    scores = _validation(record.scores) if record.scores else {metric: rows[-1][metric]}
    if metric not in scores:
        raise TrainingError(
            f"`{metric}` is undefined for the validation subjects; choose another `metric` for the task"
        )
    report(scores | {"best_epoch": record.best_epoch})
    return _result_alone(study, metric, scores, record)


def _result_alone(study: Study, metric: str, scores: dict[str, float], record: Checkpoint) -> TrialResult:
    return TrialResult(
        study=study, stage="pretrain", metric=metric, value=scores[metric], scores=scores, epochs=record.epochs,
        best_epoch=record.best_epoch, seconds={"pretrain": record.seconds},
    )  # fmt: skip


def _read_history(path: Path) -> Iterator[dict[str, float]]:
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            yield {name: float(text) for name, text in row.items() if text}


# ---------------------------------------------------------------- what is reported


def _row(row: Mapping[str, float]) -> dict[str, float]:
    """An epoch of the history under the names of metric lines."""
    named = {name.replace("validation_", "val_"): value for name, value in row.items() if name not in ("lr", "seconds")}
    return {name: value for name, value in named.items() if math.isfinite(value)}


def _validation(scores: Mapping[str, float]) -> dict[str, float]:
    return {f"val_{name}": value for name, value in scores.items()}


def _means(done: Sequence[_Part]) -> dict[str, float]:
    """Mean over folds or seeds of each metric that all of them have."""
    each = [part.scores for part in done]
    return {name: float(np.mean([scores[name] for scores in each])) for name in each[0] if all(name in s for s in each)}


def _epochs(report: Report) -> Progress:
    return lambda epoch, epochs, row: report(_row(row))


def _epochs_of_part(report: Report, scheme: Resampling, number: int) -> Progress:
    word = _word(scheme)

    def follow(epoch: int, epochs: int, row: Mapping[str, float]) -> None:
        named = {name if name == "epoch" else f"{word}_{name}": value for name, value in _row(row).items()}
        report({word: number} | named)

    return follow


def _pretraining(report: Report) -> Progress:
    told = ("epoch", "train_loss", "val_loss")
    return lambda epoch, epochs, row: report({f"pretrain_{n}": value for n, value in _row(row).items() if n in told})


def _word(scheme: Resampling) -> str:
    return "fold" if scheme.kind == "kfold" else "repeat"
