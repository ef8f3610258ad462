"""A layer transfer from the file to the weights that its networks end with."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from tiny_bench import TINY, Bench

from ctlr.config import BenchmarkConfig, load, resolved_yaml
from ctlr.encoders import build_encoder, copy_blocks
from ctlr.errors import ConfigError
from ctlr.plan import make_plan
from ctlr.specs import ENCODERS, EncoderSpec, LayerRole, PretrainSpec, Study, encoder_spec, layer_label, layer_role
from ctlr.steps.finetune import finetune
from ctlr.steps.keys import pretrain_key, study_key
from ctlr.steps.pretrain import pretrain
from ctlr.training.checkpoint import load_model, read_tensors

METHODS = "methods: {scratch: {}, supervised: {finetune: {n_frozen: 1}}, simclr: {}, vat: {}}"
FAMILY = "methods: {scratch: {}, layer_transfer: {pretrain: {epochs: 2}, finetune: {epochs: 2}}}"
NETWORKS = [f"{origin}{n}B{plus}" for origin in "AB" for plus in ("", "+") for n in (1, 2, 3, 4)]


def benchmark(folder: Path, methods: str = FAMILY, encoders: str = "{small_cnn: {}}") -> BenchmarkConfig:
    path = folder / "layers.yaml"
    text = TINY.replace(METHODS, methods).replace("encoders: {small_cnn: {}}", f"encoders: {encoders}")
    assert methods in text
    path.write_text(text)
    return load(path)


def faults(folder: Path, methods: str, encoders: str = "{small_cnn: {}}") -> str:
    with pytest.raises(ConfigError) as caught:
        benchmark(folder, methods, encoders)
    return str(caught.value)


# ---------------------------------------------------------------- the file


def test_one_entry_stands_for_every_network(tmp_path: Path) -> None:
    config = benchmark(tmp_path)
    assert list(config.methods) == ["scratch", *NETWORKS]
    kept, moving = config.methods["A3B"], config.methods["B2B+"]
    assert (kept.method, kept.finetune.n_copied, kept.finetune.n_frozen) == ("supervised", 3, 3)
    assert (moving.method, moving.finetune.n_copied, moving.finetune.n_frozen) == ("selffer", 2, 0)
    assert {method.finetune.epochs for label, method in config.methods.items() if label != "scratch"} == {2}


def test_the_resolved_file_is_read_back_as_the_same_benchmark(tmp_path: Path) -> None:
    config = benchmark(tmp_path)
    copy = tmp_path / "resolved.yaml"
    copy.write_text(resolved_yaml(config))
    assert load(copy) == config


def test_every_label_says_the_place_that_its_method_has(tmp_path: Path) -> None:
    config = benchmark(tmp_path)
    roles = {label: layer_role(method) for label, method in config.methods.items()}
    assert roles.pop("scratch") is None
    assert {label: layer_label(role) for label, role in roles.items() if role} == {label: label for label in NETWORKS}
    assert roles["B4B+"] == LayerRole("B", 4, moving=True)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("layer_transfer: {temperature: 1}", ":10: methods.layer_transfer.temperature: unknown key"),
        ("layer_transfer: {finetune: {n_copied: 2}}", "methods.layer_transfer.finetune.n_copied: each network"),
        ("layer_transfer: {finetune: {epochs: 0}}", ":10: methods.layer_transfer.finetune.epochs: must be at least 1"),
        ("layer_transfer: {}, A2B: {method: supervised}", "methods.A2B: is a network of `layer_transfer` already"),
        ("vat: {finetune: {n_copied: 1}}", "methods.vat.finetune.n_copied: vat has no pretrained weights to copy"),
        ("supervised: {finetune: {n_copied: 5}}", "small_cnn has 4 blocks; got 5. Lower it"),
        ("simclr: {finetune: {n_copied: 1, n_frozen: 2}}", "2 blocks would be frozen and 1 copied"),
        ("simclr: {finetune: {n_copied: 1, strategy: linear_probe}}", "a linear probe freezes all 4 blocks"),
    ],
)
def test_what_breaks_a_rule_is_told_once_with_its_place(entry: str, told: str, tmp_path: Path) -> None:
    text = faults(tmp_path, f"methods: {{scratch: {{}}, {entry}}}")
    assert text.count(told) == 1
    assert len(text.splitlines()) == 1


def test_encoders_of_different_depth_need_benchmarks_of_their_own(tmp_path: Path) -> None:
    text = faults(tmp_path, FAMILY, "{small_cnn: {}, deep: {name: resnet18}}")
    assert "its encoders need one number of blocks; these have: small_cnn 4, deep 5" in text


def test_a_selffer_is_not_searched(tmp_path: Path) -> None:
    methods = "methods: {scratch: {}, selffer: {}}\ntuning: {experiments: {}, trials: 2}"
    assert "methods.selffer: a selffer is the control of another method" in faults(tmp_path, methods)


@pytest.mark.parametrize("name", ENCODERS)
def test_the_number_of_blocks_is_known_without_building_an_encoder(name: str) -> None:
    encoder = build_encoder(encoder_spec(name), channels=1, ndim=ENCODERS[name].dimensions[0], seed=0)
    assert len(encoder.blocks) == ENCODERS[name].blocks


# ---------------------------------------------------------------- the plan


def test_the_target_is_learned_first_once_for_each_size_and_the_source_once_for_all(tmp_path: Path) -> None:
    plan = make_plan(benchmark(tmp_path))
    assert sorted((spec.method.method, spec.n_train) for spec in plan.pretrainings if spec.n_train) == [
        ("selffer", 6), ("selffer", 10),
    ]  # fmt: skip
    assert [spec.method.method for spec in plan.pretrainings if spec.n_train is None] == ["supervised"]
    assert {study.source is None for study in plan.studies if study.method.method == "selffer"} == {True}


# ---------------------------------------------------------------- the weights


def network(bench: Bench, label: str, folder: Path) -> Study:
    """A network's study on the images of the tiny benchmark."""
    plan = make_plan(benchmark(folder))
    return next(study for study in plan.studies if study.method.label == label and study.n_train == 6)


def trained(study: Study, bench: Bench) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """Weights of the first network's encoder, and of the study's."""
    spec = PretrainSpec.of(study)
    assert spec is not None
    pretrain(spec, bench.arrays, bench.workspace)
    finetune(study, bench.arrays, bench.workspace)
    root = bench.workspace.root
    first = read_tensors(root / "pretrained" / pretrain_key(spec, bench.arrays) / "encoder.safetensors")[0]
    model = load_model(root / "finetuned" / study_key(study, bench.arrays))
    return first, model.encoder.state_dict()


@pytest.mark.parametrize("label", ["A2B", "B2B", "A2B+", "B2B+"])
def test_copied_blocks_stay_bit_for_bit_or_move_as_the_name_says(label: str, own_bench: Bench, tmp_path: Path) -> None:
    first, last = trained(network(own_bench, label, tmp_path), own_bench)
    same = {name: bool((first[name] == last[name]).all()) for name in first if re.search(r"weight|running_mean", name)}
    lower = {name: equal for name, equal in same.items() if name.startswith(("blocks.0.", "blocks.1."))}
    assert set(lower.values()) == {not label.endswith("+")}
    assert not any(equal for name, equal in same.items() if name not in lower)


def test_the_first_network_of_a_selffer_learns_the_rows_of_its_own_study(own_bench: Bench, tmp_path: Path) -> None:
    spec = PretrainSpec.of(network(own_bench, "B1B", tmp_path))
    assert spec is not None
    checkpoint = pretrain(spec, own_bench.arrays, own_bench.workspace)
    assert checkpoint.samples == 2 * 6  # epochs x n_train
    assert "mae" in checkpoint.scores


def test_blocks_above_the_copied_ones_keep_their_weights() -> None:
    spec = EncoderSpec(name="small_cnn")
    other, encoder = (build_encoder(spec, channels=1, ndim=2, seed=seed) for seed in (0, 1))
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    copy_blocks(encoder, other.state_dict(), 3)
    after = encoder.state_dict()
    assert (after["blocks.2.0.weight"] == other.state_dict()["blocks.2.0.weight"]).all()
    assert (after["blocks.3.0.weight"] == before["blocks.3.0.weight"]).all()


@pytest.mark.parametrize("n", [0, 5])
def test_an_encoder_gives_and_takes_no_more_blocks_than_it_has(n: int) -> None:
    encoder = build_encoder(EncoderSpec(name="small_cnn"), channels=1, ndim=2, seed=0)
    with pytest.raises(ConfigError, match=f"must lie between 1 and 4, the number of blocks of this encoder; got {n}"):
        copy_blocks(encoder, encoder.state_dict(), n)
