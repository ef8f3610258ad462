"""Encoders that tests can afford to train."""

from ctlr.specs import ENCODERS

__all__ = ["usual_width"]


def usual_width(name: str, ndim: int) -> float:
    """A quarter for volumes, where an encoder has several widths: the same layers, a sixteenth of the work.

    The lightest of the table stays as it is.
    """
    large = ndim == 3 and 3 in ENCODERS[name].scaled_in and name != next(iter(ENCODERS))
    return 0.25 if large else 1.0
