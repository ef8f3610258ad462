"""Learn the source's labels, then the target's."""

from __future__ import annotations

from bench.expert.data import Task, batches
from bench.expert.network import encoder, head
from bench.expert.training import finetune, fit
from bench.expert.views import flip
from torch import Tensor, nn


def pretrain(source: Task) -> nn.Module:
    features = encoder()
    model = nn.Sequential(features, head(source.outputs))
    images, labels = source.side("train")
    train = batches(images, labels)

    def loss() -> Tensor:
        images, labels = next(train)
        return source.loss(model(flip(images)), labels)

    fit(model, loss, epochs=15, steps=len(images) // 16, lr=3e-3)
    return features


def run(source: Task, target: Task) -> nn.Module:
    return finetune(pretrain(source), target, lr=1e-3)
