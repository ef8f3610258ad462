"""Patches that show a part of one another, on two sides: by what they show, and by where they lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from ctlr.config import load
from ctlr.data.gate import Gate
from ctlr.data.leakage import Placed
from ctlr.data.overlaps import find_overlaps, marks_of_all
from ctlr.data.places import overlapping, patches
from ctlr.data.placing import PlacedRows
from ctlr.data.preprocess import preprocess
from ctlr.data.splits import Split
from ctlr.data.store import ImageRecord
from ctlr.data.table import Table
from ctlr.errors import LeakageError
from ctlr.plan import make_plan
from ctlr.specs import ImagesSpec, PreprocessSpec
from ctlr.workspace import Workspace

Pixels = NDArray[np.uint8]
CUT = 96


def texture(seed: int, side: int = 4 * CUT) -> Pixels:
    """Pink ground with dark nuclei of several sizes."""
    rng = np.random.default_rng(seed)
    grain = sum(ndimage.gaussian_filter(rng.standard_normal((side, side)), width) * width for width in (1.5, 3, 6))
    bright = 0.5 + grain / (8 * grain.std())
    return np.rint(255 * np.clip(bright[..., None] * [1.1, 0.7, 1.0], 0, 1)).astype(np.uint8)


def write(root: Path, patches: dict[str, Pixels]) -> ImagesSpec:
    for name, pixels in patches.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / name)
    return ImagesSpec(root=str(root), preprocess=PreprocessSpec(shape=(48, 48), normalise="percentile"))


def cut(slide: Pixels, y: int, x: int) -> Pixels:
    return slide[y : y + CUT, x : x + CUT]


def test_a_picture_in_whose_middle_nothing_stands_out_has_no_marks() -> None:
    frame = np.zeros((1, 64, 64), np.float32)
    frame[:, :2], frame[:, -2:] = 1, 1
    found = marks_of_all(iter([frame, texture(1, 64).transpose(2, 0, 1)]))
    assert set(found.owners.tolist()) == {1}


@pytest.mark.parametrize(
    ("move", "least"), [((0, 48), 0.4), ((40, 0), 0.5), ((24, -24), 0.5), ((7, 13), 0.7), ((0, 30), 0.6)]
)
def test_patches_that_share_a_part_are_found_and_others_are_not(
    tmp_path: Path, move: tuple[int, int], least: float
) -> None:
    slides = [texture(seed) for seed in range(6)]
    ground = {f"a/{slide}_{n}.png": cut(slides[slide], y, x) for slide in range(6)
              for n, (y, x) in enumerate([(0, 96), (96, 192), (192, 0), (288, 288), (288, 96)])}  # fmt: skip
    moved = {f"b/moved{slide}.png": cut(slides[slide], 96 + move[0], 192 + move[1]) for slide in range(6)}
    workspace = Workspace(tmp_path / "workspace")
    stored = preprocess(write(tmp_path / "data", ground | moved), workspace)
    names = sorted(ground) + sorted(moved)
    queries = np.arange(len(ground), len(names))
    found = find_overlaps(queries, [stored], workspace)
    pairs = {(names[each.row], names[each.other]) for each in found}
    assert pairs <= {(f"b/moved{slide}.png", f"a/{slide}_1.png") for slide in range(6)}
    assert len(pairs) >= 5  # of a few, too little that stands out lies on the shared part
    assert min(each.share for each in found) > least


def test_pictures_too_small_for_marks_are_not_looked_at(tmp_path: Path) -> None:
    spec = write(tmp_path / "data", {"a/1.png": texture(0), "a/2.png": texture(0)[1:]})
    small = spec.model_copy(update={"preprocess": PreprocessSpec(shape=(16, 16))})
    workspace = Workspace(tmp_path / "workspace")
    assert find_overlaps(np.array([0]), [preprocess(small, workspace)], workspace) == []


FILE = """\
name: gate
datasets:
  patches: {kind: images, root: data, preprocess: {shape: [48, 48]}, %s}
tasks: {tumour: {target: class, kind: classification}}
transfers: [{target: {data: patches, task: tumour}}]
encoders: {small_cnn: {}}
methods: {scratch: {}}
sample_sizes: [4]
seeds: [0]
split: {test: 8}
"""


def checked(folder: Path, options: str) -> None:
    (folder / "gate.yaml").write_text(FILE % options)
    plan, workspace = make_plan(load(folder / "gate.yaml")), Workspace(folder / "workspace")
    Gate(plan, {data.name: preprocess(data, workspace) for data in plan.datasets}, workspace).check()


def test_the_gate_refuses_half_overlapping_patches_of_two_subjects_and_takes_them_as_one_case(tmp_path: Path) -> None:
    patches = {}
    for case in range(20):
        slide = texture(case, 2 * CUT)
        for number, x in enumerate((0, CUT // 2)):
            patches[f"{'ab'[case % 2]}/case{case:02d}-{number}.png"] = cut(slide, 20, x)
    write(tmp_path / "data", patches)
    with pytest.raises(LeakageError, match=r"overlapping pictures, correlation 0\.9\d+ on (4\d|50)% of the first"):
        checked(tmp_path, "group: '([^/]+)[.]png'")
    checked(tmp_path, "group: '(case[0-9]+)'")


def placed(side: str, slide: str, x: object, y: object, extent: object = 100, dataset: str = "d") -> Placed:
    columns = {"slide": slide, "x": str(x), "y": str(y), "extent": str(extent)}
    return Placed(side, dataset, ImageRecord(subject=f"{slide}{x}{y}{side}", file="f", sha256="", columns=columns))


SLIDES = {"d": "d", "same": "d", "other": "other"}
PLACES: dict[str, tuple[Callable[[], Placed], str | None]] = {
    "half": (lambda: placed("test", "s", 50, 0), "overlapping patches of one slide, 50% of the smaller"),
    "a few pixels": (lambda: placed("test", "s", 5, 5), "overlapping patches of one slide, 90% of the smaller"),
    "a corner": (lambda: placed("test", "s", -90, 90), "overlapping patches of one slide, 1% of the smaller"),
    "inside a coarser one": (lambda: placed("test", "s", -150, -150, 400), "overlapping patches of one slide, 100% of"),
    "beside": (lambda: placed("test", "s", 100, 0), None),
    "another slide": (lambda: placed("test", "t", 0, 0), None),
    "the same side": (lambda: placed("learned", "s", 50, 0), None),
    "no place": (lambda: placed("test", "s", "n/a", 0), None),
    "text": (lambda: placed("test", "s", "left", 0), None),
    "another dataset with the same slides": (lambda: placed("test", "s", 50, 0, dataset="same"), "overlapping"),
    "another dataset with others": (lambda: placed("test", "s", 50, 0, dataset="other"), None),
}


@pytest.mark.parametrize("case", PLACES)
def test_places_in_a_slide_tell_what_overlaps(case: str) -> None:
    make, told = PLACES[case]
    leaks = list(overlapping([placed("learned", "s", 0, 0), make()], SLIDES))
    assert [leak.what for leak in leaks] == ([] if told is None else [leaks[0].what])
    assert told is None or leaks[0].what.startswith(told)


def test_patches_are_looked_for_only_in_tables_that_say_where_they_lie() -> None:
    split = Split(train=("a",), validation=(), test=("b",), unlabelled=())
    records = [ImageRecord(subject=subject, file=subject, sha256="", columns={"slide": "s", "x": "0", "y": "0"})
               for subject in "abc"]  # fmt: skip
    located = [record.model_copy(update={"columns": record.columns | {"extent": "9"}}) for record in records]
    parts = [PlacedRows("points", Table.of(records), split), PlacedRows("patches", Table.of(located), split)]
    assert [(placed.dataset, placed.record.subject) for placed in patches(parts)] == [
        ("patches", "a"),
        ("patches", "b"),
    ]
