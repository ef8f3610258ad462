"""Archives of strangers: what becomes pictures, and what is refused."""

import io
import stat
import zipfile
from pathlib import Path

import pytest
from browsing import picture, pictures, zipped

from ctlr.errors import DataError
from ctlr.ui.options import Limits
from ctlr.ui.unpacking import Taken, settled, take_file, unpack

ROOMY = Limits(free=0)


def unpacked(tmp_path: Path, data: bytes, limits: Limits = ROOMY) -> tuple[Path, Taken]:
    out = tmp_path / "in" / "out"
    out.mkdir(parents=True)
    (tmp_path / "a.zip").write_bytes(data)
    return out, unpack(tmp_path / "a.zip", out, limits)


def refused(tmp_path: Path, data: bytes, words: str, limits: Limits = ROOMY) -> None:
    """The archive is refused, and nothing lies anywhere else than in its own folder."""
    with pytest.raises(DataError, match=words):
        unpacked(tmp_path, data, limits)
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "in"}
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["out"]


def special(name: str, mode: int, content: bytes = b"/etc/passwd") -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        archive.writestr(entry, content)
    return data.getvalue()


def test_pictures_are_taken_and_all_else_is_left_out_and_counted(tmp_path: Path) -> None:
    files = {
        "data/cat/1.png": picture(1), "data/cat/notes.txt": b"x", "data/cat/more.zip": b"PK", "data/dog/1.JPG": b"x",
        "__MACOSX/cat/._1.png": b"x", "data/cat/.hidden.png": b"x", "data/dog/a\x07b.png": b"x",
    }  # fmt: skip
    out, taken = unpacked(tmp_path, zipped(files))
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
        "data/cat/1.png", "data/dog/1.JPG",
    ]  # fmt: skip
    assert taken.pictures == 2
    assert dict(taken.left_out) == {
        "files ending in .txt": 1, "files ending in .zip": 1, "hidden files and those of systems": 2,
        "files whose names hold control characters": 1,
    }  # fmt: skip
    assert settled(out) == out / "data"


@pytest.mark.parametrize(
    "name",
    ["../evil.png", "cat/../../evil.png", "/tmp/evil.png", "C:\\evil.png", "..\\evil.png", "cat/..\\..\\evil.png"],
)
def test_a_path_that_leads_elsewhere_refuses_the_whole_archive(tmp_path: Path, name: str) -> None:
    refused(tmp_path, zipped({"cat/1.png": picture(), name: picture()}), "relative paths|stay below")


@pytest.mark.parametrize(
    "mode", [stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o666, stat.S_IFCHR | 0o666], ids=["link", "pipe", "device"]
)
def test_links_and_devices_are_refused(tmp_path: Path, mode: int) -> None:
    refused(tmp_path, special("cat/1.png", mode), "link or a device")


def test_a_bomb_is_refused_by_what_it_says_of_itself(tmp_path: Path) -> None:
    bomb = zipped({"cat/1.png": b"\0" * 20_000_000}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 25_000
    refused(tmp_path, bomb, "no picture is packed so well")


def test_too_much_in_all_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    refused(tmp_path, zipped(pictures(10)), "at most 5 files", Limits(files=5, free=0))


def test_more_bytes_than_allowed_are_refused(tmp_path: Path) -> None:
    refused(tmp_path, zipped(pictures(10)), "at most 1,000 bytes", Limits(bytes=1000, free=0))


def test_an_entry_that_holds_more_than_it_says_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"cat/1.png": b"a" * 5000}, compression=zipfile.ZIP_DEFLATED))
    place = data.rfind(b"PK\1\2") + 24
    data[place : place + 4] = (100).to_bytes(4, "little")
    refused(tmp_path, bytes(data), "more than the archive says|damaged")


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"cat/1.png": picture()}))
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.find(mark) + offset] |= 1
    refused(tmp_path, bytes(data), "encrypted")


@pytest.mark.parametrize("cut", [10, 200, -30])
def test_a_damaged_archive_is_named_so(tmp_path: Path, cut: int) -> None:
    refused(tmp_path, zipped({"cat/1.png": picture()})[:cut], "damaged")


def test_names_that_are_too_long_or_too_deep_are_refused(tmp_path: Path) -> None:
    refused(tmp_path, zipped({f"cat/{'x' * 300}.png": picture()}), "too long or too deep")


def test_a_disk_without_room_is_told_before(tmp_path: Path) -> None:
    refused(tmp_path, zipped({"cat/1.png": picture()}), "Free some space", Limits(free=2**60))


def test_two_files_of_one_name_are_the_first_one(tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("cat/1.png", b"first")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("cat/1.png", b"second")
    out, taken = unpacked(tmp_path, data.getvalue())
    assert (out / "cat" / "1.png").read_bytes() == b"first"
    assert taken.left_out["files whose name was there already"] == 1


def test_a_file_alone_needs_a_class_with_a_plain_name(tmp_path: Path) -> None:
    taken = Taken()
    with pytest.raises(DataError, match="needs a class"):
        take_file("1.png", tmp_path, taken)
    with pytest.raises(DataError, match="stay below"):
        take_file("1.png", tmp_path, taken, label="../up")
    file = take_file("1.png", tmp_path, taken, label="cat")
    assert file is not None
    file.close()
    assert (tmp_path / "cat" / "1.png").exists()


def test_the_folder_of_classes_is_found_and_sides_of_a_split_stay(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "train" / "cat").mkdir(parents=True)
    assert settled(tmp_path) == tmp_path / "a" / "b"
