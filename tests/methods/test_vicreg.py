"""VICReg: each term at known numbers."""

import numpy as np
import pytest
import torch

from ctlr.methods.vicreg import covariance, variance

FOUR = torch.tensor([[1.0, 1, 1], [-1, 1, -1], [1, -1, -1], [-1, -1, 1]])
"""Columns without covariance, whose unbiased variance is 4 / 3."""


def test_features_that_vary_by_1_or_more_are_not_pushed_apart() -> None:
    assert variance(FOUR).item() == 0


def test_features_that_all_images_share_cost_nearly_1() -> None:
    assert variance(torch.ones(4, 3)).item() == pytest.approx(1 - 0.01)  # the square root of 1e-4


def test_features_without_covariance_cost_nothing_and_equal_ones_the_square_of_their_variance() -> None:
    assert covariance(FOUR).item() == pytest.approx(0, abs=1e-6)
    same = FOUR[:, :1].expand(4, 3)
    assert covariance(same).item() == pytest.approx(6 * (4 / 3) ** 2 / 3)


def test_the_covariance_is_numpys() -> None:
    features = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    matrix = np.cov(features.T)
    assert covariance(features).item() == pytest.approx(((matrix**2).sum() - (matrix.diagonal() ** 2).sum()) / 5, 1e-4)
