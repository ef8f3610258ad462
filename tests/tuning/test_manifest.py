import importlib
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from ctlr.errors import ConfigError
from ctlr.specs import Collector, Experiment, Trial
from ctlr.tuning.algorithms import ALGORITHMS, STOPPING_RULES, read_settings
from ctlr.tuning.manifest import parse_experiment, read_experiment, render, rendered_spec, write_experiment

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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


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


def test_a_manifest_becomes_a_value_with_katibs_defaults(folder: Path) -> None:
    experiment = read(folder, PLAIN)
    assert (experiment.name, experiment.max_trials, experiment.max_failed) == ("plain", 12, 4)
    assert (experiment.parallel, experiment.resume_policy) == (3, "Never")
    assert experiment.collector == Collector(kind="StdOut")
    assert experiment.early_stopping is None
    assert experiment.objective.model_dump() == {
        "metric": "val_mae", "direction": "minimize", "goal": 0.5, "additional": ("train_mae",),
        "strategies": {"val_mae": "min", "train_mae": "min"},
    }  # fmt: skip
    assert [(each.name, each.kind, each.low, each.high, each.step, each.values) for each in experiment.parameters] == [
        ("lr", "double", "1e-4", "0.1", "", ()),
        ("depth", "int", "2", "10", "4", ()),
        ("optimiser", "categorical", "", "", "", ("sgd", "adam")),
        ("width", "discrete", "", "", "", ("16", "32.5")),
    ]
    assert [each.distribution for each in experiment.parameters] == ["logUniform", "uniform", "uniform", "uniform"]
    assert experiment.references == {"rate": "lr", "depth": "depth", "optimiser": "optimiser", "width": "width"}
    assert experiment.trial.image == "ghcr.io/ctlr/ctlr:cpu"
    assert experiment.trial.command[:3] == ("ctlr", "trial", "--set")


def test_strategies_follow_the_objective_unless_written(folder: Path) -> None:
    written = "type: maximize\n    metricStrategies: [{name: train_mae, value: latest}]"
    assert read(folder, changed(("type: minimize", written))).objective.strategies == {
        "val_mae": "max",
        "train_mae": "latest",
    }


def test_a_whole_number_of_any_distribution_is_taken_as_katib_takes_it(folder: Path) -> None:
    for distribution in ("uniform", "logUniform", "normal", "logNormal"):
        experiment = read(folder, changed((DEPTH, f"{DEPTH[:-1]}, distribution: {distribution}}}")))
        assert experiment.parameters[1].distribution == distribution


# Each row: the changes, the line of the fault, its key (below spec where it begins with a dot), words of its message.
BROKEN: dict[str, tuple[list[tuple[str, str]], int, str, str]] = {
    "no name": ([("  name: plain\n", "  labels: {}\n")], 3, "metadata.name", "is missing"),
    "a name with capitals": ([("name: plain", "name: Plain")], 4, "metadata.name", "got 'Plain'"),
    "a long name": ([("name: plain", f"name: {'a' * 41}")], 4, "metadata.name", "at most 40"),
    "a name that ends in -": ([("name: plain", "name: plain-")], 4, "metadata.name", "no - last"),
    "no spec": ([(PLAIN[PLAIN.index("spec:\n") :], "")], 1, "spec", "is missing"),
    "an unknown section": ([(SPEC, "specs: {}\n" + SPEC)], 5, "specs", "Did you mean 'spec'?"),
    "an unknown field": ([(SPEC, SPEC + "  maxTrials: 3\n")], 7, ".maxTrials", "Did you mean 'maxTrialCount'?"),
    "no trials": ([("maxTrialCount: 12", "maxTrialCount: 0")], 6, ".maxTrialCount", "must be from 1"),
    "half a trial": ([("maxTrialCount: 12", "maxTrialCount: 2.5")], 6, ".maxTrialCount", "whole number; got 2.5"),
    "a count in quotes": ([("maxTrialCount: 12", 'maxTrialCount: "12"')], 6, ".maxTrialCount", "without quotes"),
    "failures below 0": ([("Count: 4", "Count: -1")], 7, ".maxFailedTrialCount", "must be from 0"),
    "more failures than trials": ([("Count: 4", "Count: 13")], 7, ".maxFailedTrialCount", "at most maxTrialCount"),
    "parallel of 0": ([(COUNTS, COUNTS + "  parallelTrialCount: 0\n")], 7, ".parallelTrialCount", "from 1"),
    "parallel above all": (
        [(COUNTS, COUNTS + "  parallelTrialCount: 13\n")], 7, ".parallelTrialCount", "at most maxTrialCount = 12"),
    "the default above all": (
        [("maxTrialCount: 12", "maxTrialCount: 2"), ("Count: 4", "Count: 2")],
        5, ".parallelTrialCount", "got 3 (Katib's default)"),
    "an unknown policy": ([(COUNTS, COUNTS + "  resumePolicy: Always\n")], 7, ".resumePolicy", "Known: FromVolume"),
    "no objective": ([("  objective:\n", "  nothing:\n")], 5, ".objective", "is missing"),
    "no direction": ([("    type: minimize\n", "")], 8, ".objective.type", "is missing"),
    "another direction": ([("minimize", "minimise")], 9, ".objective.type", "Did you mean 'minimize'?"),
    "a goal in words": ([("goal: 0.5", "goal: low")], 10, ".objective.goal", "must be a number; got 'low'"),
    "an endless goal": ([("goal: 0.5", "goal: .inf")], 10, ".objective.goal", "must be a number"),
    "no metric": (
        [("    objectiveMetricName: val_mae\n", "")], 8, ".objective.objectiveMetricName", "is missing"),
    "the objective again": ([("[train_mae]", "[val_mae]")], 12, ".objective.additionalMetricNames.0", "named once"),
    "a metric twice": ([("[train_mae]", "[a, a]")], 12, ".objective.additionalMetricNames.1", "named once"),
    "a metric with a slash": (
        [("objectiveMetricName: val_mae", "objectiveMetricName: val/mae")],
        11, ".objective.objectiveMetricName", "without /; got 'val/mae'"),
    "a strategy of no metric": (
        [("goal: 0.5", "metricStrategies: [{name: val_mea, value: min}]")],
        10, ".objective.metricStrategies.0.name", "Did you mean 'val_mae'?"),
    "an unknown strategy": (
        [("goal: 0.5", "metricStrategies: [{name: val_mae, value: mean}]")],
        10, ".objective.metricStrategies.0.value", "min, max, latest"),
    "two strategies": (
        [("goal: 0.5", "metricStrategies: [{name: val_mae, value: min}, {name: val_mae, value: max}]")],
        10, ".objective.metricStrategies.1.name", "one strategy"),
    "no algorithm": ([("  algorithm:\n", "  nothing:\n")], 5, ".algorithm", "is missing"),
    "no algorithm's name": (
        [("    algorithmName: random\n", "")], 13, ".algorithm.algorithmName", "is missing"),
    "an unknown algorithm": (
        [("algorithmName: random", "algorithmName: rando")], 14, ".algorithm.algorithmName", "mean 'random'?"),
    "an architecture search": (
        [("algorithmName: random", "algorithmName: darts")], 14, ".algorithm.algorithmName", "architectures"),
    "a network to build": ([(COUNTS, COUNTS + "  nasConfig: {}\n")], 7, ".nasConfig", "builds no networks"),
    "a setting twice": (
        [('"7"}]', '"7"}, {name: random_state, value: "8"}]')],
        15, ".algorithm.algorithmSettings.1.name", "stands once"),
    "a setting without value": (
        [(', value: "7"', "")], 15, ".algorithm.algorithmSettings.0.value", "is missing"),
    "a setting as a number": (
        [('"7"', "7")], 15, ".algorithm.algorithmSettings.0.value", 'must be a text; got 7. Put it in quotes: "7"'),
    "grid without a step": (
        [algorithm("grid")], 19, ".parameters.0.feasibleSpace.step", "grid needs the step of a double"),
    "grid of fewer points": (
        [algorithm("grid"), (LR, 'feasibleSpace: {min: "0", max: "0.1", step: "0.1"}'), ("Count: 12", "Count: 25")],
        6, ".maxTrialCount", "grid has 24 points"),
    "cmaes in one dimension": (
        [algorithm("cmaes"), ("Type: int", "Type: discrete"), (DEPTH, 'feasibleSpace: {list: ["1"]}')],
        16, ".parameters", "two parameters of type int or double"),
    "hyperband without resource": (
        [algorithm("hyperband", r_l="3")], 15, ".algorithm.algorithmSettings", "needs the setting 'resource_name'"),
    "hyperband of no parameter": (
        [algorithm("hyperband", r_l="3", resource_name="epochs")],
        15, ".algorithm.algorithmSettings", "must be a parameter; got 'epochs'"),
    "hyperband of a list": (
        [algorithm("hyperband", r_l="3", resource_name="width")],
        15, ".algorithm.algorithmSettings", "an int or double parameter"),
    "hyperband too narrow": (
        [algorithm("hyperband", r_l="9", resource_name="depth")], 5, ".parallelTrialCount", "Write at least 9"),
    "pbt without its folder": (
        [algorithm("pbt", n_population="5", truncation_threshold="0.2")],
        15, ".algorithm.algorithmSettings", "needs the setting 'suggestion_trial_dir'"),
    "no rule's name": ([(COUNTS, COUNTS + "  earlyStopping: {}\n")], 7, ".earlyStopping.algorithmName", "is missing"),
    "an unknown rule": (
        [(COUNTS, COUNTS + "  earlyStopping: {algorithmName: median}\n")],
        7, ".earlyStopping.algorithmName", "Did you mean 'medianstop'?"),
    "medianstop without trials": (
        [(COUNTS, COUNTS + "  earlyStopping: {algorithmName: medianstop, algorithmSettings: "
          '[{name: min_trials_required, value: "0"}]}\n')],
        7, ".earlyStopping.algorithmSettings.0", "min_trials_required must be at least 1; got '0'"),
    "no parameters": (
        [(PLAIN[PLAIN.index("    - name: lr") : PLAIN.index("  trialTemplate")], "")],
        16, ".parameters", "missing or empty"),
    "a parameter without a name": ([("    - name: lr\n      p", "    - p")], 17, ".parameters.0.name", "is missing"),
    "a parameter twice": ([("name: width\n", "name: depth\n")], 26, ".parameters.3.name", "got 'depth' again"),
    "an unknown type": (
        [("parameterType: int", "parameterType: integer")], 21, ".parameters.1.parameterType", "mean 'int'?"),
    "no space": ([(f"      {DEPTH}\n", "")], 20, ".parameters.1.feasibleSpace", "is missing"),
    "no minimum": ([(DEPTH, 'feasibleSpace: {max: "3"}')], 22, ".parameters.1.feasibleSpace.min", "needs min and max"),
    "no maximum": ([(DEPTH, 'feasibleSpace: {min: "3"}')], 22, ".parameters.1.feasibleSpace.max", "needs min and max"),
    "a list of a range": (
        [(DEPTH, 'feasibleSpace: {min: "2", max: "3", list: ["2"]}')],
        22, ".parameters.1.feasibleSpace.list", "only discrete and categorical"),
    "a bound without quotes": (
        [(DEPTH, 'feasibleSpace: {min: 2, max: "3"}')], 22, ".parameters.1.feasibleSpace.min", 'in quotes: "2"'),
    "a bound that is no number": (
        [(LR, 'feasibleSpace: {min: small, max: "3"}')], 19, ".parameters.0.feasibleSpace.min", "got 'small'"),
    "a bound that is not finite": (
        [(LR, 'feasibleSpace: {min: "0", max: "1e999"}')], 19, ".parameters.0.feasibleSpace.max", "64 bits"),
    "a point in a whole number": (
        [(DEPTH, 'feasibleSpace: {min: "2.0", max: "3"}')],
        22, ".parameters.1.feasibleSpace.min", "a whole number; got '2.0'"),
    "bounds that are swapped": (
        [(DEPTH, 'feasibleSpace: {min: "3", max: "2"}')], 22, ".parameters.1.feasibleSpace.min", "below max"),
    "a single value": (
        [(DEPTH, 'feasibleSpace: {min: "3", max: "3"}')], 22, ".parameters.1.feasibleSpace.min", "below max"),
    "a step of 0": (
        [(DEPTH, 'feasibleSpace: {min: "2", max: "3", step: "0"}')],
        22, ".parameters.1.feasibleSpace.step", "must be above 0"),
    "a step beyond the range": (
        [(DEPTH, 'feasibleSpace: {min: "2", max: "4", step: "3"}')],
        22, ".parameters.1.feasibleSpace.step", "at most max - min = 2; got 3"),
    "an unknown distribution": (
        [("logUniform", "loguniform")], 19, ".parameters.0.feasibleSpace.distribution", "mean 'logUniform'?"),
    "a logarithm of 0": (
        [('min: "1e-4"', 'min: "0"')], 19, ".parameters.0.feasibleSpace.min", "above 0 for logUniform; got 0"),
    "a logNormal below 0": (
        [('min: "1e-4"', 'min: "-1"'), ("logUniform", "logNormal")],
        19, ".parameters.0.feasibleSpace.min", "above 0 for logNormal; got -1"),
    "a list without values": (
        [(LISTS, "feasibleSpace: {list: []}")], 25, ".parameters.2.feasibleSpace.list", "missing or empty"),
    "a step of a list": (
        [(WIDTH, 'feasibleSpace: {list: ["1"], step: "1"}')],
        28, ".parameters.3.feasibleSpace.step", "only int and double"),
    "a distribution of a list": (
        [(WIDTH, 'feasibleSpace: {list: ["1"], distribution: normal}')],
        28, ".parameters.3.feasibleSpace.distribution", "only int and double"),
    "a word among numbers": (
        [("32.5", "wide")], 28, ".parameters.3.feasibleSpace.list.1", "must be a number; got 'wide'"),
    "a number twice": (
        [("32.5", "16.0")], 28, ".parameters.3.feasibleSpace.list.1", "got '16.0' after '16'"),
    "a word twice": ([("[sgd, adam]", "[sgd, sgd]")], 25, ".parameters.2.feasibleSpace.list.1", "stands once"),
    "a list without quotes": (
        [('["16", "32.5"]', "[16, 32.5]")], 28, ".parameters.3.feasibleSpace.list.0", 'quotes: "16"'),
    "a word that kubectl reads as true": (
        [("[sgd, adam]", "[on, adam]")], 25, ".parameters.2.feasibleSpace.list.0", "YAML 1.1, takes on for another"),
    "no template": ([("  trialTemplate:\n", "  nothing:\n")], 5, ".trialTemplate", "is missing"),
    "no container's name": (
        [("    primaryContainerName: train\n", "")], 29, ".trialTemplate.primaryContainerName", "is missing"),
    "another container's name": (
        [("primaryContainerName: train", "primaryContainerName: trainer")],
        30, ".trialTemplate.primaryContainerName", "Did you mean 'train'?"),
    "a template on the cluster": (
        [(PLAIN[PLAIN.index("    trialSpec") :], "    configMap: {configMapName: a, configMapNamespace: b}\n")],
        36, ".trialTemplate.configMap", "stands on a cluster only"),
    "neither template": (
        [(PLAIN[PLAIN.index("    trialSpec") :], "")], 29, ".trialTemplate.trialSpec", "is missing"),
    "no references": (
        [(PLAIN[PLAIN.index("    trialParameters") : PLAIN.index("    trialSpec")], "")],
        29, ".trialTemplate.trialParameters", "is missing"),
    "a reference without a name": (
        [(RATE, "{reference: lr}")], 32, ".trialTemplate.trialParameters.0.name", "is missing"),
    "a name in braces": (
        [(RATE, '{name: "{a}", reference: lr}')], 32, ".trialTemplate.trialParameters.0.name", "must not contain"),
    "a name twice": (
        [("{name: width, ", "{name: depth, ")], 35, ".trialTemplate.trialParameters.3.name", "got 'depth' again"),
    "a reference twice": (
        [("reference: width", "reference: lr")], 35, ".trialTemplate.trialParameters.3.reference", "referred to once"),
    "a reference to nothing": (
        [("reference: width", "reference: with")],
        35, ".trialTemplate.trialParameters.3.reference", "Did you mean 'width'?"),
    "a reference to no metadata": (
        [(RATE, f'{RATE}\n      - {{name: id, reference: "${{trialSpec.Id}}"}}')],
        33, ".trialTemplate.trialParameters.1.reference", "${trialSpec.Name}"),
    "a reference to a missing label": (
        [(RATE, f'{RATE}\n      - {{name: id, reference: "${{trialSpec.Labels[team]}}"}}')],
        33, ".trialTemplate.trialParameters.1.reference", "no such label"),
    "a parameter without reference": (
        [("      - {name: width, reference: width}\n", "")],
        31, ".trialTemplate.trialParameters", "the parameter 'width' is referred to by none"),
    "a reference without a place": (
        [("${trialParameters.rate}", "1")], 32, ".trialTemplate.trialParameters.0.name", "${trialParameters.rate}"),
    "a place without a reference": (
        [("${trialParameters.rate}", "${trialParameters.rate}${trialParameters.rat}")],
        45, ".trialTemplate.trialSpec.spec.template.spec.containers.0.command.3", "no trialParameter is called 'rat'"),
    "a job without version": (
        [("      apiVersion: batch/v1\n", "")], 36, ".trialTemplate.trialSpec.apiVersion", "is missing"),
    "a job without kind": ([("      kind: Job\n", "")], 36, ".trialTemplate.trialSpec.kind", "is missing"),
    "a job with a name": (
        [("      kind: Job\n", "      kind: Job\n      metadata: {name: a}\n")],
        39, ".trialTemplate.trialSpec.metadata.name", "Katib names each"),
    "a job with a namespace": (
        [("      kind: Job\n", "      kind: Job\n      metadata: {namespace: a}\n")],
        39, ".trialTemplate.trialSpec.metadata.namespace", "Katib names each"),
    "a kind that Katib cannot judge": (
        [("kind: Job", "kind: Workflow")], 29, ".trialTemplate.successCondition", "when a Workflow is done"),
    "an unknown field of a container": (
        [("image: ", "imge: ")],
        44, ".trialTemplate.trialSpec.spec.template.spec.containers.0.imge", "Did you mean 'image'?"),
    "an unknown field of a pod": (
        [("restartPolicy: ", "restartPolice: ")],
        47, ".trialTemplate.trialSpec.spec.template.spec.restartPolice", "Did you mean 'restartPolicy'?"),
    "an argument without quotes": (
        [('"${trialParameters.width}"]', '"${trialParameters.width}", 5]')],
        46, ".trialTemplate.trialSpec.spec.template.spec.containers.0.args.2", 'quotes: "5"'),
    "a command that is no list": (
        [("command: [", "args: ["), ("args: [\"${trialParameters.optimiser}\", \"${trialParameters.width}\"]",
          "command: sh ${trialParameters.optimiser} ${trialParameters.width}")],
        46, ".trialTemplate.trialSpec.spec.template.spec.containers.0.command", "must be a list"),
    "a retained word": (
        [("    primaryContainerName", "    retain: always\n    primaryContainerName")],
        30, ".trialTemplate.retain", "true or false"),
    "an unknown collector": (
        [with_collector("{collector: {kind: Stdout}}")], 7, ".metricsCollectorSpec.collector.kind", "mean 'StdOut'?"),
    "a renamed collector": (
        [with_collector("{collector: {kind: None}}")], 7, ".metricsCollectorSpec.collector.kind", "`kind: Push`"),
    "a collector without kind": (
        [with_collector("{collector: {}}")], 7, ".metricsCollectorSpec.collector.kind", "is missing"),
    "a relative file": (
        [with_collector("{collector: {kind: File}, source: {fileSystemPath: {path: metrics.log}}}")],
        7, ".metricsCollectorSpec.source.fileSystemPath.path", "must be absolute"),
    "a folder for a file": (
        [with_collector("{collector: {kind: File}, source: {fileSystemPath: {kind: Directory}}}")],
        7, ".metricsCollectorSpec.source.fileSystemPath.kind", "must be File"),
    "an unknown format": (
        [with_collector("{collector: {kind: File}, source: {fileSystemPath: {format: CSV}}}")],
        7, ".metricsCollectorSpec.source.fileSystemPath.format", "TEXT, JSON"),
    "filters of a JSON file": (
        [with_collector("{collector: {kind: File}, source: {fileSystemPath: {format: JSON}, filter: {}}}")],
        7, ".metricsCollectorSpec.source.filter", "without filters"),
    "events with a format": (
        [with_collector("{collector: {kind: TensorFlowEvent}, source: {fileSystemPath: {format: TEXT}}}")],
        7, ".metricsCollectorSpec.source.fileSystemPath.format", "no format"),
    "a port in words": (
        [with_collector("{collector: {kind: PrometheusMetric}, source: {httpGet: {port: http}}}")],
        7, ".metricsCollectorSpec.source.httpGet.port", "above 0; got 'http'"),
    "a relative address": (
        [with_collector("{collector: {kind: PrometheusMetric}, source: {httpGet: {path: metrics}}}")],
        7, ".metricsCollectorSpec.source.httpGet.path", "begin with /"),
    "a collector of one's own without container": (
        [with_collector("{collector: {kind: Custom}}")],
        7, ".metricsCollectorSpec.collector.customCollector", "is missing"),
    "a filter that is no expression": (
        [with_collector("{source: {filter: {metricsFormat: ['(a']}}}")],
        7, ".metricsCollectorSpec.source.filter.metricsFormat.0", "regular expression"),
    "a filter of one group": (
        [with_collector(r"{source: {filter: {metricsFormat: ['loss: (\S+)']}}}")],
        7, ".metricsCollectorSpec.source.filter.metricsFormat.0", "two groups"),
    "a filter that Go cannot read": (
        [with_collector(r"{source: {filter: {metricsFormat: ['(\w+)(?=:): (\S+)']}}}")],
        7, ".metricsCollectorSpec.source.filter.metricsFormat.0", "no '(?='"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_each_rule_broken_once_is_told_with_its_line(folder: Path, case: str) -> None:
    changes, line, key, words = BROKEN[case]
    told = faults_of(folder, changed(*changes))
    start = f"{folder / 'plain.yaml'}:{line}: {'spec' if key[0] == '.' else ''}{key}: "
    assert any(each.startswith(start) and words in each for each in told), "\n".join(told)


def test_every_fault_is_told_at_once_in_the_order_of_the_file(folder: Path) -> None:
    told = faults_of(
        folder, changed(("minimize", "least"), ("algorithmName: random", "algorithmName: x"), ("32.5", "16"))
    )
    assert [int(line.split(":")[1]) for line in told] == [9, 14, 28]


# Each row: a whole file, the line and words of its message.
NO_EXPERIMENT = {
    "no YAML": ("spec: [1\nkind: x\n", 2, "no valid YAML"),
    "two documents": (f"{PLAIN}---\n{PLAIN}", 48, "a file holds one document; here a second one begins"),
    "a list": ("- 1\n", 1, "a manifest is a mapping"),
    "nothing": ("", 1, "a manifest is a mapping"),
    "another kind": (PLAIN.replace("kind: Experiment", "kind: Trial"), 2, "kind: must be Experiment; got 'Trial'"),
    "another version": (PLAIN.replace("v1beta1", "v1alpha3"), 1, "must be kubeflow.org/v1beta1; got"),
    "a benchmark": ("name: x\nmethods: {}\n", 1, "kind: is missing"),
}


@pytest.mark.parametrize("case", NO_EXPERIMENT)
def test_a_file_that_is_no_experiment_says_so(folder: Path, case: str) -> None:
    text, line, words = NO_EXPERIMENT[case]
    told = faults_of(folder, text)
    assert any(each.startswith(f"{folder / 'plain.yaml'}:{line}: ") and words in each for each in told), "\n".join(told)


def test_plain_data_names_its_source_instead_of_lines() -> None:
    with pytest.raises(ConfigError, match=r"^the request: kind: must be Experiment; got 'Job'\."):
        parse_experiment({"apiVersion": "kubeflow.org/v1beta1", "kind": "Job"}, "the request")
    with pytest.raises(ConfigError, match=r"^kind: must be Experiment"):
        parse_experiment({"apiVersion": "kubeflow.org/v1beta1", "kind": "Job"})


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
}  # fmt: skip


def test_the_table_has_an_example_of_every_algorithm() -> None:
    assert set(VALID_SETTINGS) == set(ALGORITHMS)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_takes_its_settings_and_a_seed(folder: Path, name: str) -> None:
    values = {**VALID_SETTINGS[name], "random_state": "3"}
    space = (LR, 'feasibleSpace: {min: "0.1", max: "0.5", step: "0.1"}')
    experiment = read(folder, changed(algorithm(name, **values), space))
    assert experiment.algorithm.settings == values
    read_back = read_settings(experiment.algorithm)
    assert read_back["random_state"] == 3
    assert set(read_back) == set(ALGORITHMS[name].settings)


def test_settings_that_are_not_written_have_their_defaults(folder: Path) -> None:
    experiment = read(folder, changed(algorithm("bayesianoptimization", acq_func="EI")))
    assert read_settings(experiment.algorithm) == {
        "random_state": None, "base_estimator": "GP", "n_initial_points": 10, "acq_func": "EI", "acq_optimizer": "auto",
    }  # fmt: skip


# Each row: an algorithm, a setting, a value out of its range, and the rule.
OUT_OF_RANGE = [
    ("random", "random_state", "-1", "at least 0"),
    ("random", "random_state", "1.5", "a whole number"),
    ("random", "seed", "1", "random has no setting 'seed'. Known: random_state."),
    ("grid", "gamma", "1", "no setting"),
    ("sobol", "scramble", "1", "no setting"),
    ("tpe", "gamma", "1", "below 1"),
    ("tpe", "gamma", "0", "above 0"),
    ("tpe", "prior_weight", "0", "above 0"),
    ("tpe", "n_EI_candidates", "0", "at least 1"),
    ("tpe", "n_ei_candidates", "9", "Did you mean 'n_EI_candidates'?"),
    ("multivariate-tpe", "n_startup_trials", "-1", "at least 0"),
    ("multivariate-tpe", "n_ei_candidates", "many", "a whole number"),
    ("bayesianoptimization", "acq_func", "EIps", "gp_hedge, EI, PI, LCB, TS"),
    ("bayesianoptimization", "base_estimator", "NN", "GP, RF, ET, GBRT"),
    ("bayesianoptimization", "n_initial_points", "-1", "at least 0"),
    ("bayesianoptimization", "acq_optimizer", "adam", "auto, sampling, lbfgs"),
    ("cmaes", "sigma", "0", "above 0"),
    ("cmaes", "restart_strategy", "bop", "Did you mean 'bipop'?"),
    ("hyperband", "r_l", "0", "at least 1"),
    ("hyperband", "eta", "1", "at least 2"),
    ("hyperband", "resource_name", "", "is missing"),
    ("pbt", "n_population", "4", "at least 5"),
    ("pbt", "truncation_threshold", "1.1", "at most 1"),
    ("pbt", "resample_probability", "-0.1", "at least 0"),
    ("evolutionary", "population_size", "1", "at least 2"),
    ("evolutionary", "mutation_probability", "2", "at most 1"),
    ("evolutionary", "crossover_probability", "nan", "a number; got 'nan'"),
]


@pytest.mark.parametrize(("name", "setting", "value", "rule"), OUT_OF_RANGE)
def test_a_setting_out_of_its_range_is_refused(folder: Path, name: str, setting: str, value: str, rule: str) -> None:
    told = faults_of(folder, changed(algorithm(name, **{**VALID_SETTINGS[name], setting: value})))
    assert any(":15: spec.algorithm.algorithmSettings." in line and rule in line for line in told), "\n".join(told)


def test_hyperbands_resource_may_have_a_single_value(folder: Path) -> None:
    resource = 'feasibleSpace: {min: "1", max: "1"}'
    assert read(folder, changed(algorithm("hyperband", r_l="3", resource_name="depth"), (DEPTH, resource)))


def test_medianstop_is_read_with_its_settings(folder: Path) -> None:
    rule = '  earlyStopping: {algorithmName: medianstop, algorithmSettings: [{name: start_step, value: "2"}]}\n'
    experiment = read(folder, changed((COUNTS, COUNTS + rule)))
    assert experiment.early_stopping is not None
    assert read_settings(experiment.early_stopping) == {"min_trials_required": 3, "start_step": 2}
    assert set(STOPPING_RULES) == {"medianstop"}


COLLECTORS = {
    "{collector: {kind: StdOut}}": Collector(),
    "{source: {filter: {metricsFormat: ['(\\w+): (\\S+)']}}}": Collector(filters=(r"(\w+): (\S+)",)),
    "{collector: {kind: File}}": Collector(kind="File", path="/var/log/katib/metrics.log"),
    "{collector: {kind: File}, source: {fileSystemPath: {path: /a, kind: File, format: JSON}}}": Collector(
        kind="File", path="/a", format="JSON"
    ),
    "{collector: {kind: TensorFlowEvent}}": Collector(kind="TensorFlowEvent", path="/var/log/katib/tfevent/"),
    "{collector: {kind: PrometheusMetric}, source: {httpGet: {port: 80, path: /m}}}": Collector(
        kind="PrometheusMetric"
    ),
    "{collector: {kind: Push}}": Collector(kind="Push"),
    "{collector: {kind: Custom, customCollector: {image: x}}}": Collector(kind="Custom"),
}


@pytest.mark.parametrize("text", COLLECTORS)
def test_every_collector_is_read(folder: Path, text: str) -> None:
    assert read(folder, changed(with_collector(text))).collector == COLLECTORS[text]


def test_a_metric_of_any_name_is_taken_where_no_text_is_read(folder: Path) -> None:
    slash = ("objectiveMetricName: val_mae", "objectiveMetricName: val/mae")
    assert read(folder, changed(slash, with_collector("{collector: {kind: Push}}"))).objective.metric == "val/mae"


CONDITIONS = "    successCondition: a\n    failureCondition: b\n"
POD = "{containers: [{name: side, image: s}, {name: train, image: i, command: [run, PLACES]}]}"
KINDS = {
    "PyTorchJob": (
        "{apiVersion: kubeflow.org/v1, kind: PyTorchJob, spec: {pytorchReplicaSpecs: {"
        "Worker: {template: {spec: {containers: [{name: train, image: w, command: [work, PLACES]}]}}}, "
        f"Master: {{template: {{spec: {POD}}}}}}}}}}}", ""),
    "TFJob": (f"{{apiVersion: kubeflow.org/v1, kind: TFJob, spec: {{tfReplicaSpecs: {{PS: {{template: {{spec: "
              f"{{containers: [{{name: train, image: p}}]}}}}}}, Worker: {{template: {{spec: {POD}}}}}}}}}}}", ""),
    "MPIJob": (f"{{apiVersion: kubeflow.org/v1, kind: MPIJob, spec: {{mpiReplicaSpecs: {{Worker: {{template: {{spec: "
               f"{{containers: [{{name: w, image: w}}]}}}}}}, Launcher: {{template: {{spec: {POD}}}}}}}}}}}", ""),
    "XGBoostJob": (
        f"{{apiVersion: kubeflow.org/v1, kind: XGBoostJob, spec: {{xgbReplicaSpecs: {{Master: {{template: {{spec: {POD}"
        "}}}}}", ""),
    "Workflow": (
        "{apiVersion: argoproj.io/v1alpha1, kind: Workflow, spec: {entrypoint: all, templates: ["
        "{name: all, steps: [[{name: fit, template: fit}]]}, "
        "{name: prepare, container: {image: p, command: [prepare]}}, {name: fit, metadata: {labels: {role: fit}}, "
        "container: {name: fit, image: i, command: [run, PLACES]}}]}}", CONDITIONS),
    "TrainJob": (
        "{apiVersion: trainer.kubeflow.org/v1alpha1, kind: TrainJob, spec: {runtimeRef: {name: torch-distributed}, "
        "trainer: {numNodes: 2, image: i, command: [run, PLACES]}}}", ""),
    "PipelineRun": (
        "{apiVersion: tekton.dev/v1, kind: PipelineRun, spec: {pipelineSpec: {tasks: [{name: t, taskSpec: {steps: "
        "[{name: prepare, image: p}, {name: train, image: i, command: [run, PLACES]}]}}]}}}", CONDITIONS),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_primary_container_is_found_in_every_kind_of_job(folder: Path, kind: str) -> None:
    places = ", ".join(f'"${{trialParameters.{name}}}"' for name in ("rate", "depth", "optimiser", "width"))
    job, conditions = KINDS[kind]
    primary = {"PipelineRun": "step-train", "Workflow": "main", "TrainJob": "node"}.get(kind, "train")
    text = PLAIN[: PLAIN.index("    trialSpec")].replace("Name: train", f"Name: {primary}") + conditions
    trial = read(folder, f"{text}    trialSpec: {job.replace('PLACES', places)}\n").trial
    assert (trial.image, trial.command[:2]) == ("i", ("run", "${trialParameters.rate}"))


def test_labels_tell_templates_of_the_same_container_name_apart(folder: Path) -> None:
    places = " ".join(f"${{trialParameters.{name}}}" for name in ("rate", "depth", "optimiser", "width"))
    job = (
        "{apiVersion: argoproj.io/v1alpha1, kind: Workflow, spec: {templates: ["
        "{metadata: {labels: {step: prepare}}, container: {image: p, command: [prepare]}}, "
        f'{{metadata: {{labels: {{step: fit}}}}, container: {{image: i, command: [run, "{places}"]}}}}]}}}}'
    )
    text = PLAIN[: PLAIN.index("    trialSpec")].replace("Name: train", "Name: main") + CONDITIONS
    labels = "    primaryPodLabels: {step: fit}\n"
    assert read(folder, f"{text}{labels}    trialSpec: {job}\n").trial.image == "i"


def test_a_job_without_a_command_leaves_the_program_to_its_image(folder: Path) -> None:
    command = PLAIN[PLAIN.index("                command") : PLAIN.index("                args")]
    places = (
        "${trialParameters.optimiser}",
        "${trialParameters.optimiser}${trialParameters.rate}${trialParameters.depth}",
    )
    assert read(folder, changed((command, ""), places)).trial.command == ()


ENVIRONMENT = """\
                workingDir: /work/${trialParameters.trial}
                env:
                  - {name: RATE, value: "${trialParameters.rate}"}
                  - {name: TWICE, value: "$(RATE)-$(RATE)"}
                  - {name: SECRET, valueFrom: {secretKeyRef: {name: a, key: b}}}
                  - {name: TEAM, value: "${trialParameters.team}"}
"""


def rendered() -> tuple[Experiment, Trial]:
    references = (
        RATE,
        f'{RATE}\n      - {{name: trial, reference: "${{trialSpec.Name}}"}}'
        '\n      - {name: team, reference: "${trialSpec.Labels[team]}"}',
    )
    labels = ("      kind: Job\n", "      kind: Job\n      metadata: {labels: {team: brain}}\n")
    shell = ('"${trialParameters.width}"]', '"${trialParameters.width}", "$(TWICE) $(unknown) $$HOME"]')
    text = changed(references, labels, shell, ("            restartPolicy", ENVIRONMENT + "            restartPolicy"))
    assignments = {"lr": '0.01"', "depth": "2", "optimiser": "adam", "width": "16"}
    experiment = parse_experiment(YAML(typ="safe", pure=True).load(text))
    return experiment, Trial(number=3, name="plain-3", assignments=assignments)


def test_a_trials_values_stand_in_their_places() -> None:
    argv, environment, folder = render(*rendered())
    assert argv == ["ctlr", "trial", "--set", 'lr=0.01"', "depth=2", "adam", "16", '0.01"-0.01" $(unknown) $HOME']
    assert environment == {"RATE": '0.01"', "TWICE": '0.01"-0.01"', "TEAM": "brain"}
    assert folder == "/work/plain-3"


def test_the_whole_job_of_a_trial_is_named_and_filled_in() -> None:
    experiment, trial = rendered()
    job = rendered_spec(experiment, trial)
    assert job["metadata"] == {"labels": {"team": "brain"}, "name": "plain-3", "namespace": "default"}
    assert "trialParameters" not in repr(job)
    assert "${trialParameters.rate}" in repr(experiment.manifest)


def test_a_trial_that_lacks_a_value_is_refused() -> None:
    experiment, trial = rendered()
    with pytest.raises(ConfigError, match="plain-3: each parameter needs a value; 'lr' has none"):
        render(experiment, trial.model_copy(update={"assignments": {}}))


def test_a_clusters_object_is_read_with_its_status(folder: Path) -> None:
    experiment = read(folder, PLAIN)
    document = {**experiment.manifest, "status": {"trials": 3, "conditions": []}}
    document["metadata"] = {**document["metadata"], "uid": "x", "managedFields": [{"manager": "kubectl"}]}
    found = parse_experiment(document)
    assert found.manifest == document
    assert found.model_copy(update={"manifest": {}}) == experiment.model_copy(update={"manifest": {}})


def test_a_request_needs_no_template() -> None:
    document = {"apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "metadata": {"name": "a"}, "spec": {
        "objective": {"type": "maximize", "objectiveMetricName": "auc"}, "algorithm": {"algorithmName": "tpe"},
        "parameters": [{"name": "x", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "3"}}]}}  # fmt: skip
    assert parse_experiment(document, template=False).trial.command == ()
    with pytest.raises(ConfigError, match=r"spec\.trialTemplate: is missing"):
        parse_experiment(document)


@pytest.mark.parametrize("model", ["container", "pod_spec"])
def test_the_fields_of_pods_are_those_of_katibs_own_models(model: str) -> None:
    from ctlr.tuning import jobs

    module = importlib.import_module(f"kubeflow_katib_api.models.io_k8s_api_core_v1_{model}")
    kind = {"container": "Container", "pod_spec": "PodSpec"}[model]
    fields = getattr(module, f"IoK8sApiCoreV1{kind}").model_fields
    known = jobs._CONTAINER if model == "container" else jobs._POD
    assert set(known) == {field.alias or name for name, field in fields.items()}


def test_katibs_own_models_take_what_is_written_and_drop_nothing(folder: Path) -> None:
    from kubeflow_katib_api.models.v1beta1_experiment import V1beta1Experiment

    collector = with_collector("{collector: {kind: File}, source: {filter: {metricsFormat: ['(a)=(b)']}}}")
    experiment = read(folder, changed(collector, ("name: plain", "name: plain\n  labels: {a: b}")))
    document = YAML(typ="safe", pure=True).load(write_experiment(experiment))
    model = V1beta1Experiment.from_dict(document)
    assert model is not None
    assert model.to_dict() == document == experiment.manifest


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029"), max_size=12)
words = texts | st.sampled_from(
    ["on", "no", "1e-4", "012", "22:30", "null", "~", "1_000", "0x1f", " a", "a: b", "- a", "#"]
)
scalars = words | st.booleans() | st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
free = st.recursive(scalars, lambda below: st.lists(below, max_size=3) | st.dictionaries(words, below, max_size=3))
number = st.decimals(-1000, 1000, places=3, allow_nan=False)


@st.composite
def parameters(draw: st.DrawFn, name: str) -> dict[str, Any]:
    kind = draw(st.sampled_from(["int", "double", "discrete", "categorical"]))
    if kind == "categorical":
        space: dict[str, Any] = {"list": draw(st.lists(words, min_size=1, unique=True))}
    elif kind == "discrete":
        space = {"list": [str(value) for value in draw(st.lists(number, min_size=1, unique_by=float))]}
    else:
        low, width = draw(number), draw(st.decimals("0.001", 1000, places=3))
        low, high = (int(low), int(low + width) + 1) if kind == "int" else (low, low + width)
        space = {"min": str(low), "max": str(high)}
        if low > 0:
            space["distribution"] = draw(st.sampled_from(["uniform", "logUniform", "normal", "logNormal"]))
    return {"name": name, "parameterType": kind, "feasibleSpace": space}


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(words.filter(lambda name: name and "${" not in name), min_size=1, max_size=4, unique=True))
    places = [f"${{trialParameters.p{index}}}" for index in range(len(names))]
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": draw(st.from_regex(r"[a-z]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)), "annotations":
                     draw(st.dictionaries(words, words, max_size=3))},
        "spec": {
            "objective": {
                "type": draw(st.sampled_from(["minimize", "maximize"])),
                "objectiveMetricName": draw(st.from_regex(r"[\w-]{1,8}", fullmatch=True).filter(str.isascii)),
            },
            "algorithm": {"algorithmName": draw(st.sampled_from(["random", "sobol", "tpe"]))},
            "parameters": [draw(parameters(name)) for name in names],
            "trialTemplate": {
                "primaryContainerName": "main",
                "successCondition": draw(words.filter(bool)),
                "failureCondition": draw(words.filter(bool)),
                "trialParameters": [
                    {"name": f"p{index}", "reference": name} for index, name in enumerate(names)
                ],
                "trialSpec": {
                    "apiVersion": "example.org/v1",
                    "kind": "Anything",
                    "spec": {"places": places, "free": draw(free)},
                },
            },
        },
    }  # fmt: skip


@given(document=documents())
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back_equal(tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]) -> None:
    experiment = parse_experiment(document)
    assert experiment.manifest == document
    path = tmp_path_factory.mktemp("round") / "trip.yaml"
    path.write_text(write_experiment(experiment), encoding="utf-8")
    assert read_experiment(path) == experiment


@given(text=st.text(max_size=200) | free.map(repr))
@settings(max_examples=60, deadline=None)
def test_any_text_is_read_or_refused_with_a_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "file.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(ConfigError, match=re.escape(str(path))):
        read_experiment(path)


@given(spec=st.dictionaries(st.sampled_from(["objective", "algorithm", "parameters", "trialTemplate", "maxTrialCount",
                                            "metricsCollectorSpec", "earlyStopping"]), free))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_a_spec_of_anything_is_refused_and_never_crashes(spec: dict[str, Any]) -> None:
    top = {"apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "metadata": {"name": "a"}}
    with pytest.raises(ConfigError, match=r"spec\."):
        parse_experiment({**top, "spec": {"zz": 1, **spec}})


JUNK: list[Any] = [
    None, "", 0, -1, 1.5, True, [], {}, "x", [1], ["a"], {"a": 1}, [{}], [[]], [None], "1e400", "nan", "9" * 30, "٣",
    "${trialSpec.Name}", "${trialParameters.zz}", math.inf, {"name": "x"}, [{"name": ["lr"]}],
]  # fmt: skip


def places_of(node: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield (*where, key)
        yield from places_of(value, (*where, key))


@pytest.mark.parametrize("name", ["hyperband", "grid", "pbt"])
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_manifest_with_anything_in_the_place_of_a_part_is_read_or_refused(name: str, data: st.DataObject) -> None:
    space = (LR, 'feasibleSpace: {min: "0.1", max: "0.5", step: "0.1"}')
    collector = with_collector("{collector: {kind: File}, source: {filter: {metricsFormat: ['(a)(b)']}}}")
    text = changed(algorithm(name, **VALID_SETTINGS[name]), space, collector)
    document = YAML(typ="safe", pure=True).load(text)
    *above, last = data.draw(st.sampled_from(list(places_of(document))))
    node = document
    for key in above:
        node = node[key]
    node[last] = data.draw(st.sampled_from(JUNK))
    try:
        experiment = parse_experiment(document)
    except ConfigError:
        return
    assert experiment.manifest == document


def test_manifests_are_read_without_torch_and_without_katibs_models() -> None:
    code = (
        "import sys, ctlr.tuning.manifest as m; "
        "print([n for n in ('torch', 'optuna', 'kubeflow_katib_api', 'grpc') if n in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
