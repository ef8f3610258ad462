from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from ctlr.data.sources import UNREADABLE, file_digests
from ctlr.workspace import Workspace


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    folder.mkdir()
    (folder / "a").write_text("one")
    (folder / "b").write_text("two")
    return folder


def test_digests_are_those_of_the_content(root: Path, tmp_path: Path) -> None:
    digests = file_digests(root, ["a", "b", "absent"], Workspace(tmp_path / "w"), workers=2)
    assert digests == {
        "a": hashlib.sha256(b"one").hexdigest(),
        "b": hashlib.sha256(b"two").hexdigest(),
        "absent": UNREADABLE,
    }


def test_a_file_is_read_again_only_when_it_changed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(tmp_path / "w")
    before = file_digests(root, ["a", "b"], workspace)
    read = []
    monkeypatch.setattr(hashlib, "file_digest", _spy(hashlib.file_digest, read))
    assert file_digests(root, ["b", "a"], workspace) == before
    assert read == []
    stat = (root / "a").stat()
    (root / "a").write_text("six")  # as long as before
    os.utime(root / "a", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # and dated back
    assert file_digests(root, ["a"], workspace)["a"] != before["a"]
    assert read == ["a"]
    assert file_digests(root, ["a", "b"], workspace)["b"] == before["b"]
    assert read == ["a"]


def _spy(real, read):  # type: ignore[no-untyped-def]
    def digest(file, name):  # type: ignore[no-untyped-def]
        read.append(Path(file.name).name)
        return real(file, name)

    return digest


def test_a_damaged_memory_is_made_again(root: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    before = file_digests(root, ["a"], workspace)
    (memory,) = (workspace.root / "sources").iterdir()
    memory.write_text('{"a": ')
    assert file_digests(root, ["a"], workspace) == before


def test_the_memory_holds_no_absolute_path(root: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    file_digests(root, ["a"], workspace)
    (memory,) = (workspace.root / "sources").iterdir()
    assert str(tmp_path) not in memory.read_text()
    assert tmp_path.name not in memory.name
