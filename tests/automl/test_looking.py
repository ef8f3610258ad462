"""What is found in a folder of pictures before anything is searched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from clothes import shapes
from PIL import Image

from ctlr.automl import Guidance, Looked, look
from ctlr.cli.app import cli
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


def test_pictures_that_are_nearly_copies_stand_on_one_side(tmp_path: Path) -> None:
    root = shapes(tmp_path / "p", {"lying": 14, "upright": 14}, side=64)
    first = Image.open(root / "lying" / "lying-001.png")
    first.save(root / "lying" / "again.jpg", quality=60)
    Image.open(root / "lying" / "lying-002.png").resize((48, 48)).save(root / "lying" / "smaller.png")
    Image.open(root / "upright" / "upright-003.png").point(lambda level: level * 0.8 + 20).save(
        root / "upright" / "brighter.png"
    )
    found = looked(root, tmp_path)
    assert found.stored.joined == 3
    assert found.counts[0] == 28
    assert "3 pictures are copies of others, or show a part of them" in "\n".join(found.warnings)


def test_a_near_copy_on_two_given_sides_is_a_leak(tmp_path: Path) -> None:
    for number, side in enumerate(("train", "test")):
        shapes(tmp_path / "p" / side, {"lying": 12, "upright": 12}, seed=number, side=64)
        for file in (tmp_path / "p" / side).glob("*/*.png"):
            file.rename(file.with_name(f"{side}-{file.name}"))
    Image.open(tmp_path / "p/train/lying/train-lying-003.png").save(tmp_path / "p/test/lying/other.jpg", quality=70)
    found = looked(tmp_path / "p", tmp_path)
    assert found.stored.moved == 1
    assert "A leak between the given sides: 1 pictures are copies" in "\n".join(found.warnings)


def test_every_kind_of_damaged_file_is_left_out_and_counted(tmp_path: Path) -> None:
    root = shapes(tmp_path / "p", {"lying": 14, "upright": 14})
    whole = (root / "lying" / "lying-000.png").read_bytes()
    (root / "lying" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "lying" / "empty.png").write_bytes(b"")
    (root / "upright" / "text.png").write_text("no picture at all")
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 0xFF
    (root / "upright" / "flipped.png").write_bytes(broken)
    found = looked(root, tmp_path)
    assert found.counts[0] == 28
    assert len(found.stored.excluded) == 4
    assert sum(int(line.split()[0]) for line in found.warnings if " left out: " in line) == 4


def test_what_is_wrong_is_shown_and_stands_in_the_file(tmp_path: Path) -> None:
    root = shapes(tmp_path / "p", {"lying": 60, "upright": 9})
    (root / "lying" / "damaged.png").write_bytes(b"no picture")
    shutil.copy(root / "lying" / "lying-001.png", root / "lying" / "again.png")
    words = ["automl", str(root), "-w", str(tmp_path / "w"), "--dry-run", "--families", "knn"]
    shown = CliRunner().invoke(cli, words)
    assert shown.exit_code == 0, shown.output
    written = " ".join((tmp_path / "w" / "automl" / "p.yaml").read_text().split())
    output = " ".join(shown.output.split())
    for said in (
        "1 left out: ",
        "1 pictures are copies of others",
        "Fewer than 10 pictures of a class: upright 9.",
        "lying has 61 pictures and upright 9: balanced accuracy",
    ):
        assert said in output
        assert said in written


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
