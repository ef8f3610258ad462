from pathlib import Path

import numpy as np
import pytest
import torch

from ctlr.encoders import build_encoder, build_head
from ctlr.errors import WorkspaceError
from ctlr.specs import EncoderSpec, ModelCard
from ctlr.training.checkpoint import TrainedModel, load_model, read_tensors, save_model, write_tensors


def model(classes: tuple[str, ...] = (), mean: float = 50, std: float = 10) -> TrainedModel:
    spec = EncoderSpec(name="small_cnn")
    encoder = build_encoder(spec, channels=1, ndim=2, seed=1)
    card = ModelCard(
        encoder=spec, channels=1, ndim=2, shape=(1, 32, 32), task="classification" if classes else "regression",
        target="sex" if classes else "age", classes=classes, mean=mean, std=std,
    )  # fmt: skip
    return TrainedModel(card, encoder, build_head(encoder.width, card.outputs, dropout=0.0, seed=1))


def images(n: int = 5) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, 1, 32, 32), dtype=np.float32)


@pytest.mark.parametrize("classes", [(), ("F", "M")])
def test_a_model_read_back_predicts_the_same(tmp_path: Path, classes: tuple[str, ...]) -> None:
    saved = model(classes)
    save_model(tmp_path, saved)
    assert np.array_equal(load_model(tmp_path).predict(images()), saved.predict(images()))


def test_predictions_are_in_the_targets_units() -> None:
    plain, scaled = model(mean=0, std=1).predict(images()), model(mean=50, std=10).predict(images())
    assert scaled == pytest.approx(plain * 10 + 50)


def test_probabilities_sum_to_one() -> None:
    predicted = model(("a", "b", "c")).predict(images())
    assert predicted.shape == (5, 3)
    assert predicted.sum(1) == pytest.approx(np.ones(5))


def test_no_image_gives_no_prediction() -> None:
    assert model().predict(images(0)).shape == (0,)


def test_the_same_weights_have_the_same_sum(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert save_model(tmp_path / "a", model()) == save_model(tmp_path / "b", model())


def test_tensors_of_any_stride_and_their_record_come_back(tmp_path: Path) -> None:
    tensors = {"last": torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last), "n": torch.tensor(3)}
    write_tensors(tmp_path / "x.safetensors", tensors, {"history": [{"loss": 0.1}], "ä": None})
    read, meta = read_tensors(tmp_path / "x.safetensors")
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())
    assert meta == {"history": [{"loss": 0.1}], "ä": None}


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "foreign"])
def test_damaged_weights_are_named_with_the_remedy(tmp_path: Path, damage: str) -> None:
    save_model(tmp_path, model())
    path = tmp_path / "model.safetensors"
    match damage:
        case "missing":
            path.unlink()
        case "cut":
            path.write_bytes(path.read_bytes()[:-10])
        case "flipped":
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 4
            path.write_bytes(content)
        case "foreign":
            path.write_bytes(b"\x80\x04pickle")
    with pytest.raises(WorkspaceError, match="model.safetensors is missing or damaged. Remove that folder and run"):
        load_model(tmp_path)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_model(tmp_path, model())
    other = model(("a", "b")).card
    (tmp_path / "model.json").write_text(other.model_dump_json())
    with pytest.raises(WorkspaceError, match=r"the weights do not fit model.json"):
        load_model(tmp_path)
