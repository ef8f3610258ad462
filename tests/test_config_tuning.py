from pathlib import Path

import pytest

from ctlr.config import TuningSpec, load, public_dump, resolved_yaml
from ctlr.errors import ConfigError
from ctlr.plan import make_plan
from ctlr.specs import AlgorithmSpec

PLAIN = """\
name: tuned
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
  supervised: {}
sample_sizes: [20]
seeds: [0]
tuning:
  experiments:
    scratch: a.yaml
    supervised: [b.yaml]
  trials: 6
"""


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    for name in ("a.yaml", "b.yaml", "c.yaml"):
        (tmp_path / name).touch()
    path = tmp_path / "tuned.yaml"
    path.write_text(PLAIN)
    return path


def tuning_of(path: Path, *overrides: str) -> TuningSpec:
    tuning = load(path, overrides).tuning
    assert tuning is not None
    return tuning


def test_manifests_start_at_the_file(tuned: Path) -> None:
    experiments = tuning_of(tuned).experiments
    assert experiments == {
        "scratch": (str(tuned.parent / "a.yaml"),),
        "supervised": (str(tuned.parent / "b.yaml"),),
    }


def test_numbers_among_settings_become_the_text_that_katib_wants(tuned: Path) -> None:
    tuning = tuning_of(tuned, "tuning.algorithm=tpe", "tuning.settings={random_state: 10, prior_weight: 0.5}")
    assert tuning.settings == {"random_state": "10", "prior_weight": "0.5"}


def test_methods_may_have_an_algorithm_each_or_keep_the_options_of_an_expert(tuned: Path) -> None:
    algorithms = "tuning.algorithms={supervised: {name: tpe, settings: {random_state: 10}}}"
    tuning = tuning_of(
        tuned,
        "tuning.experiments={supervised: b.yaml}",
        "tuning.by_hand=[scratch]",
        algorithms,
        "tuning.algorithm=grid",
    )
    assert tuning.algorithm_of("supervised") == AlgorithmSpec(name="tpe", settings={"random_state": "10"})
    assert tuning.algorithm_of("scratch") == AlgorithmSpec(name="grid")
    assert tuning_of(tuned, "tuning.algorithms={scratch: grid}").algorithm_of("supervised") is None
    plan = make_plan(load(tuned, ["tuning.experiments={supervised: b.yaml}", "tuning.by_hand=[scratch]"]))
    assert {study.method.label for study in (*plan.searches, *plan.at_defaults)} == {"supervised"}
    assert "scratch" in {study.method.label for study in plan.studies}


def test_one_method_stands_twice_only_where_it_is_searched_in_another_way(tuned: Path) -> None:
    twice = ["methods.again={method: supervised}", "tuning.experiments.again=b.yaml"]
    with pytest.raises(ConfigError, match="'supervised' once more and are searched in the same way"):
        load(tuned, twice)
    assert "again" in load(tuned, [*twice, "tuning.algorithms={again: random}"]).methods
    assert "again" in load(tuned, [*twice[:1], "tuning.experiments.again=c.yaml"]).methods


def test_a_staged_search_takes_two_manifests_where_there_is_a_pretraining(tuned: Path) -> None:
    tuning = tuning_of(tuned, "tuning.order=source_then_target", "tuning.experiments.supervised=[c.yaml, b.yaml]")
    assert len(tuning.experiments["supervised"]) == 2


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("tuning.experiments={scratch: a.yaml}", ["tuning.experiments", "'supervised' is missing", "manifest"]),
        (
            "tuning.experiments={scratch: a.yaml, supervised: b.yaml, scartch: a.yaml}",
            ["tuning.experiments.scartch", "Did you mean 'scratch'"],
        ),
        ("tuning.experiments.scratch=z.yaml", ["tuning.experiments.scratch", "there is no file 'z.yaml'"]),
        ("tuning.experiments.scratch=[a.yaml, b.yaml]", ["scratch", "target_only", "one manifest", "got 2"]),
        ("tuning.order=source_then_target", ["supervised", "two manifests", "got 1"]),
        ("tuning.seconds=60", ["tuning", "either `trials` or `seconds`"]),
        ("tuning.trials=null", ["tuning", "either `trials` or `seconds`"]),
        ("tuning.trials=0", ["tuning.trials", "0"]),
        ("tuning.rounds=9", ["`trials: 6` are too few for 9"]),
        ("tuning.validation=kfold", ["tuning.validation", "kfold"]),
        ("tuning.validation=kfold:100", ["must be written like `holdout`, `kfold:5`", "'kfold:100'", "from 2 to 99"]),
        ("platform={image: a, workspace: work}", ["must be written like `/workspace`", "'work'"]),
        ("tuning.settings={random_state: 1}", ["`settings` belong to an `algorithm`"]),
        ("tuning.by_hand=[scratch]", ["tuning.by_hand", "'scratch' has a manifest", "Remove one"]),
        ("tuning.by_hand=[scartch]", ["tuning.by_hand", "Did you mean 'scratch'"]),
        ("tuning.algorithms={scartch: tpe}", ["tuning.algorithms.scartch", "Did you mean 'scratch'"]),
        ("tuning.algorithms={scratch: {nome: tpe}}", ["tuning.algorithms.scratch", "nome"]),
        ("tuning.warm_start=nowhere", ["tuning.warm_start", "there is no folder 'nowhere'"]),
        ("tuning.budget=3", ["tuning.budget", "unknown key"]),
    ],
)
def test_a_broken_rule_of_tuning_is_named_with_its_value_and_remedy(
    tuned: Path, setting: str, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tuned, [setting])
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_tuned_benchmark_written_out_reads_back_the_same(tuned: Path) -> None:
    config = load(tuned)
    again = tuned.parent / "again.yaml"
    again.write_text(resolved_yaml(config))
    assert load(again) == config


def test_what_may_travel_names_manifests_without_their_folders(tuned: Path) -> None:
    config = load(tuned, [f"tuning.warm_start={tuned.parent}"])
    assert str(tuned.parent) not in str(public_dump(config))
    assert public_dump(config)["tuning"]["experiments"]["scratch"] == ["a.yaml"]


def test_identity_does_not_depend_on_where_manifests_lie(tuned: Path, tmp_path: Path) -> None:
    before = load(tuned)
    other = tmp_path / "elsewhere"
    other.mkdir()
    for file in tuned.parent.glob("*.yaml"):
        (other / file.name).write_text(file.read_text())
    assert load(other / tuned.name).identity() == before.identity()
    assert load(tuned, ["tuning.trials=7"]).identity() != before.identity()
