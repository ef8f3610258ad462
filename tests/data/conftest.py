"""Small datasets on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

RAS = np.diag([3.0, 3.0, 3.0, 1.0])


def head(seed: int, side: int = 16) -> np.ndarray[Any, Any]:
    """A bright box with texture in the dark, int16 (I, J, K); another one for each seed."""
    rng = np.random.default_rng(seed)
    volume = np.zeros((side,) * 3, np.int16)
    quarter = side // 4
    inner = (slice(quarter, -quarter),) * 3
    volume[inner] = rng.integers(400, 1000, volume[inner].shape)
    return volume


@pytest.fixture
def save() -> Callable[..., Path]:
    """Write a NIfTI file below a folder, with the folders on the way."""

    def write(path: Path, voxels: np.ndarray[Any, Any] | int = 0, affine: np.ndarray[Any, Any] = RAS) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(head(voxels) if isinstance(voxels, int) else voxels, affine), path)
        return path

    return write


@pytest.fixture
def bids(tmp_path: Path, save: Callable[..., Path]) -> Callable[..., Path]:
    """Write a BIDS folder: participants.tsv from text, and an image a file name."""

    def write(table: str, images: list[str] | Mapping[str, np.ndarray[Any, Any]], name: str = "dataset") -> Path:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        (root / "participants.tsv").write_bytes(table.encode())
        for seed, file in enumerate(images):
            save(root / file, images[file] if isinstance(images, Mapping) else seed)
        return root

    return write
