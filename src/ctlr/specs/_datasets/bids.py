"""BIDS folders, as a benchmark file names them."""

from __future__ import annotations

from typing import ClassVar, Literal

from ctlr.specs._datasets.base import DatasetSpec

__all__ = ["BidsSpec"]

_STARTER = """\
# ctlr run $name.yaml
#
# Your own BIDS folder: participants.tsv and sub-*/[ses-*/]anat/*_T1w.nii[.gz]. Change what says "yours".
name: $name
description: What you want to know, in a sentence.

datasets:
  study:
    kind: bids
    root: $root # yours; relative folders start at this file
    # session: baseline               # keep one session; desc: and space: choose among derivatives
    preprocess:
      spacing: 3 # mm a voxel
      shape: [64, 64, 64]
      on_bad_subject: stop # or exclude: list unusable images and go on

tasks: # target: a column of participants.tsv
  age: {target: age, kind: regression} # yours
  sex: {target: sex, kind: classification} # yours

transfers: # source: what may help (leave it out if there is nothing); target: what is wanted
  - {source: {data: study, task: sex}, target: {data: study, task: age}}
"""


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
    starter: ClassVar[str] = _STARTER
    meant_for: ClassVar[str] = (
        "research on brain images preprocessed the same way, of people like those it was trained on"
    )
