import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from ctlr.config import (
    BenchmarkConfig,
    json_schema,
    load,
    public_dump,
    resolved_yaml,
    template,
)
from ctlr.errors import ConfigError
from ctlr.methods.simclr import SimCLRSpec
from ctlr.methods.supervised import SupervisedSpec
from ctlr.specs import PUBLISHED, CohortSpec, SplitSpec

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

PLAIN = """\
name: plain
datasets:
  cohort: {kind: cohort, subjects: 400, preprocess: {shape: [32, 32, 32]}}
tasks:
  age: {target: age, kind: regression}
  sex: {target: sex, kind: classification}
transfers:
  - {source: {data: cohort, task: sex}, target: {data: cohort, task: age}}
encoders: {small_cnn: {}}
methods:
  scratch: {}
  supervised: {finetune: {n_frozen: 1}}
  simclr: {temperature: 0.3}
sample_sizes: [20, 50]
seeds: [0, 1]
"""


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.yaml"
    path.write_text(PLAIN)
    return path


def faults_of(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    return str(caught.value).splitlines()


def test_keys_become_names_and_labels(plain: Path) -> None:
    config = load(plain)
    assert config.datasets["cohort"].name == "cohort"
    assert config.tasks["age"].name == "age"
    assert config.encoders["small_cnn"].label == "small_cnn"
    assert {label: method.method for label, method in config.methods.items()} == {
        "scratch": "scratch", "supervised": "supervised", "simclr": "simclr",
    }  # fmt: skip
    assert config.methods["simclr"].label == "simclr"


def test_a_name_of_ones_own_names_its_method_and_its_encoder(plain: Path) -> None:
    config = load(plain, ["methods.warm={method: simclr, temperature: 0.5}", "encoders.wide={name: sfcn, width: 2}"])
    assert isinstance(config.methods["warm"], SimCLRSpec)
    assert config.methods["warm"].label == "warm"
    assert config.encoders["wide"].name == "sfcn"


def test_an_entry_without_options_may_be_left_empty(plain: Path) -> None:
    plain.write_text(PLAIN.replace("scratch: {}", "scratch:"))
    assert load(plain).methods["scratch"].method == "scratch"


def test_training_lies_under_each_methods_own_options(plain: Path) -> None:
    plain.write_text(PLAIN + "training: {pretrain: {epochs: 7, lr: 0.01}, finetune: {epochs: 9, n_frozen: 2}}\n")
    config = load(plain, ["methods.supervised.pretrain.lr=0.5"])
    supervised = config.methods["supervised"]
    assert isinstance(supervised, SupervisedSpec)
    assert (supervised.pretrain.epochs, supervised.pretrain.lr) == (7, 0.5)
    assert (supervised.finetune.epochs, supervised.finetune.n_frozen) == (9, 1)


def test_what_a_method_needs_survives_partial_options(plain: Path) -> None:
    simclr = load(plain, ["methods.simclr.pretrain.epochs=3"]).methods["simclr"]
    assert isinstance(simclr, SimCLRSpec)
    assert simclr.pretrain.epochs == 3
    assert simclr.pretrain.batch_size == 32
    assert simclr.pretrain.views is not None


def test_freezing_for_all_spares_methods_without_pretrained_weights(plain: Path) -> None:
    config = load(plain, ["training.finetune={n_frozen: 2, strategy: full}", "methods.vat={}"])
    frozen = {label: method.finetune.n_frozen for label, method in config.methods.items()}
    assert frozen == {"scratch": 0, "supervised": 1, "simclr": 2, "vat": 0}


def test_stains_and_turns_need_pictures_that_have_them(plain: Path) -> None:
    found = faults_of(plain, "methods.simclr.pretrain.views={turn: 0.5}")
    assert "methods.simclr.pretrain.views.turn: 3-D images have no such view. Remove it. Known: bias, " in found[-1]
    pictures = [
        "datasets.cohort={kind: digits}", "tasks.age={target: class, kind: classification, classes: ['0', '1']}",
        "tasks.sex={target: class, kind: classification, classes: ['2', '3']}", "encoders.small_cnn={}",
        "methods.simclr.pretrain.views={stain: 0.05}",
    ]  # fmt: skip
    grey = faults_of(plain, *pictures, "datasets.cohort.preprocess={shape: [32, 32]}")
    assert (
        "stains need coloured pictures, and dataset 'cohort' has 1 channel. Set `preprocess.channels: 3`." in grey[-1]
    )
    scaled = faults_of(plain, *pictures, "datasets.cohort.preprocess={shape: [32, 32], channels: 3}")
    assert "stains need values of 0 to 1, and dataset 'cohort' has `normalise: zscore`." in scaled[-1]
    load(plain, [*pictures, "datasets.cohort.preprocess={shape: [32, 32], channels: 3, normalise: percentile}"])


EVERY_METHOD = [
    "methods.vat={}", "methods.pooled={}", "methods.selffer={}", "methods.supervised.finetune.n_frozen=0",
    "methods.probe={method: supervised, finetune: {strategy: linear_probe}}",
]  # fmt: skip
MIRROR = "{rotate: 0, translate: 0, scale: 0, warp: 0, flip: 0.5}"


def test_views_for_all_reach_every_method_and_stage(plain: Path) -> None:
    config = load(plain, [*EVERY_METHOD, f"training={{pretrain: {{views: {MIRROR}}}, finetune: {{views: {MIRROR}}}}}"])
    said = {label: method.views_words(3) for label, method in config.methods.items()}
    assert said == {
        "scratch": "finetuning: flip 0.5", "vat": "finetuning: flip 0.5", "pooled": "finetuning: flip 0.5",
        **dict.fromkeys(("supervised", "simclr", "selffer", "probe"), "pretraining: flip 0.5; finetuning: flip 0.5"),
    }  # fmt: skip


def test_a_method_takes_back_the_views_that_all_have(plain: Path) -> None:
    views = [f"training.finetune.views={MIRROR}", "methods.probe.finetune.views=null"]
    config = load(plain, [*EVERY_METHOD, *views])
    assert config.methods["probe"].finetune.views is None
    assert {m.views_by_stage["finetune"] is None for k, m in config.methods.items() if k != "probe"} == {False}


def test_a_refit_for_all_reaches_every_method(plain: Path) -> None:
    config = load(plain, [*EVERY_METHOD, "training.finetune.refit=true", "methods.vat.finetune.refit=false"])
    assert {label for label, method in config.methods.items() if not method.finetune.refit} == {"vat"}


def test_a_probe_of_ones_own_overrules_freezing_for_all(plain: Path) -> None:
    config = load(plain, ["training.finetune.n_frozen=2", "methods.simclr.finetune.strategy=linear_probe"])
    assert config.methods["simclr"].finetune.strategy == "linear_probe"
    assert config.methods["simclr"].finetune.n_frozen == 0


@pytest.mark.parametrize(
    ("text", "read"),
    [("1e-4", 1e-4), ("5E-3", 5e-3), (".5", 0.5), ("0x10", 16), ("012", 12), ("1", 1)],
)
def test_numbers_are_those_of_yaml_1_2(plain: Path, text: str, read: float) -> None:
    config = load(plain, [f"methods.simclr.pretrain.weight_decay={text}"])
    simclr = config.methods["simclr"]
    assert isinstance(simclr, SimCLRSpec)
    assert simclr.pretrain.weight_decay == read


@pytest.mark.parametrize("text", ["on", "yes", "22:30", "2024-01-01", "'12'", "NO"])
def test_words_and_dates_are_texts_as_in_yaml_1_2(plain: Path, text: str) -> None:
    assert load(plain, [f"description={text}"]).description == text.strip("'")


def test_folders_start_at_the_file(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    path = tmp_path / "own.yaml"
    path.write_text(template("bids", "own", "scans"))
    data = load(path).datasets["study"]
    assert data.kind == "bids"
    assert data.root == str(tmp_path / "scans")


def test_pictures_have_two_sides_without_being_told(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(template("images", "own", ".").replace("shape: [64, 64], ", ""))
    assert load(path).datasets["pictures"].preprocess.shape == (32, 32)


def test_overrides_reach_into_lists(plain: Path) -> None:
    config = load(plain, ["sample_sizes.1=40", "seeds=[5]", "transfers.0.source=null", "methods={scratch: {}}"])
    assert config.sample_sizes == (20, 40)
    assert config.seeds == (5,)
    assert config.transfers[0].source is None


def test_an_anchor_may_be_used_again(plain: Path) -> None:
    plain.write_text(
        PLAIN.replace("{temperature: 0.3}", "{pretrain: &stage {epochs: 4}}") + "training: {pretrain: *stage}\n"
    )
    supervised = load(plain).methods["supervised"]
    assert isinstance(supervised, SupervisedSpec)
    assert supervised.pretrain.epochs == 4


# Each row: what is set, and parts of the one line that says so.
BROKEN = {
    "unknown key": ("methods.simclr.temprature=1", ["methods.simclr.temprature: unknown key", "'temperature'?"]),
    "unknown key inside": ("methods.simclr.pretrain.view={}", ["simclr.pretrain.view: unknown key", "'views'?"]),
    "unknown key in an option": (
        "methods.simclr.pretrain.views.rotat=1",
        ["pretrain.views.rotat: unknown key", "'rotate'?"],
    ),
    "too few sides": (
        "datasets.cohort.preprocess.shape=[8]",
        ["preprocess.shape: must have at least 2 items; got a list of 1"],
    ),
    "number for a transfer": ("transfers=[3]", ["transfers.0: must be {source: {…}, target: {…}}; got 3"]),
    "a transfer twice": (
        "transfers=[{target: {data: cohort, task: age}}, {target: {data: cohort, task: age}}]",
        ["transfers.1: the same transfer is listed above"],
    ),
    "single value for training": ("training=3", ["training: must be a mapping"]),
    "unknown section": ("seed=1", ["seed: unknown key", "Did you mean 'seeds'?"]),
    "unknown method": ("methods.simlcr={}", ["methods.simlcr: unknown method", "Did you mean 'simclr'?"]),
    "unknown method in a label": ("methods.a={method: vatt}", ["methods.a.method: unknown method", "'vat'?"]),
    "option of no entry": ("methods.vta.weight=1", ["`methods` has no 'vta'", "Known: scratch, simclr, supervised"]),
    "unknown encoder": ("encoders.resnet={}", ["encoders.resnet: unknown encoder", "Did you mean 'resnet50'?"]),
    "unknown encoder in a label": ("encoders.a={name: sfnc}", ["encoders.a.name: unknown encoder", "'sfcn'?"]),
    "unknown kind": ("datasets.cohort.kind=cohrt", ["datasets.cohort.kind: unknown kind", "'cohort'?"]),
    "missing kind": (
        "datasets.more={}",
        ["datasets.more.kind: is missing", "Known: bids, cohort, digits, fonts, generated_points, idx"],
    ),
    "missing key": ("tasks.iq={kind: regression}", ["tasks.iq.target: is missing", "Write `target: …`"]),
    "unknown dataset": ("transfers.0.target.data=chort", ["transfers.0.target.data: unknown dataset", "'cohort'?"]),
    "unknown task": ("transfers.0.source.task=sexx", ["transfers.0.source.task: unknown task", "'sex'?"]),
    "unknown metric": ("tasks.age.metric=accuracy", ["tasks.age: `metric` of a regression task", "'accuracy'"]),
    "unknown choice": ("compute.precision=bf17", ["compute.precision: must be", "got 'bf17'", "'bf16'?"]),
    "text for a number": ("split.test='0.3'", ["split.test: must be a number; got '0.3'. Remove the quotes."]),
    "number for a text": ("tasks.age.target=5", ["tasks.age.target: must be a text; got 5. Put it in quotes."]),
    "fraction for a whole number": ("seeds=[0.5]", ["seeds.0: must be a whole number; got 0.5"]),
    "truth for a whole number": ("seeds=[true]", ["seeds.0: must be a whole number; got true"]),
    "word for a truth": ("tracking.models=yes", ["tracking.models: must be true or false", "Write true."]),
    "voxels of a nanometre": ("datasets.cohort.preprocess.spacing=1e-6", ["spacing: must be at least 0.01; got 1e-06"]),
    "voxels of a kilometre": ("datasets.cohort.preprocess.spacing=1e6", ["spacing: must be at most 100"]),
    "no number": ("split.test=.nan", ["split.test: must be a finite number"]),
    "list for a mapping": ("split=[1]", ["split: must be a mapping"]),
    "single value for a mapping": ("methods.scratch=1", ["methods.scratch: must be a mapping of options; got 1"]),
    "list for a section": ("methods=[scratch]", ["methods: must be a mapping from names to options"]),
    "mapping for a list": ("transfers={}", ["transfers: must be a list"]),
    "single value for a list": ("sample_sizes=20", ["sample_sizes: must be a list; got 20"]),
    "nothing for a section": ("encoders=null", ["encoders: must have at least one entry"]),
    "too small": ("methods.simclr.temperature=0", ["methods.simclr.temperature: must be above 0", "got 0"]),
    "too large": ("report.confidence=1", ["report.confidence: must be below 1", "got 1"]),
    "no sizes": ("sample_sizes=[]", ["sample_sizes: must have at least 1 item"]),
    "no seeds": ("seeds=[]", ["seeds: must have at least 1 item"]),
    "no methods": ("methods={}", ["methods: must have at least one entry; the grid is empty"]),
    "no transfers": ("transfers=[]", ["transfers: must have at least one entry"]),
    "a size twice": ("sample_sizes=[20, 50, 20]", ["sample_sizes: must hold each number once; 20"]),
    "a seed twice": ("seeds=[1, 1]", ["seeds: must hold each number once; 1"]),
    "a method twice": ("methods.again={method: scratch}", ["methods.again: these are the options of 'scratch'"]),
    "an encoder twice": ("encoders.again={name: small_cnn}", ["encoders.again: these are the options of 'small_cnn'"]),
    "two floors": (
        "methods={scratch: {}, mean: {}, low: {method: mean}}",
        ["methods.low: the mean"],
    ),
    "an unknown baseline": ("baselines=[linaer]", ["baselines: unknown baseline 'linaer'", "Did you mean 'linear'?"]),
    "a baseline that has no question": (
        "baselines=[unchanged]",
        ["baselines: no transfer's source is another dataset"],
    ),
    "a baseline that has no columns": (
        "baselines=[linear, covariates]",
        ["baselines: no target's task has `inputs` to predict from. Give it some, or leave `covariates` out."],
    ),
    "an input that is the target": (
        "tasks.age.inputs=[sex, age]",
        ["tasks.age: `inputs` must not hold the target; 'age' is it. Remove it"],
    ),
    "an input that is named twice": ("tasks.age.inputs=[sex, sex]", ["tasks.age.inputs: `inputs` must name a column"]),
    "an input of another kind": ("tasks.age.inputs={sex: class}", ["tasks.age.inputs.sex: "]),
    "a balance of one target": ("tasks.age.balance=uncertainty", ["tasks.age: `balance: uncertainty` weighs several"]),
    "fusion of nothing": ("tasks.age.fusion=none", ["tasks.age: `fusion: none` keeps `inputs` from the network"]),
    "a target twice": (
        "tasks.age.also=[{target: age, kind: regression}]",
        ["tasks.age: `also` must name other targets, once each; 'age' is there twice. Remove one"],
    ),
    "a target that is an input": (
        "tasks.age={target: age, kind: regression, inputs: [site], also: [{target: site, kind: classification}]}",
        ["tasks.age: `inputs` must not hold a target; 'site' is one of `also`"],
    ),
    "classes of a number beside the target": (
        "tasks.age.also=[{target: weight, kind: regression, classes: [a, b]}]",
        ["tasks.age.also.0: `classes` needs a classification task"],
    ),
    "a source that is asked for beside the target": (
        "tasks.age.also=[{target: sex, kind: classification}]",
        ["transfers.0.source: the source teaches 'sex' of the target's own subjects", "`also` asks for it"],
    ),
    "a listed baseline that has no question": (
        "methods.unchanged_linear={}",
        ["methods.unchanged_linear: no transfer's source is another dataset"],
    ),
    "finetuning without a network": (
        "methods.linear={finetune: {lr: 1}}",
        ["methods.linear.finetune: linear trains no network on the target. Remove it."],
    ),
    "no baseline": ("methods={simclr: {}}", ["methods: `scratch` is missing", "Add `scratch: {}`"]),
    "a misleading method": ("methods.vat={method: simclr}", ["methods.vat: the key is a method's name", "Rename"]),
    "a misleading encoder": ("encoders.sfcn={name: resnet18}", ["encoders.sfcn: the key is an encoder's name"]),
    "a name with a blank": (
        "tasks={'my age': {target: age, kind: regression}}",
        ["tasks.my age: a name has at most 40"],
    ),
    "a second name": ("tasks.age.name=years", ["tasks.age.name: the key is the name already"]),
    "name of no folder": ("name=Brain Age!", ["name: must be at most 40 of a-z", "Write 'brain-age'"]),
    "source needed": ("transfers.0.source=null", ["transfers.0: `methods.supervised` learns from a source"]),
    "source tells all": ("transfers.0.source.task=age", ["transfers.0.source: the source teaches 'age'"]),
    "encoder of other images": ("encoders.alexnet={}", ["encoders.alexnet: alexnet does not take 3-D images", "sfcn"]),
    "norm to replace": ("encoders.alexnet={norm: group}", ["encoders.alexnet", "alexnet has none. Leave `norm` out"]),
    "volume too small for its encoder": (
        "datasets.cohort.preprocess.shape=[8, 14, 32]",
        ["encoders.small_cnn: small_cnn takes images whose sides are 15 or more", "1 x 8 x 14 x 32", "resnet18"],
    ),
    "volume with two sides": ("datasets.cohort.preprocess.shape=[32, 32]", ["volumes have three sides; got [32, 32]"]),
    "volume in colour": ("datasets.cohort.preprocess.channels=3", ["preprocess.channels: volumes have one channel"]),
    "frozen twice": (
        "methods.supervised.finetune.strategy=linear_probe",
        ["finetune.n_frozen: `strategy: linear_probe` freezes"],
    ),
    "frozen baseline": ("methods.scratch.finetune.n_frozen=1", ["methods.scratch.finetune.n_frozen: the baseline"]),
    "frozen vat": (
        "methods.vat={finetune: {strategy: linear_probe}}",
        ["methods.vat.finetune.strategy: vat has no"],
    ),
    "stages without a strategy": ("methods.supervised.finetune.plateau=3", ["plateau: `strategy: full` has no stages"]),
    "unknown strategy": ("methods.supervised.finetune.strategy=thaw", ["finetune.strategy: must be 'full'"]),
    "pulled baseline": ("methods.scratch.finetune.l2_sp=1", ["methods.scratch.finetune.l2_sp: the baseline"]),
    "frozen pooled": (
        "methods.pooled={finetune: {n_frozen: 1}}",
        ["methods.pooled.finetune.n_frozen: pooled has no pretrained weights"],
    ),
    "patience beside the last": (
        "methods.simclr.pretrain={keep: last, patience: 3}",
        ["methods.simclr.pretrain: `keep: last` asks no validation score, and `patience` stops by it. Remove one"],
    ),
    "kept statistics of vat": (
        "methods.vat={finetune: {norm_statistics: frozen}}",
        ["methods.vat.finetune.norm_statistics: vat has no"],
    ),
    "more frozen than there are": (
        "methods.supervised.finetune.n_frozen=5",
        ["methods.supervised.finetune.n_frozen: small_cnn has 4 blocks; got 5. Lower it"],
    ),
    "more stages than epochs": (
        "methods.supervised.finetune={strategy: chain_thaw, n_frozen: 1, epochs: 4}",
        ["finetune.epochs: the stages of `strategy: chain_thaw` on small_cnn need 5; got 4. Raise it"],
    ),
    "rates that vanish": ("methods.supervised.finetune.w=0", ["finetune.w: must be above 0.0; got 0"]),
    "a cycle within an epoch": (
        "methods.supervised.finetune.cycle=0.5",
        ["finetune.cycle: must be at least 1.0; got 0.5"],
    ),
    "nesterov of nothing": (
        "methods.supervised.finetune={optimiser: nesterov, momentum: 0}",
        ["`optimiser: nesterov` needs a `momentum` above 0; got 0. Raise it"],
    ),
    "nothing to contrast": ("methods.simclr.pretrain.views=null", ["simclr.pretrain.views: simclr contrasts"]),
    "a share above one": ("split.test=1.5", ["split.test: must be a share below 1 or a whole number"]),
    "larger than the cohort": ("sample_sizes=[20, 200]", ["sample_sizes.1: 200 to train", "'cohort' has 400"]),
    "no server": ("tracking.uri=/srv/mlruns", ["tracking.uri: must be an http or https address"]),
    "a port beyond all": ("tracking.uri='http://host:99999'", ["tracking.uri: must be an http or https address"]),
    "half an address of IPv6": ("tracking.uri='http://[::1'", ["tracking.uri: must be an http or https address"]),
    "a blank in an address": ("tracking.uri='http://host /'", ["tracking.uri: must be an http or https address"]),
    "a parameter in a file": ("tracking.uri='https://host/;t=s3cret'", ["tracking.uri: must end with its path"]),
    "password in a file": ("tracking.uri='https://a:b@host'", ["tracking.uri: must hold no user or password"]),
    "token in a file": ("tracking.uri='https://host/?token=s3cret'", ["tracking.uri: must end with its path"]),
    "fragment in a file": ("tracking.uri='https://host/#s3cret'", ["MLFLOW_TRACKING_TOKEN, in the environment"]),
    "setting without value": ("seeds", ["must be KEY=VALUE"]),
    "setting of nothing": ("=3", ["must be KEY=VALUE"]),
    "value that is no YAML": ("name=[", ["name: no valid YAML"]),
    "item beyond a list": ("seeds.7=1", ["seeds.7: `seeds` is a list with indices 0 to 1; got 7"]),
}


def test_what_could_not_be_read_is_not_told_to_be_missing(plain: Path) -> None:
    plain.write_text(plain.read_text() + "description: !!binary aGk=\n")
    with pytest.raises(ConfigError) as caught:
        load(plain, ["seeds=[0.5]"])
    assert [line.partition(": ")[2].partition(";")[0] for line in str(caught.value).splitlines()] == [
        "seeds.0: must be a whole number",
        "description: the tag tag:yaml.org,2002:binary is not known here. Write a plain value.",
    ]


def test_a_character_that_json_writes_in_two_halves_is_one(plain: Path) -> None:
    plain.write_text(plain.read_text() + 'description: "\\ud83d\\ude00"\n')
    assert load(plain).description == "\U0001f600"


@pytest.mark.parametrize("node", ["pipe", "device"])
def test_a_pipe_or_a_device_is_no_benchmark(node: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / "pipe" if node == "pipe" else Path("/dev/zero")
    with pytest.raises(ConfigError, match="this is a pipe or a device. Write it into a file."):
        load(path)


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_rule_is_named_with_its_value_and_remedy(plain: Path, case: str) -> None:
    setting, parts = BROKEN[case]
    lines = faults_of(plain, setting)
    (line,) = [line for line in lines if all(part in line for part in parts)]
    assert line.startswith((f"--set {setting}: ", f"{plain}:"))


def test_pooled_learning_needs_a_source_of_the_targets_shape(plain: Path) -> None:
    (line,) = faults_of(plain, "transfers=[{target: {data: cohort, task: age}}]", "methods={scratch: {}, pooled: {}}")
    assert "`methods.pooled` learns from a source, and this transfer has none" in line
    more = "datasets.more={kind: cohort, preprocess: {shape: [48, 48, 48]}}"
    (line,) = faults_of(plain, more, "transfers.0.source.data=more", "methods={scratch: {}, pooled: {}}")
    assert "one encoder reads source and target (pooled)" in line


def test_sources_and_targets_of_one_encoder_have_one_shape(plain: Path) -> None:
    more = "datasets.more={kind: cohort, preprocess: {shape: [48, 48, 48]}}"
    (line,) = faults_of(plain, more, "transfers.0.source.data=more")
    assert "transfers.0.source: one encoder reads source and target (supervised, simclr)" in line
    assert "more has 1 x 48 x 48 x 48, cohort has 1 x 32 x 32 x 32" in line


def test_pictures_want_two_sides_and_their_classes(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(template("images", "own", "."))
    lines = faults_of(path, "datasets.pictures.preprocess.shape=[8, 8, 8]", "tasks.kind.target=weight")
    assert any("preprocess.shape: pictures have two sides; got [8, 8, 8]" in line for line in lines)
    assert any("must be `{target: class, kind: classification}`" in line for line in lines)


def test_torchvisions_networks_have_one_width(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "images.yaml"
    path.write_text(template("images", "images"))
    (fault,) = faults_of(path, "encoders={resnet18: {width: 0.5}}")
    assert "encoders.resnet18.width: resnet18 has one width on 2-D images, torchvision's; got 0.5" in fault


def test_disjoint_classes_of_one_column_may_teach_each_other(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(template("images", "own", "."))
    few = ["tasks.low={target: class, kind: classification, classes: [a, b]}", "tasks.kind.classes=[c, d]"]
    source = "transfers.0.source={data: pictures, task: low}"
    assert load(path, [*few, source]).transfers[0].source is not None
    few[1] = "tasks.kind.classes=[b, c]"
    assert any("the source teaches 'class'" in line for line in faults_of(path, *few, source))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(template("bids", "own", "scans"))
    (line,) = faults_of(path)
    assert line == f"{path}:10: datasets.study.root: there is no folder 'scans'. Relative ones start at this file."


def test_all_faults_come_at_once_in_the_order_of_the_file(plain: Path) -> None:
    text = PLAIN.replace("temperature: 0.3", "temprature: 0.3").replace("regression", "regresion").replace("50]", "20]")
    plain.write_text(text.replace("task: sex}, target", "task: sax}, target"))
    lines = faults_of(plain)
    assert [line.split(": ")[0] for line in lines] == [f"{plain}:{number}" for number in (5, 8, 13, 14)]
    assert [line.split(": ")[1] for line in lines] == [
        "tasks.age.kind", "transfers.0.source.task", "methods.simclr.temprature", "sample_sizes",
    ]  # fmt: skip


def test_one_fault_in_training_is_told_once(plain: Path) -> None:
    plain.write_text(PLAIN + "training: {pretrain: {lr: fast}}\n")
    (line,) = faults_of(plain)
    assert line.startswith(f"{plain}:16: training.pretrain.lr: must be a number; got 'fast'.")


# Each row: the file's text, the line, and what is said of it.
NO_BENCHMARK = {
    "empty": ("", 1, "a benchmark file is a mapping"),
    "a list": ("- 1\n", 1, "a benchmark file is a mapping"),
    "no YAML": ("name: x\nseeds: [1\nmethods: {}\n", 3, "no valid YAML"),
    "a tab": ("name: x\n\tseeds: 1\n", 2, "no valid YAML"),
    "two documents": ("name: a\n---\nname: b\n", 2, "no valid YAML"),
    "an unknown alias": ("name: *who\n", 1, "no valid YAML"),
    "a control sign": ("name: \x01\n", 1, "no valid YAML"),
    "a key twice": ("name: a\nname: b\n", 2, "this key stands in line 1 already. Keep one of them."),
    "a key that is a number": ("name: a\n7: b\n", 2, "a key is a text; got 7. Put it in quotes."),
    "a key that is a list": ("? [a, b]\n: 1\n", 1, "a key is a text; got a list or a mapping."),
    "half a character": ('name: "\\ud800"\n', 1, "a text holds half a character"),
    "half a character for a key": ('"\\udc00": 1\n', 1, "a text holds half a character"),
    "a merge": ("x: &x {a: 1}\n<<: *x\n", 2, "YAML 1.2 has no `<<`"),
    "a foreign tag": ("name: !python/object:os.system x\n", 1, "the tag !python/object:os.system is not known here"),
    "an alias of itself": ("name: &n [*n]\n", 1, "nested deeper than 30 levels"),
    "deep nesting": ("name: " + "[" * 1000 + "\n", 1, "nested deeper than 30 levels"),
    "an endless number": (f"name: {'9' * 5000}\n", 1, "is no number that can be read"),
    "a number that is long to write": (f"name: 0x{'f' * 3600}\n", 1, "is no number that can be read"),
    "a number of 65 bits": ("name: 18446744073709551616\n", 1, "'18446744073709551616' is no number that can be read"),
    "an empty number": ('name: !!int ""\n', 1, "'' is no number that can be read"),
    "a sign for a number": ('name: !!float "-"\n', 1, "'-' is no number that can be read"),
    "a line for a number": ('name: !!int "_"\n', 1, "'_' is no number that can be read"),
    "a maybe": ("name: !!bool maybe\n", 1, "'maybe' is no value that can be read"),
    "a nothing that is something": ("name: !!null x\n", 1, "'x' is no value that can be read"),
}


@pytest.mark.parametrize("case", NO_BENCHMARK)
def test_a_file_that_is_no_benchmark_is_refused_with_its_line(tmp_path: Path, case: str) -> None:
    text, line, message = NO_BENCHMARK[case]
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    assert any(fault.startswith(f"{path}:{line}: ") and message in fault for fault in faults_of(path))


def test_tens_of_thousands_of_seeds_are_compared_in_no_time(plain: Path) -> None:
    seeds = tuple(range(40_000))
    began = time.process_time()
    config = load(plain).model_dump() | {"seeds": (*seeds, 7)}
    with pytest.raises(ValidationError, match="must hold each number once; 7 stands there twice"):
        BenchmarkConfig.model_validate(config)
    assert time.process_time() - began < 5  # a comparison of each with each takes a minute


@pytest.mark.parametrize("written", ["seeds: [{}]", "methods: {{{}: {{}}}}", "{}: 1", "tasks: {{age: {{kind: {}}}}}"])
def test_what_is_thousands_of_characters_long_is_not_repeated(plain: Path, written: str) -> None:
    plain.write_text(PLAIN + written.format("x" * 500) + "\n")
    told = "\n".join(faults_of(plain))
    assert len(told) < 2000
    assert "x" * 300 not in told


def test_aliases_of_aliases_are_refused_before_they_fill_memory(tmp_path: Path) -> None:
    rows = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(rows))
    assert "aliases unfold to more than 50000 values" in faults_of(path)[0]


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text("#" * 300_000)
    assert faults_of(path) == [f"{path}: a benchmark file has at most 262144 bytes; this has more. Name another file."]


def test_a_file_in_another_coding_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"name: x\ndescription: \xe4ge\n")
    assert faults_of(path) == [f"{path}:2: the file must be UTF-8 text; the byte 0xe4 is not. Save it so."]


def test_a_missing_file_names_its_neighbour(plain: Path) -> None:
    (line,) = faults_of(plain.with_name("plane.yaml"))
    assert "cannot be read (No such file or directory)" in line
    assert f"Did you mean {plain}?" in line


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet="ab:[]{}&*!|>-#'\"%@ \n\t,?0.1é", max_size=60))
def test_any_text_is_a_benchmark_or_a_config_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load(path)


@settings(max_examples=60, deadline=None)
@given(
    key=st.text(alphabet="abmethodscl.0129_", max_size=20)
    | st.sampled_from(["methods.simclr", "seeds.0", "split.test"]),
    value=st.text(alphabet="ab:[]{}&*!|>-#'\"%@ \n,?0.1", max_size=15),
)
def test_any_setting_is_applied_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "set.yaml"
    path.write_text(PLAIN)
    try:
        config = load(path, [f"{key}={value}"])
    except ConfigError:
        return
    assert "scratch" in config.methods


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 90), min_size=1, max_size=4, unique=True),
    seeds=st.lists(st.integers(0, 2**31), min_size=1, max_size=4, unique=True),
    rate=st.floats(1e-12, 10, exclude_min=True),
    words=st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C"]), max_size=40),
    patience=st.none() | st.integers(1, 99),
)
def test_a_benchmark_written_out_reads_back_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    seeds: list[int],
    rate: float,
    words: str,
    patience: int | None,
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.yaml"
    path.write_text(PLAIN)
    settings_ = {"sample_sizes": sizes, "seeds": seeds, "description": words}
    stage = {"training.finetune.lr": rate, "training.finetune.patience": patience}
    config = load(path, [f"{key}={json.dumps(value)}" for key, value in (settings_ | stage).items()])
    path.write_text(resolved_yaml(config))
    assert load(path) == config
    assert BenchmarkConfig.model_validate_json(config.model_dump_json()) == config


def test_what_may_travel_names_no_folder_and_no_server(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(template("bids", "own", "."))
    config = load(path, ["tracking.uri=http://tracking.internal:5000"])
    assert str(tmp_path) in resolved_yaml(config)
    for text in (resolved_yaml(config, public=True), json.dumps(public_dump(config))):
        assert str(tmp_path) not in text
        assert "tracking.internal" not in text
    assert public_dump(config)["datasets"]["study"]["root"] == "study"


def test_what_is_to_be_run_again_has_its_folders_as_its_file_has_them(tmp_path: Path) -> None:
    (tmp_path / "data" / "study").mkdir(parents=True)
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    path = tmp_path / "own.yaml"
    path.write_text(template("bids", "own", "data/study"))
    weights = f"{{weights: weights.safetensors, sha256: {'ab' * 32}, licence: CC0-1.0, trained_on: [a biobank]}}"
    config = load(path, ["tracking.uri=http://tracking.internal:5000", f"methods.pretrained={weights}"])
    (tmp_path / "again.yaml").write_text(resolved_yaml(config, public=True, folder=tmp_path))
    assert "root: data/study" in (tmp_path / "again.yaml").read_text()
    assert "tracking.internal" not in (tmp_path / "again.yaml").read_text()
    again = load(tmp_path / "again.yaml")
    assert again.datasets == config.datasets
    assert again.methods == config.methods
    assert public_dump(config)["methods"]["pretrained"]["weights"] == "weights.safetensors"
    assert str(tmp_path) not in json.dumps(public_dump(config))


def test_identity_is_what_decides_results(plain: Path, tmp_path: Path) -> None:
    first = load(plain).identity()
    same = ["description=other words", "tracking.backend=mlflow", "report.bootstrap=500"]
    assert load(plain, same).identity() == first
    assert load(plain, ["seeds=[0]"]).identity() != first

    def elsewhere(name: str) -> str:
        (tmp_path / name).mkdir()
        path = tmp_path / name / "own.yaml"
        path.write_text(template("bids", "own", "."))
        return load(path).identity()

    assert elsewhere("here") == elsewhere("there")


def test_rules_hold_for_benchmarks_made_in_python(plain: Path) -> None:
    content = load(plain).model_dump(mode="json")
    del content["methods"]["scratch"]
    with pytest.raises(ValidationError, match="`scratch` is missing"):
        BenchmarkConfig.model_validate_json(json.dumps(content))


@pytest.mark.parametrize("kind", ["cohort", "bids", "images"])
def test_a_template_loads_as_it_stands(tmp_path: Path, kind: str) -> None:
    (tmp_path / "my data").mkdir()
    path = tmp_path / "fresh.yaml"
    path.write_text(template(kind, "fresh", "my data"))
    config = load(path)
    assert config.name == "fresh"
    assert [data.kind for data in config.datasets.values()] == [kind]


def test_a_template_needs_a_kind_and_a_name() -> None:
    with pytest.raises(ConfigError, match="unknown kind 'bidz'. Did you mean 'bids'"):
        template("bidz", "fresh")
    with pytest.raises(ConfigError, match="Write 'my-study'"):
        template("bids", "My Study")


@pytest.mark.parametrize("method", ["vat", "mean_teacher", "pi_model", "pooled"])
def test_a_method_that_finetunes_on_more_than_labels_learns_one_target(plain: Path, method: str) -> None:
    also = "tasks.age.also=[{target: site, kind: classification}]"
    (fault,) = faults_of(plain, also, f"methods.{method}={{}}")
    assert f"methods.{method}: {method} learns one target, and the task 'age' has `also`" in fault


def test_a_method_of_classes_learns_no_number_beside_one(plain: Path) -> None:
    also = "tasks.age={target: site, kind: classification, also: [{target: weight, kind: regression}]}"
    (fault,) = faults_of(plain, also, "methods.naive_bayes={}")
    assert "methods.naive_bayes: naive_bayes learns a classification, and the task 'age' has a regression" in fault


@pytest.mark.parametrize("option", ["inputs=[sex]", "also=[{target: sex, kind: classification}]"])
def test_a_family_without_a_network_learns_what_networks_learn(plain: Path, option: str) -> None:
    settings = [f"tasks.age.{option}", "methods={scratch: {}, forest: {method: forest}}"]
    settings.append("transfers=[{target: {data: cohort, task: age}}]")
    assert load(plain, settings).methods["forest"].method == "forest"


def test_inputs_are_a_list_of_columns_or_say_what_each_holds(plain: Path, tmp_path: Path) -> None:
    listed = load(plain, ["tasks.age.inputs=[sex, site]"])
    assert listed.tasks["age"].inputs == {"sex": "auto", "site": "auto"}
    told = load(plain, ["tasks.age.inputs={sex: category, weight: number}", "tasks.age.fusion_width=4"])
    assert told.tasks["age"].inputs == {"sex": "category", "weight": "number"}
    (tmp_path / "again.yaml").write_text(resolved_yaml(told))
    assert load(tmp_path / "again.yaml") == told
    assert "inputs" not in resolved_yaml(load(plain))


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_benchmark_loads_and_opens_with_its_command(path: Path, tmp_path: Path) -> None:
    text = path.read_text()
    assert text.startswith(f"# ctlr run benchmarks/{path.name}")
    datasets = YAML(typ="safe", pure=True).load(text)["datasets"]
    elsewhere = [f"datasets.{name}.root={tmp_path}" for name, data in datasets.items() if "root" in data]
    files = [file for data in datasets.values() if "set" in data for file in PUBLISHED[data["set"]].files]
    files += [f"train-{what}-ubyte" for what in ("images-idx3", "labels-idx1")]
    for needed in files:
        (tmp_path / needed).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / needed).touch()
    if any(data["kind"] == "idx" for data in datasets.values()):
        for needed in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
            (tmp_path / needed).touch()
    assert load(path, elsewhere).name == path.stem


def test_the_schema_knows_every_key_of_a_file(plain: Path) -> None:
    schema = json_schema()
    assert set(schema["properties"]) == {*BenchmarkConfig.model_fields, "training"}
    assert set(schema["required"]) == {
        "name", "sample_sizes", "seeds", "datasets", "tasks", "transfers", "encoders", "methods",
    }  # fmt: skip
    assert schema["properties"]["seeds"]["description"].startswith("Each repeats the whole grid")
    definitions: dict[str, Any] = schema["$defs"]
    assert "label" not in definitions["SimCLRSpec"]["properties"]
    assert definitions["SimCLRSpec"]["properties"]["temperature"]["exclusiveMinimum"] == 0
    assert definitions["CohortSpec"]["required"] == ["kind"]
    references = set(json.dumps(schema).split('"#/$defs/')[1:])
    assert {reference.split('"')[0] for reference in references} <= set(definitions)


def test_validation_subjects_follow_training_subjects() -> None:
    assert [SplitSpec().n_validation(n) for n in (1, 2, 20)] == [2, 2, 20]
    assert SplitSpec(validation=0.5).n_validation(50) == 25


def test_a_benchmark_is_read_without_torch_numpy_or_mlflow(plain: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ctlr.config import load; from ctlr.plan import make_plan;"
        f"make_plan(load(Path({str(plain)!r})));"
        "print(sorted({'torch', 'numpy', 'mlflow', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_cohort_of_its_own_is_bound_to_its_spec(plain: Path) -> None:
    assert load(plain).datasets["cohort"] == CohortSpec(name="cohort", subjects=400)
