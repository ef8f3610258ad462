"""Whose image each row of an array holds: tables that are kept by columns, so that a million rows open in a second."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter

from ctlr.data.listing import IndexedImage, ManyImages
from ctlr.durable import read_file
from ctlr.specs import Value

__all__ = ["Column", "Digests", "ImageRecord", "Table", "Texts"]

Codes = NDArray[np.int64]

_LISTED = 10_000
"""Rows up to which a table is JSON, which people can read."""
_JSON, _COLUMNS = "table.json", "table.npz"


class ImageRecord(Value):
    """Whose image a row holds."""

    subject: str
    session: str = ""
    file: str
    """Path relative to the dataset."""
    sha256: str
    """Of the decoded image: equal for identical content, whatever the compression, orientation or header."""
    stored: str = ""
    """SHA-256 of the row as it is stored: equal where preprocessing takes away what told two files apart."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Raw cells: of participants.tsv and sessions.tsv, or class and split."""


_RECORDS = TypeAdapter(tuple[ImageRecord, ...])


class Column(Protocol):
    """A text a row."""

    def cell(self, row: int) -> str | None:
        """None where the row has none."""
        ...

    @property
    def values(self) -> Sequence[str]:
        """Those that occur, in the order in which they come first."""
        ...

    @property
    def codes(self) -> Codes:
        """(N,) which of `values` each row has; -1 for none."""
        ...


class Texts:
    """A column of any text.

    Attributes:
        values: Those that occur.
        codes: (N,) which of them each row has; -1 for none.
    """

    def __init__(self, values: Sequence[str], codes: Codes) -> None:
        self.values, self.codes = values, codes

    @classmethod
    def of(cls, cells: Sequence[str | None]) -> Texts:
        """A column with these cells."""
        known: dict[str | None, int] = {}
        codes = np.fromiter((known.setdefault(cell, len(known)) for cell in cells), np.int64, len(cells))
        if (missing := known.pop(None, None)) is not None:
            codes = np.where(codes == missing, -1, codes - (codes > missing))
        return cls([cell for cell in known if cell is not None], codes)

    def cell(self, row: int) -> str | None:
        """None where the row has none."""
        code = self.codes[row]
        return None if code < 0 else self.values[code]

    def packed(self) -> dict[str, NDArray[np.generic]]:
        """As arrays: the values one after the other, where each ends, and codes where they are not 0, 1, 2, …"""
        data = [value.encode("utf-8", "surrogatepass") for value in self.values]
        packed: dict[str, NDArray[np.generic]] = {
            "text": np.frombuffer(b"".join(data), np.uint8),
            "ends": np.cumsum([len(each) for each in data], dtype=np.int64),
        }
        if not np.array_equal(self.codes, np.arange(len(data))):
            packed["codes"] = self.codes.astype(np.int32)
        return packed

    @classmethod
    def unpacked(cls, packed: Mapping[str, NDArray[np.generic]]) -> Texts:
        """What `packed` made."""
        ends = packed["ends"].tolist()
        data = packed["text"].tobytes()
        starts = [0, *ends[:-1]]
        if data.isascii():
            text = data.decode()
            values = [text[start:end] for start, end in zip(starts, ends, strict=True)] if ends else []
        else:
            values = [data[start:end].decode("utf-8", "surrogatepass") for start, end in zip(starts, ends, strict=True)]
        codes = packed["codes"].astype(np.int64) if "codes" in packed else np.arange(len(values))
        return cls(values, codes)


class Digests:
    """A column of SHA-256 in hexadecimal digits, kept as (N, 32) bytes."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self.data = data

    def cell(self, row: int) -> str:
        """64 hexadecimal digits."""
        return bytes(self.data[row]).hex()

    @cached_property
    def codes(self) -> Codes:
        """(N,) equal for equal digests."""
        _, first, inverse = np.unique(self._keys, return_index=True, return_inverse=True)
        order = np.empty(len(first), np.int64)
        order[np.argsort(first)] = np.arange(len(first))
        return np.asarray(order[inverse.reshape(-1)])

    @property
    def values(self) -> list[str]:
        """Those that occur."""
        first = np.unique(self._keys, return_index=True)[1]
        return [self.cell(int(row)) for row in np.sort(first)]

    @property
    def _keys(self) -> NDArray[np.bytes_]:
        return np.ascontiguousarray(self.data).view("S32").reshape(-1)


class Table(Sequence[ImageRecord]):
    """One record a row, in the order of the rows; a record is made when somebody asks for it.

    Attributes:
        subject, session, file, sha256, stored: Columns of what a record has.
        columns: Those of its cells, by name.
        blocks: (B, 32) SHA-256 of the stored rows, `block_rows` at a time; empty where each row has its own.
        block_rows: 0 where there are none.
    """

    def __init__(
        self,
        *,
        subject: Column,
        session: Column,
        file: Column,
        sha256: Column,
        stored: Column,
        columns: Mapping[str, Column],
        blocks: NDArray[np.uint8] | None = None,
        block_rows: int = 0,
    ) -> None:
        self.subject, self.session, self.file, self.sha256, self.stored = subject, session, file, sha256, stored
        self.columns = columns
        self.blocks = np.empty((0, 32), np.uint8) if blocks is None else blocks
        self.block_rows = block_rows

    @classmethod
    def of(cls, records: Sequence[ImageRecord] | Sequence[IndexedImage]) -> Table:
        """The records, or what is listed, as a table; a table stays the one that it is."""
        if isinstance(records, cls):
            return records
        if isinstance(records, ManyImages):
            return cls.listed(records)
        names = dict.fromkeys(name for record in records for name in record.columns)
        return cls(
            subject=Texts.of([record.subject for record in records]),
            session=Texts.of([record.session for record in records]),
            file=Texts.of([record.file for record in records]),
            sha256=_digests([getattr(record, "sha256", "") for record in records]),
            stored=_digests([getattr(record, "stored", "") for record in records]),
            columns={name: Texts.of([record.columns.get(name) for record in records]) for name in names},
        )

    @classmethod
    def listed(cls, images: ManyImages, sha256: Column | None = None) -> Table:
        """A table of very many images, of which nothing is known beyond their cells, or their digests too."""
        empty = Texts([""], np.zeros(len(images), np.int64))
        return cls(
            subject=Texts.of(images.subjects), session=empty, file=Texts.of(images.files), sha256=sha256 or empty,
            stored=empty, columns={name: Texts.of(cells) for name, cells in images.columns.items()},
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.subject.codes)

    @overload
    def __getitem__(self, row: int) -> ImageRecord: ...
    @overload
    def __getitem__(self, row: slice) -> list[ImageRecord]: ...
    def __getitem__(self, row: int | slice) -> ImageRecord | list[ImageRecord]:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        return ImageRecord(
            subject=self.subject.cell(row) or "", session=self.session.cell(row) or "", file=self.file.cell(row) or "",
            sha256=self.sha256.cell(row) or "", stored=self.stored.cell(row) or "",
            columns={
                name: cell for name, column in self.columns.items() if (cell := column.cell(row)) is not None
            },
        )  # fmt: skip

    def __iter__(self) -> Iterator[ImageRecord]:
        return (self[row] for row in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as of any sequence that is compared by what it holds

    def cells(self, name: str) -> list[str]:
        """A cell a row of one of `columns`, white space around it dropped; empty where there is none."""
        column = self.columns.get(name)
        if column is None:
            return [""] * len(self)
        values = [*(value.strip() for value in column.values), ""]
        return [values[code] for code in column.codes.tolist()]

    def rows_of(self, subjects: Iterable[str]) -> Codes:
        """Rows of all images of those subjects, ascending."""
        wanted = set(subjects)
        among = np.fromiter((value in wanted for value in self.subject.values), bool, len(self.subject.values))
        return np.flatnonzero(among[self.subject.codes]) if len(among) else np.empty(0, np.int64)

    def write(self, folder: Path) -> None:
        """Into a folder; whatever lay there under the name is gone."""
        if len(self) < _LISTED and not self.block_rows:
            (folder / _JSON).write_bytes(_RECORDS.dump_json(tuple(self)))
            return
        arrays: dict[str, NDArray[np.generic]] = {"blocks": self.blocks, "block_rows": np.array(self.block_rows)}
        own = {name: getattr(self, name) for name in ("subject", "session", "file", "sha256", "stored")}
        own["names"] = Texts.of(list(self.columns))
        others = {f"column{number}": column for number, column in enumerate(self.columns.values())}
        for name, column in (own | others).items():
            if isinstance(column, Digests):
                arrays[f"{name}.digests"] = column.data
            else:
                assert isinstance(column, Texts)
                arrays |= {f"{name}.{part}": each for part, each in column.packed().items()}
        with (folder / _COLUMNS).open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def read(cls, folder: Path) -> Table:
        """What was written there.

        Raises:
            OSError, ValueError: It cannot be read.
        """
        if not (folder / _COLUMNS).exists():
            return cls.of(_RECORDS.validate_json(read_file(folder / _JSON)))
        import zipfile

        try:
            with np.load(io.BytesIO(read_file(folder / _COLUMNS)), allow_pickle=False) as file:
                arrays = dict(file)
            names = _column(arrays, "names").values
            parts = {name: _column(arrays, name) for name in ("subject", "session", "file", "sha256", "stored")}
            columns = {name: _column(arrays, f"column{number}") for number, name in enumerate(names)}
            table = cls(**parts, columns=columns, blocks=arrays["blocks"], block_rows=int(arrays["block_rows"]))
        except (KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError("no such table") from error
        if any(len(column.codes) != len(table) for column in (*parts.values(), *columns.values())):
            raise ValueError("its columns differ in length")
        return table


def _column(arrays: Mapping[str, NDArray[np.generic]], name: str) -> Texts | Digests:
    if (data := arrays.get(f"{name}.digests")) is not None:
        return Digests(data.astype(np.uint8))
    return Texts.unpacked({key.removeprefix(f"{name}."): arrays[key] for key in arrays if key.startswith(f"{name}.")})


def _digests(cells: Sequence[str]) -> Texts | Digests:
    """As bytes where all are SHA-256."""
    try:
        data = bytes.fromhex("".join(cells))
    except ValueError:
        return Texts.of(cells)
    if any(len(cell) != 64 for cell in cells) or len(data) != 32 * len(cells):
        return Texts.of(cells)
    return Digests(np.frombuffer(data, np.uint8).reshape(-1, 32))
