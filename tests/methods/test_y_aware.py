"""y-aware contrast: its kernel, and NT-Xent as its limit."""

import math

import pytest
import torch
import torch.nn.functional as F

from ctlr.methods.losses import nt_xent, y_aware_nt_xent
from ctlr.methods.y_aware import kernel


def test_labels_a_sigma_apart_are_alike_by_the_root_of_1_over_e() -> None:
    like = kernel(torch.tensor([0.0, 0.5, math.nan]), sigma=0.5)
    assert torch.allclose(like, torch.tensor([[1, math.exp(-0.5), 0], [math.exp(-0.5), 1, 0], [0, 0, 1]]))


def test_classes_are_alike_or_not_and_an_unknown_one_is_like_itself_alone() -> None:
    like = kernel(torch.tensor([1, 1, 0, -1, -1]), sigma=0.5)
    assert like.tolist() == [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]


def test_with_labels_that_have_nothing_in_common_it_is_simclrs_loss() -> None:
    views = F.normalize(torch.randn(10, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    assert y_aware_nt_xent(views, torch.eye(5), 0.3).item() == pytest.approx(nt_xent(views, 0.3).item(), rel=1e-5)


def test_it_is_the_sum_of_the_papers_equation_2() -> None:
    views = F.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(1)), dim=1)
    like, total = kernel(torch.tensor([0.0, 0.2, 1.0]), 0.5), 0.0
    for i in range(6):
        others = [j for j in range(6) if j != i]
        below = sum(math.exp(float(views[i] @ views[j]) / 0.3) for j in others)
        weights = {j: float(like[i % 3, j % 3]) for j in others}
        for j, weight in weights.items():
            total -= weight / sum(weights.values()) * math.log(math.exp(float(views[i] @ views[j]) / 0.3) / below) / 6
    assert y_aware_nt_xent(views, like, 0.3).item() == pytest.approx(total, rel=1e-4)
