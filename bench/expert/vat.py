"""Virtual adversarial training (Miyato et al. 2018, arXiv:1704.03976) with view consistency and the source's labels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from bench.expert.data import Task, batches
from bench.expert.network import encoder, head
from bench.expert.training import fit
from bench.expert.views import flip, warp
from torch import Tensor, nn


@contextmanager
def statistics_kept(model: nn.Module) -> Iterator[None]:
    """Perturbed images must not move the running averages of batch norm."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm3d)]
    for norm in norms:
        norm.momentum = 0.0
    yield
    for norm in norms:
        norm.momentum = 0.1


def unit(images: Tensor) -> Tensor:
    """Root mean square 1 an image."""
    return images / images.square().mean(dim=(1, 2, 3, 4), keepdim=True).sqrt().clamp(min=1e-12)


def run(source: Task, target: Task) -> nn.Module:
    features = encoder()
    model = nn.Sequential(features, head(target.outputs))
    other = head(source.outputs)
    labelled = batches(*target.side("train"))
    unseen = target.side("pool")[0]
    hints = torch.cat([source.labels, source.labels.new_zeros(len(unseen))])
    known = torch.arange(len(hints)) < len(source.labels)
    pool = batches(torch.cat([source.images, unseen]), hints, known)

    def change(images: Tensor, before: Tensor) -> Tensor:
        after = model(images)
        if not target.classes:
            return F.mse_loss(after, before)
        return F.kl_div(after.log_softmax(1), before.log_softmax(1), reduction="batchmean", log_target=True)

    def loss() -> Tensor:
        images, labels = next(labelled)
        total = target.loss(model(flip(images)), labels)
        images, labels, known = next(pool)
        seen = features(images)
        before = model[1](seen).detach()
        if known.any():
            total = total + 0.5 * source.loss(other(seen[known]), labels[known])
        with statistics_kept(features):
            probe = (0.1 * unit(torch.randn_like(images))).requires_grad_()
            (gradient,) = torch.autograd.grad(change(images + probe, before), probe)
            total = total + change(images + 0.1 * unit(gradient), before)
            return total + change(warp(images), before)

    trained = nn.ModuleList([model, other])
    fit(trained, loss, epochs=16, steps=8, lr=3e-3, judge=lambda: target.judge(model))
    return model
