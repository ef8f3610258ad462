"""What every kind of data has in common, and what the rest of CTLR asks of one."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field

from ctlr.specs._value import Value

__all__ = ["DatasetSpec", "Measured", "PreprocessSpec", "Preprocessing", "images_of", "kind_of_image"]


class Measured(NamedTuple):
    """What the header of an image says."""

    shape: tuple[int, ...]
    """Voxels a side, or pixels: height and width."""
    spacing: tuple[float, ...] = ()
    """Edges of a voxel in mm; empty of pictures."""
    colour: bool = False
    """Whether a picture has colours."""


def images_of(ndim: int) -> str:
    """What images with so many spatial axes are called: points have none, signals have time."""
    return f"{kind_of_image(ndim)}s" if ndim < 2 else f"{ndim}-D images"


def kind_of_image(ndim: int) -> str:
    """What one image with so many spatial axes is called in a sentence: point, signal or image."""
    return {0: "point", 1: "signal"}.get(ndim, "image")


class Preprocessing(Value):
    """How one dataset's images become one array, whatever its kind.

    Pictures and volumes have `PreprocessSpec`; a kind of others has a class of its own, which adds these fields and
    what else it needs, in the order that its fingerprint shall have.
    """

    if TYPE_CHECKING:
        dtype: Literal["float16", "uint8", "float32"]
        """How values are stored: float16 or float32; uint8 in `PreprocessSpec` alone."""
        on_bad_subject: Literal["stop", "exclude"]
        """What an unusable image does: stop the run, or be listed and left out."""


class PreprocessSpec(Preprocessing):
    """How one dataset's images become one array."""

    shape: Annotated[tuple[Annotated[int, Field(ge=8, le=1024)], ...], Field(min_length=2, max_length=3)] = (32, 32, 32)
    """Voxels or pixels a side after cropping and padding: three numbers for volumes, two for pictures."""
    spacing: Annotated[float, Field(ge=0.01, le=100)] = 6.0
    """Edge of a voxel in mm after resampling; not used for pictures."""
    normalise: Literal["zscore", "percentile", "none"] = "zscore"
    """Per image: zscore of the voxels inside the brain (mask or foreground), or 1st-99th percentile onto 0-1."""
    dtype: Literal["float16", "uint8"] = "float16"
    """How values are stored; uint8 keeps the range -4..4 (zscore) or 0..1 in 256 steps."""
    channels: Literal[1, 3] = 1
    """Channels of pictures; grey ones are repeated."""
    on_bad_subject: Literal["stop", "exclude"] = "stop"
    """What an unusable image does: stop the run, or be listed and left out."""


class DatasetSpec(Value):
    """A source of subjects with images; each kind of data is a subclass, listed in `DATASETS`.

    A kind adds `kind: Literal["its name"] = "its name"`, its options, and `reader`. All else that is asked of it stands
    below, with the answer of a folder of volumes of which nothing is known beforehand. Its options decide its
    fingerprint in the order in which they stand: later ones go to the end.
    """

    name: str = ""
    """Filled from the key in the file."""
    if TYPE_CHECKING:  # a `kind` here would come before those of `CollectionSpec`, and change fingerprints
        kind: str
        preprocess: Preprocessing = PreprocessSpec()
    else:
        preprocess: PreprocessSpec = PreprocessSpec()

    reader: ClassVar[Any]
    """What reads it, a `ctlr.data.reader.Reader`: its class, or `module:class`, loaded only when something is read."""
    ndim: ClassVar[int] = 3
    """Sides of an image: 3 for volumes, 2 for pictures, 1 for signals, 0 for points."""
    apart: ClassVar[bool] = False
    """Whether the way it came about rules out that one image lies in it twice: no copy is looked for inside it then."""
    classes_only: ClassVar[bool] = False
    """Whether nothing is told of an image but its class, in a column `class`."""
    raised_by: ClassVar[str] = ""
    """Option that raises `known_subjects`."""
    lies_as: ClassVar[str] = "files"
    """What lies in its folder, to end `Copy its`."""
    brains: ClassVar[bool] = False
    """Whether its images show brains: what is predicted above the true age is then called so."""
    public: ClassVar[bool] = False
    """Whether a report may show what its images have in common: they are published, or show nobody."""
    faces: ClassVar[bool] = True
    """Whether a volume may show a face: a report then draws nothing of it but what lies inside the skull and above the
    brows (`ctlr.data.faces`)."""
    meant_for: ClassVar[str] = "images like those it was trained on"
    """What a model that was trained on it is for, as its card says."""

    least_error: ClassVar[str] = ""
    """What knows the least error that a classifier can have on it: `module:function`, called with the dataset and a
    side (train, validation or test); empty where nobody knows."""
    class_densities: ClassVar[str] = ""
    """What knows how dense images of each class lie: `module:function`, called with the dataset, a side and (N, 2)
    points, gives (N, K); empty where nobody knows."""

    starter: ClassVar[str] = ""
    """Opening of a benchmark file to start from, down to its transfers; `$name` and `$root` are filled in."""
    recogniser: ClassVar[str] = ""
    """What recognises folders of the kind by the names in them, for `ctlr init --data`: `module:function`, called with
    a `ctlr.data.glance.Glance`, gives a `Sighting` for each dataset that it sees there; empty where nothing does."""
    layout: ClassVar[str] = ""
    """A small tree of such a folder, for somebody whose folder nothing recognises."""

    @classmethod
    def example(cls, folder: Path) -> Self | None:
        """A small dataset of the kind, written into an empty folder where it lies in one: to try the kind on.

        Of five subjects, say, and the same bytes each time. None: nobody has written one.
        """
        return None if cls.in_folder() else cls.model_validate({"name": "example"})

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """(C, *S) of a stored image: channels or features, then its `ndim` sides."""
        assert isinstance(self.preprocess, PreprocessSpec), "a kind with preprocessing of its own says its shape"
        return (self.preprocess.channels if self.ndim == 2 else 1, *self.preprocess.shape)

    @property
    def shown_as(self) -> Literal["slices", "pictures", "traces", ""]:
        """How its images are drawn for people: a volume in slices, a picture, a signal as curves; empty: not at all."""
        shown: tuple[Literal["slices", "pictures", "traces", ""], ...] = ("", "traces", "pictures", "slices")
        return shown[self.ndim]

    @property
    def voxel(self) -> float | None:
        """Edge of a stored volume's voxel in mm; None where nobody says it."""
        return self.preprocess.spacing if self.ndim == 3 and isinstance(self.preprocess, PreprocessSpec) else None

    @property
    def joins_copies(self) -> bool:
        """Whether subjects whose images look like copies count as one."""
        return False

    @property
    def people(self) -> str:
        """Where equal subject ids of two datasets are one subject for certain, or for certain two: datasets with the
        same word share their subjects, others do not. Empty where only the tables can tell."""
        return ""

    @property
    def known_subjects(self) -> int | None:
        """Subjects, each with one image, where their number is known before anything is read."""
        return None

    @property
    def known_classes(self) -> frozenset[str] | None:
        """Names of its classes where they are known before anything is read; empty where nothing can be said of them.
        None where the column decides: one name then means the same classes in all datasets."""
        return None

    @classmethod
    def in_folder(cls) -> bool:
        """Whether it lies in a folder, which its option `root` names."""
        return "root" in cls.model_fields

    @classmethod
    def fault_of_root(cls, options: Mapping[str, Any], place: Path) -> str:
        """Why a place cannot be its `root`, with the remedy; empty where it can.

        Args:
            options: As the user wrote them, `root` a text and all others not checked yet.
            place: The absolute path of that `root`.
        """
        return "" if place.is_dir() else f"there is no folder {options['root']!r}. Relative ones start at this file."

    def at(self, root: str) -> Self:
        """The same dataset in another folder; as it is where it lies in none."""
        return self.model_copy(update={"root": root}) if self.in_folder() else self

    @classmethod
    def preprocessings(cls, seen: Sequence[Measured]) -> list[dict[str, Any]]:
        """How images like these may become one array, the coarsest first, as a benchmark file writes it.

        Args:
            seen: What headers say of some of its images; none where they cannot be asked.
        """
        if not cls.in_folder() or not seen:
            return [{}]
        return _volumes(seen, _HEAD if cls.brains else math.inf) if len(seen[0].shape) == 3 else _pictures(seen)

    def to_time(self, count: int) -> Self | None:
        """What is preprocessed to time some of its images; None where it is read as a whole, too long for a trial."""
        return self


_SPACINGS = (12.0, 8.0, 6.0, 4.0, 3.0, 2.0)
"""mm a voxel that a proposal tries, the coarsest first."""
_SIDES = (32, 48, 64, 96, 128)
"""Pixels a side that a proposal tries."""
_HEAD = 192.0
"""mm a side that hold an adult's brain."""
_LEAST_SIDE = 16
"""Voxels a side that every encoder of volumes which is proposed takes."""


def _volumes(seen: Sequence[Measured], most: float) -> list[dict[str, Any]]:
    """Cubes that hold the middle field of view, or `most` mm of it; no finer than what was scanned."""
    whole = statistics.median(max(n * mm for n, mm in zip(each.shape, each.spacing, strict=True)) for each in seen)
    extent = min(whole, most)
    finest = statistics.median(min(each.spacing) for each in seen)
    found = []
    for spacing in _SPACINGS:
        side = max(_LEAST_SIDE, 8 * round(extent / spacing / 8))
        if spacing >= 0.9 * finest and side <= 128:
            found.append({"spacing": spacing, "shape": [side] * 3})
    return found or [{"spacing": round(finest, 2), "shape": [_LEAST_SIDE] * 3}]


def _pictures(seen: Sequence[Measured]) -> list[dict[str, Any]]:
    """Squares up to the middle of the pictures' shorter sides."""
    usual = statistics.median(min(each.shape) for each in seen)
    coloured = sum(each.colour for each in seen) > len(seen) / 20
    sides = [side for side in _SIDES if side <= usual] or [_SIDES[0]]
    return [{"shape": [side, side], "channels": 3 if coloured else 1, "normalise": "percentile"} for side in sides]
