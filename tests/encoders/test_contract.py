"""The suite that every encoder passes, on every number of dimensions that it takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ctlr.contracts import encoders
from ctlr.contracts.encoders import Case
from ctlr.specs import ENCODERS

CASES = [case for name in ENCODERS for case in encoders.cases_of(name)]
every_encoder = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.ndim}d")


@every_encoder
@pytest.mark.parametrize("promise", encoders.PROMISES, ids=lambda promise: promise.__name__)
def test_an_encoder_keeps_its_promise(promise: Callable[[Case], None], case: Case) -> None:
    promise(case)


SCALED = [(case.name, case.ndim) for case in CASES if case.ndim in case.part.scaled_in]


@pytest.mark.parametrize(("name", "ndim"), SCALED)
def test_half_the_width_has_half_the_features_and_about_a_quarter_of_the_weights(name: str, ndim: int) -> None:
    whole, half = (Case(name, ndim).build(width=width) for width in (1.0, 0.5))
    assert half.width == whole.width // 2
    ratio = sum(p.numel() for p in half.parameters()) / sum(p.numel() for p in whole.parameters())
    assert ratio == pytest.approx(0.25, abs=0.03)


@every_encoder
def test_only_published_networks_name_their_weights(case: Case) -> None:
    assert case.part.published or not case.shared.published
