from pathlib import Path

import pytest

from ctlr.data.glance import ending_of, glance
from ctlr.errors import DataError


def folder(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"x")
    return root


def test_names_are_counted_by_ending_and_hidden_ones_passed_over(tmp_path: Path) -> None:
    seen = glance(
        folder(tmp_path, "a/1.nii.gz", "a/2.NII.GZ", "a/b/c/3.png", "a/.DS_Store", "__MACOSX/4.png", "README")
    )
    assert seen.files == ("README", "a/1.nii.gz", "a/2.NII.GZ", "a/b/c/3.png")
    assert dict(seen.endings) == {".nii.gz": 2, "": 1, ".png": 1}
    assert seen.depth == 3
    assert seen.children("a") == ["b"]
    assert seen.below("a/b").files == ("c/3.png",)


@pytest.mark.parametrize(
    ("name", "ending"), [("x.nii.gz", ".nii.gz"), ("x.PNG", ".png"), ("x", ""), ("a.b/x.csv", ".csv"), (".hidden", "")]
)
def test_an_ending_is_that_of_what_is_packed_too(name: str, ending: str) -> None:
    assert ending_of(name) == ending


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    folder(tmp_path / "data", "1.png")
    (tmp_path / "data/around").symlink_to(tmp_path)
    assert glance(tmp_path / "data").files == ("1.png",)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such folder"):
        glance(tmp_path / "none")


def test_a_file_is_no_folder_and_what_runs_left_no_data(tmp_path: Path) -> None:
    folder(tmp_path, "1.png", "workspace/workspace.json", "workspace/reports/x/results.csv")
    assert glance(tmp_path).files == ("1.png",)
    with pytest.raises(DataError, match="it is a file. Name the folder that it lies in"):
        glance(tmp_path / "1.png")
