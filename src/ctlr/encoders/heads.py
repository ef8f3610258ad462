"""Heads that turn an encoder's features into outputs."""

from __future__ import annotations

from torch import nn

from ctlr.encoders.base import seeded

__all__ = ["build_head", "projection_head"]


def build_head(width: int, outputs: int, *, dropout: float, seed: int) -> nn.Sequential:
    """Dropout and one linear layer: (B, width) -> (B, outputs).

    Weights are drawn from N(0, 0.01^2) and biases are 0, so that training starts near the mean of a standardised
    target, or near equal probabilities, whatever the features.

    Args:
        width: Of the encoder.
        outputs: One for regression, else the number of classes.
        dropout: Probability that a feature is left out while training; draws from torch's global state.
        seed: Of the weights.
    """
    with seeded(seed):
        linear = nn.Linear(width, outputs)
        nn.init.normal_(linear.weight, std=0.01)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(nn.Dropout(dropout), linear)


def projection_head(width: int, outputs: int, *, seed: int) -> nn.Sequential:
    """The head behind which SimCLR contrasts views (Chen et al. 2020, sec. 4.2): (B, width) -> (B, outputs).

    Linear to as many units as there are features, batch norm (so B >= 2 in training), ReLU, linear.
    Thrown away after pretraining.

    Args:
        width: Of the encoder, and of the hidden layer.
        outputs: Dimension in which cosines are taken.
        seed: Of the weights.
    """
    with seeded(seed):
        return nn.Sequential(
            # The norm's own offset makes a bias superfluous.
            nn.Linear(width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True), nn.Linear(width, outputs)
        )  # fmt: skip
