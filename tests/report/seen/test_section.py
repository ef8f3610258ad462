"""Every kind of data is shown as it says, and as little of it as says enough."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_kinds import EXAMPLES
from heads import write_heads
from stored_bench import stored_bench

from ctlr.data.preprocess import preprocess
from ctlr.data.store import ArrayStore
from ctlr.outcome.views import drawn_views
from ctlr.report.findings import findings
from ctlr.report.images import Stock
from ctlr.report.page import build_report
from ctlr.report.seen.groups import grouped
from ctlr.report.seen.looks import look
from ctlr.report.seen.section import seen
from ctlr.report.theme.raster import strip, window
from ctlr.specs import DATASETS, BidsSpec, DataTask, DigitsSpec, PreprocessSpec, TaskSpec
from ctlr.workspace import Workspace

SMALL = PreprocessSpec(shape=(16, 16), channels=1, normalise="percentile", dtype="uint8")
DIGITS = DigitsSpec(name="figures", domain="textured", classes=("1", "7"), per_class=6, preprocess=SMALL)
CLASS = TaskSpec(name="figure", target="class", kind="classification")


def stock_of(data: object, root: Path, *, single: bool = True) -> Stock:
    workspace = Workspace(root)
    stored = preprocess(data, workspace)  # type: ignore[arg-type]
    return Stock(data=data, store=ArrayStore(stored, workspace), workspace=workspace, single=single)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [kind for kind in EXAMPLES if kind in DATASETS])
def test_a_kind_of_data_is_drawn_as_it_says(kind: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    data = EXAMPLES[kind](tmp_path / "data")
    stock = stock_of(data, tmp_path / "ws")
    drawn = stock.picture(0)
    if data.shown_as in ("slices", "pictures"):
        assert drawn is None or drawn.ndim in (2, 3)
        found = look(stock, None)
        assert all(tile.startswith("data:image/webp;base64,") for line in found.lines for tile in line.strip.tiles)
    else:
        assert drawn is None
        assert (data.shown_as == "") == (data.ndim == 0)


def test_pictures_stand_in_one_line_a_class_the_mean_first(tmp_path: Path) -> None:
    stock = stock_of(DIGITS, tmp_path)
    groups = grouped(stock, [DataTask(data=DIGITS, task=CLASS)])
    found = look(stock, groups)
    assert [(line.words, len(line.strip.tiles)) for line in found.lines] == [("1", 5), ("7", 5)]
    ones = stock.store.read(np.flatnonzero(np.array(stock.store.table.cells("class")) == "1"))
    limits = window([*ones[[0, 1, 3, 5]], ones.mean(axis=0)])
    assert strip([ones.mean(axis=0)], limits, "").tiles[0][:64] == found.lines[0].strip.tiles[0][:64]
    assert found.lines[0].strip.alt == "1: mean, then 4 images."


def test_classes_of_two_tasks_on_one_column_are_shown_together(tmp_path: Path) -> None:
    data = DIGITS.model_copy(update={"classes": ("1", "3", "5", "7")})
    tasks = [
        CLASS.model_copy(update={"name": name, "classes": kept})
        for name, kept in (("a", ("5", "7")), ("b", ("1", "3")))
    ]
    found = grouped(stock_of(data, tmp_path), [DataTask(data=data, task=task) for task in tasks])
    assert found is not None
    assert found.names == ("5", "7", "1", "3")
    assert [len(found.rows(code)) for code in range(4)] == [6, 6, 6, 6]


def test_of_heads_whose_top_was_not_found_nothing_is_shown_and_their_number_is_said(tmp_path: Path) -> None:
    write_heads(tmp_path / "data", 3, spacing=6.0)
    shape = PreprocessSpec(shape=(40, 40, 24), spacing=6.0, normalise="none")  # the box ends below the brows
    data = BidsSpec(name="people", root=str(tmp_path / "data"), preprocess=shape)
    found = look(stock_of(data, tmp_path / "ws"), None)
    assert found.lines == ()
    assert found.notes == ("Of 3 images nothing is shown: the top of the head was not found, so a face may be left.",)


def test_published_pictures_are_shown_under_strict_privacy_too(tmp_path: Path) -> None:
    (shown,) = seen(findings(stored_bench(DIGITS, CLASS, tmp_path, privacy="strict")))
    assert shown.hint == "mean images"
    assert len(shown.shows["datasets"][0].look.lines) == 2  # type: ignore[index]


def test_pictures_of_a_folder_are_means_alone_under_strict_privacy(tmp_path: Path) -> None:
    data = DIGITS.model_copy(update={"per_class": 25})
    stock = stock_of(data, tmp_path, single=False)
    found = look(stock, grouped(stock, [DataTask(data=data, task=CLASS)]))
    assert [len(line.strip.tiles) for line in found.lines] == [1, 1]
    assert "Single images are not shown (privacy: strict)." in found.notes


def test_views_stand_side_by_side_with_who_sees_them(tmp_path: Path) -> None:
    found = stored_bench(DIGITS, CLASS, tmp_path / "ws")
    text = build_report(replace(found, views=drawn_views(found)), tmp_path / "out").read_text()
    assert "Random views: rotate 8, translate 0.04" in text
    assert "Seen by ‘simclr’ (pretraining)." in text
    assert text.count("An image as it is stored, then 4 views of it") == 2


def test_equal_images_give_equal_bytes(tmp_path: Path) -> None:
    found = stored_bench(DIGITS, CLASS, tmp_path / "ws")
    found = replace(found, views=drawn_views(found))
    first, second = (build_report(found, tmp_path / name).read_bytes() for name in ("one", "two"))
    assert first == second


def test_pictures_weigh_little(tmp_path: Path) -> None:
    data = DIGITS.model_copy(update={"classes": None, "per_class": 20, "preprocess": SMALL.model_copy(update={
        "shape": (128, 128), "channels": 3})})  # fmt: skip
    found = stored_bench(data, CLASS, tmp_path / "ws")
    text = build_report(replace(found, views=drawn_views(found)), tmp_path / "out").read_text()
    assert sum(map(len, re.findall(r'src="data:image[^"]*"', text))) < 200_000
