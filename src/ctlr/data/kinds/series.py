"""Labelled series of the UEA and aeon archives: .ts files, text with a header and a series a line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from ctlr.data.fetched import refuse_pointer, unreadable
from ctlr.data.listing import FolderReader, IndexedImage, Listing
from ctlr.data.reader import FileReader
from ctlr.data.sources import open_regular
from ctlr.errors import DataError, nearest
from ctlr.specs import SeriesSpec

if TYPE_CHECKING:  # numpy is slow to load, and a plan reads no series
    from ctlr.data.rows import Row

__all__ = ["SeriesReader"]

_SIDES = {"_TRAIN.ts": "train", "_TEST.ts": "test"}
_MISSING = re.compile(r"(?:^|[,:])\s*(\?|nan|[+-]?inf)", re.IGNORECASE)


class SeriesReader(FileReader):
    """Reads the series of a set."""

    spec: SeriesSpec

    def index(self) -> Listing:
        """List the series, with class and side.

        Raises:
            DataError: The files cannot be used as a whole. Faults of single series are listed instead.
        """
        root = Path(self.spec.root)
        folder = FolderReader(root)
        names = {entry.name for entry in folder.entries("", lambda name: name.endswith(tuple(_SIDES)))}
        sets = {name.removesuffix(ending) for name in names for ending in _SIDES if name.endswith(ending)}
        wanted = self.spec.set or (next(iter(sets)) if len(sets) == 1 else "")
        if not sets:
            raise DataError(
                "NAME_TRAIN.ts and NAME_TEST.ts are needed; none is there. Correct `root`.", place=repr(root.name)
            )
        if wanted not in sets:
            told = (
                f"the folder holds no set {wanted!r}."
                if wanted
                else "the folder holds several sets; `set` chooses one."
            )
            raise DataError(f"{told} {nearest(wanted, sets)}")
        images: dict[str, list[IndexedImage]] = {}
        tested: dict[str, int] = {}
        for ending, side in reversed(_SIDES.items()):
            file = wanted + ending
            if file not in names:
                raise DataError("a set needs both its files. Copy the other one here.", place=file)
            classes, count, met = tuple[str, ...](), 0, dict[str, int]()
            for number, line in _lines(root / file, file):
                if number == 0:
                    classes = _classes(line, file)
                    continue
                count += 1
                *channels, label = line.split(":")
                try:
                    self._check(channels, label.strip(), classes)
                except DataError as error:
                    folder.fault(f"{file}, line {number}" + (f", {error.place}" if error.place else ""), error.reason)
                    continue
                place = f"{file}, line {number}"
                if (whole := ":".join(channels)) in met:
                    folder.leave_out(place, "this series stands in the file before; it is kept once.")
                elif whole in tested:
                    folder.fault(place, f"it stands among those that test, in line {tested[whole]}. Remove it.")
                else:
                    met[whole] = number
                    name, columns = f"{side}-{count:05d}", {"class": label.strip(), "split": side}
                    images.setdefault(side, []).append(
                        IndexedImage(subject=name, session=str(number), file=file, columns=columns)
                    )
            tested |= met
        found = tuple(image for side in _SIDES.values() for image in images.get(side, ()))
        return Listing(root=root, images=found, faults=tuple(folder.faults), left_out=tuple(folder.left_out))

    def _check(self, channels: Sequence[str], label: str, classes: Sequence[str]) -> None:
        count, length = self.spec.preprocess.shape
        if label not in classes:
            raise DataError(
                "a series ends with `:` and one of the labels that the header's `@classLabel` names. Correct the line."
            )
        if len(channels) != count:
            raise DataError(
                f"a series needs the {count} channels of `preprocess.shape`; it has {len(channels)}. Correct the "
                "option if all series have as many, else the line."
            )
        for number, channel in enumerate(channels, start=1):
            place = f"channel {number}"
            if (found := channel.count(",") + 1) != length:
                raise DataError(
                    f"a channel needs the {length} values of `preprocess.shape`; it has {found}. Correct the option if "
                    "all series are as long; cut or pad them if they are not.",
                    place=place,
                )
            if gap := _MISSING.search(channel):
                raise DataError(
                    f"every value must be a number; one is {gap[1]!r}. Fill it in, or remove the series.", place=place
                )

    def row(self, image: IndexedImage) -> Row:
        """Read a series."""
        import hashlib

        import numpy as np

        from ctlr.data.rows import Row
        from ctlr.data.scaling import scaled

        options = self.spec.preprocess
        line = self._line(image)
        try:
            values = np.array([channel.split(",") for channel in line.split(":")[:-1]], np.float32)
        except ValueError as error:
            raise DataError(
                f"every value must be a number: {error}. Correct it.", place=f"line {image.session}"
            ) from error
        if not np.isfinite(values).all():
            raise DataError("every value must be finite in 32 bits. Correct it.", place=f"line {image.session}")
        names = [f"line {image.session}, channel {number}" for number in range(1, len(values) + 1)]
        stored = scaled(values, options.normalise, options.dtype, names)
        return Row(stored, hashlib.sha256(values.tobytes()).hexdigest())

    def _line(self, image: IndexedImage) -> str:
        """The text of one series."""
        with open_regular(self.listing().root / image.file) as file:
            file.seek(self._begins[image.file][int(image.session) - 1])
            return file.readline().decode()

    @cached_property
    def _begins(self) -> dict[str, list[int]]:
        """By file, the byte with which each line begins."""
        found = {}
        for name in {image.file for image in self.listing().images}:
            with open_regular(self.listing().root / name) as file:
                found[name] = [0, *accumulate(map(len, file))]
        return found


def _lines(path: Path, name: str) -> Iterator[tuple[int, str]]:
    """Line 0 is what follows `@classLabel`; then number and text of each series.

    Raises:
        DataError: The file cannot be read, or its header says that it holds something else.
    """
    try:
        with open_regular(path) as file:
            refuse_pointer(file.peek(1024)[:1024], place=name)
            begun = False
            for number, held in enumerate(file, start=1):
                line = _decoded(held, name, number)
                if begun and line:
                    yield number, line
                elif line.lower().startswith("@data"):
                    begun = True
                elif line.startswith("@"):
                    key, _, value = line.partition(" ")
                    if key.lower() == "@classlabel":
                        yield 0, value
                    elif key.lower() == "@timestamps" and value.strip().lower() == "true":
                        raise DataError("series with time stamps are not read. Export values alone.", place=name)
    except OSError as error:
        raise unreadable(path, error, place=name) from error
    if not begun:
        raise DataError("a line `@data` is needed between header and series. Export the file again.", place=name)


def _decoded(held: bytes, name: str, number: int) -> str:
    try:
        return held.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise DataError("UTF-8 is needed. Save the file as UTF-8.", place=f"{name}, line {number}") from error


def _classes(value: str, name: str) -> tuple[str, ...]:
    has, *classes = value.split() or [""]
    if has.lower() != "true" or not classes:
        raise DataError(
            f"a header needs `@classLabel true` and the labels; got {value.strip()!r}. Choose a set with classes.",
            place=name,
        )
    return tuple(classes)
