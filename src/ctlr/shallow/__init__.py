"""Models without a network, one home each; `FITS` lists them. Numbers in float64, the same every time, no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ctlr.shallow.boosting import fit_boosting
from ctlr.shallow.linear import fit_linear
from ctlr.shallow.nearest import fit_nearest
from ctlr.shallow.sample import Predict, Sample

__all__ = ["FITS", "Predict", "Sample"]

FITS: Mapping[str, Callable[[Any, Sample], Predict]] = {
    "linear": fit_linear, "gradient_boosting": fit_boosting, "nearest": fit_nearest, "unchanged_linear": fit_linear,
}  # fmt: skip
"""By the method's name: (options, labelled images) -> how images are predicted."""
