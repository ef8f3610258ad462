"""The file of the self-test's verdicts: shared by processes, never trusted, never in the way."""

import json
import os
import threading
from pathlib import Path

import pytest

from ctlr.training.verdicts import read_verdicts, write_verdicts


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ctlr"


def file_of(cache: Path) -> Path:
    (file,) = cache.iterdir()
    return file


def test_verdicts_are_read_as_they_were_written_and_new_ones_are_added(cache: Path) -> None:
    assert read_verdicts() == {}
    write_verdicts({"a": "", "b": "output off by 0.9"})
    write_verdicts({"c": ""})
    assert read_verdicts() == {"a": "", "b": "output off by 0.9", "c": ""}
    assert file_of(cache).name.startswith("bf16-")


@pytest.mark.parametrize(
    "damaged",
    ["", "{", "[]", "null", '{"for": 3}', '{"verdicts": {"a": ""}}', "\x00" * 40],
    ids=["empty", "cut", "a list", "null", "another machine's", "nobody's", "zeros"],
)
def test_a_damaged_file_counts_as_absent_and_is_replaced(cache: Path, damaged: str) -> None:
    write_verdicts({"a": ""})
    file_of(cache).write_text(damaged)
    assert read_verdicts() == {}
    write_verdicts({"b": ""})
    assert read_verdicts() == {"b": ""}


@pytest.mark.parametrize("damaged", [None, ["a"], {"a": 1}, {"a": None}])
def test_verdicts_of_another_form_count_as_absent(cache: Path, damaged: object) -> None:
    write_verdicts({"a": ""})
    whole = json.loads(file_of(cache).read_text())
    file_of(cache).write_text(json.dumps(whole | {"verdicts": damaged}))
    assert read_verdicts() == {}


def test_bytes_that_are_no_text_count_as_absent(cache: Path) -> None:
    write_verdicts({"a": ""})
    file_of(cache).write_bytes(b"\xff\xfe\x80")
    assert read_verdicts() == {}


@pytest.mark.parametrize("what", ["processor", "torch", "kernels"])
def test_another_processor_version_or_choice_of_kernels_is_tested_anew(
    cache: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    write_verdicts({"a": ""})
    if what == "processor":
        monkeypatch.setattr("ctlr.training.verdicts._processor", lambda: "another one")
    elif what == "torch":
        monkeypatch.setattr("torch.__version__", "2.99")
    else:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert read_verdicts() == {}
    write_verdicts({"b": ""})
    assert len(list(cache.iterdir())) == 2


def test_a_folder_that_cannot_be_made_or_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    write_verdicts({"a": ""})
    assert read_verdicts() == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_someone_else_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "closed"))
    write_verdicts({"a": ""})
    assert read_verdicts() == {}


def test_a_relative_cache_is_ignored_and_a_user_without_a_home_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write_verdicts({"a": ""})
    assert [place.name for place in tmp_path.iterdir()] == ["home"]
    assert (tmp_path / "home" / ".cache" / "ctlr").is_dir()

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    write_verdicts({"a": ""})
    assert read_verdicts() == {}


def test_many_writers_at_once_leave_a_whole_file(cache: Path) -> None:
    """One may lose its part; what is left is true of some of them."""
    writers = [threading.Thread(target=write_verdicts, args=({f"{n}": str(n)},)) for n in range(12)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = read_verdicts()
    assert found
    assert all(key == verdict for key, verdict in found.items())
    assert [file.suffix for file in cache.iterdir()] == [".json"]
