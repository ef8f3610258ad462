"""Sets in IDX files: MNIST, Fashion-MNIST and their kin."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from data_kinds import EXAMPLES
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from published import idx

from ctlr.data.idx import parse_idx
from ctlr.data.kinds.idx import IdxReader
from ctlr.data.preprocess import preprocess
from ctlr.data.splits import draw_split, read_targets
from ctlr.data.store import ArrayStore
from ctlr.errors import DataError
from ctlr.specs import IdxSpec, PreprocessSpec, SplitSpec, TaskSpec
from ctlr.workspace import Workspace

FASHION = Path("/usr/share/datasets/fashion-mnist")
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def write(root: Path, part: str, labels: list[int], *, packed: bool = False) -> NDArray[np.uint8]:
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), 12, 10), np.uint8)
    for what, values in (("images-idx3", pixels), ("labels-idx1", np.array(labels, np.uint8))):
        file = root / f"{part}-{what}-ubyte"
        if packed:
            file.with_suffix(".gz").write_bytes(gzip.compress(idx(values)))
        else:
            file.write_bytes(idx(values))
    return pixels


@pytest.mark.parametrize("packed", [False, True])
def test_the_sides_are_those_of_the_files(tmp_path: Path, packed: bool) -> None:
    pixels = write(tmp_path, "train", [0, 1] * 10, packed=packed)
    write(tmp_path, "t10k", [1, 0] * 4, packed=packed)
    spec = IdxSpec(root=str(tmp_path), preprocess=PreprocessSpec(shape=(12, 10), normalise="none"))
    workspace = Workspace(tmp_path / "workspace")
    store = ArrayStore(preprocess(spec, workspace), workspace)
    assert Counter(record.columns["split"] for record in store.table) == {"train": 20, "test": 8}
    train = [row for row, record in enumerate(store.table) if record.columns["split"] == "train"]
    np.testing.assert_allclose(store.read(train)[:, 0], pixels / 255, atol=1e-3)
    targets = read_targets(store.table, TaskSpec(target="class", kind="classification"), "clothes")
    split = draw_split(store.table, targets, SplitSpec(), n_train=4, n_reserved=4, seed=0)
    assert all(subject.startswith("t10k-") for subject in split.test)
    assert len(split.test) == 8


def test_classes_have_names_and_fewer_pictures_lie_inside_more(tmp_path: Path) -> None:
    write(tmp_path, "train", [0, 1, 2] * 20)
    few, more = (
        IdxReader(IdxSpec(root=str(tmp_path), names=("a", "b", "c"), per_class=count)).listing().images
        for count in (4, 9)
    )
    assert Counter(image.columns["class"] for image in few) == {"a": 4, "b": 4, "c": 4}
    assert {image.subject for image in few} < {image.subject for image in more}


@given(arrays(np.uint8, st.tuples(*[st.integers(0, 4)] * 3)))
def test_what_is_written_is_read_back(values: NDArray[np.uint8]) -> None:
    import io

    np.testing.assert_array_equal(parse_idx(io.BytesIO(idx(values)), 3), values)


BROKEN = {
    "another format": (IMAGES, lambda data: b"\x89PNG\r\n" + data, "begins with 89 50 4e 47"),
    "nothing": (LABELS, lambda data: b"", "begins with nothing"),
    "cut labels": (LABELS, lambda data: data[:-2], "must hold 6 labels, as it says; it holds 4"),
    "cut pictures": (IMAGES, lambda data: data[:-2], "must be an idx file of bytes"),
    "fewer labels": (LABELS, lambda data: idx(np.zeros(5, np.uint8)), "they hold 6 and 5"),
    "a label beyond the names": (LABELS, lambda data: idx(np.full(6, 7, np.uint8)), "names 2 classes.*label 7"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_holds_something_else_is_refused_by_name(tmp_path: Path, case: str) -> None:
    write(tmp_path, "train", [0, 1] * 3)
    file, change, told = BROKEN[case]
    (tmp_path / file).write_bytes(change((tmp_path / file).read_bytes()))
    spec = IdxSpec(root=str(tmp_path), names=("a", "b"), preprocess=PreprocessSpec(shape=(12, 10)))
    with pytest.raises(DataError, match=told):
        IdxReader(spec).open(Workspace(tmp_path / "workspace"))


def test_folders_without_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs files like train-images-idx3-ubyte.gz"):
        IdxReader(IdxSpec(root=str(tmp_path))).files()
    write(tmp_path, "train", [0, 1])
    (tmp_path / LABELS).unlink()
    with pytest.raises(DataError, match=f"has {IMAGES} and lacks {LABELS}"):
        IdxReader(IdxSpec(root=str(tmp_path))).files()


def test_the_example_is_read(tmp_path: Path) -> None:
    listing = IdxReader(EXAMPLES["idx"](tmp_path)).listing()  # type: ignore[arg-type]
    assert Counter(image.columns["class"] for image in listing.images) == {"shirt": 5, "coat": 5, "bag": 5}


@pytest.mark.skipif(
    not (FASHION / "train-images-idx3-ubyte.gz").is_file(),  # some machines have the folder alone
    reason="needs Debian's dataset-fashion-mnist",
)
def test_fashion_mnist_has_its_published_numbers() -> None:
    """60,000 and 10,000 pictures, balanced (Xiao et al. 2017, arXiv:1708.07747)."""
    listing = IdxReader(IdxSpec(root=str(FASHION))).listing()
    met = Counter((image.columns["split"], image.columns["class"]) for image in listing.images)
    assert met == {(side, str(label)): n for side, n in (("train", 6000), ("test", 1000)) for label in range(10)}
