"""AdamW with warm-up and cosine decay, and finetuning on the target."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from bench.expert.data import Task, batches
from bench.expert.network import head
from bench.expert.views import flip
from torch import Tensor, nn


def fit(
    model: nn.Module,
    loss: Callable[[], Tensor],
    *,
    epochs: int,
    steps: int,
    lr: float,
    judge: Callable[[], tuple[float, float]] | None = None,
) -> None:
    """Minimise a loss, which draws its own batch; with a judge, end with the weights of the best epoch."""
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    optimizer = torch.optim.AdamW([{"params": weights, "weight_decay": 1e-4}, {"params": others, "weight_decay": 0.0}])
    best, kept = (-math.inf, -math.inf), model.state_dict()
    for step in range(epochs * steps):
        warm = min(1.0, (step + 1) / (steps + 1))
        cosine = 0.5 * (1 + math.cos(math.pi * max(0, step - steps) / max(1, (epochs - 1) * steps)))
        for group in optimizer.param_groups:
            group["lr"] = lr * warm * cosine
        model.train()
        optimizer.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if judge is not None and (step + 1) % steps == 0 and (found := judge()) > best:
            best, kept = found, copy.deepcopy(model.state_dict())
    model.load_state_dict(kept)


def finetune(encoder: nn.Module, target: Task, *, lr: float) -> nn.Module:
    """Learn the target with a new head; 16 epochs of 8 steps."""
    model = nn.Sequential(encoder, head(target.outputs))
    train = batches(*target.side("train"))

    def loss() -> Tensor:
        images, labels = next(train)
        return target.loss(model(flip(images)), labels)

    fit(model, loss, epochs=16, steps=8, lr=lr, judge=lambda: target.judge(model))
    return model
