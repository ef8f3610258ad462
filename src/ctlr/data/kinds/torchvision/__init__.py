"""Published sets in the files that torchvision keeps; torchvision itself is not needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ctlr.data.kinds.collection import CollectionReader
from ctlr.errors import DataError
from ctlr.specs import PUBLISHED, TorchvisionSpec, missing_files

if TYPE_CHECKING:
    from ctlr.data.kinds.choosing import Rows

__all__ = ["TorchvisionReader"]


class TorchvisionReader(CollectionReader):
    """Reads CIFAR-10 and EMNIST."""

    spec: TorchvisionSpec

    def files(self) -> tuple[Path, list[str]]:
        """Those of the set, plain or gzipped, or the archive in their place.

        Raises:
            DataError: One is missing; says which, and where to get it.
        """
        name, root = self.spec.set, Path(self.spec.root)
        if missing := missing_files(name, root):
            raise DataError(f"{name!r} {missing}")
        published = PUBLISHED[name]
        candidates = [name for file in published.files for name in (file, f"{file}.gz")]
        there = [name for name in candidates if (root / name).is_file()]
        return root, there if len(there) >= len(published.files) else [*there, published.archive]

    def look_at_files(self) -> None:
        """Look whether they hold the set."""
        self.rows()

    def rows(self) -> Rows:
        """All pictures, named by their file and their place in it."""
        from ctlr.data.kinds.torchvision.reading import read_set

        return read_set(self.spec.set, Path(self.spec.root))
