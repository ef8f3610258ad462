"""scikit-learn's handwritten digits, as a benchmark file names them."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import ClassVar, Literal

from ctlr.specs._datasets.collection import CollectionSpec

__all__ = ["DIGITS", "DigitsSpec"]

DIGITS: Mapping[str, int] = dict(zip(string.digits, (178, 182, 177, 183, 181, 182, 181, 179, 174, 180), strict=True))
"""Pictures by class of scikit-learn's digits (Alpaydin & Kaynak 1998)."""


class DigitsSpec(CollectionSpec):
    """scikit-learn's handwritten digits, which need no file."""

    kind: Literal["digits"] = "digits"
    domain: Literal["plain", "textured"] = "plain"
    """textured: the same digits, dark on bright, on a ground of stripes and stains; another one for each picture."""

    reader: ClassVar[str] = "ctlr.data.kinds.digits:DigitsReader"
    meant_for: ClassVar[str] = "trying CTLR out: the set is small and its pictures are much alike"

    def held(self) -> Mapping[str, int]:
        """The same in both domains."""
        return DIGITS
