"""Images, labels and who trains, validates and tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn import metrics
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Task:
    """The images of a dataset and what is predicted from them: a number, standardised, or one of several classes."""

    def __init__(self, folder: str, column: str, sides: dict[str, list[int]]) -> None:
        self.images = torch.from_numpy(np.load(Path(folder) / "images.npy").astype(np.float32))
        cells = [row["columns"][column] for row in json.loads((Path(folder) / "table.json").read_text())]
        self.sides = sides
        self.classes: list[str] = [] if column == "age" else sorted(set(cells))
        if self.classes:
            self.labels = torch.tensor([self.classes.index(cell) for cell in cells])
            return
        years = torch.tensor([float(cell) for cell in cells])
        self.mean, self.std = years[sides["train"]].mean(), years[sides["train"]].std(correction=0)
        self.labels = (years - self.mean) / self.std

    @property
    def outputs(self) -> int:
        return len(self.classes) or 1

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(outputs, labels) if self.classes else F.mse_loss(outputs[:, 0], labels)

    def side(self, name: str) -> tuple[Tensor, Tensor]:
        return self.images[self.sides[name]], self.labels[self.sides[name]]

    @torch.no_grad()
    def judge(self, model: nn.Module) -> tuple[float, float]:
        """How good a model is on the validation side, and a tie-breaker; more is better."""
        model.eval()
        images, labels = self.side("validation")
        scores = self.scores(model, "validation")
        return scores.get("balanced_accuracy", -scores.get("mae", 0.0)), -float(self.loss(model(images), labels))

    @torch.no_grad()
    def scores(self, model: nn.Module, side: str) -> dict[str, float]:
        model.eval()
        images, labels = self.side(side)
        outputs = model(images)
        if not self.classes:
            return {"mae": float((outputs[:, 0] - labels).abs().mean() * self.std)}
        predicted = outputs.argmax(dim=1)
        return {
            "accuracy": metrics.accuracy_score(labels, predicted),
            "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
            "precision": metrics.precision_score(labels, predicted, average="macro", zero_division=0),
            "f1": metrics.f1_score(labels, predicted, average="macro", zero_division=0),
        }


def load(split: Path) -> tuple[Task, Task]:
    """Source and target."""
    read: dict[str, Any] = json.loads(split.read_text())
    return Task(**read["source"]), Task(**read["target"])


def batches(*tensors: Tensor, size: int = 16) -> Iterator[list[Tensor]]:
    """Shuffled batches without end."""
    loader = DataLoader(TensorDataset(*tensors), batch_size=min(size, len(tensors[0])), shuffle=True, drop_last=True)
    while True:
        yield from loader
