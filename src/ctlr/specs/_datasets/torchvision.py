"""Published sets in the files of torchvision: what they hold, and where their files come from."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from ctlr.specs._datasets.collection import CollectionSpec

__all__ = ["PUBLISHED", "PublishedSet", "TorchvisionSpec", "missing_files"]


@dataclass(frozen=True, kw_only=True)
class PublishedSet:
    """A set that is fetched by hand, in the files that torchvision keeps below its `root` too."""

    classes: Mapping[str, int]
    """Pictures by class, training and test part together."""
    files: tuple[str, ...]
    """Below the root; those of EMNIST may end in .gz."""
    archive: str = ""
    """Holds all files, and may lie there in their place."""
    address: str
    md5: str
    """Of what lies at the address."""
    remedy: str
    """How to get from the address to the files; {root} stands for the folder."""


_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_BOTH_CASES = "CIJKLMOPSUVWXYZ"
"""Letters whose two cases EMNIST's balanced set counts as one class (Cohen et al. 2017, table II)."""
_EMNIST = (
    *string.digits,
    *(letter + letter.lower() if letter in _BOTH_CASES else letter for letter in string.ascii_uppercase),
    *"abdefghnqrt",
)

PUBLISHED: Mapping[str, PublishedSet] = {
    "cifar10": PublishedSet(
        classes=dict.fromkeys(_CIFAR10, 6000),
        files=(*(f"cifar-10-batches-py/data_batch_{n}" for n in range(1, 6)), "cifar-10-batches-py/test_batch"),
        address="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        md5="c58f30108f718f92721af3b95e74349a",
        remedy="unpack it: tar -xzf cifar-10-python.tar.gz -C {root}",
    ),
    "emnist-balanced": PublishedSet(
        classes=dict.fromkeys(_EMNIST, 2800),
        files=tuple(
            f"EMNIST/raw/emnist-balanced-{part}-{what}-ubyte"
            for part in ("train", "test")
            for what in ("images-idx3", "labels-idx1")
        ),
        archive="EMNIST/raw/gzip.zip",
        address="https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
        md5="58c8d27c78d21e728a6bc7b3cc06412e",
        remedy="put it, as it is, into {root}/EMNIST/raw",
    ),
}
"""By name: CIFAR-10 (Krizhevsky 2009) and EMNIST balanced (Cohen et al. 2017), classes in the order of their codes."""


def missing_files(name: str, root: Path) -> str:
    """What is missing of a published set below its root, and how to get it; empty where nothing is.

    Args:
        name: Of the set, as in `PUBLISHED`.
        root: The folder that holds, or shall hold, its files.
    """
    published = PUBLISHED[name]
    if published.archive and (root / published.archive).is_file():
        return ""
    absent = [file for file in published.files if not _is_there(root, file, published)]
    if not absent:
        return ""
    place = f"{published.archive} or all of " if published.archive else ""
    return (
        f"needs {place}{', '.join(published.files)} below its root {str(root)!r}, and {absent[0]} is not there. "
        f"CTLR downloads nothing: fetch {published.address} (md5 {published.md5}) and "
        f"{published.remedy.format(root=root)}."
    )


def _is_there(root: Path, file: str, published: PublishedSet) -> bool:
    return (root / file).is_file() or (bool(published.archive) and (root / f"{file}.gz").is_file())


class TorchvisionSpec(CollectionSpec):
    """A set in the files that torchvision keeps; they are fetched by hand, never by CTLR."""

    kind: Literal["torchvision"] = "torchvision"
    set: Literal["cifar10", "emnist-balanced"]
    """Which one; its training and test part together."""
    root: str
    """Folder that torchvision calls `root`; relative paths start at the benchmark file."""

    reader: ClassVar[str] = "ctlr.data.kinds.torchvision:TorchvisionReader"
    meant_for: ClassVar[str] = "comparing methods: the pictures are small, and much alike inside a class"

    def held(self) -> Mapping[str, int]:
        """Of its training and test part together."""
        return PUBLISHED[self.set].classes

    @classmethod
    def fault_of_root(cls, options: Mapping[str, Any], place: Path) -> str:
        """Which file is missing there, and how to get it."""
        name = options.get("set")
        missing = missing_files(name, place) if isinstance(name, str) and name in PUBLISHED else ""
        return missing and f"{name!r} {missing}"
