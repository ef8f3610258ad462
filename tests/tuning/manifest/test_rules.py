from pathlib import Path

import pytest
from plain_manifest import (
    COUNTS,
    DEPTH,
    LISTS,
    LR,
    PLAIN,
    RATE,
    SPEC,
    WIDTH,
    algorithm,
    changed,
    faults_of,
    with_collector,
)

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
    "hyperband over nothing but its resource": (
        [algorithm("hyperband", r_l="3", resource_name="depth"),
         (PLAIN[PLAIN.index("    - name: lr") : PLAIN.index("    - name: depth")], ""),
         (PLAIN[PLAIN.index("    - name: optimiser") : PLAIN.index("  trialTemplate")], "")],
        16, ".parameters", "needs a parameter besides its resource 'depth'"),
    "hyperband too narrow": (
        [algorithm("hyperband", r_l="9", resource_name="depth")], 5, ".parallelTrialCount", "Write at least 9"),
    "more candidates than fit into memory": (
        [algorithm("tpe", n_EI_candidates="1000000")],
        15, ".algorithm.algorithmSettings.0", "n_EI_candidates must be at most 100000; got '1000000'"),
    "pbt without its folder": (
        [algorithm("pbt", n_population="5", truncation_threshold="0.2")],
        15, ".algorithm.algorithmSettings", "needs the setting 'suggestion_trial_dir'"),
    "pbt without a claim": (
        [algorithm("pbt", suggestion_trial_dir="/x", n_population="5", truncation_threshold="0.2")],
        5, ".resumePolicy", "must be FromVolume for pbt"),
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
    "a template in a ConfigMap without its key": (
        [(PLAIN[PLAIN.index("    trialSpec") :], "    configMap: {configMapName: a, configMapNamespace: b}\n")],
        36, ".trialTemplate.configMap.templatePath", "is missing"),
    "a template in a ConfigMap without its conditions": (
        [(PLAIN[PLAIN.index("    trialSpec") :],
          "    configMap: {configMapName: a, configMapNamespace: b, templatePath: c}\n")],
        29, ".trialTemplate.successCondition", "Katib knows it by itself for a trialSpec alone"),
    "two templates": (
        [("    trialSpec:\n",
          "    configMap: {configMapName: a, configMapNamespace: b, templatePath: c}\n    trialSpec:\n")],
        36, ".trialTemplate.configMap", "Remove one"),
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
        7, ".metricsCollectorSpec.source.filter.metricsFormat.0", "(invalid perl operator: (?=)"),
    "a filter with Python's end of a text": (
        [with_collector(r"{source: {filter: {metricsFormat: ['(\w+)=(\S+)\Z']}}}")],
        7, ".metricsCollectorSpec.source.filter.metricsFormat.0", "(invalid escape sequence: \\Z)"),
    "a filter with Python's spaced form": (
        [with_collector(r"{source: {filter: {metricsFormat: ['(?x)(\w+) = (\S+)']}}}")],
        7, ".metricsCollectorSpec.source.filter.metricsFormat.0", "(invalid perl operator: (?x)"),
    "a filter with a name that Go's groups cannot have": (
        [with_collector(r"{source: {filter: {metricsFormat: ['(?P<nombré>\w+)=(\S+)']}}}")],
        7, ".metricsCollectorSpec.source.filter.metricsFormat.0", "(invalid named capture: nombré)"),
    "a filter with RE2's single byte": (
        [with_collector(r"{source: {filter: {metricsFormat: ['(\w+)=(\C+)']}}}")],
        7, ".metricsCollectorSpec.source.filter.metricsFormat.0", "(invalid escape sequence: \\C)"),
    "a filter with a semicolon": (
        [with_collector(r"{source: {filter: {metricsFormat: ['(\w+)=(\d+);']}}}")],
        7, ".metricsCollectorSpec.source.filter.metricsFormat.0", "cut this one in two; got"),
    "a group within a group of a file's filter": (
        [with_collector(r"{collector: {kind: File}, source: {filter: {metricsFormat: ['((a)=1)']}}}")],
        7, ".metricsCollectorSpec.source.filter.metricsFormat.0", "two groups"),
    "a metric with a semicolon": (
        [("objectiveMetricName: val_mae", "objectiveMetricName: a;b"),
         with_collector(r"{source: {filter: {metricsFormat: ['(\w+)=(\S+)']}}}")],
        12, ".objective.objectiveMetricName", "would take 'a;b' for two"),
    "a value with quotes": (
        [("[sgd, adam]", "[sgd, 'a\"b']")], 25, ".parameters.2.feasibleSpace.list.1", "would break the JSON"),
    "a value with a backslash": (
        [("[sgd, adam]", "['C:\\n', adam]")], 25, ".parameters.2.feasibleSpace.list.0", "would break the JSON"),
    "an annotation with quotes that a trial takes": (
        [("      apiVersion: batch/v1", "      metadata: {annotations: {note: 'a \"b\"'}}\n      apiVersion: batch/v1"),
         ("reference: depth", 'reference: "${trialSpec.Annotations[note]}"')],
        33, ".trialTemplate.trialParameters.1.reference", "would break the JSON"),
    "a value that is a place": (
        [("[sgd, adam]", "['${trialParameters.rate}', adam]")],
        25, ".parameters.2.feasibleSpace.list.0", "would break the JSON"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_each_rule_broken_once_is_told_with_its_line(tmp_path: Path, case: str) -> None:
    changes, line, key, words = BROKEN[case]
    told = faults_of(tmp_path, changed(*changes))
    start = f"{tmp_path / 'plain.yaml'}:{line}: {'spec' if key[0] == '.' else ''}{key}: "
    assert any(each.startswith(start) and words in each for each in told), "\n".join(told)


def test_every_fault_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    told = faults_of(
        tmp_path, changed(("minimize", "least"), ("algorithmName: random", "algorithmName: x"), ("32.5", "16"))
    )
    assert [int(line.split(":")[1]) for line in told] == [9, 14, 28]


# Each row: a whole file, the line and words of its message.
