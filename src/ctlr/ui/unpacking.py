"""Archives and files of strangers: what of them becomes pictures below a folder, and what is refused.

An archive that could write elsewhere or fill the disk is refused as a whole, before anything of it is written; what is
no picture (nested archives among it) is left where it is and counted. Sizes that an archive tells are not believed:
what comes out is counted too.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import stat
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ctlr.data.kinds.image_names import is_picture, visible
from ctlr.data.listing import SIDES
from ctlr.errors import DataError
from ctlr.ui.options import Limits

__all__ = ["Taken", "check_room", "settled", "take_file", "unpack"]

_LONGEST = 180
"""Bytes of a name; file systems take 255, and some add to it."""
_DEEPEST = 8
_SMALL = 2**16
"""Bytes up to which an entry may be packed as well as it likes."""
_CHUNK = 2**20
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DRIVE = re.compile(r"[A-Za-z]:")
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError)


@dataclass
class Taken:
    """What came in."""

    pictures: int = 0
    bytes: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Reason -> files."""

    def check(self, limits: Limits) -> None:
        """Refuse what is too much.

        Raises:
            DataError: There are too many files, or too many bytes.
        """
        if self.pictures + self.left_out.total() > limits.files:
            raise DataError(
                f"an upload has at most {limits.files:,} files; this has more. Register its folder instead."
            )
        if self.bytes > limits.bytes:
            raise DataError(
                f"an upload has at most {limits.bytes:,} bytes, unpacked; this has more. Register its folder instead."
            )


def check_room(folder: Path, coming: int, limits: Limits) -> None:
    """Refuse what the disk has no room for.

    Raises:
        DataError: It would leave less than `limits.free` bytes.
    """
    free = shutil.disk_usage(folder).free
    if free - coming < limits.free:
        raise DataError(f"the disk has {free:,} bytes left, and {coming:,} are coming. Free some space.")


def _parts(name: str) -> tuple[str, ...]:
    """A path below a folder, by its parts.

    Raises:
        DataError: It is an absolute path, leads upwards, or is too long.
    """
    plain = unicodedata.normalize("NFC", name).replace("\\", "/")
    if plain.startswith("/") or _DRIVE.match(plain) or "\0" in plain:
        raise DataError(f"names must be relative paths; got {_shown(name)}. Pack the folder again.")
    parts = tuple(part for part in plain.split("/") if part not in ("", "."))
    if ".." in parts:
        raise DataError(f"names must stay below their folder; got {_shown(name)}. Pack the folder again.")
    if len(parts) > _DEEPEST or any(len(part.encode("utf-8", "replace")) > _LONGEST for part in parts):
        raise DataError(f"a name is too long or too deep: {_shown(name)}. Shorten it.")
    return parts


def _shown(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:60]}…{name[-15:]}")


def _place(name: str, taken: Taken) -> PurePosixPath | None:
    """Where a file goes; None, and counted, where it is none that is taken."""
    parts = _parts(name)
    if not parts or not all(visible(part) for part in parts):
        taken.left_out["hidden files and those of systems"] += 1
    elif any(_ODD.search(part) or not _printable(part) for part in parts):
        taken.left_out["files whose names hold control characters"] += 1
    elif not is_picture(parts[-1]):
        ending = PurePosixPath(parts[-1]).suffix.lower()
        taken.left_out[f"files ending in {ending}" if re.fullmatch(r"\.\w{1,8}", ending) else "other files"] += 1
    else:
        return PurePosixPath(*parts)
    return None


def _printable(part: str) -> bool:
    try:
        part.encode()
    except UnicodeEncodeError:
        return False
    return True


def take_file(name: str, folder: Path, taken: Taken, *, label: str = "") -> BinaryIO | None:
    """A place to write a picture to, by the name that its sender gives it; None, and counted, where it is not taken.

    Args:
        name: Path, relative to what was sent.
        folder: That it goes below.
        taken: Counts it.
        label: Class of a picture that has no folder.

    Raises:
        DataError: The name leads elsewhere, or no class is known.
    """
    place = _place(name, taken)
    if place is None:
        return None
    if len(place.parts) == 1:
        if not label:
            raise DataError(
                "a picture needs a class: the folder that it lies in, or the name that is given for all. Name it."
            )
        (label,) = _parts(label)[:1] or ("",)
        if not visible(label) or _ODD.search(label):
            raise DataError(f"a class must have a plain name; got {_shown(label)}. Choose another one.")
        place = PurePosixPath(label) / place
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "wb")  # noqa: SIM115
    except FileExistsError:
        taken.left_out["files whose name was there already"] += 1
        return None
    taken.pictures += 1
    return file


def unpack(archive: Path, folder: Path, limits: Limits) -> Taken:
    """Take the pictures of a zip archive into a folder.

    Raises:
        DataError: It is no archive, is damaged or encrypted, holds links or paths that lead elsewhere, or unpacks to
            too much.
    """
    taken = Taken()
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = [entry for entry in packed.infolist() if not entry.is_dir()]
            _check(entries, limits)
            check_room(folder, sum(entry.file_size for entry in entries), limits)
            for entry in entries:
                file = take_file(entry.filename, folder, taken, label="unnamed")
                if file is not None:
                    with file, packed.open(entry) as source:
                        for chunk in _chunks(source, entry.file_size):
                            taken.bytes += len(chunk)
                            taken.check(limits)
                            file.write(chunk)
    except _BROKEN as error:
        raise DataError(f"the archive is damaged or of a kind that is not read ({error}). Pack it again.") from error
    return taken


def _check(entries: list[zipfile.ZipInfo], limits: Limits) -> None:
    """Refuse what an archive says of itself."""
    if len(entries) > limits.files:
        raise DataError(f"an archive has at most {limits.files:,} files; this has {len(entries):,}.")
    if sum(entry.file_size for entry in entries) > limits.bytes:
        raise DataError(f"an archive unpacks to at most {limits.bytes:,} bytes; this says more.")
    for entry in entries:
        _parts(entry.filename)
        mode = entry.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise DataError(f"an archive must hold plain files; {_shown(entry.filename)} is a link or a device.")
        if entry.flag_bits & 1:
            raise DataError(
                f"an archive must not be encrypted; {_shown(entry.filename)} is. Pack it without a password."
            )
        if entry.file_size > max(_SMALL, limits.ratio * max(1, entry.compress_size)):
            raise DataError(
                f"{_shown(entry.filename)} would unpack to {entry.file_size:,} bytes out of {entry.compress_size:,}: "
                "no picture is packed so well. Leave it out."
            )


def _chunks(source: object, size: int) -> Iterator[bytes]:
    """What an entry holds, and no more than it says."""
    left = size
    while chunk := source.read(min(_CHUNK, left + 1)):  # type: ignore[attr-defined]
        left -= len(chunk)
        if left < 0:
            raise DataError("an entry holds more than the archive says. Pack it again.")
        yield chunk


def settled(folder: Path) -> Path:
    """The folder that holds the classes: of folders that hold one folder each, the last one."""
    while True:
        inside = list(folder.iterdir())
        if len(inside) != 1 or not inside[0].is_dir() or inside[0].name.lower() in SIDES:
            return folder
        below = list(inside[0].iterdir())
        if not below or not all(each.is_dir() for each in below):
            return folder
        folder = inside[0]
