"""Pictures of which more is known than their folder: whose they are, and the columns of a table beside them.

The case, patient or slide is the subject: all its pictures stand on one side of every split, and sample sizes count
cases.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from ctlr.data.kinds.image_names import ENDINGS, is_picture, no_picture, subject_of, visible
from ctlr.data.listing import SIDES, FolderReader, IndexedImage, Listing
from ctlr.data.tsv import is_missing, read_table
from ctlr.errors import DataError, nearest
from ctlr.specs import ImagesSpec

__all__ = ["index_cases"]

Cells = dict[str, str]

_NOT_NAMED = "`table` has no line for this picture, so it is not read. Add a line if it should be."
_NO_MATCH = "the expression of `group` must find out whose picture this is; it finds nothing in its path. Correct it."
_NO_CASE = "the table must say whose picture this is, and the cell of `group_column` is empty. Fill it in."


def index_cases(spec: ImagesSpec, folder: FolderReader) -> Listing:
    """List the pictures anywhere below the root, with `spec.group`, `spec.table` or both.

    The class is what the table or a group `class` of the expression says, else the first folder, below a folder of a
    split where there is one. Without `group` and `group_column` subjects are as in other folders of pictures.

    Raises:
        DataError: The folder, the table or a column cannot be used. Faults of single files are listed instead.
    """
    files = list(_pictures(folder, "", spec.table))
    rows = None if spec.table is None else _rows(spec, folder, spec.table, files)
    stems = Counter(PurePosixPath(file).stem for file in files)
    images = []
    for file in files:
        if rows is not None and file not in rows:
            folder.leave_out(file, _NOT_NAMED)
            continue
        told = dict(rows[file]) if rows is not None else {}
        match = re.search(spec.group, file) if spec.group is not None else None
        if spec.group_column is not None:
            case = told.pop(spec.group_column)
            subject, reason = "" if is_missing(case) else case, _NO_CASE
        elif spec.group is not None:
            subject, reason = (_case(match) if match else "").strip(), _NO_MATCH
        else:
            subject, reason = subject_of(PurePosixPath(file), unique=stems[PurePosixPath(file).stem] == 1), ""
        if not subject:
            folder.fault(file, reason)
            continue
        columns = _by_folder(file) | _by_name(match) | told
        images.append(IndexedImage(subject=subject, file=file, columns=columns))
    if not images and not folder.faults:
        raise DataError(
            f"pictures ({', '.join(sorted(ENDINGS))}) are needed, and none is there. Correct `root`.",
            place=repr(Path(folder.root).name),
        )
    return Listing(
        root=Path(folder.root), images=tuple(images), faults=tuple(folder.faults), left_out=tuple(folder.left_out)
    )


def _pictures(folder: FolderReader, place: str, table: str | None) -> Iterator[str]:
    """Paths of all pictures below a folder; other files are left out, but for the table."""
    for entry in folder.entries(place, visible):
        path = f"{place}/{entry.name}" if place else entry.name
        if entry.is_dir():
            yield from _pictures(folder, path, table)
        elif is_picture(entry.name):
            yield path
        elif path != table:
            folder.leave_out(path, no_picture(path))


def _rows(spec: ImagesSpec, folder: FolderReader, table: str, files: list[str]) -> Mapping[str, Cells]:
    """Cells by picture; lines without a picture are faults."""
    path = Path(folder.root) / table
    if not path.is_file():
        raise DataError(f"`table` must be a file below `root`; there is no {table!r}. Correct it.")
    delimiter = "\t" if table.lower().endswith((".tsv", ".tsv.txt", ".tab")) else ","
    lines = read_table(
        path, name=table, key=spec.file_column, delimiter=delimiter, once="A picture has one line: keep one."
    )
    columns = set(next(iter(lines.values()), {}))
    if spec.group_column is not None and spec.group_column not in columns:
        raise DataError(f"a column {spec.group_column!r} is needed. {nearest(spec.group_column, columns)}", place=table)
    if twice := columns & set(_names(spec)):
        raise DataError(
            f"column {min(twice)!r} stands there, and is a group of the expression `group` too. Rename one.",
            place=table,
        )
    known = _calls(files)
    found: dict[str, Cells] = {}
    for name, cells in lines.items():
        meant = known.get(PurePosixPath(name).as_posix(), [])
        if not meant:
            folder.fault(f"{table}: {name}", "a line names a picture that is not there. Correct or remove it.")
        elif len(meant) > 1:
            folder.fault(f"{table}: {name}", "a line names several pictures. Write the path below `root`.")
        elif meant[0] in found:
            folder.fault(f"{table}: {name}", "two lines name one picture. Keep one.")
        else:
            found[meant[0]] = cells
    return found


def _calls(files: list[str]) -> Mapping[str, list[str]]:
    """What a line may call pictures -> those that it can mean."""
    known: dict[str, list[str]] = defaultdict(list)
    for file in files:
        path = PurePosixPath(unicodedata.normalize("NFC", file))
        for name in {str(path), str(path.with_suffix("")), path.name, path.stem}:
            known[name].append(file)
    return known


def _names(spec: ImagesSpec) -> list[str]:
    return [] if spec.group is None else [name for name in re.compile(spec.group).groupindex if name != "case"]


def _case(match: re.Match[str]) -> str:
    """The group `case`, or else the first one without a name."""
    names = match.re.groupindex
    which = names.get("case") or next(n for n in range(1, match.re.groups + 1) if n not in names.values())
    return match.group(which) or ""


def _by_name(match: re.Match[str] | None) -> Cells:
    """Columns that the expression gives."""
    return {} if match is None else {name: cell or "" for name, cell in match.groupdict().items() if name != "case"}


def _by_folder(file: str) -> Cells:
    """Class and split by the folders above a picture."""
    above = list(PurePosixPath(unicodedata.normalize("NFC", file)).parts[:-1])
    split = SIDES.get(above[0].lower()) if above else None
    label = above[1:] if split else above
    return ({"class": label[0]} if label else {}) | ({"split": split} if split else {})
