"""The digits benchmark, cut down, on a machine without MLflow."""

import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from terminal import Finished, ctlr

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CUT = (
    "seeds=[0]", "sample_sizes=[25]", "training.pretrain.epochs=1", "training.finetune.epochs=15",
    "training.finetune.warmup=0", "report.bootstrap=100",
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the benchmark and its pictures."""
    folder = tmp_path_factory.mktemp("digits")
    shutil.copy(BENCHMARKS / "digits.yaml", folder)
    assert runpy.run_path(str(BENCHMARKS / "digits.py"))["write_digits"](folder / "digits") == 1797
    return folder


@pytest.fixture(scope="module")
def finished(place: Path) -> Finished:
    (place / "without" / "mlflow").mkdir(parents=True)
    (place / "without" / "mlflow" / "__init__.py").write_text("raise AssertionError('mlflow was imported')")
    overrides = [word for setting in CUT for word in ("--set", setting)]
    return ctlr(
        "run", "digits.yaml", "--workers", "1", "-o", "json", *overrides,
        folder=place, environment={"PYTHONPATH": str(place / "without")},
    )  # fmt: skip


def test_pictures_are_the_digits_of_scikit_learn(place: Path) -> None:
    pictures, digits = load_digits(return_X_y=True)
    assert sorted(path.name for path in (place / "digits").iterdir()) == list("0123456789")
    for number in (0, 1000, 1796):
        with Image.open(place / "digits" / str(digits[number]) / f"{number:04d}.png") as picture:
            assert picture.mode == "L"
            levels = np.asarray(picture, np.float64) * 16 / 255
        assert np.abs(levels - pictures[number].reshape(8, 8)).max() < 0.05


def test_a_folder_of_pictures_runs_to_its_report_without_mlflow(place: Path, finished: Finished) -> None:
    assert finished.code == 0, finished.err
    shown = json.loads(finished.out)
    assert {record["status"] for record in shown["results"]} == {"ok"}
    assert [record["method"] for record in shown["results"]] == [
        "mean", "linear", "gradient_boosting", "nearest", "scratch", "supervised", "simclr", "vat",
    ]  # fmt: skip
    assert "balanced accuracy" in (place / shown["report"]).read_text().lower().replace("_", " ")


def test_methods_beat_guessing_among_five_digits(finished: Finished) -> None:
    scores = {record["method"]: record["test_balanced_accuracy"] for record in json.loads(finished.out)["results"]}
    assert scores["mean"] == pytest.approx(0.2)
    assert scores["supervised"] > 0.3
