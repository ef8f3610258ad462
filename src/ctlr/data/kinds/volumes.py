"""Volumes anywhere below a folder, and a table with a line for each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from ctlr.data.kinds.image_names import visible
from ctlr.data.kinds.scans import ENDINGS
from ctlr.data.kinds.tables_seen import calls
from ctlr.data.listing import FolderReader, IndexedImage, Listing
from ctlr.data.reader import FileReader
from ctlr.data.tsv import is_missing, read_table
from ctlr.errors import DataError, nearest
from ctlr.specs import VolumesSpec

__all__ = ["VolumesReader"]

_NOT_NAMED = "`table` has no line for this volume, so it is not read. Add a line if it should be."
_SEVERAL = "a line names several volumes. Choose among them with `files`, or write the path below `root`."
_ABSENT = "a line names a volume that is not there. Correct or remove it."
_NO_PERSON = "it must be known whose volume this is, and nothing says it. Fill in the table, or correct `group`."


class VolumesReader(FileReader):
    """Reads the volumes that a table names."""

    spec: VolumesSpec

    def index(self) -> Listing:
        """List the volumes with the cells of their lines.

        Raises:
            DataError: The folder, the table or a column cannot be used. Faults of single files are listed instead.
        """
        spec = self.spec
        folder = FolderReader(Path(spec.root))
        files = [file for file in _volumes(folder, "") if spec.files is None or _ends(file, spec.files)]
        rows = _rows(spec)
        known = calls([unicodedata.normalize("NFC", file) for file in files], folders=True)
        by_name = {unicodedata.normalize("NFC", file): file for file in files}
        images, named = [], set[str]()
        for name, cells in rows.items():
            meant = known.get(PurePosixPath(name).as_posix(), [])
            place = f"{spec.table}: {name}"
            if len(meant) != 1:
                folder.fault(place, _SEVERAL if meant else _ABSENT)
            elif meant[0] in named:
                folder.fault(place, "two lines name one volume. Keep one.")
            elif not (subject := _person(spec, name, meant[0], cells)):
                folder.fault(by_name[meant[0]], _NO_PERSON)
            else:
                images.append(IndexedImage(subject=subject, file=by_name[meant[0]], columns=cells))
            named.update(meant)
        for file in files:
            if unicodedata.normalize("NFC", file) not in named:
                folder.leave_out(file, _NOT_NAMED)
        if not images and not folder.faults:
            raise DataError(
                f"volumes ({', '.join(ENDINGS)}) are needed, and none is there. Correct `root` or `files`.",
                place=repr(Path(spec.root).name),
            )
        images.sort(key=lambda image: image.file)
        return Listing(
            root=Path(spec.root), images=tuple(images), faults=tuple(folder.faults), left_out=tuple(folder.left_out)
        )


def _volumes(folder: FolderReader, place: str) -> Iterator[str]:
    """Paths of all volumes below a folder."""
    for entry in folder.entries(place, visible):
        path = f"{place}/{entry.name}" if place else entry.name
        if entry.is_dir():
            yield from _volumes(folder, path)
        elif entry.name.lower().endswith(ENDINGS):
            yield path


def _ends(file: str, pattern: str) -> bool:
    """Whether a path ends as a pattern says."""
    return fnmatchcase(file, pattern) or fnmatchcase(file, f"*/{pattern}")


def _rows(spec: VolumesSpec) -> Mapping[str, dict[str, str]]:
    path = Path(spec.root) / spec.table
    if not path.is_file():
        raise DataError(f"`table` must be a file below `root`; there is no {spec.table!r}. Correct it.")
    delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    rows = read_table(
        path, name=spec.table, key=spec.file_column, delimiter=delimiter, once="A volume has one line: keep one."
    )
    columns = next(iter(rows.values()), {})
    if spec.group_column is not None and spec.group_column not in columns:
        raise DataError(
            f"a column {spec.group_column!r} is needed. {nearest(spec.group_column, columns)}", place=spec.table
        )
    return rows


def _person(spec: VolumesSpec, name: str, file: str, cells: Mapping[str, str]) -> str:
    """Whose volume it is; empty where that is not known. Without a rule each line is somebody of his own."""
    if spec.group_column is not None:
        cell = cells[spec.group_column]
        return "" if is_missing(cell) else cell
    if spec.group is not None:
        match = re.search(spec.group, file)
        return (match[1] or "").strip() if match else ""
    return name
