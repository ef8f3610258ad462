"""Pictures in a NumPy archive, as MedMNIST comes and a benchmark file names it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ctlr.specs._datasets.base import DatasetSpec

__all__ = ["NpzSpec", "npz_sets"]

_LAYOUT = """\
breastmnist.npz                      arrays train_images, val_images, test_images and train_labels, …"""


def npz_sets(folder: Path) -> list[str]:
    """Names of the archives in a folder, without their ending."""
    return sorted(file.stem for file in folder.glob("*.npz") if not file.name.startswith("."))


class NpzSpec(DatasetSpec):
    """Pictures of a NumPy archive, as MedMNIST has them: `train_images`, `train_labels`, also of `val` and `test`."""

    kind: Literal["npz"] = "npz"
    root: str
    """Folder of the archive; relative paths start at the benchmark file."""
    set: str = ""
    """Name of the archive without `.npz`, where several lie in the folder."""
    names: Annotated[tuple[str, ...], Field(min_length=2, max_length=1024)] | None = None
    """Names of the classes 0, 1, … in order; by default the numbers."""

    reader: ClassVar[str] = "ctlr.data.kinds.npz:NpzReader"
    ndim: ClassVar[int] = 2
    apart: ClassVar[bool] = True
    classes_only: ClassVar[bool] = True
    recogniser: ClassVar[str] = "ctlr.data.kinds.npz_seen:sightings"
    layout: ClassVar[str] = _LAYOUT
    lies_as: ClassVar[str] = "archive"
    meant_for: ClassVar[str] = "pictures like those it was trained on"

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if self.names is not None and len(set(self.names)) < len(self.names):
            raise ValueError("`names` must name each class once")
        return self

    @property
    def known_classes(self) -> frozenset[str]:
        """Each set has its own."""
        return frozenset()

    @classmethod
    def fault_of_root(cls, options: Mapping[str, Any], place: Path) -> str:
        """No folder, no archive, or several."""
        if fault := super().fault_of_root(options, place):
            return fault
        sets, wanted = npz_sets(place), options.get("set") or ""
        if wanted and wanted not in sets:
            return f"{options['root']!r} needs a file {wanted}.npz; there is none. Correct `set`."
        if not sets:
            return f"{options['root']!r} needs a file ending in .npz, as MedMNIST has them; none is there."
        if not wanted and len(sets) > 1:
            return f"{options['root']!r} has several archives: {', '.join(sets[:8])}. Choose one with `set`."
        return ""

    def to_time(self, count: int) -> None:
        """It is read as a whole."""
