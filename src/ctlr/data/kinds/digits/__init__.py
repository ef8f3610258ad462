"""scikit-learn's handwritten digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctlr.data.kinds.collection import CollectionReader
from ctlr.specs import DigitsSpec

if TYPE_CHECKING:
    from ctlr.data.kinds.choosing import Rows

__all__ = ["DigitsReader"]


class DigitsReader(CollectionReader):
    """Reads the digits that come with scikit-learn."""

    spec: DigitsSpec

    def rows(self) -> Rows:
        """All 1,797; textured ones count by the plain digit that they were made from."""
        from ctlr.data.kinds.choosing import Rows
        from ctlr.data.kinds.digits.reading import read_digits  # scikit-learn is slow to load

        pixels, plain, codes = read_digits(self.spec.domain)
        return Rows([f"digit/{number:04d}" for number in range(len(codes))], list(pixels), list(plain), codes)
