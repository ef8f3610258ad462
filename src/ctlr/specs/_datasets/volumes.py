"""Volumes beside a table, as a benchmark file names them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from ctlr.specs._datasets.base import DatasetSpec

__all__ = ["VolumesSpec"]

_STARTER = """\
# ctlr run $name.yaml
#
# Your own volumes, anywhere below $root, and a table with a line for each. Change what says "yours".
name: $name
description: What you want to know, in a sentence.

datasets:
  scans:
    kind: volumes
    root: $root # yours; relative folders start at this file
    table: table.csv # yours
    file_column: ID # yours: names the volume, or the folder that it lies in
    # group_column: Subject # whose scan it is
    # files: '*_masked_gfc.nii.gz' # where several volumes lie there for one line
    preprocess: {spacing: 3, shape: [64, 64, 64], on_bad_subject: stop}

tasks: # target: a column of the table
  age: {target: Age, kind: regression} # yours

transfers: # to learn something else first, add a task and name it as the source
  - {target: {data: scans, task: age}}
"""

_LAYOUT = """\
table.csv                            a line a scan: a column that names it, columns of what is known of it
001/scan_001.nii.gz                  volumes in any folders: the line names the file, or the folder that it lies in
002/scan_002.nii.gz"""


class VolumesSpec(DatasetSpec):
    """A folder of NIfTI volumes and a table with a line for each, as OASIS and ADNI come."""

    kind: Literal["volumes"] = "volumes"
    root: str
    """Folder; relative paths start at the benchmark file."""
    table: str
    """CSV or TSV below `root`, a line a volume."""
    file_column: str = "file"
    """Column of `table` that names the volume: its path below `root`, its name, what that begins or ends with before or
    after a `_`, or a folder that it lies in."""
    group_column: str | None = None
    """Column of `table` that says whose volume it is."""
    group: str | None = None
    """The same by a regular expression over the volume's path below `root`: its first group is the person."""
    files: str | None = None
    """Read only volumes whose path below `root` ends so: `*_masked_gfc.nii.gz`, with `*` and `?` as in a shell."""

    reader: ClassVar[str] = "ctlr.data.kinds.volumes:VolumesReader"
    brains: ClassVar[bool] = True
    starter: ClassVar[str] = _STARTER
    recogniser: ClassVar[str] = "ctlr.data.kinds.volumes_seen:sightings"
    layout: ClassVar[str] = _LAYOUT
    meant_for: ClassVar[str] = "research on images preprocessed the same way, of people like those it was trained on"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.table.startswith("/") or ".." in PurePosixPath(self.table).parts:
            raise ValueError(f"`table` must lie below `root`, and its path start there; got {self.table!r}")
        if self.group is not None:
            try:
                groups = re.compile(self.group).groups
            except re.error as error:
                raise ValueError(f"`group` must be a regular expression; {self.group!r} is none: {error}") from error
            if not groups:
                raise ValueError(f"`group` needs a group that says whose volume it is, in parentheses: {self.group!r}")
            if self.group_column is not None:
                raise ValueError("`group` and `group_column` say the same; leave one out")
        return self
