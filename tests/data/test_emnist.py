import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest
from published import emnist_files, idx, write_emnist

from ctlr.data.kinds.torchvision.emnist import read_part
from ctlr.errors import DataError
from ctlr.specs import PUBLISHED

IMAGES, LABELS = PUBLISHED["emnist-balanced"].files[:2]


@pytest.mark.parametrize("form", ["plain", "gz", "zip"])
def test_a_part_is_read_upright_from_every_form(tmp_path: Path, form: str) -> None:
    held = write_emnist(tmp_path, form)
    pixels, codes = read_part(tmp_path, IMAGES, LABELS)
    np.testing.assert_array_equal(pixels, held[IMAGES].transpose(0, 2, 1))
    assert codes.tolist() == held[LABELS].tolist()


def test_a_stroke_down_in_the_page_runs_across_in_the_file(tmp_path: Path) -> None:
    """The quirk of EMNIST's files: mirrored at the diagonal (Cohen et al. 2017 kept MATLAB's order of columns)."""
    write_emnist(tmp_path)
    stroke = np.zeros((1, 28, 28), np.uint8)
    stroke[0, 14, :] = 255
    (tmp_path / IMAGES).write_bytes(idx(stroke))
    (tmp_path / LABELS).write_bytes(idx(np.array([1], np.uint8)))
    pixels, _ = read_part(tmp_path, IMAGES, LABELS)
    assert (pixels[0, :, 14] == 255).all()


BROKEN = {
    "another format": lambda path: path.write_bytes(b"\x89PNG\r\n"),
    "nothing": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:500]),
    "too long": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "other sides": lambda path: path.write_bytes(idx(np.zeros((94, 8, 8), np.uint8))),
    "more than labels": lambda path: path.write_bytes(idx(np.zeros((95, 28, 28), np.uint8))),
    "a huge header": lambda path: path.write_bytes(bytes([0, 0, 8, 3]) + b"\xff" * 12),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_holds_something_else_is_refused_by_name(tmp_path: Path, case: str) -> None:
    write_emnist(tmp_path)
    BROKEN[case](tmp_path / IMAGES)
    with pytest.raises(DataError, match=r"emnist-balanced-train-images-idx3-ubyte.*Fetch (it|them) again"):
        read_part(tmp_path, IMAGES, LABELS)


def test_a_label_beyond_the_classes_is_refused(tmp_path: Path) -> None:
    write_emnist(tmp_path)
    (tmp_path / LABELS).write_bytes(idx(np.full(94, 47, np.uint8)))
    with pytest.raises(DataError, match=r"must hold codes 0 to 46; one is 47"):
        read_part(tmp_path, IMAGES, LABELS)


def test_a_damaged_gzip_and_a_foreign_archive_are_refused(tmp_path: Path) -> None:
    write_emnist(tmp_path, "gz")
    packed = tmp_path / f"{IMAGES}.gz"
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(DataError, match="images-idx3-ubyte must be an idx file"):
        read_part(tmp_path, IMAGES, LABELS)
    packed.unlink()
    with zipfile.ZipFile(tmp_path / "EMNIST/raw/gzip.zip", "w") as archive:
        archive.writestr("other.txt", "x")
    with pytest.raises(DataError, match="images-idx3-ubyte must be an idx file"):
        read_part(tmp_path, IMAGES, LABELS)


def test_what_unpacks_to_more_than_the_set_holds_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = emnist_files()
    monkeypatch.setattr("ctlr.data.kinds.torchvision.emnist._MAX_BYTES", 1000)
    (tmp_path / "EMNIST/raw").mkdir(parents=True)
    (tmp_path / f"{IMAGES}.gz").write_bytes(gzip.compress(idx(held[IMAGES])))
    with pytest.raises(DataError, match="more than 1000 bytes"):
        read_part(tmp_path, IMAGES, LABELS)
