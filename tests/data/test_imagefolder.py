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
        "empty: the folder of a class must hold a picture. Remove it if it is no class.",
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
