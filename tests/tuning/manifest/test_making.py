"""Experiments that are made from spaces: each dimension as Katib writes it, each option given to the trial."""

from pathlib import Path
from typing import Any

import pytest

from ctlr.config import load
from ctlr.plan import make_plan
from ctlr.space import Choice, Range, choice, integers, loguniform, uniform
from ctlr.specs import Experiment, Study, encoder_spec
from ctlr.tuning.manifest import parameters_of, parse_experiment, study_experiment
from ctlr.tuning.options import sample_assignments, with_options

DIMENSIONS: list[tuple[Range | Choice, str, dict[str, Any]]] = [
    (uniform(0, 0.5), "double", {"min": "0", "max": "0.5", "distribution": "uniform"}),
    (uniform(0, 1, step=0.25), "double", {"min": "0", "max": "1", "distribution": "uniform", "step": "0.25"}),
    (loguniform(1e-4, 10), "double", {"min": "0.0001", "max": "10", "distribution": "logUniform"}),
    (integers(2, 9), "int", {"min": "2", "max": "9", "distribution": "uniform"}),
    (choice([3, 1]), "discrete", {"list": ["3", "1"]}),
    (choice([None, 1, True]), "categorical", {"list": ["null", "1", "true"]}),
]


@pytest.mark.parametrize(("dimension", "kind", "feasible"), DIMENSIONS)
def test_a_dimension_is_written_as_katib_reads_it(
    dimension: Range | Choice, kind: str, feasible: dict[str, Any]
) -> None:
    assert parameters_of({"x": dimension}) == [{"name": "x", "parameterType": kind, "feasibleSpace": feasible}]


@pytest.fixture
def studies(tiny_file: Path) -> dict[str, Study]:
    """The largest of each method."""
    config = load(tiny_file, ["methods={scratch: {}, sharp: {method: svm, features: {kind: regions}}}"])
    return {study.method.label: study for study in make_plan(config).studies}


@pytest.fixture
def study(studies: dict[str, Study]) -> Study:
    return studies["sharp"]


def made(study: Study) -> Experiment:
    return parse_experiment(study_experiment(study, "b.yaml", name="sharp", trials=10, parallel=3))


def test_the_experiment_of_a_study_searches_what_its_method_states(study: Study) -> None:
    experiment = made(study)
    assert (experiment.name, experiment.objective.metric, experiment.objective.direction) == (
        "sharp", "val_mae", "minimize",
    )  # fmt: skip
    assert [parameter.name for parameter in experiment.parameters] == list(study.method.space(3))
    assert (experiment.max_trials, experiment.parallel) == (10, 3)
    assert list(experiment.trial.command[:5]) == ["ctlr", "trial", "b.yaml", "--study=sharp", "--n=10"]
    assert "--set=features.components=${trialParameters.features.components}" in experiment.trial.command


def test_all_that_it_proposes_can_be_tried(study: Study) -> None:
    tried = [with_options(study, assignments) for assignments in sample_assignments(made(study).parameters)]
    assert {each.method.model_dump()["features"]["components"] for each in tried} == {None, 25, 50, 100}


@pytest.mark.parametrize(
    ("encoder", "said", "algorithm"),
    [("cell_cnn", "", "regularizedevolution"), ("cell_cnn", "random", "random"), ("small_cnn", "", "tpe")],
)
def test_an_encoder_states_the_algorithm_that_searches_it_unless_another_is_named(
    encoder: str, said: str, algorithm: str, studies: dict[str, Study]
) -> None:
    study = studies["scratch"].model_copy(update={"encoder": encoder_spec(encoder)})
    made = parse_experiment(study_experiment(study, "b.yaml", name="x", algorithm=said))
    assert made.algorithm.name == algorithm


def test_a_network_is_trained_on_a_gpu_and_a_family_is_not(studies: dict[str, Study]) -> None:
    def pod(of: Study) -> Any:
        data = study_experiment(of, "b.yaml", name="x")
        return data["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]

    assert "nodeSelector" not in pod(studies["sharp"])
    assert "nvidia.com/gpu" in pod(studies["scratch"])["containers"][0]["resources"]["limits"]
