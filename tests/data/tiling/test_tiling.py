"""`ctlr tile`: where patches come from, what their table says, and what is refused."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image
from terminal import call

from ctlr.data.kinds.images import index
from ctlr.data.tiling.cutting import TABLE, Cutting, cut
from ctlr.data.tiling.png import png
from ctlr.data.tiling.slides import open_slide
from ctlr.data.tiling.tissue import otsu
from ctlr.errors import ConfigError, DataError
from ctlr.specs import ImagesSpec

Pixels = NDArray[np.uint8]


def picture(height: int = 300, width: int = 400) -> Pixels:
    """Pink tissue with texture in the left half, glass in the right one."""
    rng = np.random.default_rng(0)
    pixels = np.full((height, width, 3), 244, np.uint8)
    pixels[:, : width // 2] = (200, 90, 160)
    return np.clip(pixels + rng.integers(-6, 7, pixels.shape), 0, 255).astype(np.uint8)


def tiff(path: Path, pixels: Pixels, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, **({"photometric": "rgb"} if pixels.ndim == 3 else {}) | options)
    return path


def table(out: Path) -> list[dict[str, str]]:
    with (out / TABLE).open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


# ---------------------------------------------------------------- what is cut


FORMS: dict[str, dict[str, Any]] = {
    "tiles": {"tile": (64, 64), "compression": "zlib"},
    "strips": {"rowsperstrip": 7, "compression": "lzw"},
    "one strip without compression": {},
    "BigTIFF": {"bigtiff": True, "tile": (128, 64)},
    "predictor": {"tile": (64, 64), "compression": "zlib", "predictor": True},
}


@pytest.mark.parametrize("form", FORMS)
def test_any_region_is_what_the_whole_picture_holds_there(tmp_path: Path, form: str) -> None:
    pixels = picture()
    slide = open_slide(tiff(tmp_path / "a.tif", pixels, **FORMS[form]))
    for x, y, width, height in ((0, 0, 400, 300), (63, 65, 130, 70), (399, 299, 1, 1), (300, 200, 100, 100)):
        np.testing.assert_array_equal(slide.read(0, x, y, width, height), pixels[y : y + height, x : x + width])
    slide.close()


def test_jpeg_tiles_are_read_as_tifffile_itself_reads_them(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif", picture(), tile=(64, 64), compression="jpeg")
    slide = open_slide(path)
    np.testing.assert_array_equal(slide.read(0, 10, 20, 200, 150), tifffile.imread(path)[20:170, 10:210])
    slide.close()


def test_patches_are_cut_where_tissue_is(tmp_path: Path) -> None:
    pixels = picture()
    tiff(tmp_path / "slides/s1.tif", pixels, tile=(64, 64))
    assert cut(tmp_path / "slides", tmp_path / "out", Cutting(size=100)) == 6
    rows = table(tmp_path / "out")
    assert [(row["file"], row["x"], row["y"], row["extent"], row["level"], row["case"]) for row in rows] == [
        (f"s1_{x}_{y}.png", str(x), str(y), "100", "0", "s1") for y in (0, 100, 200) for x in (0, 100)
    ]
    assert {row["share"] for row in rows} == {"1.0000"}
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/s1_100_200.png")), pixels[200:300, 100:200])


def test_overlap_shortens_the_steps(tmp_path: Path) -> None:
    tiff(tmp_path / "s1.tif", picture())
    cut(tmp_path / "s1.tif", tmp_path / "out", Cutting(size=100, overlap=50))
    assert sorted({int(row["x"]) for row in table(tmp_path / "out")}) == [0, 50, 100, 150]


@pytest.mark.parametrize("factor", [1, 4])
def test_a_mask_says_where_and_which_class(tmp_path: Path, factor: int) -> None:
    tiff(tmp_path / "slides/s1.tif", picture())
    mask = np.zeros((300 // factor, 400 // factor), np.uint8)
    mask[: 200 // factor, 200 // factor :] = 2
    mask[200 // factor :, : 160 // factor] = 7
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks/s1.png")
    options = Cutting(size=100, labels={2: "benign", 7: "malignant"})
    assert cut(tmp_path / "slides", tmp_path / "out", options, masks=tmp_path / "masks") == 6
    assert [(row["file"], row["class"], row["share"]) for row in table(tmp_path / "out")] == [
        ("benign/s1_200_0.png", "benign", "1.0000"),
        ("benign/s1_300_0.png", "benign", "1.0000"),
        ("benign/s1_200_100.png", "benign", "1.0000"),
        ("benign/s1_300_100.png", "benign", "1.0000"),
        ("malignant/s1_0_200.png", "malignant", "1.0000"),
        ("malignant/s1_100_200.png", "malignant", "0.6000"),
    ]


def pyramid(path: Path) -> Pixels:
    """Two levels, 0.5 µm a pixel and 1 µm."""
    pixels = picture()
    with tifffile.TiffWriter(path) as file:
        options: dict[str, Any] = {"tile": (64, 64), "photometric": "rgb", "resolutionunit": "CENTIMETER"}
        file.write(pixels, subifds=1, resolution=(20_000, 20_000), **options)
        file.write(pixels[::2, ::2], subfiletype=1, resolution=(10_000, 10_000), **options)
    return pixels


def test_a_level_of_a_pyramid_is_cut_and_places_stay_those_of_the_first_one(tmp_path: Path) -> None:
    pixels = pyramid(tmp_path / "s1.tif")
    cut(tmp_path / "s1.tif", tmp_path / "out", Cutting(size=50, level=1))
    rows = table(tmp_path / "out")
    assert [(row["x"], row["y"], row["extent"], row["mpp"]) for row in rows[:2]] == [
        ("0", "0", "100", "1"), ("100", "0", "100", "1"),
    ]  # fmt: skip
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/s1_100_0.png")), pixels[::2, ::2][:50, 50:100])


def test_pixels_of_a_width_come_from_the_next_finer_level(tmp_path: Path) -> None:
    pixels = pyramid(tmp_path / "s1.tif")
    cut(tmp_path / "s1.tif", tmp_path / "out", Cutting(size=25, mpp=2.0))
    row = table(tmp_path / "out")[0]
    assert (row["level"], row["extent"], row["mpp"]) == ("1", "100", "2")
    found = np.asarray(Image.open(tmp_path / "out/s1_0_0.png"), np.float64)
    means = pixels[::2, ::2][:50, :50].reshape(25, 2, 25, 2, 3).mean((1, 3))
    assert np.abs(found - means).max() <= 1  # Pillow rounds along each axis


def test_a_slide_of_a_scanner_says_its_width_and_is_read_by_openslide(tmp_path: Path) -> None:
    pixels = np.tile(picture(320, 512)[:, :256], (1, 2, 1))
    told = "Aperio Image Library v11\r\n512x320 [0,0 512x320] (240x240) JPEG/RGB Q=95|AppMag = 20|MPP = 0.5"
    path = tiff(tmp_path / "s1.svs", pixels, tile=(256, 256), compression="jpeg", description=told, metadata=None)
    slide = open_slide(path)
    assert (slide.mpp, slide.levels[0].width, slide.levels[0].height) == (0.5, 512, 320)
    assert np.abs(slide.read(0, 5, 7, 90, 80).astype(int) - pixels[7:87, 5:95]).mean() < 3
    slide.close()


def test_grey_slides_and_plain_pictures_are_cut_too(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    pixels = np.random.default_rng(0).integers(0, 120, (64, 64), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a/s1.png")
    assert cut(tmp_path, tmp_path / "out", Cutting(size=64)) == 1
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/a/s1_0_0.png")), pixels)


# ---------------------------------------------------------------- how it is cut


def test_any_number_of_threads_writes_the_same(tmp_path: Path) -> None:
    tiff(tmp_path / "slides/s1.tif", picture(), tile=(64, 64))
    for workers in (1, 3):
        cut(tmp_path / "slides", tmp_path / str(workers), Cutting(size=32), workers=workers)
    one, three = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.[pt][ns][gv]")} for name in ("1", "3")
    )
    assert one == three
    assert len(one) > 20


def test_a_slide_that_was_cut_is_not_read_again_until_it_changes(tmp_path: Path) -> None:
    slide = tiff(tmp_path / "slides/s1.tif", picture())
    cut(tmp_path / "slides", tmp_path / "out", Cutting(size=100))
    patch, whole = tmp_path / "out/s1_0_0.png", (tmp_path / "out" / TABLE).read_bytes()
    patch.unlink()
    (tmp_path / "out" / TABLE).unlink()
    tiff(tmp_path / "slides/s2.tif", picture())
    assert cut(tmp_path / "slides", tmp_path / "out", Cutting(size=100)) == 12
    assert not patch.exists()
    assert (tmp_path / "out" / TABLE).read_bytes().startswith(whole)
    tiff(slide, picture(310))
    cut(tmp_path / "slides", tmp_path / "out", Cutting(size=100))
    assert patch.exists()


def test_other_options_need_another_folder(tmp_path: Path) -> None:
    tiff(tmp_path / "s1.tif", picture())
    cut(tmp_path / "s1.tif", tmp_path / "out", Cutting(size=100))
    with pytest.raises(ConfigError, match="cut with other options"):
        cut(tmp_path / "s1.tif", tmp_path / "out", Cutting(size=50))
    with pytest.raises(ConfigError, match="holds something else"):
        cut(tmp_path / "s1.tif", tmp_path, Cutting(size=50))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))))
def test_pillow_reads_what_is_written(pixels: Pixels) -> None:
    found = np.asarray(Image.open(io.BytesIO(png(pixels))))
    np.testing.assert_array_equal(np.atleast_3d(found), pixels)


def test_the_threshold_parts_two_heaps_as_trying_every_one_does() -> None:
    rng = np.random.default_rng(0)
    values = np.clip(np.concatenate([rng.normal(0.1, 0.03, 3000), rng.normal(0.6, 0.1, 1000)]), 0, 1).astype(np.float32)

    def within(threshold: float) -> float:
        return sum(float(len(part) * part.var()) for part in (values[values <= threshold], values[values > threshold]))

    best = min(np.linspace(0.02, 0.8, 157), key=within)
    assert otsu(values) == pytest.approx(best, abs=0.01)
    assert otsu(np.full(100, 0.01, np.float32)) == 0.05


# ---------------------------------------------------------------- the command


def test_the_kind_of_data_reads_what_the_command_wrote(tmp_path: Path) -> None:
    for case in ("p1", "p2"):
        for slide in ("a", "b"):
            tiff(tmp_path / f"slides/benign/{case}-{slide}.tif", picture(200, 400))
    done = call("tile", "slides", "out", "--size", "100", "--case", "(p[0-9])-", folder=tmp_path)
    assert (done.code, done.out) == (0, "16 patches in out\n")
    listing = index(ImagesSpec(root=str(tmp_path / "out"), table=TABLE, group_column="case"))
    assert ({image.subject for image in listing.images}, listing.faults, listing.left_out) == ({"p1", "p2"}, (), ())
    assert listing.images[0].columns == {
        "class": "benign", "slide": "p1-a", "x": "0", "y": "0", "extent": "100", "level": "0", "share": "1.0000",
    }  # fmt: skip


@pytest.mark.parametrize("option", ["--label=0=x", "--label=x", "--case=(", "--overlap=600"])
def test_options_that_mean_nothing_are_refused(tmp_path: Path, option: str) -> None:
    done = call("tile", ".", "out", option, folder=tmp_path)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)


# ---------------------------------------------------------------- bad input


def _cut_short(path: Path) -> None:
    tiff(path, picture(), tile=(64, 64), compression="zlib")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _scrambled(path: Path) -> None:
    tiff(path, picture(), tile=(64, 64), compression="zlib")
    data = bytearray(path.read_bytes())
    data[-3000:-1000] = bytes(2000)
    path.write_bytes(data)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a small slide": (lambda path: tiff(path, picture(64, 400)), "at least as large as a patch; this has 400 x 64"),
    "a cut file": (_cut_short, "truncated"),
    "a damaged tile": (_scrambled, "damaged in segment"),
    "16 bits": (lambda path: tiff(path, picture().astype(np.uint16)), "8 bits.*this is of uint16"),
    "alpha": (
        lambda path: tiff(path, np.dstack([picture(), picture()[..., :1]]), extrasamples=["unassalpha"]),
        "alpha",
    ),
    "CMYK": (
        lambda path: tiff(path, np.dstack([picture(), picture()[..., :1]]), photometric="separated"),
        "this is SEPARATED of 4 channels",
    ),
    "planes": (lambda path: tiff(path, picture().transpose(2, 0, 1), planarconfig="separate"), "plane of its own"),
    "no picture": (lambda path: path.write_bytes(b"nothing"), "truncated or damaged"),
    "glass": (lambda path: tiff(path, picture()[:, 220:]), "no patch of 100 x 100"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_slide_that_cannot_be_used_is_refused_by_name(tmp_path: Path, case: str) -> None:
    write, told = BAD[case]
    write(tmp_path / "s1.tif")
    with pytest.raises(DataError, match=told) as refused:
        cut(tmp_path / "s1.tif", tmp_path / "out", Cutting(size=100))
    assert case == "glass" or "s1.tif" in str(refused.value)


MASKS: dict[str, tuple[Pixels, str]] = {
    "of another size": (np.ones((300, 390), np.uint8), "a mask has the size of its slide, 400 x 300"),
    "empty": (np.zeros((300, 400), np.uint8), "the mask is empty"),
    "coloured": (picture(), "a mask has one channel"),
}


@pytest.mark.parametrize("case", MASKS)
def test_a_mask_that_cannot_be_used_is_refused_by_name(tmp_path: Path, case: str) -> None:
    tiff(tmp_path / "slides/s1.tif", picture())
    (tmp_path / "masks").mkdir()
    Image.fromarray(MASKS[case][0]).save(tmp_path / "masks/s1.png")
    with pytest.raises(DataError, match=rf"s1\.png: {MASKS[case][1]}"):
        cut(tmp_path / "slides", tmp_path / "out", Cutting(size=100), masks=tmp_path / "masks")


def test_slides_without_masks_and_widths_that_no_one_knows_are_named(tmp_path: Path) -> None:
    tiff(tmp_path / "slides/s1.tif", picture())
    (tmp_path / "masks").mkdir()
    with pytest.raises(DataError, match="s1.tif: a mask of its name is needed"):
        cut(tmp_path / "slides", tmp_path / "out", Cutting(), masks=tmp_path / "masks")
    with pytest.raises(DataError, match="s1.tif: the file does not say how wide a pixel is"):
        cut(tmp_path / "slides", tmp_path / "out", Cutting(size=100, mpp=1.0))
    with pytest.raises(DataError, match="s1.tif: the slide has 1 levels"):
        cut(tmp_path / "slides", tmp_path / "out", Cutting(size=100, level=3))
