"""Tables beside images: which of them tells of the images, and by which columns."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ctlr.data.glance import Glance, ending_of
from ctlr.data.sources import open_regular

__all__ = ["Labels", "calls", "labels_of", "tables_in", "visits"]

_TABLES = (".csv", ".tsv")
_MOST = 32
"""Tables that are read."""
_LARGEST = 64 * 2**20
_LEAST = 0.5
"""Share of a table's lines that name an image, from which it is a table of these images."""
_PERSON = re.compile(
    r"(sub|subj|subject|patient|participant|person|case|slide|lesion)([ _-]?(id|no|nr|number))?|ptid|rid|pid", re.I
)
_VISIT = re.compile(r"(?P<who>.*[A-Za-z0-9])[_-]?(mr|ses|session|visit|scan|run|v|t|m|d)[_-]?\d+", re.I)
"""Names that end in the number of a visit: OAS1_0001_MR2."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """A table that tells of images.

    Attributes:
        table: Its path below the root.
        file_column: Names the image.
        group_column: Says whose image it is; empty where no column does.
        rows: Cells by column, a line each.
        named: Images by line: those that it may mean.
    """

    table: str
    file_column: str
    group_column: str
    rows: list[dict[str, str]]
    named: list[list[str]]

    @property
    def share(self) -> float:
        """Of the lines, those that name an image."""
        return sum(map(bool, self.named)) / max(1, len(self.named))


def tables_in(seen: Glance) -> list[str]:
    """Tables that may tell of all images: the uppermost ones, since there may be one a person further down."""
    found = [file for file in seen.files if ending_of(file) in _TABLES]
    return sorted(found, key=lambda file: (file.count("/"), file))[:_MOST]


def labels_of(root: Path, tables: Sequence[str], images: Sequence[str], *, folders: bool) -> Labels | None:
    """The table that tells of most of the images; None where none does.

    Args:
        root: Of both.
        tables: Paths below it.
        images: Likewise.
        folders: Whether a line may name a folder that an image lies in.
    """
    known, best, most = calls(images, folders=folders), None, (0, 0.0)
    for table in tables:
        rows = list(_rows(root / table))
        columns = list(rows[0]) if rows else []
        telling = {column for column in columns if len({row[column] for row in rows}) > 1}
        for column in columns:
            if not telling - {column}:
                continue
            named = [known.get(PurePosixPath(row[column]).as_posix(), []) if row[column] else [] for row in rows]
            found = Labels(table=table, file_column=column, group_column=_group(rows, column), rows=rows, named=named)
            covered = len({file for files in named for file in files})
            unique = len({row[column] for row in rows}) == len(rows)
            if unique and found.share >= _LEAST and (covered, found.share) > most:
                best, most = found, (covered, found.share)
    return best


def calls(images: Sequence[str], *, folders: bool) -> Mapping[str, list[str]]:
    """What a line may call images -> those that it can mean: path or name, with its ending or without.

    Args:
        images: Paths below the root.
        folders: Whether the name of a folder above an image, and what begins or ends its name before or after a `_`,
            is meant too: an id of a visit, or of the image.
    """
    known: dict[str, dict[str, None]] = defaultdict(dict)
    for image in images:
        path = PurePosixPath(image)
        bare = path.name.removesuffix(".gz")
        stem = bare.rpartition(".")[0] or bare
        names = {str(path), str(path.parent / stem), path.name, stem}
        if folders:
            names |= set(path.parts[:-1])
            pieces = stem.split("_")
            names |= {"_".join(pieces[:number]) for number in range(1, len(pieces))}
            names.add(pieces[-1])
        for name in names:
            known[name][image] = None
    return {name: list(files) for name, files in known.items()}


def visits(names: Sequence[str]) -> str:
    """Expression that finds the person in names that end in the number of a visit; empty where nobody came twice."""
    matches = [_VISIT.fullmatch(name) for name in names]
    if not all(matches):
        return ""
    people = Counter(match["who"] for match in matches if match)
    ending = Counter(re.sub(r"\d+", r"\\d+", name.removeprefix(match["who"])) for name, match in
                     zip(names, matches, strict=True) if match)  # fmt: skip
    if len(people) == len(names) or len(ending) != 1:
        return ""
    return rf"([^/]+){next(iter(ending))}(?=[/_.])"


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Lines of a table as it is, without those that do not fit; none where it cannot be read."""
    try:
        if path.stat().st_size > _LARGEST:
            return
        with open_regular(path) as file:
            text = file.read().decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        header = [cell.strip() for cell in next(reader, [])]
        for cells in reader:
            if len(cells) == len(header) and len(set(header)) == len(header):
                yield dict(zip(header, (cell.strip() for cell in cells), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error):
        return


def _group(rows: Sequence[Mapping[str, str]], file_column: str) -> str:
    """The column of people: one that is called so, and names somebody in every line."""
    for column in rows[0]:
        if column != file_column and _PERSON.fullmatch(column) and all(row[column] for row in rows):
            return column
    return ""
