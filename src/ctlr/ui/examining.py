"""What a folder of pictures holds, and what is wrong with it; thumbnails.

Found out once, in the background: a page shows how far it is. What was found lies beside the pictures, so that another
server goes on from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ctlr.data.kinds.images import index
from ctlr.data.likeness import likeness, mirrored
from ctlr.data.picture import read_picture
from ctlr.data.sources import open_regular
from ctlr.errors import CtlrError
from ctlr.specs import ImagesSpec, PreprocessSpec
from ctlr.ui.folders import Folder
from ctlr.workspace import write_aside

__all__ = ["Examined", "Examining", "examine", "thumbnail"]

_VERSION = 1
_FEW = 10
"""Pictures of a class below which it is learned badly, and judged worse."""
_UNEVEN = 5
"""Times that the largest class is larger than the smallest."""
_SHOWN = 12
_SIDE = 128
"""Pixels of a thumbnail's longer side."""
_ALIKE = 0.995
"""Correlation of two pictures that may be copies; digits of other hands reach 0.996 (`ctlr.data.neighbours`), so that
these are shown to be looked at."""
_MOST_COMPARED = 6000
"""Pictures among which near copies are looked for: all pairs are compared."""
_BLOCK = 512


@dataclass
class Examined:
    """What is known of a folder."""

    classes: dict[str, int] = field(default_factory=dict)
    """Pictures of each class."""
    splits: dict[str, int] = field(default_factory=dict)
    """Pictures of each side of a given split."""
    files: list[str] = field(default_factory=list)
    """Paths below the folder, in the order of `labels`."""
    labels: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    """(width, height) of each picture; (0, 0) of one that cannot be read."""
    coloured: int = 0
    """Pictures that are not grey."""
    faults: list[tuple[str, str]] = field(default_factory=list)
    """(file, reason) of what cannot be used."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Reason -> files that are not read."""
    copies: list[list[int]] = field(default_factory=list)
    """Groups of files of equal content, by number."""
    alike: list[tuple[int, int, float]] = field(default_factory=list)
    """Pairs that look alike, with their correlation."""
    compared: bool = True
    """Whether near copies were looked for."""
    version: int = _VERSION

    @property
    def problems(self) -> list[str]:
        """What is worth knowing before anything is trained, a sentence each."""
        found = []
        if self.faults:
            found.append(f"Pictures that cannot be used, and will be left out: {len(self.faults)}.")
        few = [f"{name} ({count})" for name, count in self.classes.items() if count < _FEW]
        if few:
            found.append(f"Fewer than {_FEW} pictures: {', '.join(few[:_SHOWN])}. Their scores will say little.")
        counts = [count for count in self.classes.values() if count]
        if counts and max(counts) > _UNEVEN * min(counts):
            found.append(
                f"The largest class has {max(counts) / min(counts):.0f} times as many pictures as the smallest: scores "
                "are averaged over classes (balanced accuracy), so that guessing the largest gains nothing."
            )
        across = [group for group in self.copies if len({self.labels[each] for each in group}) > 1]
        if across:
            found.append(
                f"Pictures that lie in several classes at once, so that labels contradict each other: {len(across)}."
            )
        if self.copies:
            more = sum(len(group) - 1 for group in self.copies)
            found.append(f"Exact copies of other pictures, which train and test must not share: {more}.")
        if self.alike:
            found.append(
                f"Pairs that look alike and may be copies of one another: {len(self.alike)}. Look at them below."
            )
        if not self.compared:
            found.append(f"Near copies were not looked for: that is done among up to {_MOST_COMPARED:,} pictures.")
        return found

    def by_class(self, most: int = _SHOWN) -> dict[str, list[int]]:
        """Numbers of some pictures of each class, from all over it."""
        bad = {file for file, _ in self.faults}
        found: dict[str, list[int]] = defaultdict(list)
        for number, (file, label) in enumerate(zip(self.files, self.labels, strict=True)):
            if file not in bad:
                found[label].append(number)
        return {label: numbers[:: max(1, len(numbers) // most)][:most] for label, numbers in sorted(found.items())}

    @property
    def usual_side(self) -> int:
        """The middle of the pictures' shorter sides."""
        sides = sorted(min(size) for size in self.sizes if min(size))
        return sides[len(sides) // 2] if sides else 0


@dataclass(frozen=True)
class _Seen:
    size: tuple[int, int]
    coloured: bool
    digest: str
    reading: NDArray[np.float32] | None
    fault: str = ""


def examine(root: Path, *, workers: int, progress: Any = lambda done, total: None) -> Examined:
    """Read every picture of a folder once.

    Args:
        root: Folder with one folder a class.
        workers: Pictures at once.
        progress: Told (done, in all).

    Raises:
        DataError: The folder cannot be listed.
    """
    spec = ImagesSpec(name="pictures", root=str(root), preprocess=PreprocessSpec(shape=(32, 32), channels=3))
    listing = index(spec)
    found = Examined(files=[image.file for image in listing.images])
    found.labels = [str(image.columns["class"]) for image in listing.images]
    found.faults = [(fault.place, fault.reason) for fault in listing.faults]
    found.left_out = dict(Counter(each.reason for each in listing.left_out))
    found.classes = dict(sorted(Counter(found.labels).items()))
    found.splits = dict(Counter(str(image.columns["split"]) for image in listing.images if "split" in image.columns))
    found.compared = len(found.files) <= _MOST_COMPARED
    seen: list[_Seen] = []
    with ThreadPoolExecutor(workers) as pool:
        for each in pool.map(lambda file: _look(root / file, compared=found.compared), found.files):
            seen.append(each)
            progress(len(seen), len(found.files))
    found.sizes = [each.size for each in seen]
    found.coloured = sum(each.coloured for each in seen)
    found.faults += [(file, each.fault) for file, each in zip(found.files, seen, strict=True) if each.fault]
    equal: dict[str, list[int]] = defaultdict(list)
    for number, each in enumerate(seen):
        if not each.fault:
            equal[each.digest].append(number)
    found.copies = [group for group in equal.values() if len(group) > 1]
    found.alike = _alike(seen) if found.compared else []
    return found


def _look(path: Path, *, compared: bool) -> _Seen:
    """Size, colour, digest and likeness of a picture; oversized ones are refused by their header."""
    try:
        image = read_picture(path)
    except CtlrError as error:
        return _Seen((0, 0), False, "", None, error.reason)
    size, coloured = image.size, image.mode == "RGB" and not _is_grey(image)
    with open_regular(path) as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    if not compared:
        return _Seen(size, coloured, digest, None)
    image.thumbnail((96, 96))
    pixels = np.asarray(image, np.float32)
    return _Seen(size, coloured, digest, likeness(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)))


def _is_grey(image: Any) -> bool:
    small = np.asarray(image.resize((32, 32)), np.int16)
    return bool((np.abs(small - small.mean(axis=2, keepdims=True)) <= 2).all())


def _alike(seen: Sequence[_Seen]) -> list[tuple[int, int, float]]:
    """Pairs of high correlation, mirrored ones too, other than exact copies; the likest first."""
    known = {number: each.reading for number, each in enumerate(seen) if each.reading is not None}
    if len(known) < 2:
        return []
    numbers, readings = list(known), np.stack(list(known.values()))
    flat, turned = (part.reshape(len(numbers), -1) for part in (readings, mirrored(readings)))
    found: list[tuple[int, int, float]] = []
    for start in range(0, len(numbers), _BLOCK):
        block = np.maximum(flat[start : start + _BLOCK] @ flat.T, flat[start : start + _BLOCK] @ turned.T)
        for row, column in np.argwhere(block >= _ALIKE).tolist():
            one, other = numbers[start + row], numbers[column]
            if one < other and seen[one].digest != seen[other].digest:
                found.append((one, other, round(float(block[row, column]), 4)))
    return sorted(found, key=lambda pair: -pair[2])[:200]


def thumbnail(folder: Folder, examined: Examined, number: int) -> Path | None:
    """A small WebP of a picture; None where there is none, or it cannot be read."""
    if not 0 <= number < len(examined.files):
        return None
    made = folder.home / "thumbnails" / f"{number}.webp"
    if not made.exists():
        try:
            image = read_picture(folder.root / examined.files[number])
        except CtlrError:
            return None
        if image.mode == "F":
            pixels = np.asarray(image)
            low, high = (float(each) for each in np.percentile(pixels, [1, 99]))
            scaled = np.clip((pixels - low) / ((high - low) or 1.0) * 255, 0, 255)
            image = Image.fromarray(scaled.astype(np.uint8))
        image.thumbnail((_SIDE, _SIDE))
        made.parent.mkdir(exist_ok=True)
        partial = made.with_name(f".{number}-{threading.get_ident()}.webp")
        image.save(partial, "WEBP", quality=80)
        partial.replace(made)
    return made


class Examining:
    """Examinations under way in this server, and those that are finished."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._progress: dict[str, tuple[int, int]] = {}
        self._errors: dict[str, str] = {}
        self._known: dict[str, Examined] = {}

    def ask(self, folder: Folder) -> Examined | None:
        """What is known of a folder; None, and it is begun, where that is not known yet.

        Raises:
            CtlrError: The folder cannot be examined.
        """
        with self._lock:
            if folder.name in self._known:
                return self._known[folder.name]
            if folder.name in self._errors:
                raise CtlrError(self._errors.pop(folder.name))
            if folder.name in self._progress:
                return None
            if (known := _read(folder.home / "examined.json")) is not None:
                self._known[folder.name] = known
                return known
            self._progress[folder.name] = (0, 0)
        threading.Thread(target=self._examine, args=(folder,), daemon=True).start()
        return None

    def progress(self, name: str) -> tuple[int, int]:
        """(done, in all) of one that is under way."""
        return self._progress.get(name, (0, 0))

    def forget(self, name: str) -> None:
        """What was known of a folder that is gone."""
        with self._lock:
            self._known.pop(name, None)
            self._errors.pop(name, None)

    def _examine(self, folder: Folder) -> None:
        def progress(done: int, total: int) -> None:
            self._progress[folder.name] = (done, total)

        found, fault = None, "it cannot be examined"
        try:
            found = examine(folder.root, workers=self._workers, progress=progress)
            write_aside(folder.home / "examined.json", json.dumps(asdict(found)).encode())
        except CtlrError as error:
            fault = str(error)
        except OSError as error:
            fault = f"{error.strerror or error}"
        finally:
            with self._lock:
                self._progress.pop(folder.name, None)
                if found is None:
                    self._errors[folder.name] = fault
                else:
                    self._known[folder.name] = found


def _read(path: Path) -> Examined | None:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        told: Mapping[str, Any] = json.loads(path.read_bytes())
        if told.get("version") == _VERSION:
            return Examined(**told)
    return None
