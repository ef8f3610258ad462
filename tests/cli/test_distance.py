"""`ctlr distance` on small pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from terminal import Finished, call

DIGITS = Path(__file__).parents[2] / "benchmarks" / "gradual-lr-digits.yaml"


def draw(root: Path, **shades: int) -> Path:
    """Ten noisy pictures a class, around a shade each."""
    for name, shade in shades.items():
        folder = root / name
        folder.mkdir(parents=True)
        for number in range(10):
            # A bright half that percentile normalisation keeps, whose width tells the classes apart.
            picture = np.random.default_rng([shade, number]).integers(0, 30, (16, 16)).astype(np.uint8)
            picture[:, :shade] += 200
            Image.fromarray(picture).save(folder / f"{number}.png")
    return root


def ctlr(folder: Path, *words: str) -> Finished:
    return call("distance", *words, "--side", "16", "--channels", "1", folder=folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    draw(root / "source", narrow=3, wide=12)
    draw(root / "target", thin=4, broad=13)
    return root


def test_the_nearest_class_of_each_is_found(folders: Path) -> None:
    done = ctlr(folders, "source", "target", "--components", "5", "-o", "json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["nearest_source_class"] == {"broad": "wide", "thin": "narrow"}
    assert (found["images_per_class"], found["components"]) == (10, 5)
    table = np.array(found["distance"])
    assert table.shape == (2, 2)
    assert found["mean"] == pytest.approx(table.mean())
    np.testing.assert_allclose(table, np.maximum(found["source_to_target"], found["target_to_source"]))


def test_people_get_a_table_with_the_nearest_marked(folders: Path) -> None:
    done = ctlr(folders, "source", "target", "--components", "5")
    assert done.code == 0, done.err
    assert done.out.count("*") == 3  # two classes, and the legend
    assert "10 images a class, 5 components" in done.out


def test_datasets_of_a_benchmark_are_named_by_their_file(folders: Path) -> None:
    names = [f"{DIGITS}:{name}" for name in ("plain-low", "plain-high", "textured-high")]
    done = [ctlr(folders, names[0], other, "--components", "20", "-o", "json") for other in names[1:]]
    assert [each.code for each in done] == [0, 0], done[0].err
    near, far = (json.loads(each.out) for each in done)
    assert (near["source_classes"], far["target_classes"]) == (list("01234"), list("56789"))
    assert far["mean"] > 1.5 * near["mean"]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("source", "nowhere"), 1, "nowhere must be a folder of images"),
        (("source", f"{DIGITS}:plain-hig"), 2, "unknown dataset 'plain-hig'. Did you mean 'plain-high'?"),
        (("source", f"{DIGITS}:plain-high"), 1, "Both datasets need images of one size; got 256 and 1024"),
        (("source", "target"), 2, "148 components need 149 images"),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_line(
    folders: Path, words: tuple[str, ...], status: int, told: str
) -> None:
    done = ctlr(folders, *words)
    assert done.code == status
    assert told in done.err
    assert "Traceback" not in done.err


def test_figures_are_drawn_with_their_points_and_are_the_same_each_time(folders: Path) -> None:
    words = ("source", "target", "--components", "5", "-o", "json")
    done = [ctlr(folders, *words, "--figures", name) for name in ("first", "second")]
    assert [each.code for each in done] == [0, 0], done[0].err
    drawn = [Path(path).name for path in json.loads(done[0].out)["figures"]]
    assert {"eigen-images.svg", "components-by-class.svg", "tsne-by-domain.svg", "points.csv"} <= set(drawn)
    for name in drawn:
        assert (folders / "first" / name).read_bytes() == (folders / "second" / name).read_bytes()
    rows = (folders / "first" / "points.csv").read_text().splitlines()
    assert rows[0].startswith("dataset,class,component_1,component_2,tsne_5_x")
    assert len(rows) == 41


def test_one_component_cannot_be_drawn(folders: Path) -> None:
    done = ctlr(folders, "source", "target", "--components", "1", "--figures", "none")
    assert done.code == 2
    assert "pictures need two components" in done.err
