"""BIDS folders, as a benchmark file names them."""

from __future__ import annotations

from typing import ClassVar, Literal

from ctlr.specs._datasets.base import DatasetSpec

__all__ = ["BidsSpec"]


class BidsSpec(DatasetSpec):
    """A BIDS folder: participants.tsv and sub-*/[ses-*/]anat/*_T1w.nii[.gz], raw or derivative."""

    kind: Literal["bids"] = "bids"
    root: str
    """Folder; relative paths start at the benchmark file."""
    session: str | None = None
    """Keep this session only (without `ses-`)."""
    desc: str | None = None
    """Keep derivatives with this `desc-` only."""
    space: str | None = None
    """Keep derivatives in this `space-` only."""
    mask: bool = True
    """Normalise inside a `*_mask.nii[.gz]` where there is one."""

    reader: ClassVar[str] = "ctlr.data.kinds.bids:BidsReader"
    lies_as: ClassVar[str] = "BIDS folder"
    brains: ClassVar[bool] = True
    meant_for: ClassVar[str] = (
        "research on brain images preprocessed the same way, of people like those it was trained on"
    )
