"""Learning to initialise: its gradients beside those of a copy that plain SGD has adapted."""

import copy

import pytest
import torch
from torch import nn

from ctlr.contracts import parts_to_try
from ctlr.methods.base import Batch
from ctlr.methods.meta import MAMLSpec, Meta, ReptileSpec

IMAGES = torch.randn(16, 1, 32, 32, generator=torch.Generator().manual_seed(0))
CODES = torch.arange(16) % 2
COLUMNS = {"sex": "classification"}


def by_hand(objective: Meta, name: str) -> tuple[nn.Module, float, list[torch.Tensor]]:
    """A copy after three steps of SGD, its loss on the fourth part, and the gradient there."""
    network = nn.Sequential(copy.deepcopy(objective.encoder), copy.deepcopy(objective.heads[name]))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05)
    for part in range(4):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(IMAGES[4 * part : 4 * part + 4]), CODES[4 * part : 4 * part + 4])
        loss.backward()
        if part < 3:
            optimiser.step()
    return network, loss.item(), [parameter.grad for parameter in network.parameters()]


@pytest.mark.parametrize("kind", [MAMLSpec, ReptileSpec])
def test_the_gradient_is_that_of_a_copy_that_sgd_has_adapted(kind: type[MAMLSpec] | type[ReptileSpec]) -> None:
    spec = kind.model_validate({"columns": COLUMNS, "inner_lr": 0.05})
    objective = Meta(spec, parts_to_try())
    drawn = f"task{int(torch.randint(2, (), generator=torch.Generator().manual_seed(3)))}"
    network, cost, gradients = by_hand(objective, drawn)
    batch = Batch(IMAGES, CODES)
    loss = objective({"task0": batch, "task1": batch}, torch.Generator().manual_seed(3))
    assert loss.item() == pytest.approx(cost, rel=1e-5)
    loss.backward()
    began = [*objective.encoder.parameters(), *objective.heads[drawn].parameters()]
    if kind is ReptileSpec:  # the way from the first weights to those after the fourth step
        gradients = [
            first.detach() - (last.detach() - 0.05 * gradient)
            for first, last, gradient in zip(began, network.parameters(), gradients, strict=True)
        ]
    for parameter, expected in zip(began, gradients, strict=True):
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, expected, atol=1e-5)


def test_a_batch_too_small_for_its_parts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"3 `inner_steps` need a `pretrain.batch_size` of 8; got 6"):
        MAMLSpec.model_validate({"columns": COLUMNS, "pretrain": {"batch_size": 6}})
