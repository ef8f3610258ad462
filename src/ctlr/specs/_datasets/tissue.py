"""Synthetic stained tissue, as a benchmark file names it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from ctlr.specs._datasets.base import DatasetSpec

__all__ = ["ARCHITECTURES", "TissueSpec"]

ARCHITECTURES = ("tubular", "cribriform")
"""Classes: glands that stand apart, each with one lumen; and fused glands with many."""


class TissueSpec(DatasetSpec):
    """Synthetic sections of glands, drawn by CTLR: a class a case, several slides a case, several patches a slide."""

    kind: Literal["tissue"] = "tissue"
    cases: Annotated[int, Field(ge=2, le=100_000)] = 60
    """Half of them of each architecture."""
    slides: Annotated[int, Field(ge=1, le=20)] = 2
    """A case; each is stained and scanned in its own way."""
    patches: Annotated[int, Field(ge=1, le=1000)] = 4
    """A slide; no two show the same place."""
    side: Annotated[int, Field(ge=32, le=1024)] = 96
    """Pixels a side of a patch before preprocessing; a gland is some 30 wide."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Another seed, other cases."""
    nuisance: Annotated[float, Field(ge=0, le=3)] = 1.0
    """Scales how far stain, density of nuclei, blur and scanner differ, none of which tells the class."""

    reader: ClassVar[str] = "ctlr.data.kinds.tissue:TissueReader"
    ndim: ClassVar[int] = 2
    apart: ClassVar[bool] = True
    public: ClassVar[bool] = True
    meant_for: ClassVar[str] = "trying CTLR out: the sections are synthetic, and nothing follows for real tissue"

    @property
    def people(self) -> str:
        """What a case is depends on the seed and its number."""
        return f"{self.kind} {self.seed}"

    @property
    def known_classes(self) -> frozenset[str]:
        """The architectures."""
        return frozenset(ARCHITECTURES)

    def to_time(self, count: int) -> Self:
        """A few of its patches are drawn as soon as all."""
        return self

    def places(self) -> Iterator[tuple[int, int, int]]:
        """Case, slide and patch of each picture, in order."""
        for case in range(self.cases):
            for slide in range(self.slides):
                for patch in range(self.patches):
                    yield case, slide, patch
