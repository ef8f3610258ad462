"""SimCLR (Chen et al. 2020, arXiv:2002.05709) on all images that may be seen, then finetuning."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from bench.expert.data import Task, batches
from bench.expert.network import WIDTH, encoder
from bench.expert.training import finetune, fit
from bench.expert.views import flip, warp
from torch import Tensor, nn


def nt_xent(first: Tensor, second: Tensor, temperature: float = 0.2) -> Tensor:
    views = F.normalize(torch.cat([first, second]), dim=1)
    similarity = (views @ views.T / temperature).fill_diagonal_(-torch.inf)
    partner = torch.arange(len(views)).roll(len(first))
    return F.cross_entropy(similarity, partner)


def pretrain(source: Task, target: Task) -> nn.Module:
    features = encoder()
    projection = nn.Sequential(
        nn.Linear(WIDTH, WIDTH, bias=False), nn.BatchNorm1d(WIDTH), nn.ReLU(), nn.Linear(WIDTH, 64)
    )
    model = nn.Sequential(features, projection)
    pool = torch.cat([source.images, target.side("pool")[0]])
    train = batches(pool, size=32)

    def loss() -> Tensor:
        (images,) = next(train)
        return nt_xent(*model(warp(flip(torch.cat([images, images])))).chunk(2))

    fit(model, loss, epochs=10, steps=len(pool) // 32, lr=3e-3)
    return features


def run(source: Task, target: Task) -> nn.Module:
    return finetune(pretrain(source, target), target, lr=1e-3)
