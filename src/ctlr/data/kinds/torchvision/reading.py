"""Read a set whole, from the files of all its parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctlr.data.kinds.choosing import Rows
from ctlr.data.kinds.torchvision.cifar import read_batch
from ctlr.data.kinds.torchvision.emnist import read_part
from ctlr.specs import PUBLISHED

__all__ = ["read_set"]

_Part = tuple[str, NDArray[np.uint8], NDArray[np.int64]]
"""Its name, (N, H, W) or (N, H, W, 3) pixels and (N,) codes."""


def read_set(name: str, root: Path) -> Rows:
    """Read a set.

    Args:
        name: As in `ctlr.specs.PUBLISHED`.
        root: Folder of its files.

    Raises:
        DataError: A file holds something else; names it.
    """
    parts = _cifar10(root) if name == "cifar10" else _emnist(root)
    names = [f"{part}/{number:06d}" for part, _, codes in parts for number in range(len(codes))]
    pictures = [picture for _, pixels, _ in parts for picture in pixels]
    return Rows(names, pictures, pictures, np.concatenate([codes for _, _, codes in parts]))


def _cifar10(root: Path) -> list[_Part]:
    return [(Path(file).name, *read_batch(root / file)) for file in PUBLISHED["cifar10"].files]


def _emnist(root: Path) -> list[_Part]:
    train_images, train_labels, test_images, test_labels = PUBLISHED["emnist-balanced"].files
    return [
        ("train", *read_part(root, train_images, train_labels)),
        ("test", *read_part(root, test_images, test_labels)),
    ]
