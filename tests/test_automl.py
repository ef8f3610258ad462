"""From pictures to a model in one step: the same run from the command line and from Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from clothes import shapes
from PIL import Image

import ctlr
from ctlr.cli.app import cli
from ctlr.errors import ConfigError, DataError, LeakageError

COUNTS = {"lying": 40, "upright": 40, "cross": 40}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> ctlr.ImageClassifier:
    place = tmp_path_factory.mktemp("automl")
    folder = shapes(place / "shapes", COUNTS)
    return ctlr.ImageClassifier(
        minutes=0.4, families=["small-cnn", "squeezenet1-1"], workspace=place / "w", workers=2
    ).fit(folder)


def test_a_folder_becomes_a_ranking_and_a_model(fitted: ctlr.ImageClassifier, tmp_path: Path) -> None:
    board = fitted.leaderboard()
    assert board["encoder"].tolist()[0] == "small_cnn"
    assert set(board["encoder"]) == {"small_cnn", "squeezenet1_1"}
    assert board["validation"][0] > 0.8
    assert board["low"][0] <= board["test"][0] <= board["high"][0]
    assert fitted.classes == ("cross", "lying", "upright")
    new = shapes(tmp_path / "new", {"lying": 8, "upright": 8, "cross": 8}, seed=9)
    files = sorted(new.glob("*/*.png"))
    truth = [file.parent.name for file in files]
    said = fitted.predict(files)
    assert np.mean(said == truth) > 0.7
    assert (fitted.predict_proba(files).argmax(1) == [fitted.classes.index(name) for name in said]).all()
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    assert (fitted.predict(pixels) == said).all()
    assert "reaches accuracy" in repr(fitted) or "has won on the validation set" in repr(fitted)
    page = fitted.report().read_text()
    assert "Ranking" in page
    assert "believe the test set" in page


def test_the_command_line_sees_the_same_run(fitted: ctlr.ImageClassifier, tmp_path: Path) -> None:
    root = fitted.benchmark.finished.root
    result = CliRunner().invoke(
        cli, ["automl", str(root.parent / "shapes"), "--minutes", "0.4", "--families", "small-cnn,squeezenet1-1",
              "-w", str(root), "--workers", "2"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "best on validation first" in result.output
    assert f"Model: {fitted.model}" in result.output
    again = CliRunner().invoke(cli, ["resume", "-w", str(root)])
    assert again.exit_code == 0, again.output


def test_a_dry_run_looks_and_searches_nothing(tmp_path: Path) -> None:
    folder, place = shapes(tmp_path / "shapes", {"lying": 12, "upright": 12}), str(tmp_path / "w")
    result = CliRunner().invoke(cli, ["automl", str(folder), "-w", place, "--dry-run", "--minutes", "1"])
    assert result.exit_code == 0, result.output
    assert "24 pictures, grey, some 32 x 32 pixels, brought to 32 x 32." in result.output
    assert (tmp_path / "w" / "automl" / "shapes.yaml").is_file()
    assert not (tmp_path / "w" / "searches").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--minutes", "-1"], "`--minutes`: must be greater than 0; got -1.0."),
        (["--weights", "resnet18.pth"], "must be FILE:ENCODER"),
        (["--metric", "acc"], "`metric` must be one of"),
        (["--device", "tpu"], "tpu"),
    ],
)
def test_bad_options_are_told_by_name(tmp_path: Path, arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(cli, ["automl", str(tmp_path), "-w", str(tmp_path / "w"), *arguments])
    assert told in str(result.exception)


def test_arrays_are_pictures_too(tmp_path: Path) -> None:
    folder = shapes(tmp_path / "shapes", {"lying": 30, "upright": 30})
    files = sorted(folder.glob("*/*.png"))
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    bright = pixels.mean(axis=(1, 2))
    model = ctlr.ImageRegressor(minutes=0.15, families=["small-cnn"], workspace=tmp_path / "w", workers=2)
    with pytest.raises(ConfigError, match="has not been fitted"):
        model.predict(files)
    model.fit(pixels / 255, bright)
    (row,) = model.leaderboard().to_dict("records")
    assert row["test"] < np.abs(bright - bright.mean()).mean()
    assert model.predict(pixels[:3]).shape == (3,)


def test_columns_of_a_table_are_read_beside_the_pictures(tmp_path: Path) -> None:
    folder, rng = shapes(tmp_path / "shapes", {"lying": 40, "upright": 40}), np.random.default_rng(0)
    files = sorted(folder.glob("*/*.png"))
    dose, noise = rng.normal(size=80), rng.normal(scale=0.3, size=80)
    upright = np.array([file.parent.name == "upright" for file in files])
    lines = [
        f"{file.relative_to(folder)},{value:.3f},{5 * value + 5 * stands + spread:.3f},{10 * value + 3:.3f}"
        for file, value, stands, spread in zip(files, dose, upright, noise, strict=True)
    ]
    (folder / "list.csv").write_text("\n".join(["file,dose,effect,again", *lines]))
    options = {"table": "list.csv", "target": "effect", "workspace": tmp_path / "w", "workers": 1, "trials": 8}
    model = ctlr.ImageRegressor(minutes=0.15, families=["logistic"], inputs=["dose"], **options).fit(folder)
    (row,) = model.leaderboard().to_dict("records")
    results = model.benchmark.results.set_index("method")
    assert row["test"] < results["test_mae"]["covariates"] < results["test_mae"]["mean"]
    said = model.predict(files[:2], inputs={"dose": [0, 1]})
    assert said.shape == (2,)
    with pytest.raises(DataError, match="the model reads 'dose' beside the image; 'dose' is not given"):
        model.predict(files[:2])
    with pytest.raises(LeakageError, match="Input 'again' of dataset 'pictures' tells the target 'dose'"):
        ctlr.ImageRegressor(inputs=["again"], **{**options, "target": "dose"}).fit(folder)


def test_one_model_answers_a_class_and_a_number(tmp_path: Path) -> None:
    folder = shapes(tmp_path / "shapes", {"lying": 40, "upright": 40})
    files = sorted(folder.glob("*/*.png"))
    bright = np.array([np.asarray(Image.open(file)).mean() for file in files])
    lines = [f"{file.relative_to(folder)},{value:.3f}" for file, value in zip(files, bright, strict=True)]
    (folder / "list.csv").write_text("\n".join(["file,bright", *lines]))
    options = {"table": "list.csv", "also": ["bright"], "families": ["logistic", "small-cnn"], "trials": 4}
    model = ctlr.ImageClassifier(minutes=0.3, workspace=tmp_path / "w", workers=2, **options).fit(folder)
    found = model.predict_each(files)
    assert found.keys() == {"class", "bright"}
    np.testing.assert_array_equal(found["class"], model.predict(files))
    assert set(found["class"]) <= {"lying", "upright"}
    assert np.abs(found["bright"] - bright).mean() < np.abs(bright - bright.mean()).mean()
    results = model.benchmark.results
    assert {"test_balanced_accuracy", "test_also_bright_mae"} <= set(results.columns)


@pytest.mark.parametrize(
    ("images", "targets", "told"),
    [
        (np.zeros((4, 8, 8), np.uint8), [1, 2], "one value an image; got 2 for 4"),
        (np.zeros((2, 8, 8, 4), np.uint8), [1, 2], "images must be"),
        (np.full((2, 8, 8), 7.0), [1, 2], "floats from 0"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(
    tmp_path: Path, images: np.ndarray, targets: list[int], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        ctlr.ImageClassifier(workspace=tmp_path / "w").fit(images, targets)


def test_a_search_begins_with_what_was_best_for_the_most_similar_pictures(tmp_path: Path) -> None:
    near = shapes(tmp_path / "near", {"lying": 30, "upright": 30}, seed=1)
    far = tmp_path / "far"
    for name, centre in (("left", 8), ("right", 24)):
        (far / name).mkdir(parents=True)
        for number in range(30):
            image = np.random.default_rng(number).normal(128, 40, (32, 32))
            image[8:24, centre - 6 : centre + 6] *= 0.2
            Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(far / name / f"{name}-{number}.png")
    earlier = tmp_path / "earlier"
    options = {"families": ["knn"], "minutes": 0.1, "trials": 6, "workers": 1}
    found = {}
    for folder in (near, far):
        model = ctlr.ImageClassifier(workspace=earlier, seed=len(found), **options).fit(folder)
        found[folder.name] = model.leaderboard()["options"][0]
    assert found["near"] != found["far"]
    new = shapes(tmp_path / "new", {"lying": 30, "upright": 30}, seed=2)
    model = ctlr.ImageClassifier(workspace=tmp_path / "w", warm_start=str(earlier), seed=7, **options).fit(new)
    (search,) = model.benchmark.finished.searches
    first = search.stages[0].trials[0].assignments
    assert {search.stages[0].options[name]: value for name, value in first.items()} == found["near"]
