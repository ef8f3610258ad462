"""BIDS folders, as a benchmark file names them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from ctlr.specs._datasets.base import DatasetSpec

__all__ = ["BidsSpec"]


def _labels(value: Any) -> Any:
    """One label or several as texts; that without the entity is empty."""
    several = value if isinstance(value, list | tuple) else [value]
    for each in several:
        if each is not None and (not isinstance(each, str | int) or isinstance(each, bool)):
            raise ValueError(f"a label is text, a whole number, or null; got {each!r}")
    return tuple("" if each is None else str(each) for each in several)


_LABEL = {"type": ["string", "integer", "null"]}
Labels = Annotated[
    tuple[str, ...],
    BeforeValidator(_labels),
    WithJsonSchema({"anyOf": [_LABEL, {"type": "array", "items": _LABEL}]}),
]
"""One label or several, of which an image bears one; null is an image without the entity."""

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
    # entities: {acq: mprage, run: 1} # keep images that bear these labels in their names
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


_LAYOUT = """\
participants.tsv                     participant_id and a column a target, separated by tabs
sub-01/anat/sub-01_T1w.nii.gz        or sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz
sub-02/anat/sub-02_T1w.nii.gz"""


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
    entities: Annotated[dict[str, Labels], Field(exclude_if=lambda wishes: not wishes)] = Field(default_factory=dict)
    """Keep images with these labels in their names only: `{acq: mprage, run: 1}`. Of a list one is enough; `null` is an
    image without the entity."""
    prefix: Annotated[str | None, Field(min_length=1, exclude_if=lambda value: value is None)] = None
    """Keep files whose names begin with this, right before `sub-`: `mwp1` is the grey matter of CAT12."""

    reader: ClassVar[str] = "ctlr.data.kinds.bids:BidsReader"
    lies_as: ClassVar[str] = "BIDS folder"
    brains: ClassVar[bool] = True
    starter: ClassVar[str] = _STARTER
    recogniser: ClassVar[str] = "ctlr.data.kinds.bids_seen:sightings"
    layout: ClassVar[str] = _LAYOUT
    meant_for: ClassVar[str] = (
        "research on brain images preprocessed the same way, of people like those it was trained on"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        options = {"ses": "session", "session": "session", "desc": "desc", "space": "space"}
        for key in self.entities:
            if key in options:
                raise ValueError(f"`{key}` is no key of `entities`: it has an option of its own, `{options[key]}`")
            if not key.isalnum() or key != key.lower() or key == "sub":
                raise ValueError(f"keys of `entities` are those of BIDS names, such as acq, ce, rec, run; got {key!r}")
        return self

    def wishes(self) -> dict[str, tuple[str, ...]]:
        """Entity -> labels that are kept."""
        own = {"desc": self.desc, "space": self.space}
        single = {key: (label,) for key, label in own.items() if label is not None}
        return {
            key: tuple(label.removeprefix(f"{key}-") for label in labels)
            for key, labels in (single | self.entities).items()
        }
