"""What is found in a folder of pictures before anything is searched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from clothes import shapes
from PIL import Image

from ctlr.automl import Guidance, Looked, look
from ctlr.errors import ConfigError, DataError
from ctlr.workspace import Workspace


def looked(folder: Path, tmp_path: Path, **guidance: object) -> Looked:
    return look(folder, Guidance.of(guidance), Workspace(tmp_path / "w"))


def test_size_colours_and_counts_are_read(tmp_path: Path) -> None:
    found = looked(shapes(tmp_path / "p", {"lying": 12, "upright": 14}, side=50), tmp_path)
    assert (found.sizes, found.stored.shape) == ((50, 50), (1, 48, 48))
    assert found.summary.classes == {"lying": 12, "upright": 14}
    assert (found.task.kind, found.task.headline, found.counts) == ("classification", "accuracy", (26, -1, -1))
    assert found.warnings == ()
    big = looked(shapes(tmp_path / "big", {"lying": 10, "upright": 10}, side=200, colour=True), tmp_path)
    assert big.stored.shape == (3, 64, 64)
    assert looked(tmp_path / "big", tmp_path, side=40).stored.shape == (3, 40, 40)


def test_what_is_wrong_is_found_first(tmp_path: Path) -> None:
    root = shapes(tmp_path / "p", {"lying": 60, "upright": 12, "cross": 7})
    (root / "lying" / "damaged.png").write_bytes((root / "lying" / "lying-000.png").read_bytes()[:60])
    shutil.copy(root / "lying" / "lying-001.png", root / "lying" / "again.png")
    Image.new("L", (32, 32), 7).save(root / "upright" / "plain.png")
    found = looked(root, tmp_path)
    assert found.task.headline == "balanced_accuracy"
    assert looked(root, tmp_path, metric="accuracy").task.headline == "accuracy"
    assert found.stored.joined == 1
    told = "\n".join(found.warnings)
    assert "1 left out: " in told
    assert "1 pictures are copies of others" in told
    assert "Fewer than 10 pictures of a class: cross 7." in told
    assert "lying has 61 pictures and cross 7: balanced accuracy" in told


def test_sides_that_the_folder_gives_are_counted(tmp_path: Path) -> None:
    for number, (side, count) in enumerate({"train": 20, "test": 6, "val": 5}.items()):
        shapes(tmp_path / "p" / side, {"lying": count, "upright": count}, seed=number)
        for file in (tmp_path / "p" / side).glob("*/*.png"):
            file.rename(file.with_name(f"{side}-{file.name}"))
    assert looked(tmp_path / "p", tmp_path).counts == (62, 12, 10)


def test_a_picture_on_two_given_sides_is_told_and_goes_where_it_is_tested(tmp_path: Path) -> None:
    for number, side in enumerate(("train", "test")):
        shapes(tmp_path / "p" / side, {"lying": 12, "upright": 12}, seed=number)
        for file in (tmp_path / "p" / side).glob("*/*.png"):
            file.rename(file.with_name(f"{side}-{file.name}"))
    shutil.copy(tmp_path / "p/train/lying/train-lying-003.png", tmp_path / "p/test/lying/other.png")
    found = looked(tmp_path / "p", tmp_path)
    assert found.counts == (48, 25, -1)
    assert "A leak between the given sides: 1 pictures are copies" in "\n".join(found.warnings)


def test_a_column_of_numbers_is_a_regression_and_one_of_names_is_not(tmp_path: Path) -> None:
    root = shapes(tmp_path / "p", {"lying": 25})
    lines = ["file,age,site", *(f"lying-{n:03}.png,{20 + n},{'ab'[n % 2]}" for n in range(25))]
    (root / "ages.csv").write_text("\n".join(lines) + "\n")
    age = looked(root, tmp_path, table="ages.csv", target="age")
    assert (age.task.kind, age.task.headline) == ("regression", "mae")
    site = looked(root, tmp_path, table="ages.csv", target="site")
    assert (site.task.kind, site.summary.classes) == ("classification", {"a": 13, "b": 12})
    with pytest.raises(ConfigError, match=r"`target: sex`: no picture has it\. There are: age, "):
        looked(root, tmp_path, table="ages.csv", target="sex")
    both = looked(root, tmp_path, table="ages.csv", target="site", also=["age"])
    assert [(each.target, each.kind) for each in both.task.also] == [("age", "regression")]
    with pytest.raises(ConfigError, match="`also: sex`: no picture has it"):
        looked(root, tmp_path, table="ages.csv", target="site", also=["sex"])
    with pytest.raises(ConfigError, match="must name different columns; 'age' is there twice"):
        looked(root, tmp_path, table="ages.csv", target="site", also=["age"], inputs=["age"])
    with pytest.raises(ConfigError, match="`also: age` are columns of a table"):
        looked(root, tmp_path, also=["age"])


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="one folder a class"):
        looked(tmp_path / "empty", tmp_path)


@pytest.mark.parametrize(
    ("options", "told"),
    [({"metric": "acuracy"}, "`metric` must be one of"), ({"target": "age"}, "is a column of a table"),
     ({"name": "My Run"}, "Write 'my-run'")],
)  # fmt: skip
def test_guidance_that_breaks_a_rule_is_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Guidance.of(options)
