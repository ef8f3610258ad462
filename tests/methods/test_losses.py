import math

import pytest
import torch

from ctlr.methods.losses import TaskLoss, divergence, nt_xent


def test_indistinct_views_cost_the_log_of_their_rivals() -> None:
    assert float(nt_xent(torch.ones(8, 4) / 2, temperature=0.1)) == pytest.approx(math.log(7))


def test_views_that_agree_and_differ_from_all_others_cost_what_the_temperature_leaves() -> None:
    # Two pairs on two axes: the partner has cosine 1, both rivals 0; -log(e^2 / (e^2 + 2)) at temperature 0.5.
    views = torch.eye(2).repeat(2, 1)
    expected = -math.log(math.exp(2) / (math.exp(2) + 2))
    assert float(nt_xent(views, temperature=0.5)) == pytest.approx(expected)


def test_nt_xent_does_not_care_which_view_comes_first() -> None:
    views = torch.nn.functional.normalize(torch.randn(10, 6, generator=torch.Generator().manual_seed(0)), dim=1)
    swapped = views.roll(5, dims=0)
    assert float(nt_xent(views, 0.3)) == pytest.approx(float(nt_xent(swapped, 0.3)))


def test_unlabelled_rows_do_not_count_in_a_regression() -> None:
    outputs = torch.tensor([[1.0], [5.0], [2.0]])
    assert float(TaskLoss(classes=0)(outputs, torch.tensor([0.0, math.nan, 0.0]))) == pytest.approx(2.5)


def test_unlabelled_rows_do_not_count_in_a_classification() -> None:
    outputs = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    assert float(TaskLoss(classes=2)(outputs, torch.tensor([1, -1]))) == pytest.approx(math.log(2))


@pytest.mark.parametrize(("classes", "target"), [(0, torch.tensor([math.nan])), (2, torch.tensor([-1]))])
def test_a_batch_without_a_label_costs_nothing_and_has_a_gradient(classes: int, target: torch.Tensor) -> None:
    loss = TaskLoss(classes=classes)
    outputs = torch.ones(1, loss.outputs, requires_grad=True)
    cost = loss(outputs, target)
    cost.backward()
    assert cost.item() == 0
    assert outputs.grad is not None
    assert torch.count_nonzero(outputs.grad) == 0


def test_class_weights_move_the_mean_towards_the_rare_class() -> None:
    outputs, target = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
    right, wrong = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    weighted = TaskLoss(classes=2, weights=torch.tensor([1.0, 3.0]))(outputs, target)
    assert float(weighted) == pytest.approx((right + 3 * wrong) / 4)


def test_divergence_is_nought_from_itself_and_known_between_two_coins() -> None:
    sure, even = torch.tensor([[math.log(0.9), math.log(0.1)]]), torch.zeros(1, 2)
    assert float(divergence(sure, sure, classes=2)) == pytest.approx(0, abs=1e-7)
    expected = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    assert float(divergence(sure, even, classes=2)) == pytest.approx(expected)
    assert float(divergence(torch.tensor([[1.0]]), torch.tensor([[3.0]]), classes=0)) == 4


def test_no_gradient_flows_into_the_reference() -> None:
    outputs, reference = torch.ones(1, 2, requires_grad=True), torch.zeros(1, 2, requires_grad=True)
    divergence(outputs * torch.tensor([1.0, 2.0]), reference, classes=2).backward()
    assert reference.grad is None
    assert outputs.grad is not None
