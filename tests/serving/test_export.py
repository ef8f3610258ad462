"""A model as one file: it predicts what its folder predicts, whatever the number of images."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from trained_models import Trained

from ctlr.cli.app import cli
from ctlr.data.preparation import prepare_files
from ctlr.encoders import build_encoder, build_head
from ctlr.errors import ConfigError, CtlrError
from ctlr.serving import export_onnx, export_torchscript
from ctlr.specs import InputColumn, ModelCard
from ctlr.training.checkpoint import TrainedModel, load_model

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated")  # and yet it is what reads the files


def untrained(encoder: str, ndim: int, side: int = 32, classes: tuple[str, ...] = ("a", "b", "c")) -> TrainedModel:
    card = ModelCard.model_validate(
        {
            "encoder": {"name": encoder}, "channels": 3, "ndim": ndim, "shape": (3, *[side] * ndim), "target": "x",
            "task": "classification" if classes else "regression", "classes": classes, "mean": 40.0, "std": 15.0,
        }
    )  # fmt: skip
    network = build_encoder(card.encoder, channels=3, ndim=ndim, seed=0)
    head = build_head(network.width, card.outputs, dropout=0.5, seed=0)
    torch.nn.init.normal_(head[1].weight, generator=torch.Generator().manual_seed(0))
    return TrainedModel(card, network, head)


@pytest.mark.parametrize("kind", ["pictures", "clinic"])
def test_both_files_predict_what_the_model_predicts(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    trained: Trained = request.getfixturevalue(kind)
    model = load_model(trained.folder)
    files = sorted(trained.data.rglob("*.png" if kind == "pictures" else "*_T1w.nii.gz"))[:5]
    assert model.card.preparation is not None
    images = prepare_files(files, model.card.preparation)
    words = [str(trained.folder), "--onnx", str(tmp_path / "a.onnx"), "--torchscript", str(tmp_path / "a.pt")]
    result = CliRunner().invoke(cli, ["export", *words], standalone_mode=False)
    assert result.exception is None, result.exception
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    assert [each.name for each in session.get_inputs()] == ["images"]
    name = "probabilities" if kind == "pictures" else "prediction"
    scale = 1 if kind == "pictures" else model.card.std
    (found,) = session.run([name], {"images": images})
    np.testing.assert_allclose(found, model.predict(images), rtol=0, atol=1e-5 * scale)
    script = torch.jit.load(tmp_path / "a.pt")
    np.testing.assert_allclose(
        script(torch.from_numpy(images)).detach(), model.predict(images), rtol=0, atol=1e-5 * scale
    )


def test_columns_go_in_beside_the_images_and_an_answer_a_target_comes_out(several: Trained, tmp_path: Path) -> None:
    model = load_model(several.of("scratch"))
    export_onnx(model, tmp_path / "a.onnx")
    export_torchscript(model, tmp_path / "a.pt")
    assert model.card.preparation is not None
    images = prepare_files(sorted(several.data.rglob("*.png"))[:4], model.card.preparation)
    expected = model.predict_each(images, inputs={"age": [31, "70.5", None, 40]})
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    assert [(each.name, each.type, each.shape[1:]) for each in session.get_inputs()] == [
        ("images", "tensor(float)", [3, 24, 16]), ("age", "tensor(double)", [])
    ]  # fmt: skip
    names = ["probabilities", "also_size_prediction", "also_place_probabilities"]
    assert [each.name for each in session.get_outputs()] == names
    age = np.array([31, 70.5, math.nan, 40])
    found = session.run(None, {"images": images, "age": age})
    script = torch.jit.load(tmp_path / "a.pt")(torch.from_numpy(images), torch.from_numpy(age))
    for one, other, known in zip(found, script, expected.values(), strict=True):
        np.testing.assert_allclose(one, known, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(other.detach(), known, rtol=1e-5, atol=1e-5)
    without = session.run(None, {"images": images, "age": np.full(4, math.nan)})
    assert np.abs(without[0][[0, 1, 3]] - found[0][[0, 1, 3]]).min() > 1e-4  # the column is read
    np.testing.assert_array_equal(without[0][2], found[0][2])


def test_a_category_goes_in_as_its_place_in_the_card(lesions: Trained, tmp_path: Path) -> None:
    model = load_model(lesions.folder)
    export_onnx(model, tmp_path / "a.onnx")
    assert [column.categories for column in model.card.inputs] == [(), ("arm", "leg")]
    images = np.repeat(_images(lesions, 1), 3, axis=0)
    age = np.array([31.0, 31, 31])
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    (found,) = session.run(None, {"images": images, "age": age, "place": np.array([0, 1, -1])})
    known = model.predict(images, inputs={"age": age.tolist(), "place": ["arm", "leg", "head"]})
    np.testing.assert_allclose(found, known, rtol=1e-5, atol=1e-5)
    assert len(np.unique(found[:, 0])) == 3


def _images(trained: Trained, count: int) -> Any:
    preparation = load_model(trained.folder).card.preparation
    assert preparation is not None
    return prepare_files(sorted(trained.data.rglob("*.png"))[:count], preparation)


def test_a_column_that_bears_the_images_name_is_refused(lesions: Trained, tmp_path: Path) -> None:
    model = load_model(lesions.folder)
    assert isinstance(model, TrainedModel)
    named = InputColumn(name="images", kind="number")
    card = model.card.model_copy(update={"inputs": (named, *model.card.inputs[1:])})
    with pytest.raises(ConfigError, match="a column 'images', and that is the name of the image. Rename the column"):
        export_onnx(replace(model, card=card), tmp_path / "a.onnx")


def test_the_card_travels_with_the_file(pictures: Trained, tmp_path: Path) -> None:
    model = load_model(pictures.folder)
    export_onnx(model, tmp_path / "a.onnx")
    told = {each.key: each.value for each in onnx.load(tmp_path / "a.onnx").metadata_props}
    assert ModelCard.model_validate_json(told["ctlr.model.json"]) == model.card
    assert told["ctlr.classes"] == "bars\ndots"
    export_torchscript(model, tmp_path / "a.pt")
    kept = {"ctlr.model.json": ""}
    torch.jit.load(tmp_path / "a.pt", _extra_files=kept)
    assert json.loads(kept["ctlr.model.json"])["target"] == "class"


@pytest.mark.parametrize(
    ("encoder", "ndim"), [("sfcn", 3), ("efficientnet_lite0", 2), ("mlp", 0), ("lstm", 1)],
)  # fmt: skip
def test_encoders_leave_by_both_doors(encoder: str, ndim: int, tmp_path: Path) -> None:
    model = untrained(encoder, ndim, classes=() if encoder == "sfcn" else ("a", "b", "c"))
    assert export_onnx(model, tmp_path / "a.onnx") <= 1e-5
    assert export_torchscript(model, tmp_path / "a.pt") <= 1e-5


def test_a_file_that_would_predict_otherwise_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = untrained("small_cnn", 2)
    monkeypatch.setattr(TrainedModel, "predict_each", lambda self, images, **_: {"x": np.full((len(images), 3), 0.5)})
    with pytest.raises(CtlrError, match=r"the TorchScript file must predict .* was not written"):
        export_torchscript(model, tmp_path / "a.pt")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_network_is_refused(pictures: Trained, tmp_path: Path) -> None:
    @dataclass
    class Forest:
        card: ModelCard

        def predict(self, images: Any, batch_size: int = 32, *, inputs: Any = None, trusted: bool = False) -> Any: ...

        def predict_each(
            self, images: Any, batch_size: int = 32, *, inputs: Any = None, trusted: bool = False
        ) -> Any: ...

    with pytest.raises(ConfigError, match="only a network can be exported, and this model is none. Use its folder"):
        export_onnx(Forest(untrained("small_cnn", 2).card), tmp_path / "a.onnx")
    result = CliRunner().invoke(cli, ["export", str(pictures.folder)], standalone_mode=False)
    assert "`--onnx FILE`, `--torchscript FILE` or both" in str(result.exception)
