"""What each kind of data sees in a folder, by names."""

import pkgutil
from pathlib import Path

import layouts
import numpy as np
import pytest
from layouts import LAYOUTS
from PIL import Image

from ctlr.data.glance import Sighting, glance
from ctlr.data.kinds.tables_seen import visits
from ctlr.data.reader import reader_of
from ctlr.specs import DATASETS

SEEN = {
    "openneuro": ("bids", "", {}, 36),
    "fmriprep": ("bids", "", {"space": "MNI152NLin2009cAsym"}, 24),
    "cat12": ("bids", "", {"prefix": "mwp1"}, 24),
    "oasis": (
        "volumes", "", {
            "table": "oasis_cross-sectional.csv", "file_column": "ID",
            "files": "*_mpr_n4_anon_111_t88_masked_gfc.nii.gz", "group": r"([^/]+)_MR\d+(?=[/_.])",
        }, 32,
    ),
    "adni": (
        "volumes", "", {
            "table": "ADNI1_Complete_1Yr_1.5T_3_28_2011.csv", "file_column": "Image Data ID", "group_column": "Subject",
        }, 46,
    ),
    "kaggle_classes": ("images", "", {}, 40),
    "kaggle_split": ("images", "", {}, 40),
    "kaggle_table": ("images", "", {"table": "train.csv", "file_column": "id_code"}, 32),
    "kaggle_named": (
        "images", "", {"group": r"((?P<class>[A-Za-z]+(?:[ _-][A-Za-z]+)*)[ ._-]*\(?\d+\)?)\.\w+$"}, 32,
    ),
    "kaggle_nested": ("images", "archive/blood_cells", {}, 36),
    "medmnist": ("npz", "", {}, 40),
}  # fmt: skip
"""Kind, folder below, options and images of each layout."""


def sightings(folder: Path) -> list[Sighting]:
    """Of every kind, the best first."""
    seen = glance(folder)
    found = [
        each for kind in DATASETS.values() if kind.recogniser for each in pkgutil.resolve_name(kind.recogniser)(seen)
    ]
    return sorted(found, key=lambda each: (bool(each.lacking), -each.files))


def pictures(folder: Path, *files: str) -> Path:
    rng = np.random.default_rng(0)
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (20, 20), np.uint8)).save(folder / file)
    return folder


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_public_layout_is_read_whole(name: str, tmp_path: Path) -> None:
    folder = LAYOUTS[name](tmp_path / "data", 0)
    best = sightings(folder)[0]
    kind, place, options, count = SEEN[name]
    assert (best.kind, best.place, dict(best.options), best.lacking) == (kind, place, options, "")
    spec = DATASETS[kind].model_validate({"name": "own", "root": str(folder / place), **options})
    listing = reader_of(spec).listing()
    assert listing is not None
    assert len(listing.images) == best.files == count


def test_a_raw_dataset_is_read_itself_and_names_its_derivatives(tmp_path: Path) -> None:
    layouts.fmriprep(tmp_path)
    best = sightings(tmp_path)[0]
    assert (best.place, dict(best.options)) == ("", {})
    assert best.why == ("derivatives/fmriprep holds versions of the same scans: name that folder to read them.",)


def test_two_datasets_in_a_folder_are_two(tmp_path: Path) -> None:
    layouts.openneuro(tmp_path / "first")
    layouts.openneuro(tmp_path / "second", 1)
    found = [each for each in sightings(tmp_path) if each.kind == "bids"]
    assert [each.place for each in found] == ["first", "second"]


def test_a_folder_of_cases_below_a_class_is_one_persons(tmp_path: Path) -> None:
    files = [
        f"{name}/{name[0]}{case}/{number}.png"
        for name in ("benign", "malign")
        for case in range(3)
        for number in range(2)
    ]
    best = sightings(pictures(tmp_path, *files))[0]
    spec = DATASETS["images"].model_validate({"root": str(tmp_path), **best.options})
    listing = reader_of(spec).listing()
    assert listing is not None
    assert {(image.subject, image.columns["class"]) for image in listing.images} >= {("b0", "benign"), ("m2", "malign")}
    assert listing.subjects == 6


def test_the_same_classes_below_each_of_several_folders_are_classes(tmp_path: Path) -> None:
    files = [f"{site}/{name}/{number}.png" for site in "ab" for name in ("benign", "malign") for number in range(3)]
    best = sightings(pictures(tmp_path, *files))[0]
    spec = DATASETS["images"].model_validate({"root": str(tmp_path), **best.options})
    listing = reader_of(spec).listing()
    assert listing is not None
    assert {(image.columns["site"], image.columns["class"]) for image in listing.images} == {
        ("a", "benign"), ("a", "malign"), ("b", "benign"), ("b", "malign"),
    }  # fmt: skip
    assert listing.subjects == 12


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((f"{number}.png" for number in range(6)), "pictures need a folder a class"),
        ((f"cat/{number}.png" for number in range(6)), "all of them lie in one folder, cat"),
        ((f"{number}/x.png" for number in range(300)), "300 folders are too many to be classes"),
    ],
)  # fmt: skip
def test_pictures_without_classes_say_what_they_lack(files: tuple[str, ...], words: str, tmp_path: Path) -> None:
    (only,) = sightings(pictures(tmp_path, *files))
    assert words in only.lacking


def test_a_bids_folder_without_its_table_says_so(tmp_path: Path) -> None:
    layouts.openneuro(tmp_path)
    (tmp_path / "participants.tsv").unlink()
    found = {each.kind: each for each in sightings(tmp_path)}
    assert "needs this table of its subjects" in found["bids"].lacking
    assert found["bids"].near > found["volumes"].near


def test_pairs_of_header_and_image_are_to_be_converted(tmp_path: Path) -> None:
    layouts.oasis(tmp_path, ending=".img")
    best = next(each for each in sightings(tmp_path) if each.kind == "volumes")
    assert "are not read. Convert them to .nii.gz" in best.lacking


@pytest.mark.parametrize(
    ("names", "expression"),
    [
        (["OAS1_0001_MR1", "OAS1_0001_MR2", "OAS1_0002_MR1"], r"([^/]+)_MR\d+(?=[/_.])"),
        (["OAS1_0001_MR1", "OAS1_0002_MR1"], ""),
        (["sub-1", "sub-2"], ""),
        (["a", "b_v1"], ""),
    ],
)
def test_people_are_told_from_visits_where_somebody_came_twice(names: list[str], expression: str) -> None:
    assert visits(names) == expression
