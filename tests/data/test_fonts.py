"""Letters from fonts, on those that matplotlib ships: DejaVu, STIX and Computer Modern."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from fontTools.ttLib import TTFont
from PIL import Image, ImageFont

from ctlr.data.kinds.fonts import FontsReader, drawn
from ctlr.data.listing import Listing
from ctlr.data.preprocess import preprocess
from ctlr.data.splits import draw_split, read_targets
from ctlr.data.store import read_table
from ctlr.errors import DataError
from ctlr.specs import FontsSpec, PreprocessSpec, SplitSpec, TaskSpec
from ctlr.workspace import Workspace

SHIPPED = Path(matplotlib.get_data_path()) / "fonts/ttf"
SPEC = FontsSpec(root=str(SHIPPED), letters="ABCabc0178")


@pytest.fixture(scope="module")
def listing() -> Listing:
    return FontsReader(SPEC).listing()


def test_every_font_with_letters_gives_each_letter_once(listing: Listing) -> None:
    fonts = Counter(image.file.rpartition("/")[0] for image in listing.images)
    assert len(fonts) == 22
    assert set(fonts.values()) == {10}
    assert {image.subject for image in listing.images} == {
        "DejaVu Sans", "DejaVu Sans Mono", "DejaVu Serif", "STIXGeneral", "cmb10", "cmmi10", "cmr10", "cmss10",
        "cmti10", "cmtt10",
    }  # fmt: skip


def test_symbols_and_fonts_without_letters_are_left_out_and_counted(listing: Listing) -> None:
    left = {exclusion.place: exclusion.reason for exclusion in listing.left_out}
    assert left["cmsy10.ttf"] == left["cmex10.ttf"]
    assert left["cmsy10.ttf"].startswith("the font draws symbols")
    assert left["STIXSizOneSymReg.ttf"].startswith("the font lacks Latin letters")
    assert left["LastResortHE-Regular.ttf"].startswith("the font lacks Latin letters, or draws boxes")
    assert len(left) == 18


def test_a_letter_has_the_size_and_place_of_a_digit_of_mnist() -> None:
    for letter in "AlMW":
        pixels = np.asarray(drawn(ImageFont.truetype(SHIPPED / "DejaVuSerif.ttf", 40), letter))
        assert pixels.shape == (28, 28)
        down, across = (np.flatnonzero(pixels.any(axis)) for axis in (1, 0))
        assert max(np.ptp(down), np.ptp(across)) + 1 == pytest.approx(20, abs=1)
        assert abs(down[0] + down[-1] - 27) <= 2
        assert abs(across[0] + across[-1] - 27) <= 2


def test_a_second_file_of_one_style_and_letters_drawn_alike_are_left_out(tmp_path: Path) -> None:
    for name in ("a.ttf", "b.ttf"):
        (tmp_path / name).write_bytes((SHIPPED / "DejaVuSans.ttf").read_bytes())
    clone = TTFont(SHIPPED / "DejaVuSans.ttf")
    for record in clone["name"].names:
        if record.nameID in (1, 16):
            record.string = "Clone"
    clone.save(tmp_path / "c.ttf")
    found = FontsReader(FontsSpec(root=str(tmp_path), letters="OI")).listing()
    assert [image.file for image in found.images] == ["a.ttf/O", "a.ttf/I"]
    assert {left.place: left.reason.split(",")[0] for left in found.left_out} == {
        "b.ttf": "this family and style came before",
        "c.ttf/O": "another font",
        "c.ttf/I": "another font",
    }


def test_sides_never_share_a_family(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    spec = SPEC.model_copy(update={"letters": "AB", "preprocess": PreprocessSpec(shape=(28, 28), normalise="none")})
    table = read_table(preprocess(spec, workspace), workspace)
    targets = read_targets(table, TaskSpec(target="class", kind="classification"), "type")
    split = draw_split(table, targets, SplitSpec(test=3), n_train=3, n_reserved=3, seed=0)
    families = [set(split.train), set(split.validation), set(split.test)]
    assert len(set.union(*families)) == sum(map(len, families)) == 9


def test_what_is_no_font_is_a_fault_and_an_empty_folder_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"fonts \(.ttf, .otf, .pfb\) with Latin letters are needed"):
        FontsReader(FontsSpec(root=str(tmp_path))).listing()
    (tmp_path / "broken.ttf").write_bytes((SHIPPED / "cmr10.ttf").read_bytes()[:300])
    faults = FontsReader(FontsSpec(root=str(tmp_path))).listing().faults
    assert [fault.place for fault in faults] == ["broken.ttf"]
    assert "FreeType cannot read it" in faults[0].reason


def test_a_drawn_letter_is_what_pillow_draws() -> None:
    """Against another way: a whole page of Pillow's own drawing, cropped and made smaller."""
    from PIL import ImageDraw

    font = ImageFont.truetype(SHIPPED / "DejaVuSans.ttf", 40, layout_engine=ImageFont.Layout.BASIC)
    page = Image.new("L", (100, 100))
    ImageDraw.Draw(page).text((20, 20), "H", fill=255, font=font)
    ink = page.crop(page.getbbox())
    small = ink.resize((round(ink.width * 20 / max(ink.size)), 20), Image.Resampling.BOX)
    left = (28 - small.width) // 2
    found = np.asarray(drawn(font, "H"))[4:24, left : left + small.width]
    np.testing.assert_array_equal(found, np.asarray(small))
