"""What the readers of published sets have in common: a set is read whole, and chosen from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ctlr.data.listing import Listing
from ctlr.data.reader import Images, Progress
from ctlr.specs import CollectionSpec, PreprocessSpec
from ctlr.workspace import Workspace

if TYPE_CHECKING:  # numpy is slow to load, and a plan reads no picture
    from ctlr.data.kinds.choosing import Collection, Rows

__all__ = ["CollectionReader"]


class CollectionReader:
    """Reads a published set; a kind adds `rows`, and `files` where it does not come with a package."""

    def __init__(self, spec: CollectionSpec, listing: Listing | None = None) -> None:
        self.spec = spec

    def rows(self) -> Rows:
        """Read all pictures."""
        raise NotImplementedError

    def listing(self) -> None:
        """The spec says how many there are."""

    def files(self) -> tuple[Path, list[str]]:
        """None: it comes with a package."""
        return Path(), []

    def content(self, digests: Mapping[str, str]) -> tuple[str, ...]:
        """The options and the files."""
        return self.spec.model_dump_json(exclude={"name", "root"}), json.dumps(sorted(digests.items()))

    def open(self, workspace: Workspace, *, workers: int = 1, progress: Progress | None = None) -> Images:
        """Read the set into memory."""
        collection, options = self.collection(), self.spec.preprocess
        assert isinstance(options, PreprocessSpec)
        return Images(collection.listing, partial(collection.row, options=options))

    def collection(self) -> Collection:
        """What was asked for of the set.

        Raises:
            DataError: A file is missing, or holds something else; names it.
        """
        from ctlr.data.kinds.choosing import choose

        self.files()
        return choose(self.spec, self.rows())
