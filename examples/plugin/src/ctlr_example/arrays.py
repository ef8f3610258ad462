"""A kind of data: a folder of pictures as NumPy files, and a table of their subjects."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from ctlr.data.listing import FolderReader, IndexedImage, Listing
from ctlr.data.reader import FileReader
from ctlr.errors import DataError
from ctlr.specs import DatasetSpec, PreprocessSpec

if TYPE_CHECKING:
    from PIL import Image

TABLE = "subjects.csv"


class ArraysSpec(DatasetSpec):
    """A folder of pictures as NumPy files, `<subject>.npy`, with `subjects.csv`: subject and columns."""

    kind: Literal["arrays"] = "arrays"
    root: str
    """Folder; relative paths start at the benchmark file."""

    reader: ClassVar[str] = "ctlr_example.arrays:ArraysReader"
    ndim: ClassVar[int] = 2
    lies_as: ClassVar[str] = "arrays"

    @classmethod
    def example(cls, folder: Path) -> Self:
        """Five subjects: `ctlr plugins check` tries the kind on them."""
        from ctlr_example.made import write_arrays

        write_arrays(folder, subjects=5)
        return cls(root=str(folder), preprocess=PreprocessSpec(shape=(16, 16)))


class ArraysReader(FileReader):
    """Lists the table's subjects; how an image is read, cut and normalised is CTLR's."""

    spec: ArraysSpec

    def index(self) -> Listing:
        """Every array that has a line in the table, and the other way round."""
        root = Path(self.spec.root)
        folder = FolderReader(root)
        try:
            with (root / TABLE).open(newline="") as file:
                rows = {row.pop("subject"): row for row in csv.DictReader(file)}
        except (OSError, KeyError) as error:
            raise DataError(f"{TABLE} must be a table with a column `subject`. Write it.", place=TABLE) from error
        files = {entry.name.removesuffix(".npy") for entry in folder.entries("", lambda name: name.endswith(".npy"))}
        for subject in sorted(files ^ rows.keys()):
            folder.fault(subject, f"an array and a line of {TABLE} are needed. Add the other one.")
        images = [
            IndexedImage(subject=name, file=f"{name}.npy", columns=rows[name]) for name in sorted(files & rows.keys())
        ]
        return Listing(root=root, images=tuple(images), faults=tuple(folder.faults))

    def picture(self, path: Path) -> Image.Image:
        """(H, W) numbers as they are stored."""
        import numpy as np
        from PIL import Image

        try:
            return Image.fromarray(np.load(path, allow_pickle=False).astype(np.float32))
        except (OSError, ValueError) as error:
            raise DataError("it must be an array of NumPy, (H, W). Export it again.") from error
