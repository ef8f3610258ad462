from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from ctlr.encoders import build_head, fused_head, projection_head
from ctlr.errors import ConfigError


def test_a_new_head_predicts_the_mean() -> None:
    features = torch.randn(500, 64, generator=torch.Generator().manual_seed(0))
    head = build_head(64, 3, dropout=0.5, seed=0).eval().requires_grad_(False)
    outputs = head(features)
    assert outputs.shape == (500, 3)
    # 64 unit features under weights of sd 0.01: sd 0.08
    assert outputs.std().item() == pytest.approx(0.08, rel=0.3)
    assert outputs.softmax(1).sub(1 / 3).abs().max() < 0.15


def test_dropout_stands_before_the_head_while_training_only() -> None:
    head = build_head(1000, 1, dropout=0.5, seed=0)
    nn.init.ones_(head[1].weight)
    ones = torch.ones(1, 1000)
    assert head.eval()(ones).item() == 1000
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        assert head.train()(ones).item() / 2 == pytest.approx(500, abs=80)


def test_simclrs_head_has_two_layers_around_a_batch_norm() -> None:
    head = projection_head(32, 8, seed=0)
    assert head(torch.randn(4, 32)).shape == (4, 8)
    assert sum(parameter.numel() for parameter in head.parameters()) == 32 * 32 + 2 * 32 + 32 * 8 + 8


@pytest.mark.parametrize("build", [partial(build_head, 16, 2, dropout=0.1), partial(projection_head, 16, 4)])
def test_weights_depend_on_the_seed_alone(build: Callable[..., nn.Module]) -> None:
    before = torch.get_rng_state()
    first, second, other = build(seed=5), build(seed=5), build(seed=6)
    assert torch.equal(torch.get_rng_state(), before)
    one, same, different = (torch.cat([p.flatten() for p in head.parameters()]) for head in (first, second, other))
    assert torch.equal(one, same)
    assert not torch.equal(one, different)


def test_a_fused_head_answers_from_features_and_columns() -> None:
    head = fused_head(8, 3, 5, 2, dropout=0.0, seed=0)
    features, columns = torch.randn(4, 8), torch.randn(4, 3)
    outputs = head(features, columns)
    assert outputs.shape == (4, 2)
    hidden = head.columns(columns)
    assert (hidden >= 0).all()
    assert torch.equal(outputs, head.head(torch.cat([features, hidden], dim=1)))
    with pytest.raises(ConfigError, match="the method does not hand them to the head"):
        head(features)
