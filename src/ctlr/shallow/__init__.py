"""Models without a network, a file each. Numbers in float64, the same every time, no torch.

`baselines` has their options, which name what fits them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctlr.shallow.sample import Sample
    from ctlr.specs import MethodSpec

__all__ = ["fit"]


def fit(spec: MethodSpec, sample: Sample) -> Any:
    """Fit a model to labelled images; what comes back predicts other images (`ctlr.shallow.sample.Predict`)."""
    module, _, function = spec.shallow.partition(":")
    return getattr(import_module(module), function)(spec, sample)
