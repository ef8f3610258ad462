"""What a power cut leaves: moments of a benchmark on a disk that forgets whatever was not flushed."""

import os
import shutil
from pathlib import Path

import pytest
from flushed import Disk
from power_cut import benchmark_file, result

from ctlr.durable import LIST, flush_folder, is_whole, list_files
from ctlr.workspace import Workspace, write_aside

KINDS = "arrays", "cohorts", "pretrained", "finetuned", "studies", "searches", "transfers"
BOTH_WAYS = "encoders:", "  - {source: {data: cohort, task: age}, target: {data: cohort, task: sex}}\nencoders:"
"""Only what has several pairs is scored beforehand."""
EVERY = 7
"""A cut at each so many-th moment; most are looked at, a few resumed."""
RESUMED = 3


class Story:
    """A benchmark in peace, and what power cuts at many of its moments would have left, on two kinds of disk."""

    def __init__(self, folder: Path) -> None:
        self.file, self.workspace = benchmark_file(folder, BOTH_WAYS), folder / "workspace"
        self.left: list[tuple[Path, Path]] = []
        self._folder, self._moments = folder, 0
        self._disk = Disk(self._moment)
        with self._disk.watched():
            self.scores = result(self.file, self.workspace)

    def _moment(self) -> None:
        self._moments += 1
        if self._moments % EVERY == 0:
            self.left.append((self._folder / f"{self._moments}-names", self._folder / f"{self._moments}-flushed"))
            self._disk.leave(self.workspace, self.left[-1][0])
            self._disk.leave_flushed_names(self.workspace, self.left[-1][1])


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("power"))


def finished_folders(root: Path) -> list[Path]:
    return [path for kind in KINDS for path in (root / kind).glob("*") if path.suffix != ".partial"]


def test_no_power_cut_leaves_a_finished_folder_that_is_not_whole(story: Story) -> None:
    assert len(story.left) >= 20
    found = [folder for each in story.left for left in each for folder in finished_folders(left)]
    assert len(found) > len(story.left)
    assert [folder for folder in found if not is_whole(folder)] == []


def test_after_a_power_cut_a_benchmark_ends_with_the_same_scores(story: Story) -> None:
    for part in range(RESUMED):
        left = story.left[(2 * part + 1) * len(story.left) // (2 * RESUMED)][part % 2]
        assert result(story.file, left) == story.scores, left.name


def damage(folder: Path, number: int) -> None:
    """Empty, cut or overwrite one of its files."""
    path = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    data = path.read_bytes()
    path.unlink()  # studies share files with what was finetuned
    path.write_bytes((b"", data[: len(data) // 2], bytes(len(data)))[number % 3])


def test_damaged_folders_of_every_kind_are_made_again(story: Story, tmp_path: Path) -> None:
    root = shutil.copytree(story.workspace, tmp_path / "workspace")
    assert {folder.parent.name for folder in finished_folders(root)} == set(KINDS)
    damaged = finished_folders(root)
    for number, folder in enumerate(damaged):
        damage(folder, number)
    (root / "rates.json").write_bytes(b"")
    assert result(story.file, root) == story.scores
    assert [folder for folder in damaged if not is_whole(folder)] == []


# ---------------------------------------------------------------- one folder


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "workspace")
    with workspace.publish("arrays", "a1") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "large").write_bytes(bytes(range(256)) * 1000)
        (folder / "small.json").write_text("{}")
    return workspace


def test_what_is_published_is_whole_and_lists_its_files(workspace: Workspace) -> None:
    assert workspace.has("arrays", "a1")
    assert sorted(path.name for path in workspace.folder("arrays", "a1").iterdir()) == [LIST, "deep", "small.json"]
    assert not workspace.has("arrays", "a2")


@pytest.mark.parametrize("name", ["deep/large", "small.json", LIST])
@pytest.mark.parametrize("how", ["gone", "empty", "cut", "zeros", "longer"])
def test_a_folder_that_has_lost_something_counts_as_absent(workspace: Workspace, name: str, how: str) -> None:
    path = workspace.folder("arrays", "a1") / name
    data = path.read_bytes()
    path.unlink()
    if how != "gone":
        path.write_bytes({"empty": b"", "cut": data[:-1], "zeros": bytes(len(data)), "longer": data + b"}"}[how])
    left_to_old_versions = how == "gone" and name == LIST
    assert workspace.has("arrays", "a1") == left_to_old_versions
    with workspace.publish("arrays", "a1") as folder:
        (folder / "again").write_text("1")
    assert workspace.has("arrays", "a1")


@pytest.mark.parametrize(("name", "text", "whole"), [
    ("x.csv", "1", True), ("x.json", "{}", True), ("x.csv", "", False), ("x.json", "{", False),
])  # fmt: skip
def test_a_folder_of_an_older_version_is_whole_if_it_looks_so(
    tmp_path: Path, name: str, text: str, whole: bool
) -> None:
    (tmp_path / name).write_text(text)
    assert is_whole(tmp_path) == whole


def test_a_file_of_any_length_is_marked_at_both_ends(tmp_path: Path) -> None:
    for size in (0, 1, 1 << 15, (1 << 15) + 1, 1 << 16, (1 << 16) + 1, 1 << 18):
        (tmp_path / "x").write_bytes(b"a" * size)
        list_files(tmp_path)
        assert is_whole(tmp_path)
        for place in {0, size // 2 if size <= 1 << 16 else 0, size - 1} if size else ():
            (tmp_path / "x").write_bytes(b"a" * place + b"b" + b"a" * (size - place - 1))
            assert not is_whole(tmp_path), (size, place)


def test_a_file_written_aside_is_there_after_a_power_cut(tmp_path: Path) -> None:
    disk, root = Disk(), tmp_path / "root"
    root.mkdir()
    with disk.watched():
        write_aside(root / "x", b"1")
    disk.leave_flushed_names(root, tmp_path / "left")
    assert (tmp_path / "left" / "x").read_bytes() == b"1"


def test_the_double_forgets_what_was_not_flushed(tmp_path: Path) -> None:
    disk, root = Disk(), tmp_path / "root"
    (root / "deep").mkdir(parents=True)
    with disk.watched():
        (root / "deep" / "x").write_text("1")
        disk.leave(root, tmp_path / "none")
        flush_folder(root)
        (root / "deep" / "x").write_text("22")
        (root / "deep" / "x").rename(root / "deep" / "y")
        disk.leave(root, tmp_path / "names")
        disk.leave_flushed_names(root, tmp_path / "flushed")
    assert (tmp_path / "none" / "deep" / "x").read_text() == ""
    assert (tmp_path / "names" / "deep" / "y").read_text() == "1"
    assert (tmp_path / "flushed" / "deep" / "x").read_text() == "1"


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("name", ["rows.json", LIST])
def test_a_pipe_or_a_device_in_the_place_of_a_file_is_no_whole_folder(name: str, listed: bool, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text("[]")
    if listed:
        list_files(tmp_path)
    for put in (os.mkfifo, lambda place: place.symlink_to("/dev/zero")):
        (tmp_path / name).unlink(missing_ok=True)
        put(tmp_path / name)
        assert not is_whole(tmp_path)
