"""An encoder from a file: what is loaded, and what stops a benchmark."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tiny_bench import TINY

from ctlr.cluster.request import request_of
from ctlr.config import load
from ctlr.encoders import build_encoder
from ctlr.errors import ConfigError
from ctlr.methods.pretrained import PretrainedSpec
from ctlr.plan import make_plan
from ctlr.specs import EncoderSpec, Study


def encoder(name: str = "small_cnn", seed: int = 0, ndim: int = 3) -> Any:
    return build_encoder(EncoderSpec(name=name), channels=1, ndim=ndim, seed=seed)


def spec_of(file: Path, **changes: Any) -> PretrainedSpec:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    made = {"label": "published", "weights": str(file), "sha256": digest, "licence": "MIT", "trained_on": ["ADNI"]}
    return PretrainedSpec.model_validate_json(json.dumps(made | changes))


def test_an_encoder_that_ctlr_has_trained_comes_back_whole(tmp_path: Path) -> None:
    save_file(encoder(seed=7).state_dict(), tmp_path / "encoder.safetensors")
    weights = spec_of(tmp_path / "encoder.safetensors").starting_weights(encoder())
    assert all(torch.equal(weights[name], tensor) for name, tensor in encoder(seed=7).state_dict().items())


def test_a_pth_of_torchvisions_is_read_by_its_own_names(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    torch.manual_seed(1)
    theirs = resnet18(weights=None)
    torch.save(theirs.state_dict(), tmp_path / "resnet18.pth")
    weights = spec_of(tmp_path / "resnet18.pth").starting_weights(encoder("resnet18", ndim=2))
    first = next(iter(weights.values()))
    assert torch.allclose(first, theirs.conv1.weight.sum(1, keepdim=True))  # colours summed for grey


def test_another_file_than_it_was_is_refused_with_both_digests(tmp_path: Path) -> None:
    save_file(encoder().state_dict(), tmp_path / "encoder.safetensors")
    told = r"methods.published.weights. must be .* sha256 a{64}; encoder.safetensors is [0-9a-f]{64}"
    with pytest.raises(ConfigError, match=told):
        spec_of(tmp_path / "encoder.safetensors", sha256="a" * 64).starting_weights(encoder())


BENCH = TINY.replace("simclr: {}, vat: {}", "published: {PRETRAINED}")


def benchmark(folder: Path, cohort: str = "ADNI", weights: str = "encoder.safetensors") -> Path:
    save_file(encoder().state_dict(), folder / "encoder.safetensors")
    digest = hashlib.sha256((folder / "encoder.safetensors").read_bytes()).hexdigest()
    options = f"method: pretrained, weights: {weights}, sha256: {digest}, licence: MIT, trained_on: [{cohort}]"
    file = folder / "tiny.yaml"
    file.write_text(BENCH.replace("PRETRAINED", options))
    return file


def test_weights_that_have_seen_the_target_stop_the_benchmark(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"trained on 'Cohort', and 'cohort' is it: its test subjects would not be"):
        load(benchmark(tmp_path, "Cohort"))


def test_a_file_that_is_not_there_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tiny.yaml:10: methods.published.weights: there is no file 'absent.pth'"):
        load(benchmark(tmp_path, weights="absent.pth"))


def test_where_the_file_lies_does_not_say_what_a_study_is(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    studies: list[Study] = []
    for folder in (tmp_path, tmp_path / "other"):
        studies += [s for s in make_plan(load(benchmark(folder))).studies if s.method.label == "published"][:1]
    assert studies[0].identity() == studies[1].identity()
    assert str(tmp_path) not in studies[0].without_folders().model_dump_json()


def test_a_cluster_wants_the_file_on_its_volume(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"methods.published.weights: pods do not see .* /workspace/weights/encoder"):
        request_of(load(benchmark(tmp_path)))
    assert request_of(load(benchmark(tmp_path, weights="/workspace/weights/encoder.safetensors"))).pods["train"]
