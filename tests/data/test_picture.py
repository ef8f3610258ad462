from __future__ import annotations

import contextlib
import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ctlr.data import picture
from ctlr.errors import DataError


def read_picture(path: Path, *, shape: tuple[int, int], channels: int) -> tuple[np.ndarray, str, tuple[int, int]]:
    image = picture.read_picture(path)
    return picture.fitted(image, shape=shape, channels=channels), picture.picture_digest(image), image.size


def _save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


GREY = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)


def test_a_picture_of_the_right_size_comes_back_as_it_is(tmp_path: Path) -> None:
    values, *_ = read_picture(_save(tmp_path / "a.png", GREY), shape=(8, 8), channels=1)
    np.testing.assert_allclose(values, GREY[None] / np.float32(255))


def test_rows_are_the_height(tmp_path: Path) -> None:
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:4, :, 0] = 255
    values, *_ = read_picture(_save(tmp_path / "a.png", pixels), shape=(8, 16), channels=3)
    assert values.shape == (3, 8, 16)
    assert values[0, :4].min() == 1
    assert values[1:].max() == 0


def test_the_middle_is_kept_when_the_proportions_differ(tmp_path: Path) -> None:
    pixels = np.zeros((10, 30), np.uint8)
    pixels[:, 10:20] = 200
    values, *_ = read_picture(_save(tmp_path / "a.png", pixels), shape=(10, 10), channels=1)
    np.testing.assert_allclose(values, 200 / 255, atol=1e-6)


def test_shrinking_averages_and_does_not_pick(tmp_path: Path) -> None:
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    values, *_ = read_picture(_save(tmp_path / "a.png", checks), shape=(8, 8), channels=1)
    np.testing.assert_allclose(values, 0.5, atol=0.02)


def test_grey_is_repeated_and_colour_becomes_luma(tmp_path: Path) -> None:
    values, *_ = read_picture(_save(tmp_path / "a.png", GREY), shape=(8, 8), channels=3)
    assert (values == values[0]).all()
    green = np.zeros((8, 8, 3), np.uint8)
    green[1:, :, 1] = 255
    values, *_ = read_picture(_save(tmp_path / "b.png", green), shape=(8, 8), channels=1)
    assert values.max() == pytest.approx(0.587, abs=0.002)


def test_sixteen_bits_keep_their_fine_steps(tmp_path: Path) -> None:
    deep = np.arange(64, dtype=np.uint16).reshape(8, 8) + 1000
    values, *_ = read_picture(_save(tmp_path / "a.png", deep), shape=(8, 8), channels=1)
    np.testing.assert_allclose(values[0] * 65535, deep, atol=0.01)


def _white_is_zero(path: Path, pixels: np.ndarray) -> Path:
    """A TIFF whose 0 is white: tag 262 (PhotometricInterpretation, a short) says 0."""
    data = _save(path, pixels).read_bytes()
    black_is_zero = b"\x06\x01\x03\x00\x01\x00\x00\x00\x01\x00"
    assert data.count(black_is_zero) == 1
    path.write_bytes(data.replace(black_is_zero, black_is_zero[:-2] + b"\0\0"))
    return path


def test_white_is_bright_though_its_number_is_zero(tmp_path: Path) -> None:
    values, *_ = read_picture(_white_is_zero(tmp_path / "a.tif", GREY), shape=(8, 8), channels=1)
    np.testing.assert_allclose(values[0] * 255, 255 - GREY, atol=0.01)
    deep = (np.arange(64, dtype=np.uint16).reshape(8, 8) + 1) * 1000
    values, *_ = read_picture(_white_is_zero(tmp_path / "b.tif", deep), shape=(8, 8), channels=1)
    np.testing.assert_allclose(values[0] * 65535, 65535 - deep.astype(float), atol=0.01)
    with pytest.raises(DataError, match="which number is white cannot be told of 32 bits with WhiteIsZero"):
        read_picture(_white_is_zero(tmp_path / "c.tif", deep.astype(np.float32)), shape=(8, 8), channels=1)


def _tiff(path: Path, planes: np.ndarray, *, packed: bool = False, **tags: int) -> Path:
    """A TIFF file of one strip a plane, (C, H, W) or (H, W), in the byte order of its numbers."""
    planes = planes.reshape(-1, *planes.shape[-2:])
    order, short = ("MM", ">H") if planes.dtype.byteorder == ">" else ("II", "<H")
    strips = [zlib.compress(plane.tobytes()) if packed else plane.tobytes() for plane in planes]
    at = np.cumsum([8, *map(len, strips)]).tolist()
    bits, sign = tags.pop("bits", 8 * planes.itemsize), {"u": 1, "i": 2, "f": 3}[planes.dtype.kind]
    entries = {
        256: [planes.shape[2]], 257: [planes.shape[1]], 258: [bits] * len(planes), 259: [8 if packed else 1],
        262: [2 if len(planes) == 3 else 1], 273: at[:-1], 277: [len(planes)], 278: [planes.shape[1]],
        279: [len(strip) for strip in strips], 284: [2 if len(planes) > 1 else 1], 339: [sign] * len(planes),
    }  # fmt: skip
    entries |= {int(name[1:]): [value] for name, value in tags.items()}
    head, later = struct.pack(short, len(entries)), b""
    for tag, values in sorted(entries.items()):
        data = b"".join(struct.pack(short, value) for value in values)
        if len(data) > 4:
            place = at[-1] + 2 + 12 * len(entries) + 4 + len(later)
            later += data
            data = struct.pack(short[0] + "I", place)
        head += struct.pack(short[0] + "HHI", tag, 3, len(values)) + data.ljust(4, b"\0")
    start = order.encode() + struct.pack(short, 42) + struct.pack(short[0] + "I", at[-1])
    path.write_bytes(start + b"".join(strips) + head + bytes(4) + later)
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["<u1", "<i1", "<u2", ">u2", "<i2", ">i2", "<u4", "<i4", ">i4", "<f4", ">f4"])
def test_numbers_of_a_tiff_are_read_as_what_they_are(tmp_path: Path, kind: str, packed: bool) -> None:
    kinds = np.dtype(kind)
    low, high = (0, 1) if kinds.kind == "f" else (np.iinfo(kinds).min, np.iinfo(kinds).max)
    pixels = np.linspace(low, high, 64).reshape(8, 8).astype(kinds)
    image = picture.read_picture(_tiff(tmp_path / "a.tif", pixels, packed=packed))
    white = high if kind[1:] == "u2" else 1
    values = np.asarray(image, np.float64)[..., 0] if image.mode == "RGB" else np.asarray(image, np.float64)
    np.testing.assert_allclose(values, pixels.astype(np.float64) / white, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.parametrize("kind", ["u1", "<u2", ">u2"])
def test_planes_of_a_tiff_that_lie_apart_are_colours(tmp_path: Path, kind: str, turn: int) -> None:
    deep = np.dtype(kind).itemsize == 2
    planes = (np.random.default_rng(0).integers(0, 256, (3, 8, 4)) * (257 if deep else 1)).astype(kind)
    image = picture.read_picture(_tiff(tmp_path / "a.tif", planes, t274=turn))
    colours = (planes.astype(int) // (257 if deep else 1)).transpose(1, 2, 0)
    np.testing.assert_array_equal(np.asarray(image), np.rot90(colours, -1) if turn == 6 else colours)


def test_twelve_bits_reach_white_and_white_may_be_zero_in_either_order_of_bytes(tmp_path: Path) -> None:
    twelve = _tiff(tmp_path / "a.tif", np.array([[0xFF, 0xF0, 0x00]], np.uint8), bits=12, t256=2)
    assert np.asarray(picture.read_picture(twelve)).tolist() == [[1, 0]]
    deep = np.array([[0, 65535]], ">u2")
    assert np.asarray(picture.read_picture(_tiff(tmp_path / "b.tif", deep, t262=0))).tolist() == [[1, 0]]


def test_what_pillow_does_not_read_of_a_tiff_is_not_called_damaged(tmp_path: Path) -> None:
    rule = "TIFF files of these bits and channels are not read. Convert it to 8 or 16 bits, grey or RGB."
    with pytest.raises(DataError, match=rule):
        picture.read_picture(_tiff(tmp_path / "a.tif", np.zeros((8, 8), np.float64)))
    Image.new("LAB", (8, 8)).save(tmp_path / "b.tif")
    with pytest.raises(DataError, match="these are CIELAB. Convert it to RGB"):
        picture.read_picture(tmp_path / "b.tif")


def test_a_page_without_its_palette_is_damage(tmp_path: Path) -> None:
    pages = [Image.fromarray(GREY).quantize(4)] * 2
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    first, second, third = (tmp_path / "a.tif").read_bytes().split(b"\x40\x01\x03\0")  # ColorMap, as shorts
    (tmp_path / "a.tif").write_bytes(first + b"\x40\x01\x03\0" + second + b"\x41\x01\x03\0" + third)
    with pytest.raises(DataError, match="the picture is truncated or damaged"):
        picture.read_picture(tmp_path / "a.tif")


def test_smaller_versions_in_a_tiff_are_no_pictures_of_their_own(tmp_path: Path) -> None:
    large, small = Image.fromarray(GREY), Image.fromarray(GREY[::2, ::2])
    for name, order, tags in (("a", (large, small), (0, 1)), ("b", (small, large), (1, 0))):
        for page, tag in zip(order, tags, strict=True):
            page.encoderinfo = {"tiffinfo": {254: tag}}
        order[0].save(tmp_path / f"{name}.tif", save_all=True, append_images=order[1:], tiffinfo={254: tags[0]})
    np.testing.assert_array_equal(np.asarray(picture.read_picture(tmp_path / "a.tif"))[..., 0], GREY)
    with pytest.raises(DataError, match="one picture is needed; the file holds 2"):
        picture.read_picture(tmp_path / "b.tif")


def test_the_first_picture_of_a_camera_s_jpeg_is_read(tmp_path: Path) -> None:
    picture, preview = (Image.fromarray(np.stack([GREY] * 3, axis=-1)).resize((n, n)) for n in (32, 16))
    picture.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[preview])
    picture.save(tmp_path / "b.jpg")
    _, digest, size = read_picture(tmp_path / "a.jpg", shape=(8, 8), channels=1)
    assert (digest, size) == (read_picture(tmp_path / "b.jpg", shape=(8, 8), channels=1)[1], (32, 32))


def drawn(colour: int, path: Path) -> Path:
    """Lines on nothing, whose edges are half transparent; behind them are zeros, as programs that draw leave them."""
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[4:, :, :3] = colour
    pixels[4, :, 3], pixels[5:, :, 3] = 128, 255
    return _save(path, pixels)


def test_transparent_pixels_are_white(tmp_path: Path) -> None:
    for name in ("a.png", "a.webp", "a.tif"):
        found = np.asarray(picture.read_picture(drawn(0, tmp_path / name)))
        assert (found[:4] == 255).all(), name
        assert (found[4] == 127).all(), name
        assert (found[5:] == 0).all(), name


def test_white_lines_on_nothing_lie_on_black(tmp_path: Path) -> None:
    found = np.asarray(picture.read_picture(drawn(255, tmp_path / "a.png")))
    assert [found[row].min() for row in (0, 4, 5)] == [0, 128, 255]
    values, *_ = read_picture(tmp_path / "a.png", shape=(8, 8), channels=1)
    assert (values[0].min(), values[0].max()) == (0, 1)


def test_on_black_a_picture_is_what_it_was_in_earlier_versions(tmp_path: Path) -> None:
    grey = np.asarray(picture.read_picture(drawn(100, tmp_path / "a.png"), ground="black"))
    assert [grey[row].max() for row in (0, 4, 5)] == [0, 50, 100]
    assert np.asarray(picture.read_picture(drawn(0, tmp_path / "b.png"), ground="black")).max() == 0


def test_a_picture_that_is_transparent_all_over_shows_its_colours(tmp_path: Path) -> None:
    pixels = np.dstack([GREY, GREY, GREY, np.zeros_like(GREY)])
    for name in ("a.png", "a.bmp", "a.tif"):
        np.testing.assert_array_equal(np.asarray(picture.read_picture(_save(tmp_path / name, pixels)))[..., 0], GREY)


def test_the_grey_of_sixteen_bits_that_means_transparent_is_white(tmp_path: Path) -> None:
    deep = GREY.astype(np.uint16) * 257
    path = _save(tmp_path / "a.png", deep, transparency=int(deep[0, 0]))
    for ground, grey in (("white", 255), ("black", 0)):
        found = np.asarray(picture.read_picture(path, ground=ground)) * 255
        np.testing.assert_allclose(found, np.where(GREY[0, 0] == GREY, grey, GREY), rtol=1e-6)
    bright = np.where(deep == deep[0, 0], deep, 65535).astype(np.uint16)
    found = np.asarray(picture.read_picture(_save(tmp_path / "b.png", bright, transparency=int(deep[0, 0]))))
    assert (found.min(), found.max()) == (0, 1)


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "webp"])
def test_the_digest_is_the_same_in_every_lossless_format(tmp_path: Path, ending: str) -> None:
    options = {"lossless": True} if ending == "webp" else {}
    path = _save(tmp_path / f"a.{ending}", np.stack([GREY] * 3, axis=-1), **options)
    _, digest, _ = read_picture(_save(tmp_path / "b.png", GREY), shape=(8, 8), channels=1)
    assert read_picture(path, shape=(8, 8), channels=1)[1] == digest
    assert read_picture(_save(tmp_path / "c.png", GREY.T), shape=(8, 8), channels=1)[1] != digest


def test_a_picture_is_turned_as_its_camera_was(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8), np.uint8)
    pixels[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path, exif=exif)
    assert read_picture(path, shape=(8, 8), channels=1)[0][0, 7, 7] == 1


def test_damaged_and_foreign_files_are_refused_without_their_path(tmp_path: Path) -> None:
    good = _save(tmp_path / "good.png", np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8))
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:-900])
    (tmp_path / "text.png").write_text("no picture")
    _save(tmp_path / "black.png", np.zeros((8, 8), np.uint8))
    _save(tmp_path / "nan.tif", np.full((8, 8), np.nan, np.float32))
    frames = [Image.fromarray(GREY), Image.fromarray(GREY.T)]
    frames[0].save(tmp_path / "film.tif", save_all=True, append_images=frames[1:])
    (tmp_path / "none.png").touch()
    (tmp_path / "pointer.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n")
    (tmp_path / "unlocked.png").write_text("/annex/objects/MD5E-s3--01.png\n")
    for name, message in (
        ("cut.png", "truncated or damaged"),
        ("text.png", "is needed; this is none"),
        ("black.png", "the picture is empty: every pixel is 0"),
        ("nan.tif", "every pixel must be finite"),
        ("film.tif", "one picture is needed; the file holds 2"),
        ("absent.png", "cannot be read: No such file"),
        ("none.png", r"the file is empty \(0 bytes\)"),
        ("pointer.png", "Git LFS has not fetched the content of this file"),
        ("unlocked.png", "git-annex has not fetched the content of this file. Run `datalad get`"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            read_picture(tmp_path / name, shape=(8, 8), channels=1)
        assert str(tmp_path) not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damage_brings_the_reader_to_anything_but_a_data_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = io.BytesIO()
    Image.fromarray(GREY).save(file, data.draw(st.sampled_from(["PNG", "JPEG", "BMP", "TIFF", "WEBP"])))
    raw = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "x.png"
    path.write_bytes(raw[: data.draw(st.integers(1, len(raw)))])
    with contextlib.suppress(DataError), warnings.catch_warnings(action="ignore"):  # Pillow's, of odd metadata
        assert read_picture(path, shape=(8, 8), channels=1)[0].shape == (1, 8, 8)


def test_a_picture_of_more_pixels_than_memory_is_lent_for_is_refused_undecoded(tmp_path: Path) -> None:
    Image.new("1", (8200, 8200)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="a picture has at most 67108864 pixels; this has 8200 x 8200. Shrink it"):
        read_picture(tmp_path / "a.png", shape=(8, 8), channels=1)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match="the file cannot be read: Is a pipe or a device"):
        read_picture(tmp_path / "a.png", shape=(8, 8), channels=1)


def test_pillow_says_nothing_by_itself(tmp_path: Path) -> None:
    Image.new("1", (10_000, 10_000)).save(tmp_path / "a.png")  # Pillow warns of it
    code = (
        "import sys\nfrom pathlib import Path\nfrom ctlr.data.picture import read_picture\n"
        "try: read_picture(Path(sys.argv[1]))\nexcept Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (
        "a picture has at most 67108864 pixels; this has 10000 x 10000. Shrink it.\n",
        "",
    )


def test_a_picture_that_claims_too_many_pixels_is_refused_unread(tmp_path: Path) -> None:
    data = bytearray(_save(tmp_path / "a.bmp", GREY).read_bytes())
    data[18:26] = (100_000).to_bytes(4, "little") * 2
    (tmp_path / "a.bmp").write_bytes(data)
    with pytest.raises(DataError, match="a picture has at most 67108864 pixels; this has far more"):
        read_picture(tmp_path / "a.bmp", shape=(8, 8), channels=1)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "I;16", "CMYK"])
def test_a_header_says_size_and_a_look_whether_there_are_colours(mode: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (30, 20, 3), np.uint8)
    image = Image.fromarray(pixels if mode not in ("L", "I;16") else pixels[..., 0]).convert(mode)
    image.save(tmp_path / ("x.tif" if mode in ("CMYK", "I;16") else "x.png"))
    measured = picture.measure_picture(next(tmp_path.iterdir()))
    assert measured == ((30, 20), (), mode not in ("L", "I;16"))


def test_grey_pixels_in_three_channels_are_no_colours(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 255, (30, 20), np.uint8)
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(tmp_path / "x.png")
    assert not picture.measure_picture(tmp_path / "x.png").colour


def test_a_picture_that_lies_is_measured_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 30), (200, 10, 10)).save(tmp_path / "x.jpg", exif=exif)
    assert picture.measure_picture(tmp_path / "x.jpg").shape == (20, 30)
    assert picture.read_picture(tmp_path / "x.jpg").size == (30, 20)


def test_what_is_no_picture_is_not_measured(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(DataError):
        picture.measure_picture(tmp_path / "x.png")
