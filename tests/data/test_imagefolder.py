from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from ctlr.data.kinds.images import index
from ctlr.errors import DataError
from ctlr.specs import ImagesSpec


def _folder(root: Path, *files: str) -> ImagesSpec:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        if file.endswith((".png", ".JPG")):
            Image.new("L", (8, 8)).save(root / file)
        else:
            (root / file).touch()
    return ImagesSpec(root=str(root))


def test_a_folder_is_a_class_and_other_files_are_left_alone(tmp_path: Path) -> None:
    spec = _folder(tmp_path, "cat/a.png", "cat/Thumbs.db", "dog/b.JPG", ".hidden/c.png", "README")
    assert [(image.file, image.subject, image.columns) for image in index(spec).images] == [
        ("cat/a.png", "a", {"class": "cat"}),
        ("dog/b.JPG", "b", {"class": "dog"}),
    ]


def test_split_folders_are_recorded(tmp_path: Path) -> None:
    spec = _folder(tmp_path, "train/cat/a.png", "valid/cat/b.png", "test/cat/c.png")
    assert [image.columns["split"] for image in index(spec).images] == ["test", "train", "val"]


@pytest.mark.parametrize(("train", "test"), [("Training", "Testing"), ("TRAIN", "test"), ("training", "testing")])
def test_splits_may_be_called_training_and_testing(tmp_path: Path, train: str, test: str) -> None:
    spec = _folder(
        tmp_path, f"{train}/cat/a.png", f"{test}/cat/b.png", "__MACOSX/Training/cat/._a.png", "@eaDir/a/b.jpg"
    )
    assert {image.columns["split"] for image in index(spec).images} == {"train", "test"}


def test_what_lies_elsewhere_or_is_no_picture_is_counted(tmp_path: Path) -> None:
    spec = _folder(
        tmp_path, "cat/a.png", "cat/b.dcm", "cat/old/c.png", "cat/old/deep/d.JPG", "cat/Thumbs.db", "cat/LICENCE",
        "cat/odd\n.txt", "cat/.DS_Store", "cat/__MACOSX/._a.png", "stray.png", "README", "dog/e.png",
    )  # fmt: skip
    listing = index(spec)
    assert ([image.file for image in listing.images], listing.faults) == (["cat/a.png", "dog/e.png"], ())
    elsewhere = "a picture that does not lie in the folder of a class itself is not read. Move it there."
    no_picture = "are no pictures that are read. Convert them if they are pictures."
    assert {left.place: left.reason for left in listing.left_out} == {
        "stray.png": elsewhere,
        "cat/old/c.png": elsewhere,
        "cat/old/deep/d.JPG": elsewhere,
        "cat/b.dcm": f"files ending in .dcm {no_picture}",
        "cat/Thumbs.db": f"files ending in .db {no_picture}",
        r"'cat/odd\n.txt'": f"files ending in .txt {no_picture}",
        "cat/LICENCE": f"other files {no_picture}",
    }


def test_pictures_beside_splits_are_counted(tmp_path: Path) -> None:
    listing = index(_folder(tmp_path, "a.png", "train/b.png", "train/cat/c.png", "test/cat/d.png"))
    assert [left.place for left in listing.left_out] == ["a.png", "train/b.png"]


def test_classes_whose_pictures_lie_deeper_are_not_to_be_removed(tmp_path: Path) -> None:
    spec = _folder(tmp_path, "benign/SOB/adenosis/14-22549/40X/a.png", "benign/SOB/b.png", "malignant/SOB/c.png")
    assert tuple(map(str, index(spec).faults)) == tuple(
        f"{place}: the pictures of a class must lie in its folder itself, not in folders below it. Move them up, or "
        "let `root` be the folder that holds the classes."
        for place in ("benign (2 below it)", "malignant (1 below it)")
    )


def test_two_ways_to_write_an_accent_are_one_class(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    spec = _folder(tmp_path, f"train/{composed}/a.png", f"test/{decomposed}/b.png", "train/tea/c.png")
    assert {image.columns["class"] for image in index(spec).images} == {composed, "tea"}


def test_a_link_is_one_fault(tmp_path: Path) -> None:
    spec = _folder(tmp_path / "data", "cat/a.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data/dog").symlink_to(tmp_path / "elsewhere")
    assert [fault.place for fault in index(spec).faults] == ["dog"]


def test_a_class_beside_a_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cat: beside the split 'train' only"):
        index(_folder(tmp_path, "train/cat/a.png", "cat/b.png"))


def test_images_that_name_one_subject_are_one_subject(tmp_path: Path) -> None:
    spec = _folder(tmp_path, "ill/sub-07_left.png", "ill/sub-07_right.png", "well/sub-08.png")
    assert [image.subject for image in index(spec).images] == ["sub-07", "sub-07", "sub-08"]


def test_pictures_numbered_class_by_class_stay_apart(tmp_path: Path) -> None:
    spec = _folder(tmp_path, "cat/1.png", "dog/1.png", "dog/2.png")
    assert [image.subject for image in index(spec).images] == ["cat/1", "dog/1", "2"]


def test_a_class_without_pictures_and_a_link_outside_are_faults(tmp_path: Path) -> None:
    spec = _folder(tmp_path / "data", "cat/a.png", "empty/notes.txt")
    Image.new("L", (8, 8)).save(tmp_path / "out.png")
    (tmp_path / "data/cat/b.png").symlink_to(tmp_path / "out.png")
    assert tuple(map(str, index(spec).faults)) == (
        "cat/b.png: a link must not point out of the dataset's folder. Copy its target here.",
        "empty: the folder of a class must hold a picture (.bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp). Convert its "
        "files, or move it out of `root` if it is no class.",
    )


def test_a_name_that_cannot_be_written_down_is_a_fault(tmp_path: Path) -> None:
    spec = _folder(tmp_path, "cat/a.png", "cat/b\n.png")
    os.rename(tmp_path / "cat/a.png", os.fsencode(tmp_path) + b"/cat/\xff.png")
    listing = index(spec)
    assert listing.images == ()
    assert [fault.place for fault in listing.faults] == [r"'cat/b\n.png'", r"'cat/\udcff.png'"]


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pictures are needed in one folder a class.*\.png"):
        index(_folder(tmp_path, "a.png"))


def test_a_whole_disk_is_not_walked_through_for_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctlr.data.kinds.images._LOOKED_AT", 3)
    spec = _folder(tmp_path, *(f"home/a{number}/b.png" for number in range(9)))
    assert [fault.place for fault in index(spec).faults] == ["home (at least 3 below it)"]
    with pytest.raises(DataError, match="must be a folder of its own, not the whole disk"):
        index(ImagesSpec(root="/"))
