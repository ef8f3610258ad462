"""Published sets in their official formats, with few pictures of noise."""

import gzip
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctlr.specs import PUBLISHED

Pixels = NDArray[np.uint8]


def noise(count: int, *shape: int, seed: int = 0) -> Pixels:
    """Pictures that all differ."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.uint8)


def write_cifar10(root: Path, per_class: int = 2) -> dict[str, tuple[Pixels, list[int]]]:
    """Six batches as Alex Krizhevsky's, with `per_class` pictures a class each: file -> (N, 3, 32, 32), labels."""
    written = {}
    for number, file in enumerate(PUBLISHED["cifar10"].files):
        pixels, labels = noise(10 * per_class, 3, 32, 32, seed=number), list(range(10)) * per_class
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        content = {"data": pixels.reshape(len(pixels), -1), "labels": labels, "batch_label": "b", "filenames": ["x"]}
        (root / file).write_bytes(pickle.dumps(content, protocol=2))
        written[file] = pixels, labels
    return written


def idx(values: NDArray[np.uint8]) -> bytes:
    """An idx file of bytes."""
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def emnist_files(per_class: int = 2) -> dict[str, Pixels]:
    """What the four files of EMNIST balanced hold, `per_class` pictures a class in each part."""
    classes = len(PUBLISHED["emnist-balanced"].classes)
    held: dict[str, Pixels] = {}
    for file in PUBLISHED["emnist-balanced"].files:
        seed = int("test" in file)
        labels = np.tile(np.arange(classes, dtype=np.uint8), per_class)
        held[file] = noise(len(labels), 28, 28, seed=seed + 10) if "images" in file else labels
    return held


def write_emnist(root: Path, form: str = "plain", per_class: int = 2) -> dict[str, Pixels]:
    """EMNIST balanced as plain files, gzipped ones (`gz`), or in NIST's archive (`zip`)."""
    held = emnist_files(per_class)
    raw = root / "EMNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    if form == "zip":
        with zipfile.ZipFile(raw / "gzip.zip", "w") as archive:
            for file, values in held.items():
                archive.writestr(f"gzip/{Path(file).name}.gz", gzip.compress(idx(values), 1))
        return held
    for file, values in held.items():
        if form == "gz":
            (root / f"{file}.gz").write_bytes(gzip.compress(idx(values), 1))
        else:
            (root / file).write_bytes(idx(values))
    return held
