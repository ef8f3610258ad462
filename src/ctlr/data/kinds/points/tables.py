"""Tables of points in CSV, TSV and Parquet, read strictly: nothing is guessed, and no row is dropped in silence."""

from __future__ import annotations

import csv
import io
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctlr.data.listing import Listing, ManyImages
from ctlr.data.tsv import content_of
from ctlr.errors import DataError, nearest, require
from ctlr.specs import Exclusion, PointsSpec

__all__ = ["Read", "read_tables"]

_SIDES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
_LARGEST = 3.4e38
"""What float32 holds."""
_SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}
_EMPTY = {"", "n/a", "na", "nan"}


@dataclass(frozen=True)
class Read:
    """Tables in memory."""

    listing: Listing
    values: array[float]
    """N x F float64, row by row, of the rows that can be used."""


@dataclass
class _Rows:
    """What has been read so far."""

    subjects: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    columns: dict[str, list[str]] = field(default_factory=dict)
    values: array[float] = field(default_factory=lambda: array("d"))
    faults: list[Exclusion] = field(default_factory=list)


def read_tables(spec: PointsSpec) -> Read:
    """Read all tables of a dataset.

    Raises:
        DataError: A table cannot be read, or its columns are not those that were named; names the file and the line.
    """
    root, rows = Path(spec.root), _Rows()
    for file, side in spec.tables.items():
        header, lines = (_parquet if file.lower().endswith(".parquet") else _text)(root / file, file, spec)
        _read(rows, file, side, header, lines, spec)
    images = ManyImages(subjects=rows.subjects, files=rows.files, columns=rows.columns)
    return Read(Listing(root=root, images=images, faults=tuple(rows.faults)), rows.values)


def _read(
    rows: _Rows, file: str, side: str, header: list[str], lines: Iterator[tuple[int, Sequence[Any]]], spec: PointsSpec
) -> None:
    """Take in the lines of one table."""
    _check_header(header, file, spec)
    features = [header.index(name) for name in spec.features]
    kept = _kept(header, spec)
    if rows.columns and sorted(rows.columns) != sorted([*kept, *(["split"] if side else [])]):
        raise DataError(
            f"all tables of a dataset need the same columns; it has {', '.join(kept)}, and the ones before have "
            f"{', '.join(name for name in rows.columns if name != 'split')}. Name those to keep in `columns`.",
            place=file,
        )
    owner = header.index(spec.id) if spec.id else -1
    convert, stem, before = _converter(spec), side or Path(file).stem, len(rows.subjects) + len(rows.faults)
    cells = [(rows.columns.setdefault(name, []), place) for name, place in kept.items()]
    sides = rows.columns.setdefault("split", []) if side or spec.split else None
    chosen = header.index(spec.split) if spec.split else -1
    number = 0
    for line, row in lines:
        number += 1
        try:
            values = [convert(row[place]) for place in features]
            standing = side if chosen < 0 else _SIDES[str(row[chosen]).strip().lower()]
            if owner >= 0 and not str(row[owner]).strip():
                raise ValueError
        except (ValueError, KeyError):
            rows.faults.append(_fault(file, line, row, features, owner, chosen, convert, spec))
            continue
        rows.values.extend(values)
        rows.subjects.append(str(row[owner]).strip() if owner >= 0 else f"{stem}/{number:07d}")
        rows.files.append(f"{file}:{line}")
        for column, place in cells:
            column.append("" if row[place] is None else str(row[place]).strip())
        if sides is not None:
            sides.append(standing)
    if before == len(rows.subjects) + len(rows.faults):
        raise DataError("a table needs a row below its header; it has none. Export it again.", place=file)


def _check_header(header: list[str], file: str, spec: PointsSpec) -> None:
    place = f"{file}, line 1"
    if repeated := sorted(name for name, count in Counter(header).items() if count > 1):
        raise DataError(f"a column's name must be unique; {repeated[0]!r} is there twice. Rename one.", place=place)
    asked = [("features", spec.features), ("id", (spec.id,) if spec.id else ())]
    asked += [("split", (spec.split,) if spec.split else ()), ("columns", spec.columns or ())]
    for option, names in asked:
        for name in names:
            if name not in header:
                other = "" if len(header) > 1 else " Is `separator` right?"
                raise DataError(f"`{option}`: there is no column {name!r}. {nearest(name, header)}{other}", place=place)


def _kept(header: list[str], spec: PointsSpec) -> dict[str, int]:
    """Columns of which the cells are kept, and where they stand."""
    used = {*spec.features, spec.id, spec.split}
    names = spec.columns if spec.columns is not None else [name for name in header if name not in used]
    return {name: header.index(name) for name in names}


def _converter(spec: PointsSpec) -> Callable[[Any], float]:
    """What reads a cell of a feature; raises ValueError where it is no finite number."""
    comma = spec.decimal == "comma"

    def convert(cell: Any) -> float:
        if isinstance(cell, str):
            if "_" in cell or (comma and "." in cell):
                raise ValueError
            cell = cell.replace(",", ".") if comma else cell
        elif cell is None or isinstance(cell, bool):
            raise ValueError
        value = float(cell)
        if -_LARGEST < value < _LARGEST:
            return value
        raise ValueError

    return convert


def _fault(
    file: str,
    line: int,
    row: Sequence[Any],
    features: Sequence[int],
    owner: int,
    chosen: int,
    convert: Callable[[Any], float],
    spec: PointsSpec,
) -> Exclusion:
    """What is wrong with a row, at its first wrong cell."""
    place = f"{file}, line {line}"
    for name, where in zip(spec.features, features, strict=True):
        try:
            convert(row[where])
        except (ValueError, TypeError):
            return Exclusion(place=f"{place}, column {name!r}", reason=_wrong_number(row[where], spec))
    if owner >= 0 and not str(row[owner]).strip():
        return Exclusion(place=f"{place}, column {spec.id!r}", reason="every row needs an id. Fill it in.")
    reason = "a side must be train, validation (val, dev) or test (eval). Correct the cell."
    return Exclusion(place=f"{place}, column {spec.split!r} ({str(row[chosen])[:40]!r})", reason=reason)


def _wrong_number(cell: Any, spec: PointsSpec) -> str:
    text = "" if cell is None else str(cell).strip()
    if text.lower() in _EMPTY:
        return "a feature must be known in every row, and the cell is empty. Fill it in, or leave the row out."
    try:
        float(text.replace("_", "x"))
    except ValueError:
        sign, other = (",", "comma") if spec.decimal == "point" else (".", "point")
        remedy = f" For decimal {other}s set `decimal: {other}`." if sign in text else ""
        return f"a feature must be a number, and the cell holds text. Correct the cell.{remedy}"
    if spec.decimal == "comma" and "." in text:
        return "with `decimal: comma` a number has no point, and this one has. Correct the cell, or `decimal`."
    return "a feature must be finite and fit float32. Correct the cell."


# ---------------------------------------------------------------- formats


def _text(path: Path, name: str, spec: PointsSpec) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Header and numbered lines of a CSV or TSV file."""
    default = "tab" if path.suffix.lower() in (".tsv", ".txt") else "comma"
    text = _decoded(path, name, spec)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_SEPARATORS[spec.separator or default], strict=True)

    def lines() -> Iterator[tuple[int, list[str]]]:
        try:
            for row in reader:
                if len(row) != len(header):
                    if not any(cell.strip() for cell in row):
                        continue
                    raise DataError(
                        f"every line needs as many cells as the header ({len(header)}); got {len(row)}. Correct it.",
                        place=f"{name}, line {reader.line_num}",
                    )
                yield reader.line_num, row
        except csv.Error as error:
            raise DataError(f"{error}. Close every quoted cell.", place=f"{name}, line {reader.line_num}") from error

    try:
        header = [cell.strip() for cell in next(reader, [])]
    except csv.Error as error:
        raise DataError(f"{error}. Close every quoted cell.", place=f"{name}, line 1") from error
    if not any(header):
        raise DataError("a header line is needed; there is none. Export the table again.", place=name)
    return header, lines()


def _decoded(path: Path, name: str, spec: PointsSpec) -> str:
    data = content_of(path, name)
    marked = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
    encoding = next((found for mark, found in marked.items() if data.startswith(mark)), spec.encoding)
    if b"\0" in data[:1024] and encoding != "utf-16":
        raise DataError(
            "text is needed, and this holds zero bytes: UTF-16 without its mark, or no text. Save it as UTF-8.",
            place=name,
        )
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{encoding.removesuffix('-sig').upper()} is needed; byte {error.start} is something else. Save it as "
            "UTF-8, or set `encoding: latin-1` if it is that.",
            place=f"{name}, line {line}",
        ) from error


def _parquet(path: Path, name: str, spec: PointsSpec) -> tuple[list[str], Iterator[tuple[int, Sequence[Any]]]]:
    """Header and numbered rows of a Parquet file; the first row is line 1."""
    parquet = require("pyarrow.parquet", extra="parquet")
    try:
        file = parquet.ParquetFile(path)
        header = list(file.schema_arrow.names)
    except (OSError, ValueError) as error:
        raise DataError("it is no Parquet file, or damaged. Export it again.", place=name) from error

    def rows() -> Iterator[tuple[int, Sequence[Any]]]:
        line = 0
        for batch in file.iter_batches():
            columns: list[list[Any]] = [column.to_pylist() for column in batch.columns]
            for row in zip(*columns, strict=True):
                line += 1
                yield line, row

    return header, rows()
