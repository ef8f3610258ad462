"""Take in a form with files while it arrives: nothing of it is held in memory, and no more than allowed is written."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import anyio.to_thread
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ctlr.errors import DataError
from ctlr.ui.options import Limits
from ctlr.ui.unpacking import Taken, take_file

__all__ = ["Form", "receive"]

_FIELD_BYTES = 4096
_FIELDS = 20
_CHUNK = 2**18


@dataclass
class Form:
    """What has arrived of a form: small fields first, then files."""

    folder: Path
    """Pictures lie below it by their paths, zip archives beside it as they are."""
    fields: dict[str, str] = field(default_factory=dict)
    archives: list[Path] = field(default_factory=list)
    taken: Taken = field(default_factory=Taken)


class _Parts:
    """Told by the parser what arrives."""

    def __init__(self, form: Form, limits: Limits, check: Callable[[Mapping[str, str]], None]) -> None:
        self._form, self._limits, self._check = form, limits, check
        self._header = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._text: bytearray | None = None
        self._file: BinaryIO | None = None
        self._checked = False

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def header_end(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._headers = {}
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        name = options.get(b"filename")
        if name is None:
            if len(self._form.fields) >= _FIELDS:
                raise DataError("a form with fewer fields is needed.")
            self._text = bytearray()
        elif name:  # else a field for files was left empty
            self._begin(name.decode("utf-8", "replace"))

    def _begin(self, name: str) -> None:
        """A file begins."""
        if not self._checked:
            self._check(self._form.fields)
            self._checked = True
        if name.lower().endswith(".zip"):
            place, path = tempfile.mkstemp(dir=self._form.folder.parent, suffix=".zip")
            self._form.archives.append(Path(path))
            self._file = open(place, "wb")  # noqa: SIM115 (`close` does)
        else:
            label = self._form.fields.get("label", "").strip()
            self._file = take_file(name, self._form.folder, self._form.taken, label=label)
        self._form.taken.check(self._limits)

    def part_data(self, data: bytes, start: int, end: int) -> None:
        if self._text is not None:
            self._text += data[start:end]
            if len(self._text) > _FIELD_BYTES:
                raise DataError(f"a field has at most {_FIELD_BYTES} bytes.")
            return
        self._form.taken.bytes += end - start
        self._form.taken.check(self._limits)
        if self._file is not None:
            self._file.write(data[start:end])

    def part_end(self) -> None:
        if self._text is not None:
            self._form.fields[self._name] = self._text.decode("utf-8", "replace")
            self._text = None
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


async def receive(
    stream: AsyncIterator[bytes],
    content_type: str,
    folder: Path,
    limits: Limits,
    *,
    check: Callable[[Mapping[str, str]], None],
) -> Form:
    """Read a form as it comes.

    Args:
        stream: Its bytes.
        content_type: Of the request.
        folder: For the pictures; archives lie beside it.
        limits: Of all files.
        check: Called with the fields before the first file is taken; raises where it must not be.

    Raises:
        DataError: It is no such form, or holds too much.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 200:
        raise DataError("a form with files is needed.")
    form = Form(folder)
    parts = _Parts(form, limits, check)
    parser = MultipartParser(
        boundary,
        {
            "on_header_field": parts.header_field, "on_header_value": parts.header_value,
            "on_header_end": parts.header_end, "on_headers_finished": parts.headers_finished,
            "on_part_data": parts.part_data, "on_part_end": parts.part_end,
        },
    )  # fmt: skip
    waiting = bytearray()
    try:
        async for chunk in stream:
            waiting += chunk
            if len(waiting) >= _CHUNK:
                data, waiting = bytes(waiting), bytearray()
                await anyio.to_thread.run_sync(parser.write, data)
        await anyio.to_thread.run_sync(parser.write, bytes(waiting))
        parser.finalize()
    except FormParserError as error:
        raise DataError("the form is damaged. Send it again.") from error
    finally:
        parts.close()
    return form
