"""Methods written once for several values, and transfers that choose among methods."""

from pathlib import Path

import pytest

from ctlr.config import BenchmarkConfig, json_schema, load, resolved_yaml
from ctlr.errors import ConfigError
from ctlr.methods.supervised import SupervisedSpec
from ctlr.plan import make_plan

SWEPT = """\
name: swept
datasets:
  here: {kind: cohort, subjects: 400}
  there: {kind: cohort, subjects: 90, seed: 1}
tasks:
  age: {target: age, kind: regression}
  sex: {target: sex, kind: classification}
transfers:
  - {source: {data: here, task: sex}, target: {data: here, task: age}, methods: [near]}
  - {source: {data: there, task: sex}, target: {data: here, task: age}, methods: [far, vat]}
encoders: {small_cnn: {}}
methods:
  scratch: {}
  near:
    method: supervised
    finetune: {epochs: 7}
    sweep:
      finetune: {n_frozen: [0, 2], lr: [5.0e-5, 0.02]}
  far: {method: supervised, sweep: {finetune: {lr: [0.02, 1]}}}
  vat: {}
sample_sizes: [20]
seeds: [0, 1]
"""
NEAR = ["near-n_frozen0-lr5e-5", "near-n_frozen0-lr0_02", "near-n_frozen2-lr5e-5", "near-n_frozen2-lr0_02"]
FAR = ["far-lr0_02", "far-lr1"]


@pytest.fixture
def swept(tmp_path: Path) -> Path:
    path = tmp_path / "swept.yaml"
    path.write_text(SWEPT)
    return path


def faults_of(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    return str(caught.value).splitlines()


def test_a_sweep_is_a_method_for_each_combination(swept: Path) -> None:
    methods = load(swept).methods
    assert list(methods) == ["scratch", "vat", *NEAR, *FAR]
    one = methods["near-n_frozen2-lr5e-5"]
    assert isinstance(one, SupervisedSpec)
    assert one.label == "near-n_frozen2-lr5e-5"
    assert (one.finetune.n_frozen, one.finetune.lr, one.finetune.epochs) == (2, 5e-5, 7)


def test_a_transfer_runs_what_it_names_and_the_baselines(swept: Path) -> None:
    plan = make_plan(load(swept))
    ran = {
        source: {study.method.label for study in plan.studies if study.source and study.source.data.name == source}
        for source in ("here", "there")
    }
    assert ran == {"here": set(NEAR), "there": {*FAR, "vat"}}
    alone = {study.method.label for study in plan.studies if study.source is None}
    assert alone == {"mean", "scratch", "linear", "gradient_boosting", "nearest"}
    assert len(plan.studies) == 2 * (len(NEAR) + len(FAR) + 6)


def test_every_combination_shares_one_pretraining(swept: Path) -> None:
    assert len(make_plan(load(swept)).pretrainings) == 4  # two pairs, two seeds


def test_methods_of_other_transfers_may_have_the_same_options(swept: Path) -> None:
    assert load(swept, ["methods.near.finetune={}"]).methods["far-lr0_02"]
    faults = faults_of(swept, "methods.near.finetune={}", "transfers.1.methods=[far, near, vat]")
    assert [fault.partition(": ")[2] for fault in faults] == [
        "methods.far-lr0_02: these are the options of 'near-n_frozen0-lr0_02' once more. "
        "Remove one, or change an option."
    ]


def test_a_swept_benchmark_written_out_reads_back_the_same(swept: Path, tmp_path: Path) -> None:
    config = load(swept)
    (tmp_path / "whole.yaml").write_text(resolved_yaml(config))
    again = load(tmp_path / "whole.yaml")
    assert again == config
    assert isinstance(again, BenchmarkConfig)
    assert again.transfers[0].methods == tuple(NEAR)


def test_texts_and_switches_make_names_too(swept: Path) -> None:
    config = load(swept, ["methods.far.sweep={finetune: {schedule: [constant, cosine], patience: [null, 5]}}"])
    assert [label for label in config.methods if label.startswith("far")] == [
        "far-constant-patience-none", "far-constant-patience5", "far-cosine-patience-none", "far-cosine-patience5",
    ]  # fmt: skip


def test_one_manifest_tunes_every_method_of_a_sweep(swept: Path, tmp_path: Path) -> None:
    (tmp_path / "any.yaml").write_text("")
    tuning = "tuning={trials: 4, experiments: {scratch: any.yaml, near: any.yaml, far: any.yaml, vat: any.yaml}}"
    tuned = load(swept, [tuning]).tuning
    assert tuned is not None
    assert set(tuned.experiments) == {"scratch", "vat", *NEAR, *FAR}


BROKEN = [
    ("methods.far.sweep={finetune: {lr: 0.1}}", "methods.far.sweep.finetune.lr: must be a list of values to try"),
    ("methods.far.sweep={}", "methods.far.sweep: must be a list of values to try, e.g. [0.3, 1.0]; got {}."),
    ("methods.far.sweep={finetune: {lr: []}}", "methods.far.sweep.finetune.lr: must be a list of values"),
    ("methods.far.sweep={finetune: {lr: [1, 1]}}", "methods.far.sweep.finetune.lr: must list each value once"),
    ("methods.far.sweep={finetune: {views: [{}]}}", "methods.far.sweep.finetune.views: must list single values"),
    (f"methods.far.sweep={{finetune: {{epochs: {list(range(1, 502))}}}}}",
     "methods.far.sweep: makes 501 methods, and 500 are the most. Name fewer values."),
    ("methods.far-lr1={method: vat}", "methods.far.sweep: makes a method 'far-lr1', and there is one. Rename a key."),
    ("methods.far.sweep={finetune: {lrr: [1]}}", "methods.far.finetune.lrr: unknown key. Did you mean 'lr'?"),
    ("methods.far.method=supervisd", "methods.far.method: unknown method 'supervisd'. Did you mean 'supervised'?"),
    ("transfers.0.methods=[nearr]", "transfers.0.methods: unknown method 'nearr'. Known: far-lr0_02, far-lr1, near-"),
    ("transfers.0.methods=[7]", "transfers.0.methods.0: must be a text; got 7. Put it in quotes."),
    ("transfers.1.methods=[far]", "methods.vat: no transfer runs it: each lists other `methods`."),
]  # fmt: skip


@pytest.mark.parametrize(("setting", "message"), BROKEN, ids=[message for _, message in BROKEN])
def test_a_broken_sweep_is_named_with_its_remedy(swept: Path, setting: str, message: str) -> None:
    assert any(message in fault for fault in faults_of(swept, setting))


def test_a_fault_in_a_sweep_has_its_line_and_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "swept.yaml"
    path.write_text(SWEPT.replace("epochs: 7", "epochs: 0").replace("[5.0e-5, 0.02]", "[-1, 0.02]"))
    assert [fault.partition(" (")[0] for fault in faults_of(path)] == [
        f"{path}:16: methods.near.finetune.epochs: must be at least 1; got 0.",
        f"{path}:18: methods.near.finetune.lr: must be above 0.0; got -1.",
    ]


def test_the_schema_takes_a_sweep_in_every_method() -> None:
    definitions = json_schema()["$defs"]
    assert definitions["SupervisedSpec"]["properties"]["sweep"]["type"] == "object"
