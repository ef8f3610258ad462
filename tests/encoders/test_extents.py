"""How large encoders say that they are; the suite of encoders holds it against what they are."""

import dataclasses

import pytest
import torch

from ctlr.contracts.encoders import Case, is_as_large_as_it_says
from ctlr.specs import ENCODERS, Extent, encoder_spec


@pytest.mark.parametrize("name", [name for name, part in ENCODERS.items() if not part.plugin])
def test_every_encoder_that_comes_with_ctlr_says_how_large_it_is(name: str) -> None:
    assert set(ENCODERS[name].extents) == set(ENCODERS[name].dimensions)


def test_a_width_multiplies_what_is_left_and_its_square_the_weights() -> None:
    narrow, wide = (encoder_spec("small_cnn", width=width).extent(3) for width in (1, 3))
    assert narrow is not None
    assert wide is not None
    assert (wide.weights, wide.left) == (9 * narrow.weights, 3 * narrow.left)


def test_a_width_that_an_encoder_does_not_have_counts_for_nothing() -> None:
    assert encoder_spec("resnet18", width=2).extent(2) == ENCODERS["resnet18"].extents[2]


@pytest.mark.parametrize(
    ("extent", "says"),
    [(Extent(20_000, 22.2), "`weights=20000`; it has 15404"), (Extent(15_404, 44), "`left=44`; it has 22")],
)
def test_an_encoder_that_is_larger_or_smaller_breaks_its_promise(
    extent: Extent, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = dataclasses.replace(ENCODERS["small_cnn"], extents={2: extent})
    monkeypatch.setattr(Case, "part", part)
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match=says):
        is_as_large_as_it_says(Case("small_cnn", 2))
