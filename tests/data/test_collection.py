from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from published import idx, write_cifar10, write_emnist

from ctlr.data.kinds.choosing import Collection
from ctlr.data.kinds.digits import DigitsReader
from ctlr.data.kinds.torchvision import TorchvisionReader
from ctlr.data.preprocess import preprocess
from ctlr.data.store import ArrayStore
from ctlr.errors import DataError
from ctlr.specs import PUBLISHED, CollectionSpec, DigitsSpec, PreprocessSpec, TorchvisionSpec, missing_files
from ctlr.workspace import Workspace

SMALL = PreprocessSpec(shape=(16, 16), normalise="none")


def cifar(root: Path, **options: object) -> TorchvisionSpec:
    return TorchvisionSpec.model_validate({"set": "cifar10", "root": str(root), "preprocess": SMALL, **options})


def emnist(root: Path, **options: object) -> TorchvisionSpec:
    return TorchvisionSpec.model_validate({"set": "emnist-balanced", "root": str(root), "preprocess": SMALL, **options})


def read_collection(spec: CollectionSpec) -> Collection:
    return (DigitsReader if isinstance(spec, DigitsSpec) else TorchvisionReader)(spec).collection()


# ---------------------------------------------------------------- choosing


def test_the_classes_of_emnist_are_those_of_torchvision_with_both_cases_named() -> None:
    names = list(PUBLISHED["emnist-balanced"].classes)
    assert len(names) == 47
    assert [names.index(name) for name in ("0", "A", "Cc", "Mm", "N", "Uu", "Zz", "a", "n", "t")] == [
        0, 10, 12, 22, 23, 30, 35, 36, 43, 46,
    ]  # fmt: skip


def test_a_dataset_keeps_the_classes_it_names(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    images = read_collection(cifar(tmp_path, classes=("ship", "cat"))).listing.images
    assert Counter(image.columns["class"] for image in images) == {"cat": 12, "ship": 12}
    assert len({image.subject for image in images}) == 24
    assert images[0].file == "data_batch_1/000003"


def test_fewer_pictures_a_class_lie_inside_more_and_other_classes_change_nothing(tmp_path: Path) -> None:
    write_emnist(tmp_path, per_class=4)

    def drawn(**options: object) -> set[str]:
        return {image.file for image in read_collection(emnist(tmp_path, **options)).listing.images}

    few, more = drawn(classes=("0", "F"), per_class=2), drawn(classes=("0", "F"), per_class=5)
    assert (len(few), len(more)) == (4, 10)
    assert few < more
    assert few < drawn(classes=("0", "F", "Vv"), per_class=2)
    assert few != drawn(classes=("0", "F"), per_class=2, seed=1)


def test_a_picture_that_stands_in_a_set_twice_is_kept_once_whichever_class_it_has(tmp_path: Path) -> None:
    held = write_emnist(tmp_path)
    file = PUBLISHED["emnist-balanced"].files[0]
    pixels = held[file].copy()
    pixels[47 + 10] = pixels[15]  # an A that is the F of row 15 once more
    (tmp_path / file).write_bytes(idx(pixels))
    letters = read_collection(emnist(tmp_path, classes=("A", "B"))).listing
    assert tuple(map(str, letters.left_out)) == (
        "train/000057: this picture stands in the set before; the first one is kept.",
    )
    assert "train/000057" not in {image.file for image in letters.images}
    assert read_collection(emnist(tmp_path, classes=("F", "G"))).listing.left_out == ()


def test_both_domains_of_the_digits_have_one_content_so_that_the_gate_sees_them() -> None:
    plain = read_collection(DigitsSpec(per_class=3, classes=("5", "6")))
    textured = read_collection(DigitsSpec(per_class=3, classes=("5", "6"), domain="textured"))
    assert plain.digests == textured.digests
    assert len(plain.digests) == 6
    assert [pixels.shape for pixels in textured.pixels.values()] == [(32, 32)] * 6


@pytest.mark.parametrize(
    ("options", "subjects"),
    [
        ({}, 1797),
        ({"classes": ("0", "9")}, 358),
        ({"classes": ("0", "1"), "per_class": 180}, 358),
        ({"per_class": 9}, 90),
    ],
)
def test_the_number_of_pictures_is_known_without_reading(options: dict[str, object], subjects: int) -> None:
    spec = DigitsSpec.model_validate(options)
    assert spec.known_subjects == subjects
    assert len(read_collection(spec).listing.images) == subjects


# ---------------------------------------------------------------- storing


def test_coloured_pictures_are_stored_as_they_are(tmp_path: Path) -> None:
    pixels, labels = write_cifar10(tmp_path)["cifar-10-batches-py/data_batch_1"]
    options = PreprocessSpec(shape=(32, 32), normalise="none", channels=3)
    workspace = Workspace(tmp_path / "workspace")
    arrays = preprocess(cifar(tmp_path, preprocess=options), workspace, workers=2)
    assert (arrays.rows, arrays.subjects, arrays.shape) == (120, 120, (3, 32, 32))
    store = ArrayStore(arrays, workspace)
    np.testing.assert_allclose(store.read(range(20)), pixels / 255, atol=1e-3)
    classes = list(PUBLISHED["cifar10"].classes)
    assert [record.columns["class"] for record in store.table[:20]] == [classes[label] for label in labels]


def test_grey_pictures_become_three_alike_channels_of_the_common_size(tmp_path: Path) -> None:
    write_emnist(tmp_path, "zip")
    options = PreprocessSpec(shape=(32, 32), channels=3)
    workspace = Workspace(tmp_path / "workspace")
    arrays = preprocess(emnist(tmp_path, preprocess=options, classes=("0", "F")), workspace)
    images = ArrayStore(arrays, workspace).read(range(8))
    assert images.shape == (8, 3, 32, 32)
    assert (images == images[:, :1]).all()


def test_stored_pictures_are_found_again_by_the_content_of_the_files(tmp_path: Path) -> None:
    write_cifar10(tmp_path / "here")
    write_cifar10(tmp_path / "there")
    workspace = Workspace(tmp_path / "workspace")
    first = preprocess(cifar(tmp_path / "here", classes=("cat", "dog")), workspace)
    assert preprocess(cifar(tmp_path / "there", classes=("cat", "dog")), workspace) == first
    write_cifar10(tmp_path / "there", per_class=3)
    assert preprocess(cifar(tmp_path / "there", classes=("cat", "dog")), workspace) != first


def test_repeats_are_told_and_stop_nothing(tmp_path: Path) -> None:
    held = write_emnist(tmp_path)
    file = PUBLISHED["emnist-balanced"].files[0]
    (tmp_path / file).write_bytes(idx(np.concatenate([held[file][:93], held[file][:1]])))
    arrays = preprocess(emnist(tmp_path), Workspace(tmp_path / "workspace"))
    assert arrays.rows == 187
    assert tuple(map(str, arrays.excluded)) == (
        "train/000093: this picture stands in the set before; the first one is kept.",
    )


# ---------------------------------------------------------------- missing files


def test_a_missing_file_is_named_with_its_address_and_checksum(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    assert missing_files("cifar10", tmp_path) == ""
    (tmp_path / "cifar-10-batches-py/test_batch").unlink()
    with pytest.raises(DataError) as caught:
        read_collection(cifar(tmp_path))
    message = str(caught.value)
    assert "cifar-10-batches-py/test_batch is not there" in message
    assert "fetch https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz" in message
    assert "(md5 c58f30108f718f92721af3b95e74349a)" in message
    assert f"tar -xzf cifar-10-python.tar.gz -C {tmp_path}" in message


def test_emnist_wants_the_archive_or_its_four_files(tmp_path: Path) -> None:
    message = missing_files("emnist-balanced", tmp_path)
    assert message.startswith("needs EMNIST/raw/gzip.zip or all of EMNIST/raw/emnist-balanced-train-images-idx3-ubyte,")
    assert f"put it, as it is, into {tmp_path}/EMNIST/raw" in message
    write_emnist(tmp_path, "gz")
    assert missing_files("emnist-balanced", tmp_path) == ""
    assert all(name.endswith(".gz") for name in TorchvisionReader(emnist(tmp_path)).files()[1])


def test_files_without_a_class_that_is_asked_for_are_refused(tmp_path: Path) -> None:
    for file in PUBLISHED["emnist-balanced"].files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        values = np.zeros(1, np.uint8) if "labels" in file else np.arange(784, dtype=np.uint8).reshape(1, 28, 28)
        (tmp_path / file).write_bytes(idx(values))
    with pytest.raises(DataError, match="the files hold no picture of class 'F'"):
        read_collection(emnist(tmp_path, classes=("0", "F")))
