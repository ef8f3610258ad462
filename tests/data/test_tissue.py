"""Synthetic tissue: the same from seed and number alone, two architectures, many looks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from terminal import call

from ctlr.data.kinds.tissue.drawing import GLASS, look_of, patch_of, section_of
from ctlr.data.kinds.tissue.writing import SHRUNK, map_of, write_slides
from ctlr.data.tiling.cutting import TABLE, Cutting, cut
from ctlr.data.tiling.slides import open_slide
from ctlr.errors import DataError
from ctlr.specs import ARCHITECTURES, TissueSpec

SPEC = TissueSpec(cases=6, slides=2, patches=3, side=96, seed=1)


def test_a_patch_depends_on_seed_and_number_alone() -> None:
    more = SPEC.model_copy(update={"cases": 60, "slides": 5, "patches": 30})
    np.testing.assert_array_equal(patch_of(SPEC, 3, 1, 2), patch_of(more, 3, 1, 2))
    others = [patch_of(SPEC, 3, 1, 1), patch_of(SPEC, 3, 0, 2), patch_of(SPEC, 5, 1, 2),
              patch_of(SPEC.model_copy(update={"seed": 2}), 3, 1, 2)]  # fmt: skip
    assert all((patch_of(SPEC, 3, 1, 2) != other).any() for other in others)


def test_nuisance_makes_looks_differ_and_none_makes_them_one() -> None:
    plain = SPEC.model_copy(update={"nuisance": 0.0})
    looks = [look_of(plain, case, slide) for case in range(3) for slide in range(2)]
    assert all(np.array_equal(look.stains, looks[0].stains) and look.density == 1 for look in looks)
    spread = np.std([look_of(SPEC, case, 0).stains.sum() for case in range(40)])
    assert 0.2 < spread < 1.0


def test_colour_does_not_tell_the_architecture() -> None:
    """Cases of one class differ more in it than classes do."""
    spec = TissueSpec(cases=40, slides=1, patches=1, side=128)
    pixels = [patch_of(spec, case, 0, 0) for case in range(40)]
    means = np.array([each.mean((0, 1)) for each in pixels])
    between = np.abs(means[::2].mean(0) - means[1::2].mean(0))
    assert (between < 2 * means[::2].std(0)).all()


def test_slides_and_masks_are_the_same_with_any_number_of_workers(tmp_path: Path) -> None:
    spec = TissueSpec(cases=2, slides=1, seed=4)
    for workers in (1, 2):
        write_slides(spec, tmp_path / str(workers), side=256, workers=workers)
    one, two = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("1", "2")
    )
    assert one == two
    assert "Synthetic" in (tmp_path / "1/README").read_text()
    slide = open_slide(tmp_path / "1/slides/case0001-slide1.tif")
    assert (slide.mpp, slide.levels[0].width) == (1.0, 256)
    np.testing.assert_array_equal(slide.read(0, 0, 0, 256, 256), section_of(map_of(spec, 0, 0, 256), spec, 0, 0))
    slide.close()
    mask = np.asarray(Image.open(tmp_path / "1/masks/case0001-slide1.png"))
    np.testing.assert_array_equal(mask, map_of(spec, 0, 0, 256)[::SHRUNK, ::SHRUNK] + 1)
    with pytest.raises(DataError, match="new or empty folder"):
        write_slides(spec, tmp_path / "1", side=256)


def test_every_slide_shows_both_architectures_on_glass() -> None:
    regions = map_of(SPEC, 0, 0, 400)
    shares = [(regions == which).mean() for which in (GLASS, 0, 1)]
    assert shares[0] == pytest.approx(0.43, abs=0.12)
    assert min(shares[1:]) > 0.2


def test_the_tiler_finds_the_tissue_that_was_drawn(tmp_path: Path) -> None:
    """Otsu's threshold against the map: of patches kept by tissue, nearly all of each is tissue."""
    spec = TissueSpec(cases=2, slides=1, seed=4)
    write_slides(spec, tmp_path / "made", side=768)
    cut(tmp_path / "made/slides", tmp_path / "out", Cutting(size=96, share=0.6, case="(case[0-9]+)"))
    header, *lines = (tmp_path / "out" / TABLE).read_text().splitlines()
    rows = [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
    regions = [map_of(spec, case, 0, 768) != GLASS for case in range(2)]
    shares = [regions[int(row["case"][-1]) - 1][int(row["y"]) :, int(row["x"]) :][:96, :96].mean() for row in rows]
    assert len(rows) > 30
    assert np.mean(shares) > 0.95


def test_the_command_writes_slides_that_the_tiler_cuts_by_mask(tmp_path: Path) -> None:
    made = call("cohort", "made", "--kind", "tissue", "--subjects", "2", "--side", "512", folder=tmp_path)
    assert (made.code, made.out) == (0, "made\n")
    labels = [f"--label={number + 1}={name}" for number, name in enumerate(ARCHITECTURES)]
    words = ("tile", "made/slides", "out", "--masks", "made/masks", "--size", "64", *labels)
    done = call(*words, folder=tmp_path)
    assert done.code == 0, done.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*ARCHITECTURES, TABLE, ".cut"}
