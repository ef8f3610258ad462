"""BYOL: what its distance is, and how its slow copy follows."""

import pytest
import torch

from ctlr.contracts import parts_to_try
from ctlr.methods.byol import BYOL, BYOLSpec, distance


def test_rows_that_agree_oppose_or_have_nothing_in_common_are_0_4_and_2_apart() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    assert distance(rows, 7 * rows).item() == pytest.approx(0, abs=1e-6)
    assert distance(rows, -rows).item() == pytest.approx(4)
    assert distance(rows, rows.flip(1) * torch.tensor([1.0, -1.0])).item() == pytest.approx(2)


def test_the_distance_is_that_of_the_papers_equation_2() -> None:
    first, second = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    unit = [each / each.norm(dim=1, keepdim=True) for each in (first, second)]
    assert distance(first, second).item() == pytest.approx((unit[0] - unit[1]).square().sum(1).mean().item(), rel=1e-5)


def test_the_slow_copy_moves_by_a_share_that_comes_to_nought_and_never_by_a_gradient() -> None:
    objective = BYOL(BYOLSpec(momentum=0.9), parts_to_try())
    weight, slow = next(objective.encoder.parameters()), next(objective.slow_encoder.buffers())
    assert not list(objective.slow_encoder.parameters())
    before = slow.clone()
    with torch.no_grad():
        weight += 1
    objective.after_step()
    assert torch.allclose(slow, before + 0.1, atol=1e-6)
    objective.done = 0.5  # half a cosine: half of the way to 1
    with torch.no_grad():
        weight.copy_(slow + 1)
    moved = slow.clone()
    objective.after_step()
    assert torch.allclose(slow, moved + 0.05, atol=1e-6)
    objective.done = 1.0
    objective.after_step()
    assert torch.allclose(slow, moved + 0.05, atol=1e-6)
