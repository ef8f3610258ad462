"""Finetuning strategies beside plain steps, and the rate finder beside the steps that it takes.

    python -m bench finetuning        # 2 minutes on a quiet core

Bare steps are forward, backward, clipping and the same fused optimiser on tensors that lie ready in memory. Seconds are
those of the processor, on one thread. All sides take turns, and each ratio is the median over rounds of the ratio
within a round: a busy machine slows both alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import torch

from ctlr.encoders import build_encoder, build_head
from ctlr.methods.base import Batch
from ctlr.methods.losses import TaskLoss
from ctlr.methods.supervised import Supervised
from ctlr.specs import ComputeSpec, EncoderSpec, FinetuneSpec
from ctlr.training.finetune import begin_stages
from ctlr.training.images import Images, Labelled
from ctlr.training.lr_finder import SweepSpec, sweep
from ctlr.training.placement import keep_freed_memory, place
from ctlr.training.stepping import Stepper

__all__ = ["main", "rows"]

ROUNDS = 25
BATCH = 16
CASES = (("small_cnn", 3, 32), ("resnet18", 2, 64))
"""(encoder, dimensions, side)."""
SWEEP = SweepSpec(lr_min=1e-8, lr_max=1e-4, steps=20)
"""Rates that diverge nowhere, so that all steps are taken."""


def rows() -> Iterator[dict[str, Any]]:
    """One row a comparison: name, ours and theirs (unit in the name), ratio and target."""
    for _, job in jobs():
        yield from job()


def jobs() -> Iterator[tuple[str, Callable[[], Iterable[dict[str, Any]]]]]:
    """What each row takes, by a name for the case that it fails."""
    torch.set_num_threads(1)
    keep_freed_memory()  # as a worker does
    for name, ndim, side in CASES:
        shape = " x ".join([str(side)] * ndim)
        halved = 1.5 if name == "small_cnn" else None  # of ResNet-18 the upper blocks hold most of the work
        for options, what, target in (
            ({"strategy": "discriminative"}, "discriminative rates: at most 1.05 of plain", 1 / 1.05),
            ({"l2_sp": 0.01}, "L2-SP: plain", None),
            ({"n_frozen": 2}, "2 blocks frozen, nothing cached: plain", halved),
        ):
            label = f"step, {name}, {BATCH} x {shape}, ms, {what}"
            yield label, partial(_step_row, label, name, ndim, side, options, target)
        yield f"lr-find, {name}", partial(_sweep_row, name, ndim, side)


def _step_row(
    label: str, name: str, ndim: int, side: int, options: Mapping[str, Any], target: float | None
) -> Iterator[dict[str, Any]]:
    plain, batch = _prepared(name, ndim, side)
    other, _ = _prepared(name, ndim, side, **options)
    yield _row(label, 1e3, partial(other.step, batch), partial(plain.step, batch), target)


def _prepared(name: str, ndim: int, side: int, **options: Any) -> tuple[Stepper, dict[str, Batch]]:
    """What takes a step of a finetuning, in training mode, and a batch of noise for it."""
    encoder = build_encoder(EncoderSpec(name=name), channels=1, ndim=ndim, seed=0)
    objective = Supervised(encoder, build_head(encoder.width, 1, dropout=0.0, seed=0), TaskLoss(classes=0))
    spec = FinetuneSpec.model_validate({"batch_size": BATCH, **options})
    placement = place(encoder, ComputeSpec(), "cpu", (1, *[side] * ndim))
    images = torch.randn(4 * BATCH, 1, *[side] * ndim)
    rows_ = Labelled(Images.of(images, torch.device("cpu")), torch.randn(4 * BATCH))
    begin_stages(objective, spec)
    stepper = Stepper(objective, {"labelled": rows_}, spec, 0, placement)
    objective.networks.train()
    return stepper, next(stepper.batches())


def _sweep_row(name: str, ndim: int, side: int) -> Iterator[dict[str, Any]]:
    shape = " x ".join([str(side)] * ndim)
    found, _ = _prepared(name, ndim, side)
    bare, batch = _prepared(name, ndim, side)
    yield _row(f"lr-find, {name}, {SWEEP.steps} steps of {BATCH} x {shape}, s: at most 1.2 of bare steps", 1.0,
               partial(sweep, found, SWEEP, seed=0), partial(_bare_steps, bare, batch["labelled"]), 1 / 1.2,
               rounds=5)  # fmt: skip


def _bare_steps(own: Stepper, batch: Batch) -> None:
    objective, optimiser = own.objective, own.optimiser
    assert isinstance(objective, Supervised)
    assert batch.target is not None
    weights = list(objective.networks.parameters())
    for _ in range(SWEEP.steps):
        optimiser.zero_grad(set_to_none=True)
        with own.placement.autocast():
            features = objective.encoder(batch.images)
        loss = (objective.head(features.float())[:, 0] - batch.target).square().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()


def _row(
    name: str, unit: float, ours: Callable[[], object], theirs: Callable[[], object], target: float | None,
    *, rounds: int = ROUNDS,
) -> dict[str, Any]:  # fmt: skip
    spent = [(_seconds(ours), _seconds(theirs)) for _ in range(rounds + 2)][2:]
    ratio = statistics.median(b / a for a, b in spent)
    mine, other = (unit * statistics.median(side) for side in zip(*spent, strict=True))
    return {"name": name, "ours": mine, "theirs": other, "ratio": ratio, "target": target}


def _seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def main() -> None:
    """Print the rows."""
    for row in rows():
        print(f"{row['name']:95s} {row['ours']:9.4g} {row['theirs']:9.4g} {row['ratio']:7.3f} {row['target']}")


if __name__ == "__main__":
    main()
