"""Tables, those of a BIDS folder first of all: tab-separated text, every cell kept as text.

Nothing is guessed from a column: `0012` stays `0012`. Whoever needs numbers asks `number` for them.
"""

from __future__ import annotations

import csv
import io
import math
import re
import unicodedata
from pathlib import Path

from ctlr.data.fetched import refuse_pointer, unreadable
from ctlr.data.sources import open_regular
from ctlr.errors import DataError, nearest

__all__ = ["content_of", "is_missing", "number", "read_table"]

_NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)(e[+-]?[0-9]+)?\+?", re.IGNORECASE)
_MISSING = {"", "n/a", "na", "nan"}
_SIGNS = {"\t": "tabs", ",": "commas", ";": "semicolons"}


def number(text: str) -> float:
    """Read a cell as a number.

    Takes a decimal point or comma, white space around it, and a trailing plus: the open top class `89+` of
    de-identified ages is 89. An empty cell, `n/a`, `NA` and `NaN` are NaN.

    Raises:
        ValueError: The cell holds other text, or a number beyond float64.
    """
    cell = text.strip()
    if cell.lower() in _MISSING:
        return math.nan
    if not _NUMBER.fullmatch(cell):
        raise ValueError(f"a number or n/a is needed; got {text!r}")
    value = float(cell.removesuffix("+").replace(",", "."))
    if math.isinf(value):
        raise ValueError(f"the number does not fit float64; got {text!r}")
    return value


def is_missing(cell: str) -> bool:
    """Whether a cell is empty or one of the spellings of n/a."""
    try:
        return math.isnan(number(cell))
    except ValueError:
        return False


_SESSIONS = "What changes between sessions belongs into sub-*/sub-*_sessions.tsv."


def read_table(
    path: Path, *, name: str, key: str, delimiter: str = "\t", once: str = _SESSIONS
) -> dict[str, dict[str, str]]:
    """Read a table into rows by their key column.

    Takes a byte-order mark, CRLF and cells in double quotes. White space around a cell is dropped, and so are empty
    cells at the end of the header or beyond it. Cells that look alike are alike: characters that cannot be seen are
    dropped, no-break spaces are spaces, and accents are composed (Unicode's NFC).

    Args:
        path: The file.
        name: What messages call it: its path relative to the dataset.
        key: Column that names the row, e.g. `participant_id`.
        delimiter: Between cells.
        once: Remedy where a key stands there twice.

    Returns:
        Key -> column -> cell, without the key column, in the order of the file.

    Raises:
        DataError: The file cannot be read or is no such table; names file and line, `others` the further lines that
            are wrong.
    """
    lines = _lines(path, name, delimiter)
    if not lines:
        raise DataError("a header line is needed; the file is empty.", place=name)
    _, header = lines[0]
    if key not in header:
        raise DataError(
            f"a column {key!r} is needed. {nearest(key, header)} Separate cells by {_SIGNS[delimiter]}.",
            place=f"{name}, line 1",
        )
    if header.count("") > 1:
        raise DataError("a column needs a name; several have none. Name them.", place=f"{name}, line 1")
    if repeated := sorted({column for column in header if header.count(column) > 1}):
        raise DataError(
            f"a column's name must be unique; {repeated[0]!r} is there twice. Rename one.", place=f"{name}, line 1"
        )
    at = header.index(key)
    table: dict[str, dict[str, str]] = {}
    wrong: list[DataError] = []
    for line, cells in lines[1:]:
        place = f"{name}, line {line}"
        if len(cells) != len(header):
            remedy = (
                "Write n/a into empty cells."
                if len(cells) < len(header)
                else "Remove those beyond, or name their columns."
            )
            rule = f"every line needs as many cells as the header ({len(header)}); got {len(cells)}. {remedy}"
            wrong.append(DataError(rule, place=place))
        elif not cells[at] or cells[at] in table:
            rule = f"{key!r} must be there and unique"
            wrong.append(DataError(f"{rule}. {once}", place=place, told=f"{place}: {rule}; got {cells[at]!r}. {once}"))
        else:
            table[cells[at]] = {column: cell for column, cell in zip(header, cells, strict=True) if column != key}
    if wrong:
        first, *others = wrong
        raise DataError(first.reason, place=first.place, told=str(first), others=others)
    return table


def content_of(path: Path, name: str) -> bytes:
    """All bytes of a table.

    Raises:
        DataError: It cannot be read, or its content was not fetched.
    """
    try:
        with open_regular(path) as file:
            data = file.read()
    except OSError as error:
        raise unreadable(path, error, place=name) from error
    if data:
        refuse_pointer(data[:1024], place=name)
    return data


def _lines(path: Path, name: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Line number and cells of every line that is not blank; cells beyond the header must not be empty."""
    data = content_of(path, name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"UTF-8 is needed; byte {error.start} is something else. Save it as UTF-8.", place=name
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: list[tuple[int, list[str]]] = []
    begins = 1
    try:
        for row in reader:
            begins = reader.line_num + 1
            cells = [_seen(cell) for cell in row]
            width = len(lines[0][1]) if lines else 0
            while len(cells) > width and not cells[-1]:
                cells.pop()
            if any(cells):
                lines.append((reader.line_num, cells))
    except csv.Error as error:
        raise DataError(
            f"a cell that begins with a quote must end with one ({error}). Close it, or remove the quote.",
            place=f"{name}, line {begins}",
        ) from error
    return lines


def _seen(cell: str) -> str:
    """What a reader sees of a cell."""
    if cell.isascii():
        return cell.strip()
    kinds = [unicodedata.category(letter) for letter in cell]
    seen = [" " if kind == "Zs" else letter for letter, kind in zip(cell, kinds, strict=True) if kind != "Cf"]
    return unicodedata.normalize("NFC", "".join(seen)).strip()
