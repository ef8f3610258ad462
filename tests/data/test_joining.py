"""Pictures that are copies of one another, as one subject."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from ctlr.config import load
from ctlr.data.gate import Gate
from ctlr.data.preprocess import preprocess
from ctlr.data.store import read_table
from ctlr.errors import LeakageError
from ctlr.plan import make_plan
from ctlr.specs import ImagesSpec, PreprocessSpec, StoredArrays
from ctlr.workspace import Workspace


def picture(seed: int, side: int = 96) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((side, side))
    grain = sum(ndimage.gaussian_filter(noise, width) * width for width in (1.5, 3, 6))
    return np.rint(255 * np.clip(0.5 + grain / (8 * grain.std()), 0, 1)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty pictures of two classes, and three more: equal bytes, brighter, and shifted by a third."""
    root = tmp_path / "pictures"
    for name in "ab":
        (root / name).mkdir(parents=True)
        for number in range(20):
            Image.fromarray(picture(number + 100 * (name == "b"))).save(root / name / f"{number:02}.png")
    whole = picture(7, 160)
    Image.fromarray(whole[:96, :96]).save(root / "a" / "07.png")
    Image.fromarray(picture(3)).save(root / "a" / "same.png")
    Image.fromarray(np.minimum(picture(5) // 2 + 90, 255).astype(np.uint8)).save(root / "b" / "brighter.png")
    Image.fromarray(whole[32:128, :96]).save(root / "a" / "shifted.png")
    return root


def stored(folder: Path, workspace: Workspace, copies: str) -> StoredArrays:
    spec = ImagesSpec.model_validate(
        {"name": "pictures", "root": str(folder), "copies": copies,
         "preprocess": PreprocessSpec(shape=(48, 48), normalise="percentile")}
    )  # fmt: skip
    return preprocess(spec, workspace)


def test_copies_count_as_one_subject_and_all_others_as_their_own(folder: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    apart, together = (stored(folder, workspace, copies) for copies in ("apart", "together"))
    assert (apart.subjects, apart.joined) == (43, 0)
    assert (together.subjects, together.joined, together.rows) == (40, 3, 43)
    assert apart.fingerprint != together.fingerprint
    owners = {Path(record.file).stem + Path(record.file).parts[-2]: record.subject
              for record in read_table(together, workspace)}  # fmt: skip
    assert owners["samea"] == owners["03a"]
    assert owners["brighterb"] == owners["05a"]
    assert owners["shifteda"] == owners["07a"]
    assert len({*owners.values()}) == 40


def test_what_counts_as_one_subject_stands_on_one_side(folder: Path, tmp_path: Path) -> None:
    text = """\
name: pictures
datasets: {pictures: {kind: images, root: pictures, copies: COPIES, preprocess: {shape: [48, 48]}}}
tasks: {kind: {target: class, kind: classification}}
transfers: [{target: {data: pictures, task: kind}}]
encoders: {small_cnn: {}}
methods: {scratch: {}}
baselines: []
sample_sizes: [15]
seeds: [0, 1, 2, 3, 4, 5]
split: {test: 10}
"""
    workspace, file = Workspace(tmp_path / "w"), tmp_path / "pictures.yaml"
    for copies in ("apart", "together"):
        file.write_text(text.replace("COPIES", copies))
        config = load(file)
        arrays = {name: preprocess(data, workspace) for name, data in config.datasets.items()}
        gate = Gate(make_plan(config), arrays, workspace)
        if copies == "apart":
            with pytest.raises(LeakageError, match="same image|copies of one image|overlapping"):
                gate.check()
        else:
            gate.check()
