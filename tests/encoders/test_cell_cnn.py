"""The network of cells: which options make which cells, and what is not read."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ctlr.encoders import Encoder, build_encoder
from ctlr.encoders.cell_cnn import Cell
from ctlr.space import Choice
from ctlr.specs import ENCODERS, CellCnnSpec, encoder_spec
from ctlr.tuning.manifest import ALGORITHMS

SPACE = ENCODERS["cell_cnn"].space


def spec_of(**options: Any) -> CellCnnSpec:
    spec = encoder_spec("cell_cnn", **options)
    assert isinstance(spec, CellCnnSpec)
    return spec


def built(ndim: int = 2, **options: Any) -> Encoder:
    return build_encoder(spec_of(**options), channels=1, ndim=ndim, seed=0)


def cells(encoder: Encoder) -> list[Cell]:
    return [part for part in encoder.modules() if isinstance(part, Cell)]


def drawn(rng: random.Random) -> dict[str, Any]:
    return {
        name: rng.choice(each.values) if isinstance(each, Choice) else rng.randint(int(each.low), int(each.high))
        for name, each in SPACE.items()
    }


def same(one: Encoder, other: Encoder) -> bool:
    pictures = torch.rand(2, 1, 17, 20, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return torch.equal(one.eval()(pictures), other.eval()(pictures))


@pytest.mark.parametrize("seed", range(30))
def test_any_draw_of_the_space_is_a_network_that_learns(seed: int) -> None:
    options = drawn(random.Random(seed))
    spec, encoder = spec_of(**options), built(**options).train()
    assert len(encoder.blocks) == spec.blocks == 1 + options["stages"]
    features = encoder(torch.rand(3, 1, 13, 9))
    assert features.shape == (3, encoder.width) == (3, spec.widths[-1])
    features.square().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in encoder.parameters())
    weights = sum(weight.numel() for weight in encoder.parameters())
    assert 300 < weights < 8_000_000


def test_a_space_names_the_algorithm_that_searches_it_and_holds_nothing_but_options() -> None:
    assert ENCODERS["cell_cnn"].algorithm in ALGORITHMS
    assert set(SPACE) == set(spec_of().own_options) | {"norm"}


def test_channels_grow_from_stage_to_stage_up_to_512() -> None:
    assert spec_of(stages=4, channels=10, growth=1.5).widths == (10, 15, 22, 34)
    assert spec_of(stages=5, channels=128, width=2).widths == (256, 512, 512, 512, 512)
    assert spec_of(stages=3, channels=8, growth=1).widths == (8, 8, 8)


def test_cells_are_of_the_modules_of_the_sequence_which_begins_again_after_the_sixth() -> None:
    letters = {f"cell_{number}": letter for number, letter in enumerate("abcabb", 1)}
    spec = spec_of(stages=4, cells=2, a_kernel=1, b_kernel=3, c_kernel=5, **letters)
    assert [[module.kernel for module in stage] for stage in spec.sequence] == [[1, 3], [5, 1], [3, 3], [1, 3]]


def test_a_module_that_changes_changes_every_cell_that_is_made_of_it() -> None:
    options = {"cells": 2, "cell_2": "b", "cell_5": "b", "b_activation": "silu"}
    assert [type(cell.activation) for cell in cells(built(**options))] == [
        nn.ReLU, nn.SiLU, nn.ReLU, nn.ReLU, nn.SiLU, nn.ReLU,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "unread",
    [
        {"c_kernel": 1, "b_skip": "dense"},  # no cell is made of them
        {"cell_4": "c", "cell_6": "b"},  # there are three cells
        {"a_convolution": "dilated", "a_kernel": 1},
    ],
)
def test_what_has_no_meaning_in_a_network_is_not_read(unread: dict[str, Any]) -> None:
    plain = {"a_kernel": unread.get("a_kernel", 3)}
    assert same(built(**plain), built(**plain | unread))


@pytest.mark.parametrize("pooling", ["max", "average", "stride"])
@pytest.mark.parametrize("skip", ["none", "residual", "dense"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_all_stages_but_the_first_halve_every_side_and_round_up(ndim: int, skip: str, pooling: str) -> None:
    encoder = built(ndim, a_skip=skip, a_pooling=pooling, cells=2).eval()
    images = torch.rand(1, 1, *[18] * (ndim - 1), 9)
    shapes = [tuple(encoder(images, stop=blocks).shape[-2:]) for blocks in range(1, 5)]
    assert shapes == [(9, 5), (9, 5), (5, 3), (3, 2)]


def forward(cell: Cell, maps: Tensor, **parts: nn.Module) -> Tensor:
    for name, part in parts.items():
        setattr(cell, name, part)
    return cell.eval()(maps)


class Zero(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return torch.zeros_like(maps)


def test_what_a_residual_cell_makes_is_added_to_its_input() -> None:
    cell = cells(built(a_skip="residual", a_activation="elu"))[0]
    maps = torch.randn(2, 16, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(forward(cell, maps, convolution=Zero()), nn.functional.elu(maps))


def test_a_residual_cell_that_strides_keeps_every_second_place() -> None:
    cell = cells(built(a_skip="residual", a_pooling="stride", growth=1))[1]
    maps = torch.rand(2, 16, 5, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(cell.kept(maps), maps[:, :, ::2, ::2])


def test_a_dense_cell_mixes_its_input_with_what_it_makes() -> None:
    cell = cells(built(a_skip="dense"))[0]
    mixing = cell.joint[0]
    assert isinstance(mixing, nn.Conv2d)
    assert (mixing.in_channels, mixing.out_channels, mixing.kernel_size) == (32, 16, (1, 1))


@pytest.mark.parametrize(
    ("convolution", "weights"), [("plain", 25 * 16 * 32), ("dilated", 25 * 16 * 32), ("separable", 25 * 16 + 16 * 32)]
)
def test_kinds_of_convolution_have_the_weights_of_their_arithmetic(convolution: str, weights: int) -> None:
    cell = cells(built(a_kernel=5, a_convolution=convolution))[1]
    assert sum(part.weight.numel() for part in cell.convolution if isinstance(part, nn.Conv2d)) == weights


@pytest.mark.parametrize(("convolution", "reach"), [("plain", 2), ("separable", 2), ("dilated", 4)])
def test_a_convolution_of_five_pixels_reaches_as_far_as_its_kind_says(convolution: str, reach: int) -> None:
    cell = cells(built(a_kernel=5, a_convolution=convolution, norm="none"))[0].eval()
    maps = torch.zeros(1, 16, 1, 21)
    with torch.no_grad():
        nothing = cell(maps)
        maps[..., 10] = 1
        changed = (cell(maps) != nothing).any(dim=1).flatten().nonzero().flatten()
    assert (changed.min(), changed.max()) == (10 - reach, 10 + reach)


def test_without_norms_convolutions_have_a_bias_instead() -> None:
    encoder = built(norm="none", a_skip="dense", cells=2)
    assert not any(isinstance(part, _BatchNorm | nn.GroupNorm) for part in encoder.modules())
    assert all(part.bias is not None for part in encoder.modules() if isinstance(part, nn.Conv2d))
