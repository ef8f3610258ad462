"""Optimisers: PyTorch's own to the last bit, without the compiler that PyTorch loads for them."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

from ctlr.specs import FitSpec
from ctlr.training.optimisers import OPTIMISERS

TORCHS = {
    "sgd": (torch.optim.SGD, {"fused": True}),
    "momentum": (torch.optim.SGD, {"momentum": 0.8, "fused": True}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.8, "nesterov": True, "fused": True}),
    "adagrad": (torch.optim.Adagrad, {"fused": True}),
    "adadelta": (torch.optim.Adadelta, {}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "adam": (torch.optim.Adam, {"fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
}


def trained(make: Callable[[list[dict[str, Any]]], torch.optim.Optimizer]) -> torch.Tensor:
    """Weights after six steps, the optimiser's state put back in between."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    images = torch.randn(16, 4)
    optimiser = make([{"params": list(network.parameters()), "weight_decay": 0.01}])
    for step in range(6):
        optimiser.zero_grad(set_to_none=True)
        network(images).square().mean().backward()
        optimiser.step()
        if step == 2:
            optimiser.load_state_dict(optimiser.state_dict())
    return torch.cat([weights.detach().flatten() for weights in network.parameters()])


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_step_is_pytorchs_own(name: str) -> None:
    spec = FitSpec.model_validate({"optimiser": name, "lr": 0.01, "momentum": 0.8})
    kind, options = TORCHS[name]
    ours, theirs = trained(lambda groups: OPTIMISERS[name](groups, spec)), trained(
        lambda groups: kind(groups, lr=0.01, **options)
    )  # fmt: skip
    assert torch.equal(ours, theirs)


def test_no_step_loads_the_compiler() -> None:
    program = f"""
import sys, torch
from ctlr.specs import FitSpec
from ctlr.training.optimisers import OPTIMISERS
for name in {list(OPTIMISERS)}:
    weights = torch.ones(3, requires_grad=True)
    optimiser = OPTIMISERS[name]([{{"params": [weights]}}], FitSpec.model_validate({{"optimiser": name}}))
    optimiser.zero_grad()
    weights.sum().backward()
    optimiser.step()
    assert "torch._dynamo" not in sys.modules, name
"""
    subprocess.run([sys.executable, "-c", program], check=True)
