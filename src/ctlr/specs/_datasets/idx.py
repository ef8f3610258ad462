"""Pictures in IDX files, as a benchmark file names them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from ctlr.specs._datasets.base import DatasetSpec

__all__ = ["IdxPair", "IdxSpec", "idx_pairs"]

_IMAGES = re.compile(r"(.*?)[-.]?images[-.]idx3[-.]ubyte(\.gz)?")
_SIDES = {"train": "train", "t10k": "test", "test": "test", "val": "val", "valid": "val", "validation": "val"}


class IdxPair(NamedTuple):
    """A file of pictures, the file of their labels, and the side that their name says; empty where it says none."""

    images: str
    labels: str
    side: str
    name: str


def idx_pairs(folder: Path) -> Iterator[IdxPair]:
    """Pairs of files in a folder, by name; of a file that lies there plain and gzipped the plain one counts."""
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    for name in sorted(there):
        match = _IMAGES.fullmatch(name)
        if match is None or (match[2] and name.removesuffix(".gz") in there):
            continue
        plain = name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
        labels = next((file for file in (plain, f"{plain}.gz") if file in there), plain)
        side = next((_SIDES[word] for word in re.split(r"[-_.]", match[1].lower()) if word in _SIDES), "")
        yield IdxPair(name, labels, side, match[1] or "all")


class IdxSpec(DatasetSpec):
    """MNIST, Fashion-MNIST and other sets in IDX files: `train-images-idx3-ubyte.gz` and its labels beside it."""

    kind: Literal["idx"] = "idx"
    root: str
    """Folder of the files, gzipped or not; relative paths start at the benchmark file."""
    names: Annotated[tuple[str, ...], Field(min_length=2, max_length=256)] | None = None
    """Names of the classes 0, 1, … in order; by default the numbers."""
    per_class: Annotated[int, Field(ge=1)] | None = None
    """At most so many pictures a class of each file; fewer lie inside more. By default all."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Draws them."""

    recogniser: ClassVar[str] = "ctlr.data.kinds.others_seen:idx"
    reader: ClassVar[str] = "ctlr.data.kinds.idx:IdxReader"
    ndim: ClassVar[int] = 2
    apart: ClassVar[bool] = True
    classes_only: ClassVar[bool] = True
    public: ClassVar[bool] = True
    meant_for: ClassVar[str] = "comparing methods: the pictures are small, and much alike inside a class"

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if self.names is not None and len(set(self.names)) < len(self.names):
            raise ValueError("`names` must name each class once")
        return self

    @property
    def known_classes(self) -> frozenset[str]:
        """Each set has its own."""
        return frozenset()

    @classmethod
    def fault_of_root(cls, options: Mapping[str, Any], place: Path) -> str:
        """No folder, no pair, or pictures without labels."""
        fault = super().fault_of_root(options, place)
        if fault:
            return fault
        pairs = list(idx_pairs(place))
        if not pairs:
            return f"{options['root']!r} needs files like train-images-idx3-ubyte.gz, with their labels; none is there."
        lone = next((pair for pair in pairs if not (place / pair.labels).is_file()), None)
        return "" if lone is None else f"{options['root']!r} has {lone.images} and lacks {lone.labels}. Add it."

    def to_time(self, count: int) -> None:
        """It is read as a whole."""
