from pathlib import Path

import numpy as np
import pytest

from ctlr.errors import WorkspaceError
from ctlr.report.pairs.pictures import PairPictures, pair_pictures
from ctlr.specs import DataTask, DigitsSpec, ImagesSpec, TaskSpec, TransferScores
from ctlr.transferability.pictures import pictures_bytes, pictures_of

TASK = TaskSpec(name="digit", target="class", kind="classification")
NAMES = {("low.digit", "high.digit"): "low → high"}
FILE = "transfers/x/pictures.safetensors"


def drawn(root: Path, data: type[DigitsSpec] | type[ImagesSpec], *, write: bool = True) -> tuple[PairPictures, ...]:
    """Drawings of a pair of datasets of a kind."""
    rng = np.random.default_rng(0)
    pictures = pictures_of(
        ("0", "1"), ("5", "6"), [rng.normal(size=(5, 3)).astype(np.float32) for _ in range(4)],
        mean=rng.random(64, np.float32), axes=rng.normal(size=(3, 64)).astype(np.float32),
        explained=np.array([0.6, 0.3, 0.1]), shape=(1, 8, 8), seed=0,
    )  # fmt: skip
    if write:
        (root / FILE).parent.mkdir(parents=True)
        (root / FILE).write_bytes(pictures_bytes(pictures))
    low, high = (
        DataTask(data=data(name=name) if data is DigitsSpec else ImagesSpec(name=name, root=name), task=TASK)
        for name in ("low", "high")
    )
    scores = TransferScores(source=low, target=high, n_train=20, seed=0, pictures=FILE)
    return pair_pictures([scores, scores.model_copy(update={"pictures": ""})], NAMES, root)


def test_a_pair_is_drawn_from_what_its_step_left(tmp_path: Path) -> None:
    (pair,) = drawn(tmp_path, DigitsSpec)
    assert pair.heading == "low → high"
    told = [panel.alt for panel in pair.panels]
    assert len(told) == 4
    assert told[0].startswith("Mean image and eigen-images")
    assert "Source: low: 0, 1; Target: high: 5, 6." in told[2]


def test_images_that_are_not_public_are_drawn_as_points_alone(tmp_path: Path) -> None:
    (pair,) = drawn(tmp_path, ImagesSpec)
    assert len(pair.panels) == 3
    assert not any("<image" in panel.svg for panel in pair.panels)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"pictures.safetensors cannot be read"):
        drawn(tmp_path, DigitsSpec, write=False)
