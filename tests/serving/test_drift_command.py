"""A model's folder knows its own images, and `ctlr drift` compares others with them."""

import json
import shutil
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image
from trained_models import Trained

from ctlr.cli.app import cli
from ctlr.monitoring import read_reference


def drift(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(cli, ["drift", *map(str, words)], standalone_mode=False)
    assert result.exception is None, result.exception
    assert (result.return_value or 0) == code, result.output
    return result.stdout


def test_the_reference_is_made_of_training_and_validation_images_alone(clinic: Trained, pictures: Trained) -> None:
    for trained in (clinic, pictures):
        reference = read_reference(trained.folder)
        lines = (trained.folder / "predictions.csv").read_text().splitlines()
        own = [line for line in lines if ",train," in line or ",validation," in line]
        validation = [line for line in own if ",validation," in line]
        assert reference.images == len(own) < len(lines) - 1
        assert {len(values) for values in reference.features.values()} == {len(own)}
        assert len(reference.predictions) == len(validation)
        assert sum(reference.classes.values()) == (len(validation) if reference.classes else 0)


def test_its_own_images_are_no_drift_and_darker_ones_are(pictures: Trained, tmp_path: Path) -> None:
    assert "No drift in 32 images." in drift(pictures.folder, pictures.data)
    for file in pictures.data.rglob("*.png"):
        pixels = np.minimum(np.asarray(Image.open(file)).astype(int) + 120, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / file.name)
    (tmp_path / "note.png").write_text("no picture")
    told = drift(pictures.workspace.root, tmp_path, code=3)
    assert "32 images differ from the model's in" in told
    found = json.loads(drift(pictures.folder, tmp_path, "-o", "json", code=3))
    assert (found["verdict"], found["images"], found["refused"]) == ("drift", 32, 1)
    assert found["rows"][0]["drifted"]


def test_a_model_without_a_reference_says_so(pictures: Trained, tmp_path: Path) -> None:
    folder = shutil.copytree(pictures.folder, tmp_path / "older")
    (folder / "monitoring.json").unlink()
    result = CliRunner().invoke(cli, ["drift", str(folder), str(pictures.data)], standalone_mode=False)
    assert "older/monitoring.json does not exist: an older CTLR wrote the model" in str(result.exception)
