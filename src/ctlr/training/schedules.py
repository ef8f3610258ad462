"""Learning rates over the steps of a training stage."""

from __future__ import annotations

import math

__all__ = ["rate_factor"]


def rate_factor(step: int, *, total: int, warmup: float, schedule: str) -> float:
    """What the base rate is multiplied by at a step.

    Rises linearly over `warmup` steps (the first step already moves), then stays (`constant`) or falls
    along half a cosine to nearly zero at the last step (`cosine`; Loshchilov & Hutter 2017, one cycle).

    Args:
        step: 0 .. total - 1.
        total: Steps of the stage.
        warmup: Steps of warm-up; at most `total` are used.
        schedule: `constant` or `cosine`.

    Returns:
        Factor in (0, 1].
    """
    warmup = min(warmup, float(total))
    if step < warmup:
        return min(1.0, (step + 1) / (warmup + 1))
    if schedule == "constant":
        return 1.0
    progress = (step - warmup) / max(1.0, total - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
