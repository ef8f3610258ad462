"""Points: tables of them, and generated ones. Both are read as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ctlr.data.listing import Listing, ManyImages
from ctlr.data.reader import Images, Progress
from ctlr.errors import DataError
from ctlr.specs import GeneratedPointsSpec, PointsSpec
from ctlr.workspace import Workspace

if TYPE_CHECKING:  # numpy is slow to load, and a plan reads no point
    import numpy as np
    from numpy.typing import NDArray

    from ctlr.data.kinds.points.tables import Read
    from ctlr.data.listing import IndexedImage
    from ctlr.data.rows import Row

__all__ = ["GeneratedReader", "PointsReader"]

_VERSION = "1"
"""Of the densities and of how points are drawn from them; another one gives other fingerprints."""


class PointsReader:
    """Reads tables of points."""

    def __init__(self, spec: PointsSpec, listing: Listing | None = None) -> None:
        self.spec = spec
        self._listing = listing
        self._read: Read | None = None

    def listing(self) -> Listing:
        """Every row with its cells; a row that cannot be used is a fault."""
        if self._listing is None:
            self._listing = self._all().listing
        return self._listing

    def files(self) -> tuple[Path, list[str]]:
        """The tables."""
        root = Path(self.spec.root)
        for file in self.spec.tables:
            if not (root / file).is_file():
                raise DataError("there is no such table. Put it there, or correct its name.", place=file)
        return root, list(self.spec.tables)

    def content(self, digests: Mapping[str, str]) -> tuple[str, ...]:
        """The options, which name the tables, and the tables."""
        named = [digests[file] for file in self.spec.tables]
        return self.spec.model_dump_json(exclude={"name", "root"}), json.dumps(named)

    def open(self, workspace: Workspace, *, workers: int = 1, progress: Progress | None = None) -> Images:
        """All rows at once."""
        import numpy as np

        read, options = self._all(), self.spec.preprocess
        values = np.frombuffer(read.values, np.float64).reshape(-1, len(self.spec.features))
        centre = [options.centre.get(name, 0.0) for name in self.spec.features]
        spread = [options.spread.get(name, 1.0) for name in self.spec.features]
        return _at_once(read.listing, ((values - centre) / spread).astype(options.dtype))

    def _all(self) -> Read:
        if self._read is None:
            from ctlr.data.kinds.points.tables import read_tables

            self._read = read_tables(self.spec)
        return self._read


class GeneratedReader:
    """Draws points, which are their spec: nothing has to be there."""

    def __init__(self, spec: GeneratedPointsSpec, listing: Listing | None = None) -> None:
        self.spec = spec

    def listing(self) -> None:
        """They are drawn only when they are needed."""

    def files(self) -> tuple[Path, list[str]]:
        """None are read."""
        return Path(), []

    def content(self, digests: Mapping[str, str]) -> tuple[str, ...]:
        """What is drawn, and how."""
        return _VERSION, self.spec.model_dump_json(exclude={"name"})

    def open(self, workspace: Workspace, *, workers: int = 1, progress: Progress | None = None) -> Images:
        """Draw all of them."""
        import numpy as np

        from ctlr.data.kinds.points.generating import SIDES, draw

        spec, classes = self.spec, self.spec.classes
        drawn = [
            draw(spec.generator, side, count, spec.seed, spec.parameters)
            for side, count in zip(SIDES, spec.points, strict=True)
        ]
        names = [
            f"{side}/{number:07d}"
            for side, count in zip(SIDES, spec.points, strict=True)
            for number in range(count)
        ]  # fmt: skip
        columns = {
            "class": [classes[code] for _, codes in drawn for code in codes.tolist()],
            "split": [side for side, count in zip(SIDES, spec.points, strict=True) for _ in range(count)],
        }
        listing = Listing(root=Path(), images=ManyImages(subjects=names, files=names, columns=columns))
        return _at_once(listing, np.concatenate([points for points, _ in drawn]).astype(spec.preprocess.dtype))


def _at_once(listing: Listing, values: NDArray[np.generic]) -> Images:
    """Images that are in memory already."""
    images = listing.images
    assert isinstance(images, ManyImages)
    places: dict[str, int] = {}

    def row(image: IndexedImage) -> Row:
        import hashlib

        from ctlr.data.rows import Row

        if not places:
            places.update((file, number) for number, file in enumerate(images.files))
        found = values[places[image.file]]
        return Row(found, hashlib.sha256(found.tobytes()).hexdigest())

    return Images(listing, row, values)
