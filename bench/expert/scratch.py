"""From random weights."""

from __future__ import annotations

from bench.expert.data import Task
from bench.expert.network import encoder
from bench.expert.training import finetune
from torch import nn


def run(source: Task, target: Task) -> nn.Module:
    return finetune(encoder(), target, lr=3e-3)
