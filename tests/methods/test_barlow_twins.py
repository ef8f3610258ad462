"""Barlow Twins: known correlations have known losses."""

import numpy as np
import pytest
import torch

from ctlr.methods.barlow_twins import redundancy_loss

FOUR = torch.tensor([[1.0, 1, 1], [-1, 1, -1], [1, -1, -1], [-1, -1, 1]])
"""Columns without correlation."""


def test_features_that_agree_and_say_different_things_cost_nothing() -> None:
    assert redundancy_loss(FOUR, 5 * FOUR + 2, 0.005).item() == pytest.approx(0, abs=1e-6)


def test_a_feature_said_three_times_costs_its_six_correlations() -> None:
    same = FOUR[:, :1].expand(4, 3)
    assert redundancy_loss(same, same, 0.005).item() == pytest.approx(6 * 0.005, rel=1e-4)


def test_opposed_views_cost_four_a_feature() -> None:
    assert redundancy_loss(FOUR, -FOUR, 0.005).item() == pytest.approx(12)


def test_the_loss_is_that_of_numpys_correlations() -> None:
    first, second = torch.randn(2, 20, 5, generator=torch.Generator().manual_seed(0))
    squares = (np.corrcoef(first.T, second.T)[:5, 5:] - np.eye(5)) ** 2
    expected = squares.trace() + 0.1 * (squares.sum() - squares.trace())
    assert redundancy_loss(first, second, 0.1).item() == pytest.approx(expected, rel=1e-4)
