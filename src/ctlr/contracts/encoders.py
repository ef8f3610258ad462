"""What an encoder promises, on every number of dimensions that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ctlr.encoders import Encoder, build_encoder, freeze_blocks
from ctlr.specs import ENCODERS, EncoderPart, encoder_spec

__all__ = ["PROMISES", "Case", "cases_of"]


@dataclass(frozen=True)
class Case:
    """An encoder on images of one kind.

    Attributes:
        name: Of the encoder.
        ndim: Sides of an image.
    """

    name: str
    ndim: int

    @property
    def part(self) -> EncoderPart:
        """What it says of itself."""
        return ENCODERS[self.name]

    @property
    def width(self) -> float:
        """A quarter for volumes, where it has several widths: the same layers, a sixteenth of the work.

        The lightest of the table stays as it is.
        """
        large = self.ndim == 3 and 3 in self.part.scaled_in and self.name != next(iter(ENCODERS))
        return 0.25 if large else 1.0

    @property
    def channels(self) -> int:
        """Of an image where nothing else is said: a point is nothing but its features."""
        return 1 if self.ndim else 8

    def build(self, *, channels: int | None = None, seed: int = 0, **options: Any) -> Encoder:
        """Made anew."""
        spec = encoder_spec(self.name, **({"width": self.width} | options))
        return build_encoder(spec, channels=channels or self.channels, ndim=self.ndim, seed=seed)

    @cached_property
    def shared(self) -> Encoder:
        """One encoder for the promises that leave it as it is."""
        return self.build().eval().requires_grad_(False)

    def images(self, *sides: int, channels: int | None = None) -> Tensor:
        """Two images of noise."""
        rng = torch.Generator().manual_seed(1)
        return torch.randn(2, channels or self.channels, *(sides or [32] * self.ndim), generator=rng)


def cases_of(name: str, folder: Path | None = None) -> list[Case]:
    """Each number of dimensions that it takes."""
    return [_case(name, ndim) for ndim in ENCODERS[name].dimensions]


_CASES: dict[tuple[str, int, str], Case] = {}


def _case(name: str, ndim: int) -> Case:
    return _CASES.setdefault((name, ndim, ENCODERS[name].plugin), Case(name, ndim))


# ---------------------------------------------------------------- promises


def says_how_many_blocks_it_has(case: Case) -> None:
    """It has as many blocks as it says, three at least, each with weights to freeze, and none beside them."""
    encoder = case.shared
    assert len(encoder.blocks) == case.part.blocks, f"it says {case.part.blocks} blocks and has {len(encoder.blocks)}."
    assert len(encoder.blocks) >= 3, f"it must have three blocks at least; it has {len(encoder.blocks)}."
    inside = sum(weight.numel() for weight in encoder.blocks.parameters())
    assert inside == sum(weight.numel() for weight in encoder.parameters()), "weights must lie in its blocks alone."
    for index, block in enumerate(encoder.blocks):
        assert list(block.parameters()), f"block {index} has no weights. Join it with its neighbour."


def says_how_it_computes(case: Case) -> None:
    """It says whether channels-last memory and bfloat16 are faster on a CPU."""
    for name in ("channels_last", "bf16"):
        assert isinstance(getattr(case.shared, name, None), bool), f"its class must say `{name} = True` or `False`."


def is_as_large_as_it_says(case: Case) -> None:
    """It keeps as many numbers, and puts out as many for each voxel, as it says, where it says so: within a tenth."""
    told = case.part.extents.get(case.ndim)
    if told is None:
        return
    encoder, left = case.build(width=1.0).eval(), 0

    def note(module: nn.Module, given: object, out: object) -> None:
        nonlocal left
        first = out[0] if isinstance(out, tuple) else out  # of recurrent layers
        left += first.numel() if isinstance(first, Tensor) else 0

    for module in encoder.modules():
        if next(module.children(), None) is None:
            module.register_forward_hook(note)
    images = case.images(*[{1: 256, 2: 64, 3: 32}[case.ndim]] * case.ndim if case.ndim else ())
    with torch.inference_mode():
        encoder(images)
    weights, left = sum(tensor.numel() for tensor in encoder.state_dict().values()), left // images[:, 0].numel()
    for what, found, said in (("weights", weights, told.weights), ("left", left, told.left)):
        assert abs(found - said) <= 0.1 * found + 1, f"`extents` says `{what}={said:g}`; it has {found}."


def features_have_the_promised_width(case: Case) -> None:
    """Features are float32, finite, and as wide as it says."""
    features = case.shared(case.images())
    assert features.shape == (2, case.shared.width), (
        f"features of 2 images must be (2, {case.shared.width}), after its `width`; they are {tuple(features.shape)}."
    )
    assert features.dtype == torch.float32, f"features must be float32; they are {features.dtype}."
    assert features.isfinite().all(), "features must be finite."


def sides_may_differ(case: Case) -> None:
    """Sides may differ and need be no powers of two."""
    sides = (32, 40, 36)[: case.ndim]
    shape = case.shared(case.images(*sides)).shape
    assert shape == (2, case.shared.width), f"features of images of {sides} must have the same width; got {shape}."


def images_are_told_apart(case: Case) -> None:
    """Two images have two features."""
    one, other = case.shared(case.images())
    assert (one - other).norm() > 1e-3 * one.norm() > 0, "the features of two images of noise are nearly the same."


def stopping_and_going_on_equals_running_through(case: Case) -> None:
    """Stopping before a block and going on equals running through, and no block writes into its input."""
    encoder, batch = case.shared, case.images()
    whole = encoder(batch)
    for n in range(len(encoder.blocks) + 1):
        maps = encoder(batch, stop=n)
        kept = maps.clone()
        assert torch.equal(encoder(maps, start=n), whole), f"going on from block {n} gives other features."
        assert torch.equal(maps, kept), f"block {n} writes into its input. Let its first layer be not in place."


def training_draws_no_random_numbers_and_teaches_every_weight(case: Case) -> None:
    """A step draws no random numbers and teaches every weight."""
    encoder = case.build().train()
    before = torch.get_rng_state()
    encoder(case.images()).square().sum().backward()
    assert torch.equal(torch.get_rng_state(), before), "forward draws random numbers. Leave dropout to the head."
    for name, weight in encoder.named_parameters():
        assert weight.grad is not None, f"{name} takes no part in the features. Remove it."
        assert weight.grad.isfinite().all(), f"the gradient of {name} is not finite."


def initial_weights_depend_on_the_seed_alone(case: Case) -> None:
    """Its first weights depend on the seed alone."""
    first = case.build(seed=3)
    torch.rand(1)
    before = torch.get_rng_state()
    second, other = case.build(seed=3), case.build(seed=4)
    assert torch.equal(torch.get_rng_state(), before), "building it moves torch's own random state."
    for (name, tensor), same in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(tensor, same), f"one seed gives two {name}. Draw from torch's own random state."
    same = torch.equal(next(first.parameters()), next(other.parameters()))
    assert not same, "two seeds give the same weights. Draw them at random."


def channels_last_memory_changes_no_feature(case: Case) -> None:
    """Channels-last memory changes no feature."""
    if case.ndim < 2:
        return  # there is no such format of points and signals
    layout = torch.channels_last if case.ndim == 2 else torch.channels_last_3d
    encoder = case.build(channels=3).eval().requires_grad_(False)
    batch = case.images(channels=3)
    contiguous = encoder(batch)
    encoder.to(memory_format=layout)  # type: ignore[call-overload]
    same = torch.allclose(encoder(batch.contiguous(memory_format=layout)), contiguous, rtol=1e-3, atol=1e-4)
    assert same, "channels-last memory changes its features. Use layers that take any memory format."


def frozen_blocks_stay_as_they_are(case: Case) -> None:
    """Frozen blocks stay as they are, batch-norm statistics too."""
    encoder = case.build().train()
    n = len(encoder.blocks) - 2
    freeze_blocks(encoder, n)
    encoder.train()
    before = {key: tensor.clone() for key, tensor in encoder.state_dict().items()}
    encoder(case.images()).square().sum().backward()
    frozen = tuple(f"blocks.{index}." for index in range(n))
    for key, tensor in encoder.state_dict().items():
        if key.startswith(frozen):
            assert torch.equal(tensor, before[key]), f"{key} moved though its block is frozen."
    for index, block in enumerate(encoder.blocks):
        learns = all((weight.grad is None) == (index < n) for weight in block.parameters())
        assert learns, f"block {index} must {'not ' if index < n else ''}learn with {n} blocks frozen."
        assert block.training == (index >= n), f"`train()` must leave the mode of frozen block {index} alone."


def half_precision_gives_nearly_the_same_features(case: Case) -> None:
    """Half precision gives nearly the same features, in float32."""
    encoder, batch = case.shared, case.images()
    with torch.autocast("cpu", torch.bfloat16):
        features = encoder(batch)
    assert features.dtype == torch.float32, f"features must be float32 under autocast too; they are {features.dtype}."
    expected = encoder(batch)
    off = ((features - expected).norm() / expected.norm()).item()
    assert off < 0.05, f"features in bfloat16 are off by {off:.0%}; 5 % are allowed."


def group_norm_leaves_an_image_alone(case: Case) -> None:
    """With `norm: group` an image has the same features whatever stands beside it."""
    if not case.part.has_norms:
        norms = [part for part in case.shared.modules() if isinstance(part, _BatchNorm)]
        assert not norms, "it says `has_norms=False` and has batch norms. Leave that out."
        return
    encoder = case.build(norm="group").train().requires_grad_(False)
    parts = list(encoder.modules())
    assert not any(isinstance(part, _BatchNorm) for part in parts), "`norm: group` must leave no batch norm."
    assert any(isinstance(part, nn.GroupNorm) for part in parts), (
        "it has no batch norms that `norm: group` could replace: say `has_norms=False`."
    )
    batch = case.images()
    alone = torch.allclose(encoder(batch)[:1], encoder(batch[:1]), rtol=1e-3, atol=1e-4)
    assert alone, "with `norm: group` an image's features depend on its neighbours in the batch."


PROMISES = (
    says_how_many_blocks_it_has,
    says_how_it_computes,
    is_as_large_as_it_says,
    features_have_the_promised_width,
    sides_may_differ,
    images_are_told_apart,
    stopping_and_going_on_equals_running_through,
    training_draws_no_random_numbers_and_teaches_every_weight,
    initial_weights_depend_on_the_seed_alone,
    channels_last_memory_changes_no_feature,
    frozen_blocks_stay_as_they_are,
    half_precision_gives_nearly_the_same_features,
    group_norm_leaves_an_image_alone,
)
