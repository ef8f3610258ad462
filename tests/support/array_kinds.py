"""Kinds of points and of signals as a stranger adds them: rows of one array, and a table beside it."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ctlr.data.listing import FolderReader, IndexedImage, Listing
from ctlr.data.reader import FileReader
from ctlr.errors import DataError
from ctlr.specs import DatasetSpec, Preprocessing

if TYPE_CHECKING:
    from ctlr.data.rows import Row


class ArrayPreprocess(Preprocessing):
    """How rows are stored."""

    dtype: Literal["float32", "float16"] = "float32"
    """How values are stored."""
    on_bad_subject: Literal["stop", "exclude"] = "stop"
    """What an unusable row does: stop the run, or be listed and left out."""


class DotsSpec(DatasetSpec):
    """Points: `rows.npy` (N, features), and `table.csv` with a column `subject` and others, a line a row."""

    kind: Literal["dots"] = "dots"
    preprocess: ArrayPreprocess = ArrayPreprocess()
    root: str
    """Folder; relative paths start at the benchmark file."""
    features: Annotated[int, Field(ge=1)] = 2
    """Numbers a point."""

    reader: ClassVar[str] = f"{__name__}:DotsReader"
    ndim: ClassVar[int] = 0
    lies_as: ClassVar[str] = "arrays"

    @property
    def stored_shape(self) -> tuple[int, ...]:
        return (self.features,)

    @classmethod
    def example(cls, folder: Path) -> DotsSpec:
        """Five points."""
        write_rows(folder, (2,), 5)
        return cls(root=str(folder))


class WavesSpec(DatasetSpec):
    """Signals: `rows.npy` (N, channels, length), and `table.csv` with a column `subject` and others, a line a row."""

    kind: Literal["waves"] = "waves"
    preprocess: ArrayPreprocess = ArrayPreprocess()
    root: str
    """Folder; relative paths start at the benchmark file."""
    channels: Annotated[int, Field(ge=1)] = 2
    """Channels a signal."""
    length: Annotated[int, Field(ge=16)] = 64
    """Values a channel."""

    reader: ClassVar[str] = f"{__name__}:WavesReader"
    ndim: ClassVar[int] = 1
    lies_as: ClassVar[str] = "arrays"

    @property
    def stored_shape(self) -> tuple[int, ...]:
        return (self.channels, self.length)

    @classmethod
    def example(cls, folder: Path) -> WavesSpec:
        """Five signals."""
        write_rows(folder, (2, 64), 5)
        return cls(root=str(folder))


class DotsReader(FileReader):
    """Reads rows of an array."""

    def index(self) -> Listing:
        """A row a line of the table."""
        root = Path(self.spec.root)
        FolderReader(root)
        try:
            with (root / "table.csv").open(newline="") as file:
                rows = list(csv.DictReader(file))
        except OSError as error:
            raise DataError("table.csv must be a table. Write it.") from error
        images = [
            IndexedImage(subject=row.pop("subject"), session=str(number), file="rows.npy", columns=row)
            for number, row in enumerate(rows)
        ]
        return Listing(root=root, images=tuple(images))

    def row(self, image: IndexedImage) -> Row:
        """As it stands in the array."""
        import numpy as np

        from ctlr.data.rows import Row

        values = np.load(self.listing().root / image.file, mmap_mode="r")[int(image.session)]
        if values.shape != self.spec.stored_shape:
            raise DataError(f"a row must be {self.spec.stored_shape}; got {values.shape}. Correct the file.")
        if not np.isfinite(values).all():
            raise DataError("every value must be finite. Correct the file.")
        stored = np.array(values, self.spec.preprocess.dtype)
        return Row(stored, hashlib.sha256(np.ascontiguousarray(values).data).hexdigest())


class WavesReader(DotsReader):
    """Likewise."""


def write_rows(folder: Path, shape: tuple[int, ...], number: int, seed: int = 0) -> None:
    """Two classes that lie apart by twice their spread, and the mean of each row."""
    import numpy as np

    rng = np.random.default_rng(seed)
    codes = np.arange(number) % 2
    rows = rng.normal(size=(number, *shape)) + 2.0 * codes.reshape(-1, *[1] * len(shape))
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "rows.npy", rows.astype(np.float32))
    lines = [f"s{place:04d},{'ab'[code]},{rows[place].mean():.6f}" for place, code in enumerate(codes)]
    (folder / "table.csv").write_text("subject,group,level\n" + "\n".join(lines) + "\n")
