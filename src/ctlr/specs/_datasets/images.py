"""Folders of pictures, as a benchmark file names them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ctlr.specs._datasets.base import DatasetSpec

__all__ = ["ImagesSpec"]

_STARTER = """\
# ctlr run $name.yaml
#
# Your own pictures, one folder a class: $root/cat/1.png, $root/dog/1.png, … Change what says "yours".
name: $name
description: What you want to know, in a sentence.

datasets:
  pictures:
    kind: images
    root: $root # yours; relative folders start at this file
    preprocess: {shape: [64, 64], channels: 3, normalise: percentile} # channels: 1 for grey pictures

tasks: # a picture's label is its folder
  kind: {target: class, kind: classification}

transfers: # to learn from other pictures first, add a dataset and name it as the source
  - {target: {data: pictures, task: kind}}
"""


_LAYOUT = """\
cat/1.png, cat/2.png                 a folder a class; or train/cat/1.png, val/cat/7.png, test/cat/9.png
dog/1.png
labels.csv                           or a table, a line a picture: a column with its name, one with what it shows"""


class ImagesSpec(DatasetSpec):
    """A folder of pictures: one folder a class, below train/val/test folders or not."""

    kind: Literal["images"] = "images"
    root: str
    """Folder; relative paths start at the benchmark file."""
    group: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    """Regular expression over a picture's path below `root`. Its first group without a name, or the one named `case`,
    is the case, patient or slide that the picture belongs to, and its subject; other named groups become columns."""
    table: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    """CSV or TSV below `root`, a line a picture; its columns become columns of the picture. Others are not read."""
    file_column: Annotated[str, Field(exclude_if=lambda value: value == "file")] = "file"
    """Column of `table` that names the picture: its path below `root`, or its name alone; the ending may be missing."""
    group_column: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    """Column of `table` that says which case, patient or slide a picture belongs to, in the place of `group`."""

    copies: Annotated[Literal["apart", "together"], Field(exclude_if=lambda value: value == "apart")] = "apart"
    """Pictures of two subjects that look like copies, or show a part of one another: two subjects all the same, and a
    leak where they stand on two sides; or one subject, so that a split that is drawn keeps them together."""

    reader: ClassVar[str] = "ctlr.data.kinds.images:ImagesReader"
    ndim: ClassVar[int] = 2
    starter: ClassVar[str] = _STARTER
    recogniser: ClassVar[str] = "ctlr.data.kinds.images_seen:sightings"
    layout: ClassVar[str] = _LAYOUT
    meant_for: ClassVar[str] = "pictures like those it was trained on"

    @model_validator(mode="after")
    def _check_cases(self) -> Self:
        if self.group is not None:
            try:
                expression = re.compile(self.group)
            except re.error as error:
                raise ValueError(f"`group` must be a regular expression; {self.group!r} is none: {error}") from error
            if not (expression.groups > len(expression.groupindex) or "case" in expression.groupindex):
                raise ValueError(
                    f"`group` needs a group that says whose picture it is, in parentheses; {self.group!r} has none"
                )
            if self.group_column is not None:
                raise ValueError("`group` and `group_column` say the same; leave one out")
        if self.table is None and (self.group_column is not None or self.file_column != "file"):
            raise ValueError("`file_column` and `group_column` are columns of `table`; name it")
        if self.table is not None and (self.table.startswith("/") or ".." in PurePosixPath(self.table).parts):
            raise ValueError(f"`table` must lie below `root`, and its path start there; got {self.table!r}")
        return self

    @property
    def joins_copies(self) -> bool:
        """As `copies` says."""
        return self.copies == "together"

    @property
    def described(self) -> bool:
        """Whether more is told of a picture than its class."""
        return self.group is not None or self.table is not None

    @property
    def classes_only(self) -> bool:  # type: ignore[override]  # its options decide, of other kinds the kind
        """A table or an expression may bring other columns."""
        return not self.described

    @property
    def known_classes(self) -> frozenset[str] | None:
        """Each folder has its own; of a table the column decides."""
        return None if self.table is not None else frozenset()
