"""The public layouts of the tests are made alike each time, and hold what their descriptions say."""

import csv
import hashlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
from layouts import LAYOUTS, MARK, oasis


def digests(root: Path) -> dict[str, str]:
    files = sorted(file for file in root.rglob("*") if file.is_file())
    return {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_the_same_for_a_seed_and_another_for_another(name: str, tmp_path: Path) -> None:
    made = [LAYOUTS[name](tmp_path / str(number), seed) for number, seed in enumerate((0, 0, 1))]
    assert all(each.is_dir() and each.is_relative_to(tmp_path) for each in made)
    first, again, other = (digests(tmp_path / str(number)) for number in range(3))
    assert first == again
    assert first != other
    assert sum(file.stat().st_size for file in (tmp_path / "0").rglob("*") if file.is_file()) < 2**20


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def test_oasis_misses_what_oasis_misses_and_comes_as_pairs_too(tmp_path: Path) -> None:
    table = rows(oasis(tmp_path / "packed") / "oasis_cross-sectional.csv")
    assert len(table) == 32
    assert {row["CDR"] for row in table} == {"", "0", "0.5"}
    assert [row["ID"][-3:] for row in table if row["Delay"] != "N/A"] == ["MR2", "MR2"]
    headers = sorted(oasis(tmp_path / "pairs", ending=".img").rglob("*_masked_gfc.hdr"))
    assert len(headers) == 32
    assert nibabel.load(headers[0].with_suffix(".img")).shape == (12, 14, 12)


def test_images_of_adni_bear_the_ids_of_their_table(tmp_path: Path) -> None:
    root = LAYOUTS["adni"](tmp_path, 0)
    (table,) = root.glob("*.csv")
    assert table.read_text(encoding="utf-8").startswith(MARK)
    listed = {row["Image Data ID"] for row in rows(table)}
    held = {file.stem.rpartition("_")[2] for file in root.rglob("*.nii")}
    assert held < listed
    assert len(held) == 46
    assert {row["Visit"] for row in rows(table)} == {"sc", "m06", "m12"}


def test_medmnist_has_three_sides_of_small_bytes(tmp_path: Path) -> None:
    with np.load(LAYOUTS["medmnist"](tmp_path, 0) / "breastmnist.npz") as arrays:
        shapes = {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}
    assert shapes["train_images"] == ((28, 28, 28), "uint8")
    assert shapes["test_labels"] == ((8, 1), "uint8")
    assert len(shapes) == 6
