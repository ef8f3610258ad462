"""Forms with files, taken in while they arrive."""

import tracemalloc
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import anyio
import pytest

from ctlr.errors import DataError
from ctlr.ui.options import Limits
from ctlr.ui.uploading import Form, receive

KIND = "multipart/form-data; boundary=b"
FIELD = b'--b\r\nContent-Disposition: form-data; name="label"\r\n\r\ncat\r\n'
MEGABYTE = bytes(range(256)) * 4096


def head(name: str) -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()


async def sent(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def received(folder: Path, *parts: bytes, limits: Limits | None = None) -> Form:
    """The form of some bytes, whose fields were looked at once."""
    seen: list[Mapping[str, str]] = []

    async def work() -> Form:
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        return await receive(sent(*parts), KIND, folder / "pictures", limits or Limits(free=0), check=seen.append)

    form = anyio.run(work)
    assert len(seen) == 1  # before the first file
    return form


def test_nothing_of_a_large_file_is_held_in_memory(tmp_path: Path) -> None:
    received(tmp_path, FIELD, head("warm.png"), b"1", b"\r\n--b--\r\n")  # what is imported meanwhile does not count
    tracemalloc.start()
    try:
        form = received(tmp_path, FIELD, head("cat/1.png"), *(100 * [MEGABYTE]), b"\r\n--b--\r\n")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert form.fields == {"label": "cat"}
    (file,) = tmp_path.rglob("1.png")
    assert file.stat().st_size == 100 * len(MEGABYTE)
    assert peak < 8 * len(MEGABYTE)


def test_a_form_may_be_cut_anywhere(tmp_path: Path) -> None:
    whole = FIELD + head("1.png") + b"one\r\n" + head("all.zip") + b"two\r\n--b--\r\n"
    for place, size in enumerate((1, 7, len(whole))):
        parts = [whole[start : start + size] for start in range(0, len(whole), size)]
        form = received(tmp_path / str(place), *parts)
        (file,) = (tmp_path / str(place)).rglob("1.png")
        assert (file.parent.name, file.read_bytes()) == ("cat", b"one")
        assert [archive.read_bytes() for archive in form.archives] == [b"two"]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ((b"no form at all",), "the form is damaged"),
        ((b'--b\r\nContent-Disposition: form-data; name="label"\r\n\r\n', 5000 * b"x"), "at most 4096 bytes"),
        ((head("cat/1.png"), MEGABYTE, b"\r\n--b--\r\n"), "at most 1,000,000 bytes"),
    ],
)
def test_a_form_that_cannot_be_used_is_refused(tmp_path: Path, parts: tuple[bytes, ...], told: str) -> None:
    with pytest.raises(DataError, match=told):
        received(tmp_path, *parts, limits=Limits(bytes=1_000_000, free=0))
