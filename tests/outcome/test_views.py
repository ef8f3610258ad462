"""Views that a report shows are those of training: drawn with its code, once a workspace."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from stored_bench import stored_bench

from ctlr.data.augment import random_views
from ctlr.data.preprocess import preprocess
from ctlr.outcome.reporting import write_report
from ctlr.outcome.views import drawn_views
from ctlr.report.images import stocks
from ctlr.specs import DataTask, DigitsSpec, PreprocessSpec, TaskSpec, ViewsSpec
from ctlr.workspace import Workspace

SMALL = PreprocessSpec(shape=(16, 16), channels=1, normalise="percentile", dtype="uint8")
DIGITS = DigitsSpec(name="figures", domain="textured", classes=("1", "7"), per_class=6, preprocess=SMALL)
CLASS = TaskSpec(name="figure", target="class", kind="classification")


def test_views_are_those_of_training_with_a_fixed_seed_and_are_drawn_once(tmp_path: Path) -> None:
    found = stored_bench(DIGITS, CLASS, tmp_path)
    (drawn,) = drawn_views(found)
    assert (drawn.data, drawn.words) == ("figures", ViewsSpec().at(2).words)
    assert drawn.seen_by == ("‘simclr’ (pretraining)",)
    with np.load(tmp_path / drawn.path / "views.npz") as file:
        images, views = file["images"], file["views"]
    (stock,) = stocks(found, {"figures": DIGITS}).values()
    wanted = stock.store.read(stock.rows(2))
    np.testing.assert_array_equal(images, wanted.astype(np.float16))
    batch = torch.from_numpy(wanted).repeat_interleave(4, 0)
    made = random_views(batch, ViewsSpec().at(2), torch.Generator().manual_seed(0)).numpy().astype(np.float16)
    np.testing.assert_array_equal(views.reshape(made.shape), made)
    before = (tmp_path / drawn.path / "views.npz").stat().st_mtime_ns
    assert drawn_views(found) == (drawn,)
    assert (tmp_path / drawn.path / "views.npz").stat().st_mtime_ns == before


def test_of_many_kinds_of_views_four_are_drawn_and_the_others_counted(tmp_path: Path) -> None:
    found = stored_bench(DIGITS, CLASS, tmp_path)
    one = found.results[-1]
    several = []
    for degrees in range(6):
        method = one.study.method
        fit = method.stage("pretrain").model_copy(update={"views": ViewsSpec(rotate=10.0 + degrees)})
        study = one.study.model_copy(update={"method": method.model_copy(update={"pretrain": fit})})
        several.append(one.model_copy(update={"study": study}))
    drawn = drawn_views(replace(found, results=tuple(several)))
    assert [each.more for each in drawn] == [0, 0, 0, 2]


def test_views_of_a_pretraining_are_of_the_images_that_it_learns_from(tmp_path: Path) -> None:
    found = stored_bench(DIGITS, CLASS, tmp_path)
    other = DIGITS.model_copy(update={"name": "others", "seed": 1})
    source = DataTask(data=other, task=CLASS)
    results = [
        result.model_copy(update={"study": result.study.model_copy(update={"source": source})})
        for result in found.results
    ]
    arrays = {**found.arrays, "others": preprocess(other, Workspace(tmp_path))}
    learned = drawn_views(replace(found, results=tuple(results), arrays=arrays))
    assert [(drawn.data, drawn.seen_by) for drawn in learned] == [("others", ("‘simclr’ (pretraining)",))]


def test_a_report_is_written_with_views_and_only_once(tmp_path: Path) -> None:
    found = stored_bench(DIGITS, CLASS, tmp_path)
    page = write_report(replace(found, config=found.config.model_copy(update={"name": "figures"})))
    assert "4 views of it" in page.read_text()
    before = page.stat().st_mtime_ns
    again = write_report(replace(found, config=found.config.model_copy(update={"name": "figures"})))
    assert (again, again.stat().st_mtime_ns) == (page, before)
