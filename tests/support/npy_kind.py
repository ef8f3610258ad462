"""A kind of data as a stranger adds it: this file, and its line in the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ctlr.data.listing import FolderReader, IndexedImage, Listing
from ctlr.data.reader import FileReader
from ctlr.specs import DatasetSpec

if TYPE_CHECKING:
    from ctlr.data.nifti import Volume


class NpySpec(DatasetSpec):
    """A folder of volumes as NumPy files, with `subjects.json`: subject -> columns."""

    kind: Literal["npy"] = "npy"
    root: str
    """Folder; relative paths start at the benchmark file."""
    edge: Annotated[float, Field(gt=0)] = 3.0
    """Of a voxel, mm."""

    reader: ClassVar[str] = f"{__name__}:NpyReader"
    lies_as: ClassVar[str] = "arrays"


class NpyReader(FileReader):
    """Reads the volumes, which stand in RAS."""

    spec: NpySpec

    def index(self) -> Listing:
        """Every `<subject>.npy` that has a line in the table."""
        folder = FolderReader(Path(self.spec.root))
        table = json.loads((Path(self.spec.root) / "subjects.json").read_text())
        found = [entry.name.removesuffix(".npy") for entry in folder.entries("", lambda name: name.endswith(".npy"))]
        for subject in set(found) ^ set(table):
            folder.fault(subject, "an image and a line of subjects.json are needed. Add the other one.")
        images = [
            IndexedImage(subject=name, file=f"{name}.npy", columns=table[name]) for name in found if name in table
        ]
        return Listing(root=Path(self.spec.root), images=tuple(images), faults=tuple(folder.faults))

    def volume(self, path: Path) -> Volume:
        """As it is stored."""
        import numpy as np

        from ctlr.data.nifti import Volume

        affine = np.diag([self.spec.edge] * 3 + [1.0])
        return Volume(voxels=np.load(path, allow_pickle=False), affine=affine, slope=1.0, inter=0.0)
