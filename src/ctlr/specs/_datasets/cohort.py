"""Synthetic cohorts, as a benchmark file names them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from ctlr.specs._datasets.base import DatasetSpec

__all__ = ["CohortSpec"]

_STARTER = """\
# ctlr run $name.yaml
#
# A synthetic brain-MRI cohort, so that nothing has to be downloaded: can the age of a brain be learned from few
# labelled subjects, and does it help to learn their sex first, or to look at unlabelled images?
name: $name
description: Age from T1-weighted MRI, few labelled subjects; sex and unlabelled images as the source.

datasets:
  cohort: {kind: cohort, subjects: 400, seed: 7, preprocess: {spacing: 6, shape: [32, 32, 32]}}

tasks:
  age: {target: age, kind: regression}
  sex: {target: sex, kind: classification}

transfers: # source: what may help (leave it out if there is nothing); target: what is wanted
  - {source: {data: cohort, task: sex}, target: {data: cohort, task: age}}
"""


class CohortSpec(DatasetSpec):
    """A synthetic T1 cohort, grown by CTLR from the MNI152 template and written as BIDS into the workspace."""

    kind: Literal["cohort"] = "cohort"
    subjects: Annotated[int, Field(ge=1, le=100_000)] = 400
    seed: Annotated[int, Field(ge=0)] = 0
    spacing: Annotated[float, Field(ge=1, le=12)] = 4.0
    """Edge of a voxel of the written NIfTI files, mm; a volume is a cube of 192 mm."""
    effect: Annotated[float, Field(ge=0)] = 2.2
    """Scales what age, sex and individuality do to the brain (head size apart), against nuisance and noise."""
    overlap: Annotated[float, Field(ge=-1, le=1)] = 0.6
    """Cosine between what sex and what age do: how much one can teach about the other."""
    head_gain: Annotated[float, Field(ge=0)] = 0.25
    """How much head size alone gives sex away: the shortcut that teaches nothing about age."""
    noise: Annotated[float, Field(ge=0)] = 0.04
    """Standard deviation of the Rician noise in each written voxel; white matter is 0.865."""
    nuisance: Annotated[float, Field(ge=0)] = 1.0
    """Scales bias field, affine, warp and contrast that tell nothing of age or sex."""

    reader: ClassVar[str] = "ctlr.data.kinds.cohort:CohortReader"
    apart: ClassVar[bool] = True
    raised_by: ClassVar[str] = "subjects"
    brains: ClassVar[bool] = True
    public: ClassVar[bool] = True
    faces: ClassVar[bool] = False
    starter: ClassVar[str] = _STARTER
    meant_for: ClassVar[str] = "trying CTLR out: the images are synthetic, and nothing follows for real brains"

    @property
    def people(self) -> str:
        """Who a subject is depends on the seed and its number, whatever the knobs make of its image."""
        return f"{self.kind} {self.seed}"

    @property
    def known_subjects(self) -> int:
        """As many as are grown."""
        return self.subjects

    def to_time(self, count: int) -> Self:
        """A smaller one."""
        return self.model_copy(update={"subjects": count})
