"""The stages of a finetuning: which layer groups learn, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ctlr.specs._encoders import EncoderSpec
from ctlr.specs._methods import FinetuneSpec

__all__ = ["FinetuneStage", "epochs_needed", "finetune_stages", "misfits"]


class FinetuneStage(NamedTuple):
    """A part of a finetuning in which the same layers learn."""

    groups: tuple[int, ...]
    """Layer groups that learn: the encoder's blocks from the image on, then the head."""
    epochs: int
    """At most; a plateau may end it before."""
    fresh: bool
    """Whether it begins anew: from the best weights so far, with a new optimiser and the schedule's first step."""
    horizon: int | None = None
    """Epochs that the schedule of a fresh stage spans; None: its own, or in the last stage all that are left."""


def finetune_stages(spec: FinetuneSpec, n_blocks: int) -> tuple[FinetuneStage, ...]:
    """The stages in order; they take all epochs together.

    `probe_then_full`: the head, then everything (Kumar et al. 2022, arXiv:2202.10054). `gradual`: the head, then one
    block more in each stage, from the last one down (Howard & Ruder 2018, arXiv:1801.06146, sec. 3.3). `chain_thaw`:
    the head, each block alone from the image on, then everything (Felbo et al. 2017, arXiv:1708.00524, sec. 3.3).
    The lower `n_frozen` blocks take no part in any.

    Args:
        spec: Strategy and epochs; `epochs_needed` at least.
        n_blocks: Of the encoder.
    """
    distinct = list(dict.fromkeys(_learning(spec, n_blocks)))  # with all blocks frozen, head and whole are the same
    each = spec.stage_epochs or _usual_epochs(spec, len(distinct))
    lengths = [each] * (len(distinct) - 1)
    fresh = spec.strategy != "gradual"
    return tuple(
        FinetuneStage(groups, epochs, fresh)
        for groups, epochs in zip(distinct, [*lengths, spec.epochs - sum(lengths)], strict=True)
    )


def epochs_needed(spec: FinetuneSpec, n_blocks: int) -> int:
    """The fewest epochs in which every stage has one; those before the last have `stage_epochs`, where it is set."""
    count = len(finetune_stages(spec, n_blocks))
    return (spec.stage_epochs or 1) * (count - 1) + 1


def misfits(spec: FinetuneSpec, encoder: EncoderSpec) -> Iterator[tuple[str, str]]:
    """What of a finetuning does not fit an encoder: option, and what is wrong with it.

    Args:
        spec: Of the finetuning.
        encoder: With its options.
    """
    n_blocks = encoder.blocks
    if spec.n_frozen > n_blocks:
        told = f"{encoder.name} has {n_blocks} blocks; got {spec.n_frozen}"
        yield "n_frozen", f"{told}. Lower it; all of them is `strategy: linear_probe`."
    elif spec.epochs < (needed := epochs_needed(spec, n_blocks)):
        told = f"the stages of `strategy: {spec.strategy}` on {encoder.name} need {needed}; got {spec.epochs}"
        yield "epochs", f"{told}. Raise it, or set another `strategy` or `stage_epochs`."


def _learning(spec: FinetuneSpec, n_blocks: int) -> list[tuple[int, ...]]:
    """Layer groups that learn in each stage."""
    head, whole = (n_blocks,), tuple(range(spec.n_frozen, n_blocks + 1))
    match spec.strategy:
        case "linear_probe":
            return [head]
        case "probe_then_full":
            return [head, whole]
        case "gradual":
            return [whole[-count:] for count in range(1, len(whole) + 1)]
        case "chain_thaw":
            return [head, *((block,) for block in whole[:-1]), whole]
    return [whole]


def _usual_epochs(spec: FinetuneSpec, count: int) -> int:
    if spec.strategy == "gradual" and spec.plateau is None:
        return 1
    return spec.epochs // count
