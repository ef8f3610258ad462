"""Masked autoencoding: what is hidden, and what counts."""

import pytest
import torch
from torch import Tensor, nn

from ctlr.contracts import parts_to_try
from ctlr.encoders import build_encoder, patch_decoder
from ctlr.methods.base import Batch
from ctlr.methods.mae import MAE, MAESpec, hidden_patches
from ctlr.specs import ENCODERS, EncoderSpec, encoder_spec


def test_the_share_of_patches_is_hidden_whole_and_others_in_each_image() -> None:
    hidden = hidden_patches(5, (16, 24), 4, 0.75, torch.Generator().manual_seed(0))
    assert hidden.shape == (5, 1, 16, 24)
    patches = hidden.unfold(2, 4, 4).unfold(3, 4, 4).flatten(4)
    assert torch.equal(patches.all(-1), patches.any(-1))
    assert patches.all(-1).sum((1, 2, 3)).tolist() == [18] * 5  # of 24
    assert len({tuple(each.flatten().tolist()) for each in hidden}) == 5


def test_sides_that_no_patch_divides_are_covered_and_something_is_left_to_see() -> None:
    hidden = hidden_patches(3, (7, 9, 10), 4, 0.99, torch.Generator().manual_seed(0))
    assert hidden.shape == (3, 1, 7, 9, 10)
    assert not hidden.flatten(1).all(1).any()


class Drawn(nn.Module):
    """A decoder that has the answer, and is wrong by as much as it is told in some places."""

    def __init__(self, answer: Tensor, where: Tensor, error: float) -> None:
        super().__init__()
        self.answer = answer + error * where

    def forward(self, maps: Tensor) -> Tensor:
        return self.answer


@pytest.mark.parametrize(("wrong_where_hidden", "expected"), [(False, 0.0), (True, 9.0)])
def test_only_what_was_hidden_counts_as_its_mean_squared_error(wrong_where_hidden: bool, expected: float) -> None:
    objective = MAE(MAESpec(), parts_to_try())
    images = torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    hidden = hidden_patches(4, (32, 32), 4, 0.6, torch.Generator().manual_seed(3))
    objective.decoder = Drawn(images, hidden if wrong_where_hidden else ~hidden, 3.0)
    loss = objective({"pool": Batch(images)}, torch.Generator().manual_seed(3))
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_features_of_points_are_hidden_one_by_one() -> None:
    objective = MAE(MAESpec(hidden=0.25), parts_to_try(ndim=0))
    points = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    hidden = hidden_patches(4, (8,), 1, 0.25, torch.Generator().manual_seed(3))[:, 0]
    assert hidden.sum(1).tolist() == [2] * 4
    objective.decoder = Drawn(points, ~hidden, 3.0)
    loss = objective({"pool": Batch(points)}, torch.Generator().manual_seed(3))
    assert loss.item() == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_the_decoder_of_every_encoder_draws_an_image(name: str) -> None:
    for ndim in ENCODERS[name].dimensions:
        encoder = build_encoder(encoder_spec(name), channels=1, ndim=ndim, seed=0)
        shape = (1, *[33] * ndim)
        decoder = patch_decoder(encoder, shape, seed=0)
        maps = encoder.eval()(torch.zeros(1, *shape), stop=len(encoder.blocks))
        assert decoder(maps).shape == (1, *shape)


def test_each_place_of_a_map_draws_the_box_above_it() -> None:
    encoder = build_encoder(EncoderSpec(name="small_cnn"), channels=1, ndim=2, seed=0)
    decoder = patch_decoder(encoder, (1, 32, 32), seed=0)
    maps = torch.zeros(1, decoder.linear.in_features, *[32 // side for side in decoder.box])
    base = decoder(maps)
    maps[0, :, 1, 0] = 1
    changed = (decoder(maps) != base)[0, 0]
    side = decoder.box[0]
    assert changed[side : 2 * side, :side].all()
    assert changed.sum() == side * side
