"""NumPy archives of pictures, as MedMNIST comes."""

import io
import struct
from pathlib import Path
from typing import Any

import layouts
import numpy as np
import pytest

from ctlr.data.npy import npy_shape, whole_numbers
from ctlr.data.preprocess import preprocess
from ctlr.data.reader import reader_of
from ctlr.errors import DataError
from ctlr.specs import NpzSpec, PreprocessSpec
from ctlr.workspace import Workspace


def arrays(count: int = 4, **changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    made = {
        "train_images": rng.integers(0, 255, (count, 20, 20), np.uint8),
        "train_labels": np.arange(count)[:, None] % 2,
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


def test_sides_and_labels_are_those_of_the_archive(tmp_path: Path) -> None:
    listing = reader_of(NpzSpec(root=str(layouts.medmnist(tmp_path)))).listing()
    assert listing is not None
    sides = [image.columns["split"] for image in listing.images]
    assert {side: sides.count(side) for side in sides} == {"train": 28, "val": 4, "test": 8}
    with np.load(tmp_path / "breastmnist.npz") as stored:
        labels = [label for side in ("train", "val", "test") for label in stored[f"{side}_labels"][:, 0].tolist()]
    assert [image.columns["class"] for image in listing.images] == list(map(str, labels))


def test_pictures_are_stored_as_they_are_in_the_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", **arrays())
    options = PreprocessSpec(shape=(20, 20), normalise="none", dtype="uint8")
    workspace = Workspace(tmp_path / "workspace")
    stored = preprocess(NpzSpec(name="own", root=str(tmp_path), preprocess=options), workspace)
    pixels = np.load(workspace.root / stored.path / "images.npy")
    assert np.array_equal(pixels[:, 0], arrays()["train_images"])


def test_coloured_pictures_and_names_of_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", **arrays(train_images=np.zeros((4, 20, 20, 3), np.uint8)))
    reader = reader_of(NpzSpec(root=str(tmp_path), names=("ill", "well")))
    listing = reader.listing()
    assert listing is not None
    assert [image.columns["class"] for image in listing.images] == ["ill", "well", "ill", "well"]
    assert reader.measure(listing.images[0]) == ((20, 20), (), True)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_images": np.zeros((4, 20, 20, 20), np.uint8)}, "Take a set of pictures, not of volumes."),
        ({"train_images": np.zeros((4, 20, 20))}, "pictures of bytes"),
        ({"train_labels": np.zeros((4, 14), np.uint8)}, "one label a picture is needed"),
        ({"train_labels": np.zeros(4)}, "not whole numbers"),
        ({"train_labels": None}, "train_labels.npy"),
        (
            {"train_images": None, "train_labels": None, "x": np.zeros(2)},
            "`train_images` and `train_labels` are needed",
        ),
    ],
)
def test_an_archive_of_something_else_is_told(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", **arrays(**changes))
    with pytest.raises(DataError, match=words):
        reader_of(NpzSpec(root=str(tmp_path))).listing()


def test_a_damaged_archive_is_to_be_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "own.npz").write_bytes(b"PK\3\4nothing")
    with pytest.raises(DataError, match=r"own.npz: it must be a NumPy archive.*Fetch it again"):
        reader_of(NpzSpec(root=str(tmp_path))).listing()


def test_of_several_archives_one_is_chosen(tmp_path: Path) -> None:
    for name in ("a", "b"):
        np.savez(tmp_path / f"{name}.npz", **arrays())
    with pytest.raises(DataError, match="has several archives: a, b. Choose one with `set`"):
        reader_of(NpzSpec(root=str(tmp_path))).files()
    with pytest.raises(DataError, match="needs a file c.npz"):
        reader_of(NpzSpec(root=str(tmp_path), set="c")).files()
    assert reader_of(NpzSpec(root=str(tmp_path), set="b")).files()[1] == ["b.npz"]


@pytest.mark.parametrize("kind", ["u1", "<i4", ">i8", "<u2"])
@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_whole_numbers_are_read_as_numpy_reads_them(kind: str, shape: tuple[int, ...]) -> None:
    file = io.BytesIO()
    np.save(file, np.arange(5).reshape(shape).astype(kind))
    file.seek(0)
    assert list(whole_numbers(file)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "data", [b"", b"\x93NUMPY\1\0", b"not numpy", b"\x93NUMPY\1\0\4\0{a}\n", b"\x93NUMPY\2\0\xff\xff\xff\xff"]
)
def test_what_is_no_array_is_refused(data: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        npy_shape(io.BytesIO(data))
