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
from plain_manifest import DEPTH, LR, PLAIN, VALID_SETTINGS, algorithm, changed, faults_of, read, with_collector
from ruamel.yaml import YAML

from ctlr.errors import ConfigError
from ctlr.specs import Collector
from ctlr.tuning.launchers import MetricsReader
from ctlr.tuning.manifest import parse_experiment, read_experiment, write_experiment


def test_a_manifest_becomes_a_value_with_katibs_defaults(tmp_path: Path) -> None:
    experiment = read(tmp_path, PLAIN)
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


def test_strategies_follow_the_objective_unless_written(tmp_path: Path) -> None:
    written = "type: maximize\n    metricStrategies: [{name: train_mae, value: latest}]"
    assert read(tmp_path, changed(("type: minimize", written))).objective.strategies == {
        "val_mae": "max",
        "train_mae": "latest",
    }


@pytest.mark.parametrize(
    ("words", "resampled"),
    [('"--validation=kfold:5"', True), ("--validation, repeats:3", True), ("--validation, holdout", False)],
)
def test_a_trial_of_several_folds_or_seeds_is_known_by_its_command(tmp_path: Path, words: str, resampled: bool) -> None:
    experiment = read(tmp_path, changed(("command: [ctlr, trial, ", f"command: [ctlr, trial, {words}, ")))
    assert experiment.resampled is resampled
    assert experiment.counted(0.5, "EarlyStopped") == (None if resampled else 0.5)
    assert (experiment.counted(0.5, "Succeeded"), experiment.counted(0.5, "Failed")) == (0.5, None)


def test_a_whole_number_of_any_distribution_is_taken_as_katib_takes_it(tmp_path: Path) -> None:
    for distribution in ("uniform", "logUniform", "normal", "logNormal"):
        experiment = read(tmp_path, changed((DEPTH, f"{DEPTH[:-1]}, distribution: {distribution}}}")))
        assert experiment.parameters[1].distribution == distribution


# Each row: the changes, the line of the fault, its key (below spec where it begins with a dot), words of its message.


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
def test_a_file_that_is_no_experiment_says_so(tmp_path: Path, case: str) -> None:
    text, line, words = NO_EXPERIMENT[case]
    told = faults_of(tmp_path, text)
    assert any(each.startswith(f"{tmp_path / 'plain.yaml'}:{line}: ") and words in each for each in told), "\n".join(
        told
    )


def test_plain_data_names_its_source_instead_of_lines() -> None:
    with pytest.raises(ConfigError, match=r"^the request: kind: must be Experiment; got 'Job'\."):
        parse_experiment({"apiVersion": "kubeflow.org/v1beta1", "kind": "Job"}, "the request")
    with pytest.raises(ConfigError, match=r"^kind: must be Experiment"):
        parse_experiment({"apiVersion": "kubeflow.org/v1beta1", "kind": "Job"})


COLLECTORS = {
    "{collector: {kind: StdOut}}": Collector(),
    "{source: {filter: {metricsFormat: ['(\\w+): (\\S+)']}}}": Collector(filters=(r"(\w+): (\S+)",)),
    "{collector: {kind: File}}": Collector(kind="File", path="/var/log/katib/metrics.log"),
    "{collector: {kind: File}, source: {fileSystemPath: {path: /a, kind: File, format: JSON}}}": Collector(
        kind="File", path="/a", format="JSON"
    ),
    # Katib tells the collector of the output to read text, whatever is written.
    "{source: {fileSystemPath: {format: JSON}}}": Collector(kind="StdOut", format="TEXT"),
    r"{source: {filter: {metricsFormat: ['(?<n>[[:alpha:]]+)=(?P<v>\pN+)\z']}}}": Collector(
        filters=(r"(?<n>[[:alpha:]]+)=(?P<v>\pN+)\z",)
    ),
    "{collector: {kind: TensorFlowEvent}}": Collector(kind="TensorFlowEvent", path="/var/log/katib/tfevent/"),
    "{collector: {kind: PrometheusMetric}, source: {httpGet: {port: 80, path: /m}}}": Collector(
        kind="PrometheusMetric"
    ),
    "{collector: {kind: Push}}": Collector(kind="Push"),
    "{collector: {kind: Custom, customCollector: {image: x}}}": Collector(kind="Custom"),
}


@pytest.mark.parametrize("text", COLLECTORS)
def test_every_collector_is_read(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, changed(with_collector(text))).collector == COLLECTORS[text]


def test_the_filter_that_a_fault_suggests_reads_a_number_before_a_comma(tmp_path: Path) -> None:
    (told,) = faults_of(tmp_path, changed(with_collector(r"{source: {filter: {metricsFormat: ['loss: (\S+)']}}}")))
    suggested = re.search(r"Write e\.g\. '(.+)'\.$", told)
    assert suggested is not None
    reader = MetricsReader(Collector(filters=(suggested[1],)), ("loss", "acc"))
    assert reader.feed(b"loss=0.5, acc=0.9\n") == [{"loss": 0.5, "acc": 0.9}]


def test_a_metric_of_any_name_is_taken_where_no_text_is_read(tmp_path: Path) -> None:
    slash = ("objectiveMetricName: val_mae", "objectiveMetricName: val/mae")
    assert read(tmp_path, changed(slash, with_collector("{collector: {kind: Push}}"))).objective.metric == "val/mae"


def test_a_clusters_object_is_read_with_its_status(tmp_path: Path) -> None:
    experiment = read(tmp_path, PLAIN)
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
    from ctlr.tuning.manifest import jobs

    module = importlib.import_module(f"kubeflow_katib_api.models.io_k8s_api_core_v1_{model}")
    kind = {"container": "Container", "pod_spec": "PodSpec"}[model]
    fields = getattr(module, f"IoK8sApiCoreV1{kind}").model_fields
    known = jobs._types()[f"V1{kind}"]
    assert set(known) == {field.alias or name for name, field in fields.items()}


def test_katibs_own_models_take_what_is_written_and_drop_nothing(tmp_path: Path) -> None:
    from kubeflow_katib_api.models.v1beta1_experiment import V1beta1Experiment

    collector = with_collector("{collector: {kind: File}, source: {filter: {metricsFormat: ['(a)=(b)']}}}")
    experiment = read(tmp_path, changed(collector, ("name: plain", "name: plain\n  labels: {a: b}")))
    document = YAML(typ="safe", pure=True).load(write_experiment(experiment))
    model = V1beta1Experiment.from_dict(document)
    assert model is not None
    assert model.to_dict() == document == experiment.manifest


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029"), max_size=12)
words = texts | st.sampled_from(
    ["on", "no", "1e-4", "012", "22:30", "null", "~", "1_000", "0x1f", " a", "a: b", "- a", "#"]
)
scalars = (
    words | st.booleans() | st.none() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
)
free = st.recursive(scalars, lambda below: st.lists(below, max_size=3) | st.dictionaries(words, below, max_size=3))
in_json = words.filter(lambda text: not re.search(r'["\\\x00-\x1f]', text))
number = st.decimals(-1000, 1000, places=3, allow_nan=False)


@st.composite
def parameters(draw: st.DrawFn, name: str) -> dict[str, Any]:
    kind = draw(st.sampled_from(["int", "double", "discrete", "categorical"]))
    if kind == "categorical":
        space: dict[str, Any] = {"list": draw(st.lists(in_json, min_size=1, unique=True))}
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
                "objectiveMetricName": draw(st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)),
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
        "print([n for n in ('torch', 'optuna', 'kubeflow_katib_api', 'grpc', 'kubernetes') if n in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
