"""A model's folder knows its own images, and `ctlr drift` compares others with them."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image
from served import running
from trained_models import PICTURES, Trained, train

from ctlr.cli.app import cli
from ctlr.monitoring import read_reference
from ctlr.serving import best_model
from ctlr.serving.http import create_app
from ctlr.training.checkpoint import load_model


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


def test_a_model_that_reads_columns_is_held_against_images_alone_unless_a_table_gives_them(
    lesions: Trained, tmp_path: Path
) -> None:
    predicted = {"confidence", "predicted class"}
    found = json.loads(drift(lesions.folder, lesions.data, "-o", "json"))
    assert found["verdict"] == "no drift"
    assert predicted.isdisjoint(row["feature"] for row in found["rows"])
    names = (lesions.data / "list.csv").read_text().replace("bars/", "").replace("dots/", "")
    (tmp_path / "list.csv").write_text(names)
    found = json.loads(drift(lesions.folder, lesions.data, "--table", tmp_path / "list.csv", "-o", "json"))
    assert found["verdict"] == "no drift"
    columns = {f"column {name}" for name in ("age", "age unknown", "place = arm", "place = leg", "place unknown")}
    assert predicted | columns <= {row["feature"] for row in found["rows"]}
    (tmp_path / "list.csv").write_text(names.replace(",arm,", ",wing,").replace(",leg,", ",wing,"))
    found = json.loads(drift(lesions.folder, lesions.data, "--table", tmp_path / "list.csv", "-o", "json", code=3))
    assert "column place unknown" in {row["feature"] for row in found["rows"] if row["drifted"]}


def test_a_model_without_a_network_has_the_same_door(tmp_path: Path, pictures: Trained) -> None:
    shutil.copytree(pictures.data, tmp_path / "shapes")
    text = PICTURES.replace("{scratch: {}}", "{scratch: {}, svm: {}}").replace("[0, 1]", "[0]")
    (tmp_path / "pictures.yaml").write_text(text)
    trained = train(tmp_path / "pictures.yaml")
    folder = best_model(trained.workspace.root, "pictures", method="svm")

    def invoked(*words: object) -> Result:
        return CliRunner().invoke(cli, [*map(str, words)], standalone_mode=False)

    with (folder / "predictions.csv").open() as file:
        known = {row["subject"]: row for row in csv.DictReader(file)}
    told = list(csv.DictReader(io.StringIO(invoked("predict", folder, pictures.data, "-o", "csv").stdout)))
    assert len(told) == 32
    for row in told:
        if study := known.get(trained.workspace.pseudonym(Path(row["file"]).stem)):
            assert (row["y_pred"], row["p_bars"]) == (study["y_pred"], study["p_bars"])
    assert json.loads(drift(folder, pictures.data, "-o", "json"))["verdict"] == "no drift"
    with running(create_app(load_model(folder), reference=read_reference(folder))) as client:
        picture = next(pictures.data.rglob("bars*.png"))
        (answer,) = client.send(("file", picture.name, picture.read_bytes())).json["predictions"]
        assert set(answer["probabilities"]) == {"bars", "dots"}
    refused = invoked("export", folder, "--onnx", tmp_path / "a.onnx").exception
    assert "only a network can be exported, and this model is none" in str(refused)


def test_a_model_without_a_reference_says_so(pictures: Trained, tmp_path: Path) -> None:
    folder = shutil.copytree(pictures.folder, tmp_path / "older")
    (folder / "monitoring.json").unlink()
    result = CliRunner().invoke(cli, ["drift", str(folder), str(pictures.data)], standalone_mode=False)
    assert "older/monitoring.json does not exist: an older CTLR wrote the model" in str(result.exception)
