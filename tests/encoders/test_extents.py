"""How large encoders say that they are, held against what they are."""

import math

import pytest
import torch

from ctlr.encoders import build_encoder
from ctlr.specs import ENCODERS, encoder_spec

SIDE = {0: 1, 1: 256, 2: 64, 3: 32}
CASES = [(name, ndim) for name, part in ENCODERS.items() for ndim in part.dimensions if not part.plugin]


@pytest.mark.parametrize(("name", "ndim"), CASES)
def test_an_encoder_is_as_large_as_it_says(name: str, ndim: int) -> None:
    channels = 2 if ndim == 0 else 1
    encoder = build_encoder(encoder_spec(name), channels=channels, ndim=ndim, seed=0).eval()
    left: list[torch.Tensor] = []

    def note(module: torch.nn.Module, given: object, out: object) -> None:
        found = out[0] if isinstance(out, tuple) else out
        assert isinstance(found, torch.Tensor)
        left.append(found)

    for module in encoder.modules():
        if next(module.children(), None) is None:
            module.register_forward_hook(note)
    with torch.inference_mode():
        encoder(torch.zeros(1, channels, *[SIDE[ndim]] * ndim))
    told = encoder_spec(name).extent(ndim)
    assert told is not None
    assert told.weights == pytest.approx(sum(tensor.numel() for tensor in encoder.state_dict().values()), rel=0.01)
    assert told.left == pytest.approx(sum(out.numel() for out in left) / math.prod([SIDE[ndim]] * ndim), rel=0.01)


def test_a_width_multiplies_what_is_left_and_its_square_the_weights() -> None:
    narrow, wide = (encoder_spec("small_cnn", width=width).extent(3) for width in (1, 3))
    assert narrow is not None
    assert wide is not None
    assert (wide.weights, wide.left) == (9 * narrow.weights, 3 * narrow.left)


def test_a_width_that_an_encoder_does_not_have_counts_for_nothing() -> None:
    assert encoder_spec("resnet18", width=2).extent(2) == ENCODERS["resnet18"].extents[2]
