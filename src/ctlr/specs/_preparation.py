"""What stands between a file and a network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field

from ctlr.specs._datasets.base import PreprocessSpec
from ctlr.specs._value import Value

__all__ = ["Coverage", "Preparation"]


class Coverage(Value):
    """How an image meets the box that is kept of it; of several images, the worst of each."""

    filled: float
    """Share of the box that lies inside the image's field of view; the rest is padded."""
    kept: float
    """Share of what the image shows (inside its mask, else its foreground; a picture's area) that lies in the box."""
    enlarged: float
    """Largest edge of the image's voxels (pixels) in edges of the box's; above 1 it is stretched."""

    @classmethod
    def worst(cls, images: Iterable[Self]) -> Self | None:
        """The worst of several; None of none."""
        found = list(images)
        if not found:
            return None
        return cls(
            filled=min(each.filled for each in found),
            kept=min(each.kept for each in found),
            enlarged=max(each.enlarged for each in found),
        )


class Preparation(Value):
    """How a file became what a model was trained on, and what a file must go through to be predicted.

    A volume is brought to RAS, isotropic voxels and a box around the centre of its field of view, cropped and padded; a
    picture is turned upright, its middle cut to the box's proportions, and resized. Then each is normalised by itself,
    and rounded as it is stored. Random views belong to training: none is applied to what is predicted.
    """

    ctlr: str
    """Version that wrote this."""
    rules: str
    """Version of what preprocessing does."""
    kind: Literal["volume", "picture"]
    preprocess: PreprocessSpec
    """As it was applied."""
    orientation: Literal["RAS", "upright"]
    """Direction of the axes: right, anterior, superior; or rows downwards and columns to the right."""
    channels: Literal["grey", "RGB"]
    """What they are, in order; grey pictures are repeated where RGB is wanted."""
    masks: Literal["all", "some", "none"]
    """How many of the images were normalised inside a mask of the brain; the others on their foreground."""
    low: float
    """Smallest value of a prepared image: what normalisation and storage allow, or where nothing was normalised the
    smallest that was trained on."""
    high: float
    """Largest one."""
    ground: Annotated[Literal["white", "black"], Field(exclude_if=lambda ground: ground == "black")] = "black"
    """What transparent pixels of a picture lie on: black where earlier versions prepared it; on white, a picture of
    which then nothing is seen lies on black."""
    coverage: Coverage | None = None
    """Of all of the dataset's images."""
    units: str = ""
    """Of the target, as participants.json gives them."""
