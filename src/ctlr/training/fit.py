"""The one training loop."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ctlr.errors import TrainingError, WorkspaceError
from ctlr.methods.base import Objective
from ctlr.specs import FinetuneStage, FitSpec
from ctlr.training.checkpoint import read_tensors, write_tensors
from ctlr.training.finetune import begin_stages, every_group, train_groups
from ctlr.training.images import Labelled
from ctlr.training.optimisers import set_momentum, set_rate
from ctlr.training.placement import Placement
from ctlr.training.schedules import cycled_momentum, rate_factor
from ctlr.training.stepping import Stepper

__all__ = ["Fitted", "Validation", "fit"]


@dataclass(frozen=True)
class Validation:
    """How good the weights are after an epoch.

    Attributes:
        score: Headline metric, signed so that more is better.
        loss: Breaks ties of the score; less is better.
        scores: Every metric, for the history.
    """

    score: float
    loss: float
    scores: Mapping[str, float]


@dataclass
class Fitted:
    """What a training went through; grows by one row of history an epoch.

    Attributes:
        best_epoch: Best on validation; without it the last one.
        kept_scores: Validation metrics of the epoch whose weights are kept.
        stage: Number of the stage that it is in, from 0; of a finetuning in which other layers learn later.
        stage_began: Epochs done before that one.
        path: What made the weights as they are: (stage, epochs, epochs that its schedule spans) of each stage.
        kept_path: The same of the weights that are kept; `fit` takes it to make such weights again.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best: list[float] = field(default_factory=lambda: [-math.inf, -math.inf])
    kept_scores: dict[str, float] = field(default_factory=dict)
    samples: int = 0
    seconds: float = 0.0
    stage: int = 0
    stage_began: int = 0
    path: list[list[int]] = field(default_factory=list)
    kept_path: list[list[int]] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """Epochs done."""
        return len(self.history)


def fit(
    objective: Objective,
    streams: Mapping[str, Labelled],
    *,
    spec: FitSpec,
    seed: int,
    placement: Placement,
    folder: Path,
    validate: Callable[[], Validation] | None = None,
    keep_best: bool = True,
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
    pretrained: Mapping[str, Tensor] | None = None,
    replay: Sequence[Sequence[int]] | None = None,
) -> Fitted:
    """Minimise an objective; leave the best epoch's weights in it, or the last one's.

    Writes `checkpoint.safetensors` into `folder` after an epoch, once a second of training would be lost, and starts
    from it when it is there; an interrupted and resumed stage ends with the same numbers as an uninterrupted one.

    Args:
        objective: What is minimised; its parameters that require gradients are trained, or those of the layers that the
            spec's strategy names.
        streams: Rows for each of the objective's batches.
        spec: Epochs, rates and the like.
        seed: Of shuffling, views and dropout.
        placement: Device, precision and memory format.
        folder: Of the stage, private to it.
        validate: Scores the current weights; called after each epoch with the objective in eval mode.
        keep_best: Whether the best epoch's weights are left; those of the last one in any case without `validate`.
        progress: Told (epoch, epochs, history row) after each epoch.
        pretrained: The encoder's weights that L2-SP pulls to; by default those that it starts from.
        replay: `Fitted.kept_path` of an earlier training: its stages are gone through again, each for as many epochs
            and along the same schedule, whatever validation says.

    Raises:
        ConfigError: The finetuning has more stages than epochs, or more frozen blocks than the encoder has.
        TrainingError: The loss is no longer a finite number.
    """
    devices = [placement.device] if placement.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        stages = begin_stages(objective, spec)
        if replay is not None:
            stages = tuple(
                stages[number]._replace(epochs=epochs, horizon=horizon) for number, epochs, horizon in replay
            )
        loop = _Loop(
            Stepper(objective, streams, spec, seed, placement, pretrained), stages, folder,
            keep_best=keep_best and validate is not None, replays=replay is not None,
        )  # fmt: skip
        loop.resume()
        while not loop.finished:
            began = time.perf_counter()
            row = loop.train_epoch()
            if validate is not None:
                objective.networks.eval()
                row |= loop.judge(validate())
            row["seconds"] = time.perf_counter() - began
            loop.close_epoch(row, judged=validate is not None)
            if progress is not None:
                progress(loop.fitted.epochs, loop.epochs, row)
        loop.restore_best()
    objective.networks.eval()
    return loop.fitted


_LOSS = 1.0
"""Seconds of training that an interruption may cost. Epochs of a small network take less than to write it down."""


class _Loop:
    """State of a training between epochs; all of it lies in the checkpoint."""

    def __init__(
        self, stepper: Stepper, stages: Sequence[FinetuneStage], folder: Path, *, keep_best: bool, replays: bool
    ) -> None:
        self.stepper = stepper
        self.objective = stepper.objective
        self.spec = stepper.spec
        self.placement = stepper.placement
        self.stages = stages
        self.folder = folder
        self.keep_best = keep_best
        self.replays = replays
        self.fitted = Fitted()
        self.best: dict[str, Tensor] | None = None
        """The best epoch's weights, until they are written."""
        self.written = time.perf_counter()
        """When the last checkpoint was."""

    @property
    def epochs(self) -> int:
        """That are done at the most."""
        return sum(stage.epochs for stage in self.stages) if self.replays else self.spec.epochs

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or patience has run out in the last stage."""
        last = self.fitted.stage == len(self.stages) - 1
        return self.fitted.epochs >= self.epochs or (last and self._waited(self.spec.patience))

    @property
    def stage_over(self) -> bool:
        """Whether the next stage begins."""
        if self.fitted.stage == len(self.stages) - 1:
            return False
        done = self.fitted.epochs - self.fitted.stage_began
        plateau = self.spec.finetuning.plateau if self.spec.finetuning else None
        return done >= self.stages[self.fitted.stage].epochs or self._waited(plateau)

    def _waited(self, epochs: int | None) -> bool:
        """Whether so many epochs of the stage have passed without a better score; a replay waits for none."""
        since = max(self.fitted.best_epoch, self.fitted.stage_began)
        return epochs is not None and not self.replays and self.fitted.epochs - since >= epochs

    def train_epoch(self) -> dict[str, float]:
        """Take the epoch's steps; return its mean loss and last rate."""
        if self.spec.finetuning:
            train_groups(self.objective, self.stages[self.fitted.stage].groups)
        self.objective.networks.train()
        # Summed where it is: to read it at every step would make a GPU wait.
        total = torch.zeros((), dtype=torch.float64, device=self.placement.device)
        rate = 0.0
        with closing(self.stepper.batches()) as batches:
            for step, named in enumerate(batches):
                rate = self.set_rate(step)
                self.objective.step = self.fitted.epochs * self.stepper.steps + step
                self.objective.done = self.objective.step / (self.epochs * self.stepper.steps)
                total += self.stepper.step(named)
                self.fitted.samples += sum(len(batch.images) for batch in named.values())
        loss = float(total) / self.stepper.steps
        if not math.isfinite(loss):
            raise TrainingError(
                f"the training loss became {loss} in epoch {self.fitted.epochs + 1}; lower `lr` or set `clip`"
            )
        row = {"epoch": self.fitted.epochs + 1, "lr": rate, "train_loss": loss}
        return row | ({"stage": self.fitted.stage + 1} if len(self.stages) > 1 else {})

    def set_rate(self, step: int) -> float:
        """Set the rates for a step of the epoch; return the head's."""
        fresh = self.stages[self.fitted.stage].fresh
        began = self.fitted.stage_began if fresh else 0
        end = began + self.horizon if fresh else self.spec.epochs
        epoch = self.stepper.steps
        at, total = (self.fitted.epochs - began) * epoch + step, (end - began) * epoch
        rate = self.spec.lr * rate_factor(at, self.spec, total=total, epoch=epoch)
        set_rate(self.stepper.optimiser, rate)
        momentum = cycled_momentum(at, self.spec, total=total, epoch=epoch)
        if momentum is not None:
            set_momentum(self.stepper.optimiser, momentum)
        return rate

    @property
    def horizon(self) -> int:
        """Epochs that the schedule of a fresh stage spans."""
        stage = self.stages[self.fitted.stage]
        if stage.horizon is not None:
            return stage.horizon
        last = self.fitted.stage == len(self.stages) - 1
        return self.spec.epochs - self.fitted.stage_began if last else stage.epochs

    def judge(self, validation: Validation) -> dict[str, float]:
        """Note whether the epoch is the best so far."""
        verdict = [validation.score, -validation.loss]
        if verdict > self.fitted.best:
            self.fitted.best = verdict
            self.fitted.best_epoch = self.fitted.epochs + 1
        if self.fitted.best_epoch > self.fitted.epochs or not self.keep_best:
            self.fitted.kept_scores = dict(validation.scores)
        return {"validation_loss": validation.loss} | {f"validation_{k}": v for k, v in validation.scores.items()}

    def close_epoch(self, row: dict[str, float], *, judged: bool) -> None:
        """Add the epoch to the history; write the checkpoint where enough has happened since the last one."""
        self.fitted.history.append(row)
        self.fitted.seconds += row["seconds"]
        self.note_path()
        if not judged:
            self.fitted.best_epoch = self.fitted.epochs
        elif self.keep_best and self.fitted.best_epoch == self.fitted.epochs:
            self.best = {name: tensor.cpu().clone() for name, tensor in self.objective.networks.state_dict().items()}
        if self.stage_over:
            self.enter_next_stage()
        if time.perf_counter() - self.written >= _LOSS:
            self.write()

    def write(self) -> None:
        """Make the training last: what it was at its best, then the checkpoint that refers to it."""
        if self.best is not None:
            write_tensors(self.folder / "best.safetensors", self.best, {})
            self.best = None
        write_tensors(self.folder / "checkpoint.safetensors", self.state(), self.meta())
        self.written = time.perf_counter()

    def note_path(self) -> None:
        """Count the epoch to its stage, and keep the count where the weights are kept."""
        path = self.fitted.path
        if not path or path[-1][0] != self.fitted.stage:
            path.append([self.fitted.stage, 0, self.horizon])
        path[-1][1] += 1
        if not self.keep_best or self.fitted.best_epoch == self.fitted.epochs:
            self.fitted.kept_path = copy.deepcopy(path)

    def enter_next_stage(self) -> None:
        """Begin the next stage; a fresh one from the best weights so far."""
        self.fitted.stage += 1
        self.fitted.stage_began = self.fitted.epochs
        if self.stages[self.fitted.stage].fresh:
            self.restore_best()
            self.fitted.path = copy.deepcopy(self.fitted.kept_path)
            train_groups(self.objective, every_group(self.stages))
            self.stepper.renew()

    def state(self) -> dict[str, Tensor]:
        """Every tensor that the rest of the stage depends on."""
        tensors = {f"model.{name}": tensor for name, tensor in self.objective.networks.state_dict().items()}
        for index, moments in self.stepper.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        tensors |= {"rng.draw": self.stepper.rng.get_state(), "rng.torch": torch.get_rng_state()}
        if self.placement.device.type == "cuda":
            tensors["rng.cuda"] = torch.cuda.get_rng_state(self.placement.device)
        return tensors

    def meta(self) -> dict[str, Any]:
        """The rest of the state, as JSON."""
        fitted = self.fitted
        return {
            "history": fitted.history, "best_epoch": fitted.best_epoch, "kept_scores": fitted.kept_scores,
            "best": [value if math.isfinite(value) else None for value in fitted.best],
            "samples": fitted.samples, "seconds": fitted.seconds, "scaler": self.stepper.scaler.state_dict(),
            "stage": fitted.stage, "stage_began": fitted.stage_began,
            "path": fitted.path, "kept_path": fitted.kept_path,
        }  # fmt: skip

    def resume(self) -> None:
        """Take up the checkpoint, when there is one that can be read; else the stage begins anew."""
        path = self.folder / "checkpoint.safetensors"
        if not path.exists():
            return
        try:
            tensors, meta = read_tensors(path)
            if 0 < meta["best_epoch"] < len(meta["history"]):  # those weights are needed in the end
                read_tensors(self.folder / "best.safetensors")
        except (WorkspaceError, KeyError):  # what a power cut left of them
            path.unlink()
            return
        self.objective.networks.load_state_dict(_below(tensors, "model."))
        self._restore_optimiser(_below(tensors, "optimiser."))
        self.stepper.scaler.load_state_dict(meta.pop("scaler"))
        meta["best"] = [-math.inf if value is None else value for value in meta["best"]]
        self.fitted = Fitted(**meta)
        self.stepper.rng.set_state(tensors["rng.draw"])
        torch.set_rng_state(tensors["rng.torch"])
        if "rng.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["rng.cuda"], self.placement.device)

    def _restore_optimiser(self, moments: Mapping[str, Tensor]) -> None:
        parameters = self.stepper.trained()
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in moments.items():
            index, _, name = key.partition(".")
            like = parameters[int(index)]
            # The order of summation must not change: moments get the strides of their weights back.
            fitting = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
            state.setdefault(int(index), {})[name] = fitting
        groups = self.stepper.optimiser.state_dict()["param_groups"]
        self.stepper.optimiser.load_state_dict({"state": state, "param_groups": groups})

    def restore_best(self) -> None:
        """Put the best epoch's weights back, where another one came after it."""
        if self.keep_best and self.fitted.best_epoch != self.fitted.epochs:
            best = self.best or read_tensors(self.folder / "best.safetensors")[0]
            self.objective.networks.load_state_dict(best)


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
