"""Estimates of the least error that any classifier could have on a dataset: what is asked, and what comes back."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ctlr.specs._data import DataTask
from ctlr.specs._value import Value, fingerprint

__all__ = ["Assessment", "ErrorEstimate", "LeastErrorSpec", "LeastErrors", "NoiseCheck"]

_UNIDENTIFYING: Any = {"target": {"data": {"root"}}, "threads": True}


class LeastErrorSpec(Value):
    """All that the estimates for a target depend on."""

    target: DataTask
    threads: Annotated[int, Field(ge=1)] = 1

    def identity(self) -> str:
        """Fingerprint without labels and folders."""
        return fingerprint("least errors", self.model_dump_json(exclude=_UNIDENTIFYING))


class ErrorEstimate(Value):
    """What a method says of the Bayes error."""

    value: float
    """Its best guess."""
    low: float
    """It is hardly less, sampling included."""
    high: float
    """It is hardly more, sampling included."""


class NoiseCheck(Value):
    """What methods say after labels were made wrong on purpose."""

    share: float
    """Of the labels that was drawn anew from all classes."""
    due: float
    """What the Bayes error must then be if `posterior` was right before."""
    nearest: float
    posterior: float
    closed_loop: dict[str, float]


class Assessment(Value):
    """Estimates of one set's Bayes error, and why they cannot be believed."""

    rows: int
    """Of the set that were looked at."""
    nearest: ErrorEstimate
    """Cover and Hart's bounds."""
    posterior: ErrorEstimate
    """From the shares among several neighbours."""
    closed_loop: dict[str, float]
    """Model -> its error on the rows that it was fitted to."""
    out_of_bag: float
    """Error of a random forest on rows that its trees have not met: the Bayes error is hardly more."""
    under_noise: tuple[NoiseCheck, ...]
    doubts: tuple[str, ...]
    """Sentences; with any of them the estimates are worthless."""

    @property
    def worthless(self) -> bool:
        """Whether they should not be quoted."""
        return bool(self.doubts)


class LeastErrors(Value):
    """Estimates for a target, of each of its sides."""

    target: DataTask
    """It does not say where its images lie."""
    classes: tuple[str, ...]
    sides: dict[str, Assessment]
    """train, validation and test where the dataset says them, else all."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Side -> why there are none."""
    components: int = 0
    """Principal components on which distances were measured; 0 where rows were taken as they stand."""
    seconds: float = 0.0
