"""A benchmark as plain data, from what was chosen and from how much time there is."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctlr.config import STARTING
from ctlr.proposal.choosing import Choice
from ctlr.proposal.looking import SeenDataset

__all__ = ["EFFORTS", "Draft", "Effort"]


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long each network learns."""

    pretrain: int
    """Epochs."""
    steps: int
    """Batches of an epoch of pretraining at the most."""
    finetune: int
    """Epochs."""


EFFORTS = (
    Effort(pretrain=3, steps=10, finetune=4), Effort(pretrain=8, steps=20, finetune=10),
    Effort(pretrain=15, steps=30, finetune=16), Effort(pretrain=30, steps=60, finetune=30),
)  # fmt: skip
_BATCH = 16
_MANY = 1000
"""Subjects from which pretraining has batches twice as large."""
_STEPS = (8, 32)
"""Batches of an epoch of finetuning, as many at each sample size: what the largest has, within these."""
_MIRRORED = {"rotate": 0, "translate": 0, "scale": 0, "warp": 0, "flip": 0.5}
_HEADS = {"rotate": 8, "translate": 0.04, "scale": 0.06, "warp": 0.01, "flip": 0.5}
_PICTURES = {"rotate": 10, "translate": 0.05, "scale": 0.1, "warp": 0, "crop": 0.7, "brightness": 0.2, "contrast": 0.2}


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A benchmark that could be proposed.

    Attributes:
        name: Of the benchmark.
        choice: What is asked.
        preprocess: How images become arrays.
        sizes: Labelled training subjects.
        seeds: How many.
        effort: Place in `EFFORTS`.
    """

    name: str
    choice: Choice
    preprocess: dict[str, Any]
    sizes: tuple[int, ...]
    seeds: int
    effort: int

    @property
    def datasets(self) -> tuple[SeenDataset, ...]:
        """Those that take part: the target's, then the source's."""
        source = self.choice.source
        data = self.choice.data
        return (data,) if source is None or source[0] is data else (data, source[0])

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        """The target's, and the source's where it is another one."""
        source = self.choice.source
        tasks = [self.choice.target] + ([] if source is None else [source[1]])
        return {task.key: task.options for task in tasks}

    @property
    def transfer(self) -> dict[str, Any]:
        """From the source to the target."""
        choice = self.choice
        target = {"data": choice.data.name, "task": choice.target.key}
        if choice.source is None:
            return {"target": target}
        data, task = choice.source
        return {"source": {"data": data.name, "task": task.key}, "target": target}

    @property
    def methods(self) -> dict[str, dict[str, Any]]:
        """Scratch, what learns the source's labels, what needs none, and a probe of the better founded one."""
        probe = {"strategy": "linear_probe", "lr": 1e-2, "views": None}
        own = {"epochs": max(2, 2 * EFFORTS[self.effort].pretrain // 3), "views": self._strong}
        gently = {"finetune": {"lr": 1e-3}} if self.choice.data.spec.ndim == 3 else {}
        methods: dict[str, dict[str, Any]] = {"scratch": {}}
        if self.choice.source is not None:
            methods["supervised"] = gently
            methods["linear_probe"] = {"method": "supervised", "finetune": probe}
            methods["simclr"] = {"pretrain": own, **gently}
        else:
            methods["simclr"] = {"pretrain": own, **gently}
            methods["simclr_probe"] = {"method": "simclr", "pretrain": own, "finetune": probe}
        return methods

    @property
    def _strong(self) -> dict[str, Any]:
        """Views of what is learned without labels."""
        return dict({2: _PICTURES, 3: _HEADS}.get(self.choice.data.spec.ndim, {}))

    @property
    def training(self) -> dict[str, dict[str, Any]]:
        """The same for every method; volumes of heads are mirrored now and then, as heads are."""
        effort = EFFORTS[self.effort]
        views = {"views": dict(_MIRRORED)} if self.choice.data.spec.ndim == 3 else {}
        steps = min(max(_STEPS[0], math.ceil(max(self.sizes) / _BATCH)), _STEPS[1])
        pool = max(each.listing.subjects for each in self.datasets)
        batch = _BATCH if pool < _MANY else 2 * _BATCH
        capped = {"steps_per_epoch": effort.steps} if pool > effort.steps * batch else {}
        return {
            "pretrain": {"epochs": effort.pretrain, "batch_size": batch, "lr": 3e-3, **capped, **views},
            "finetune": {
                "epochs": effort.finetune, "batch_size": _BATCH, "steps_per_epoch": steps, "lr": 3e-3, **views,
            },
        }  # fmt: skip

    @property
    def split(self) -> dict[str, Any]:
        """Who tests, and what is balanced; nothing of it where the folder says who tests."""
        split: dict[str, Any] = {} if self.choice.sided else {"test": self.choice.test}
        return split | ({"stratify": list(self.choice.stratify)} if self.choice.stratify else {})

    def data_options(self, data: SeenDataset, folder: Path) -> dict[str, Any]:
        """A dataset as a benchmark file in a folder writes it."""
        root = data.spec.root  # type: ignore[attr-defined]  # of whatever lies in a folder
        near = os.path.relpath(root, folder.resolve())
        told: dict[str, Any] = {
            "kind": data.spec.kind, "root": root if near.startswith("..") else near, **data.sighting.options,
        }  # fmt: skip
        if "copies" in type(data.spec).model_fields:
            told["copies"] = "together"
        preprocess = {**self.preprocess, **data.sighting.preprocess}
        if "on_bad_subject" in type(data.spec.preprocess).model_fields:
            preprocess["on_bad_subject"] = "exclude"
        return told | {"preprocess": preprocess}

    def document(self, folder: Path) -> dict[str, Any]:
        """All of it, as a benchmark file in a folder holds it."""
        return {
            "name": self.name,
            "description": self.description,
            "datasets": {data.name: self.data_options(data, folder) for data in self.datasets},
            "tasks": self.tasks,
            "transfers": [self.transfer],
            "encoders": {STARTING[self.choice.data.spec.ndim]: {"width": 0.5}},
            "methods": self.methods,
            "sample_sizes": list(self.sizes),
            "seeds": list(range(self.seeds)),
            "split": self.split,
            "training": self.training,
            "tracking": {"backend": "none"},
        }  # fmt: skip

    @property
    def description(self) -> str:
        """The question."""
        choice = self.choice
        first = f"What teaches {choice.target.column.name} of {choice.data.name} from few labels"
        if choice.source is None:
            return f"{first}: images without labels, or nothing beforehand?"
        data, task = choice.source
        where = "" if data is choice.data else f" of {data.name}"
        return f"{first}: {task.column.name}{where}, images without labels, or nothing beforehand?"
