"""Manifests and their changes, for tests of what is read, refused, filled in and run."""

from pathlib import Path

import pytest

from ctlr.errors import ConfigError
from ctlr.specs import Experiment
from ctlr.tuning.manifest import read_experiment

PLAIN = """\
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata:
  name: plain
spec:
  maxTrialCount: 12
  maxFailedTrialCount: 4
  objective:
    type: minimize
    goal: 0.5
    objectiveMetricName: val_mae
    additionalMetricNames: [train_mae]
  algorithm:
    algorithmName: random
    algorithmSettings: [{name: random_state, value: "7"}]
  parameters:
    - name: lr
      parameterType: double
      feasibleSpace: {min: "1e-4", max: "0.1", distribution: logUniform}
    - name: depth
      parameterType: int
      feasibleSpace: {min: "2", max: "10", step: "4"}
    - name: optimiser
      parameterType: categorical
      feasibleSpace: {list: [sgd, adam]}
    - name: width
      parameterType: discrete
      feasibleSpace: {list: ["16", "32.5"]}
  trialTemplate:
    primaryContainerName: train
    trialParameters:
      - {name: rate, reference: lr, description: Learning rate}
      - {name: depth, reference: depth}
      - {name: optimiser, reference: optimiser}
      - {name: width, reference: width}
    trialSpec:
      apiVersion: batch/v1
      kind: Job
      spec:
        template:
          spec:
            containers:
              - name: train
                image: ghcr.io/ctlr/ctlr:cpu
                command: [ctlr, trial, "--set", "lr=${trialParameters.rate}", "depth=${trialParameters.depth}"]
                args: ["${trialParameters.optimiser}", "${trialParameters.width}"]
            restartPolicy: Never
"""
PROGRAM = """\
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {name: square}
spec:
  objective: {type: minimize, objectiveMetricName: loss}
  algorithm: {algorithmName: random, algorithmSettings: [{name: random_state, value: "1"}]}
  parallelTrialCount: 2
  maxTrialCount: 3
  maxFailedTrialCount: 1
  parameters:
    - {name: x, parameterType: double, feasibleSpace: {min: "-1", max: "1"}}
  trialTemplate:
    primaryContainerName: main
    trialParameters: [{name: x, reference: x}]
    trialSpec:
      apiVersion: batch/v1
      kind: Job
      spec:
        template:
          spec:
            restartPolicy: Never
            containers:
              - {name: main, image: example.org/square:1, command: [sh, -c, "echo loss=${trialParameters.x}"]}
"""
"""Of a program that can run: it prints its parameter."""
FROM_CONFIG_MAP = (
    PROGRAM[: PROGRAM.index("    trialSpec")]
    + """\
    successCondition: status.conditions.#(type=="Complete")#|#(status=="True")#
    failureCondition: status.conditions.#(type=="Failed")#|#(status=="True")#
    configMap: {configMapName: trial-templates, configMapNamespace: kubeflow, templatePath: trial.yaml}
"""
)
"""Its job stands on a cluster, as in Katib's examples/v1beta1/trial-template/trial-configmap-source.yaml."""


def read(folder: Path, text: str) -> Experiment:
    path = folder / "plain.yaml"
    path.write_text(text)
    return read_experiment(path)


def faults_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    return str(caught.value).splitlines()


def changed(*changes: tuple[str, str]) -> str:
    text = PLAIN
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
        text = text.replace(old, new)
    return text


def algorithm(name: str, **values: str) -> tuple[str, str]:
    entries = ", ".join(f'{{name: {key}, value: "{value}"}}' for key, value in values.items())
    return ALGORITHM, f"    algorithmName: {name}\n    algorithmSettings: [{entries}]\n"


ALGORITHM = '    algorithmName: random\n    algorithmSettings: [{name: random_state, value: "7"}]\n'
COUNTS = "  maxTrialCount: 12\n"
LR = 'feasibleSpace: {min: "1e-4", max: "0.1", distribution: logUniform}'
DEPTH = 'feasibleSpace: {min: "2", max: "10", step: "4"}'
LISTS = "feasibleSpace: {list: [sgd, adam]}"
WIDTH = 'feasibleSpace: {list: ["16", "32.5"]}'
RATE = "{name: rate, reference: lr, description: Learning rate}"
SPEC = "spec:\n  maxTrialCount: 12\n"


def with_collector(text: str) -> tuple[str, str]:
    return SPEC, f"spec:\n  maxTrialCount: 12\n  metricsCollectorSpec: {text}\n"


VALID_SETTINGS: dict[str, dict[str, str]] = {
    "random": {"random_state": "1"},
    "grid": {"random_state": "1"},
    "sobol": {"random_state": "1"},
    "tpe": {"gamma": "0.3", "prior_weight": "1.5", "n_EI_candidates": "12"},
    "multivariate-tpe": {"n_startup_trials": "0", "n_ei_candidates": "30"},
    "bayesianoptimization": {
        "base_estimator": "GP", "n_initial_points": "5", "acq_func": "TS", "acq_optimizer": "lbfgs"},
    "cmaes": {"sigma": "0.2", "restart_strategy": "bipop"},
    "hyperband": {"r_l": "3", "resource_name": "depth", "eta": "3"},
    "pbt": {
        "suggestion_trial_dir": "/opt/x", "n_population": "5", "truncation_threshold": "0.2",
        "resample_probability": "0.5"},
    "evolutionary": {"population_size": "10", "mutation_probability": "0.1", "crossover_probability": "1"},
    "regularizedevolution": {"population_size": "20", "sample_size": "5", "mutations": "2"},
}  # fmt: skip
