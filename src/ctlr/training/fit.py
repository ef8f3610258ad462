"""The one training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ctlr.errors import TrainingError
from ctlr.methods.base import Batch, Objective
from ctlr.specs import FitSpec
from ctlr.training.checkpoint import read_tensors, write_tensors
from ctlr.training.images import Labelled, even_batches
from ctlr.training.placement import Placement
from ctlr.training.schedules import rate_factor

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
    """What a stage went through; grows by one row of history an epoch."""

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best: list[float] = field(default_factory=lambda: [-math.inf, -math.inf])
    best_scores: dict[str, float] = field(default_factory=dict)
    samples: int = 0
    seconds: float = 0.0

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
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
) -> Fitted:
    """Minimise an objective; leave the best epoch's weights (the last one's without `validate`) in it.

    Writes `checkpoint.safetensors` into `folder` after every epoch and starts from it when it is there; an
    interrupted and resumed stage ends with the same numbers as an uninterrupted one.

    Args:
        objective: What is minimised; its parameters that require gradients are trained.
        streams: Rows for each of the objective's batches.
        spec: Epochs, rates and the like.
        seed: Of shuffling, views and dropout.
        placement: Device, precision and memory format.
        folder: Of the stage, private to it.
        validate: Scores the current weights; called after each epoch with the objective in eval mode.
        progress: Told (epoch, epochs, history row) after each epoch.

    Raises:
        TrainingError: The loss is no longer a finite number.
    """
    devices = [placement.device] if placement.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        loop = _Loop(objective, streams, spec, seed, placement, folder)
        loop.resume()
        while not loop.finished:
            began = time.perf_counter()
            row = loop.train_epoch()
            if validate is not None:
                objective.eval()
                row |= loop.judge(validate())
            row["seconds"] = time.perf_counter() - began
            loop.close_epoch(row, keep_best=validate is not None)
            if progress is not None:
                progress(loop.fitted.epochs, spec.epochs, row)
        loop.restore_best()
    objective.eval()
    return loop.fitted


class _Loop:
    """State of a stage between epochs; all of it lies in the checkpoint."""

    def __init__(
        self,
        objective: Objective,
        streams: Mapping[str, Labelled],
        spec: FitSpec,
        seed: int,
        placement: Placement,
        folder: Path,
    ) -> None:
        placement.put(objective)
        self.objective = objective
        self.streams = {name: streams[name] for name in objective.streams}
        self.spec = spec
        self.placement = placement
        self.folder = folder
        self.rng = torch.Generator().manual_seed(seed)
        self.optimiser = make_optimiser(objective, spec)
        self.scaler = torch.amp.GradScaler(placement.device.type, enabled=placement.dtype == torch.float16)
        self.fitted = Fitted()
        first = self.streams[objective.streams[0]]
        whole = len(even_batches(torch.arange(len(first)).numpy(), spec.batch_size))
        self.steps = spec.steps_per_epoch or whole

    @property
    def finished(self) -> bool:
        """Whether all epochs are done or patience has run out."""
        done = self.fitted.epochs
        waited = done - self.fitted.best_epoch
        return done >= self.spec.epochs or (self.spec.patience is not None and waited >= self.spec.patience)

    def train_epoch(self) -> dict[str, float]:
        """Take the epoch's steps; return its mean loss and last rate."""
        self.objective.train()
        total = torch.zeros((), dtype=torch.float64)
        batches = {name: rows.epoch(self.steps, self.batch_size(name), self.rng) for name, rows in self.streams.items()}
        rate = 0.0
        for step in range(self.steps):
            rate = self.set_rate(self.fitted.epochs * self.steps + step)
            named = {name: self.shaped(next(stream)) for name, stream in batches.items()}
            total += self.step(named).cpu()
            self.fitted.samples += sum(len(batch.images) for batch in named.values())
        for stream in batches.values():
            stream.close()
        loss = float(total) / self.steps
        if not math.isfinite(loss):
            raise TrainingError(
                f"the training loss became {loss} in epoch {self.fitted.epochs + 1}; lower `lr` or set `clip`"
            )
        return {"epoch": self.fitted.epochs + 1, "lr": rate, "train_loss": loss}

    def step(self, batches: Mapping[str, Batch]) -> Tensor:
        """One update of the weights; returns the loss, detached."""
        self.optimiser.zero_grad(set_to_none=True)
        with self.placement.autocast():
            loss: Tensor = self.objective(batches, self.rng)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self.spec.clip is not None:
            self.scaler.unscale_(self.optimiser)
            torch.nn.utils.clip_grad_norm_(self.trained(), self.spec.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return loss.detach()

    def trained(self) -> list[Tensor]:
        """Parameters that move."""
        return [parameter for group in self.optimiser.param_groups for parameter in group["params"]]

    def shaped(self, batch: Batch) -> Batch:
        """The batch in the placement's memory format."""
        return batch if batch.images.ndim < 4 else Batch(self.placement.lay_out(batch.images), batch.target)

    def batch_size(self, name: str) -> int:
        """Rows of a batch."""
        return self.objective.batch_sizes.get(name, self.spec.batch_size)

    def set_rate(self, step: int) -> float:
        """Set the rate for a step of the whole stage."""
        factor = rate_factor(
            step,
            total=self.spec.epochs * self.steps,
            warmup=self.spec.warmup * self.steps,
            schedule=self.spec.schedule,
        )
        for group in self.optimiser.param_groups:
            group["lr"] = self.spec.lr * factor
        return self.spec.lr * factor

    def judge(self, validation: Validation) -> dict[str, float]:
        """Note whether the epoch is the best so far."""
        verdict = [validation.score, -validation.loss]
        if verdict > self.fitted.best:
            self.fitted.best = verdict
            self.fitted.best_epoch = self.fitted.epochs + 1
            self.fitted.best_scores = dict(validation.scores)
        return {"validation_loss": validation.loss} | {f"validation_{k}": v for k, v in validation.scores.items()}

    def close_epoch(self, row: dict[str, float], *, keep_best: bool) -> None:
        """Add the epoch to the history and write the checkpoint."""
        self.fitted.history.append(row)
        self.fitted.seconds += row["seconds"]
        if not keep_best:
            self.fitted.best_epoch = self.fitted.epochs
        elif self.fitted.best_epoch == self.fitted.epochs:
            # Before the checkpoint that refers to it: killed in between, the epoch is done and written again.
            write_tensors(self.folder / "best.safetensors", self.objective.state_dict(), {})
        write_tensors(self.folder / "checkpoint.safetensors", self.state(), self.meta())

    def state(self) -> dict[str, Tensor]:
        """Every tensor that the rest of the stage depends on."""
        tensors = {f"model.{name}": tensor for name, tensor in self.objective.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        tensors |= {"rng.draw": self.rng.get_state(), "rng.torch": torch.get_rng_state()}
        if self.placement.device.type == "cuda":
            tensors["rng.cuda"] = torch.cuda.get_rng_state(self.placement.device)
        return tensors

    def meta(self) -> dict[str, Any]:
        """The rest of the state, as JSON."""
        fitted = self.fitted
        return {
            "history": fitted.history, "best_epoch": fitted.best_epoch, "best_scores": fitted.best_scores,
            "best": [value if math.isfinite(value) else None for value in fitted.best],
            "samples": fitted.samples, "seconds": fitted.seconds, "scaler": self.scaler.state_dict(),
        }  # fmt: skip

    def resume(self) -> None:
        """Take up the checkpoint, when there is one."""
        path = self.folder / "checkpoint.safetensors"
        if not path.exists():
            return
        tensors, meta = read_tensors(path)
        self.objective.load_state_dict(_below(tensors, "model."))
        self._restore_optimiser(_below(tensors, "optimiser."))
        self.scaler.load_state_dict(meta.pop("scaler"))
        meta["best"] = [-math.inf if value is None else value for value in meta["best"]]
        self.fitted = Fitted(**meta)
        self.rng.set_state(tensors["rng.draw"])
        torch.set_rng_state(tensors["rng.torch"])
        if "rng.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["rng.cuda"], self.placement.device)

    def _restore_optimiser(self, moments: Mapping[str, Tensor]) -> None:
        parameters = self.trained()
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in moments.items():
            index, _, name = key.partition(".")
            like = parameters[int(index)]
            # The order of summation must not change: moments get the strides of their weights back.
            fitting = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
            state.setdefault(int(index), {})[name] = fitting
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})

    def restore_best(self) -> None:
        """Put the best epoch's weights back, where another one came after it."""
        if self.fitted.best_epoch != self.fitted.epochs:
            tensors, _ = read_tensors(self.folder / "best.safetensors")
            self.objective.load_state_dict(tensors)


def make_optimiser(objective: Objective, spec: FitSpec) -> torch.optim.Optimizer:
    """The optimiser over all parameters that require gradients; biases and norms do not decay."""
    trained = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": spec.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    # Fused: one pass over each weight; a step of the small CNN takes a third of the time of torch's default.
    if spec.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=spec.lr, momentum=spec.momentum, fused=True)
    if spec.optimiser == "adam":
        return torch.optim.Adam(groups, lr=spec.lr, fused=True)
    return torch.optim.AdamW(groups, lr=spec.lr, fused=True)


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
