"""SimSiam: its bounds, and where its gradient stops."""

import pytest
import torch
from torch import nn

from ctlr.contracts import parts_to_try
from ctlr.methods.base import Batch
from ctlr.methods.simsiam import SimSiam, SimSiamSpec
from ctlr.specs import FitSpec, ViewsSpec

STILL = ViewsSpec(rotate=0, translate=0, scale=0, warp=0)
IMAGES = torch.randn(6, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def test_views_that_are_predicted_exactly_cost_minus_1() -> None:
    objective = SimSiam(SimSiamSpec(pretrain=FitSpec(views=STILL)), parts_to_try())
    objective.predictor = nn.Identity()
    assert objective({"pool": Batch(IMAGES)}, torch.Generator()).item() == pytest.approx(-1, abs=1e-5)


def test_no_gradient_reaches_the_encoder_past_the_predictor() -> None:
    objective = SimSiam(SimSiamSpec(), parts_to_try())
    objective.predictor = nn.Linear(64, 64)
    nn.init.zeros_(objective.predictor.weight)  # a prediction that does not depend on the image
    objective({"pool": Batch(IMAGES)}, torch.Generator().manual_seed(0)).backward()
    gradients = [parameter.grad for parameter in objective.encoder.parameters()]
    assert all(gradient is None or not gradient.any() for gradient in gradients)
    assert objective.predictor.bias.grad is not None
    assert objective.predictor.bias.grad.any()
