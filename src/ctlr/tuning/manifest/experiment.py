"""Katib Experiments (kubeflow.org/v1beta1) as values: read, checked by every rule of Katib's webhook, written.

Katib's API server keeps whatever it is given; all rules live in its webhook and in the services of its algorithms.
They are applied here together with those that Katib forgets, so that what passes here starts there.
"""

from __future__ import annotations

import copy
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from ctlr.config import Document, read_document
from ctlr.errors import nearest
from ctlr.specs import AlgorithmSpec, Experiment, Objective, TrialCommand
from ctlr.tuning.manifest.algorithms import ALGORITHMS, NETWORK_SEARCHES, STOPPING_RULES, Algorithm, broken_settings
from ctlr.tuning.manifest.collectors import check_metric_names, read_collector
from ctlr.tuning.manifest.fields import Fields
from ctlr.tuning.manifest.rules import check_fit, read_parameters
from ctlr.tuning.manifest.template import read_template

__all__ = ["GIVEN", "parse_experiment", "read_experiment", "with_algorithm", "write_experiment"]

_API = "kubeflow.org/v1beta1"
_PARALLEL = 3
GIVEN = {"suggestion_trial_dir": "/opt/katib/data"}
"""Settings that Katib asks of pbt, whose service keeps checkpoints there; a benchmark's trials keep their own."""
_COUNTS = ("maxTrialCount", "parallelTrialCount", "maxFailedTrialCount")
_ANY_NUMBER = 2**31 - 1
_RESAMPLED = re.compile(r"--validation[= ](kfold|repeats):")
"""In the command of a trial, whose objective is then a running mean."""
_SPEC = (
    "objective", "algorithm", "earlyStopping", "parameters", "trialTemplate", "parallelTrialCount", "maxTrialCount",
    "maxFailedTrialCount", "metricsCollectorSpec", "nasConfig", "resumePolicy",
)  # fmt: skip


def read_experiment(path: Path) -> Experiment:
    """Read and check a manifest.

    Args:
        path: YAML 1.2 with one Experiment.

    Raises:
        ConfigError: The file cannot be read, is no Experiment or breaks rules; one line a fault, in the file's order.
    """
    remedy = "`apiVersion: kubeflow.org/v1beta1` and `kind: Experiment` open one."
    return _bind(read_document(path, what="manifest", remedy=remedy, kubectl=True), template=True)


def parse_experiment(document: Mapping[str, Any], where: str = "", *, template: bool = True) -> Experiment:
    """Check a manifest that is plain data already, such as a cluster's object.

    Args:
        document: As JSON holds it.
        where: What it is, for messages.
        template: Whether it must say what a trial runs; a request for suggestions does not.

    Raises:
        ConfigError: It is no Experiment or breaks rules; one line a fault.
    """
    return _bind(Document(where, copy.deepcopy(dict(document)), {}), template=template)


def with_algorithm(experiment: Experiment, algorithm: AlgorithmSpec) -> Experiment:
    """The same search by another algorithm, held against the same rules; counts are left to who runs it.

    Args:
        experiment: As `read_experiment` returned it.
        algorithm: Its name and settings, each right by itself.

    Raises:
        ConfigError: It cannot search that space; one line a fault.
    """
    settings = [{"name": name, "value": value} for name, value in algorithm.settings.items()]
    spec = {name: value for name, value in experiment.manifest["spec"].items() if name not in _COUNTS}
    spec |= {"parallelTrialCount": _ANY_NUMBER, "algorithm": {"algorithmName": algorithm.name}}
    if algorithm.name == "pbt":
        spec["resumePolicy"] = "FromVolume"
        settings += [{"name": name, "value": value} for name, value in GIVEN.items() if name not in algorithm.settings]
    if settings:
        spec["algorithm"]["algorithmSettings"] = settings
    return parse_experiment(experiment.manifest | {"spec": spec})


def write_experiment(experiment: Experiment) -> str:
    """The manifest as YAML that kubectl and `read_experiment` read alike."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.representer.sort_base_mapping_type_on_output = False
    yaml.width = 4096
    text = io.StringIO()
    yaml.dump(experiment.manifest, text)
    return text.getvalue()


class _Representer(SafeRepresenter):
    """Quotes what YAML 1.1 or 1.2 could take for something else than a text; writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _quoting(writer: SafeRepresenter, text: str) -> ScalarNode:
    plain = re.match(r"[A-Za-z/_$]", text) and not re.fullmatch(r"(?i)y|yes|n|no|on|off|true|false|null", text)
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Representer.add_representer(str, _quoting)


def _bind(document: Document, *, template: bool) -> Experiment:
    top = Fields(document, document.data)
    _check_kind(top)
    top.only("apiVersion", "kind", "metadata", "spec", "status")
    metadata, spec = top.mapping("metadata"), top.mapping("spec")
    top.need("spec", "Write the search below it.")
    spec.only(*_SPEC)
    name = _name(metadata)
    if _is_network_search(spec):
        document.raise_faults()
    objective = _objective(spec)
    algorithm = _algorithm(spec, "algorithm", ALGORITHMS)
    stopping = _algorithm(spec, "earlyStopping", STOPPING_RULES) if "earlyStopping" in spec else None
    parallel = _counts(spec)
    parameters = read_parameters(spec, algorithm.settings.get("resource_name", "") if algorithm else "")
    collector = read_collector(spec)
    if objective:
        check_metric_names(spec, objective, collector)
    if algorithm and len(parameters) == len(spec.items("parameters")):
        check_fit(spec, algorithm, parameters, parallel)
    resume = spec.text("resumePolicy", ("Never", "LongRunning", "FromVolume")) or "Never"
    if template and algorithm and algorithm.settings.get("suggestion_trial_dir") and resume != "FromVolume":
        rule = f"must be FromVolume for {algorithm.name}, whose trials find checkpoints on the service's claim"
        spec.fault("resumePolicy", f"{rule}; got {resume}. Write `resumePolicy: FromVolume`.")
    references: dict[str, str] = {}
    trial = TrialCommand(image="", command=())
    if template or "trialTemplate" in spec:
        references, trial = read_template(spec, {each.name: each.values for each in parameters})
    document.raise_faults()
    return Experiment.model_validate(
        {
            "name": name, "namespace": metadata.text("namespace"), "objective": objective, "algorithm": algorithm,
            "early_stopping": stopping, "parameters": parameters, "max_trials": spec.data.get("maxTrialCount"),
            "parallel": parallel, "max_failed": spec.data.get("maxFailedTrialCount"), "resume_policy": resume,
            "collector": collector, "references": references, "trial": trial,
            "resampled": bool(_RESAMPLED.search(" ".join(trial.command))), "manifest": document.data,
        }
    )  # fmt: skip


def _check_kind(top: Fields) -> None:
    """Refuse another object at once: its fields would all be faults."""
    other = False
    for key, wanted in (("apiVersion", _API), ("kind", "Experiment")):
        found = top.data.get(key)
        if found != wanted:
            other = True
            rule = "is missing" if found is None else f"must be {wanted}; got {found!r}"
            top.fault(key, f"{rule}. Write `{key}: {wanted}`, or name the manifest of a Katib Experiment.")
    if other:
        top.document.raise_faults()


def _name(metadata: Fields) -> str:
    metadata.need("name", "Write e.g. `name: supervised-tpe`.")
    name = metadata.text("name")
    metadata.text("namespace")
    if name and (len(name) > 40 or not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)):
        rule = "must be at most 40 of a-z, 0-9 and -, a letter first and no - last"
        metadata.fault("name", f"{rule}; got {name!r}. Rename the experiment.")
    return name


def _is_network_search(spec: Fields) -> bool:
    name = spec.mapping("algorithm").data.get("algorithmName")
    reason = "CTLR tunes the options of given encoders and builds no networks. Run it on a cluster, or remove it."
    if "nasConfig" in spec:
        spec.fault("nasConfig", reason)
    if name in NETWORK_SEARCHES:
        spec.mapping("algorithm").fault("algorithmName", f"{name} searches architectures: {reason}")
    return "nasConfig" in spec or name in NETWORK_SEARCHES


def _objective(spec: Fields) -> Objective | None:
    if not spec.need("objective", "Write `{type: minimize, objectiveMetricName: …}`."):
        return None
    objective = spec.mapping("objective")
    objective.only("type", "goal", "objectiveMetricName", "additionalMetricNames", "metricStrategies")
    objective.need("type", "Write `type: minimize` or `type: maximize`.")
    objective.need("objectiveMetricName", "Write the metric's name.")
    direction = objective.text("type", ("minimize", "maximize"))
    metric, goal = objective.text("objectiveMetricName"), objective.number("goal")
    additional = objective.texts("additionalMetricNames")
    for index, name in enumerate(additional):
        if name == metric or name in additional[:index]:
            where = (*objective.where, "additionalMetricNames", index)
            objective.document.fault(where, f"each metric is named once; got {name!r} again. Remove it.")
    strategies = _strategies(objective, [metric, *additional])
    if not direction or not metric:
        return None
    # Katib's defaulter gives additional metrics the objective's strategy, too.
    default = "min" if direction == "minimize" else "max"
    return Objective.model_validate(
        {
            "metric": metric, "direction": direction, "goal": goal, "additional": tuple(dict.fromkeys(additional)),
            "strategies": {name: strategies.get(name, default) for name in (metric, *additional)},
        }
    )  # fmt: skip


def _strategies(objective: Fields, metrics: list[str]) -> dict[str, str]:
    strategies: dict[str, str] = {}
    for entry in objective.items("metricStrategies"):
        entry.only("name", "value")
        for key in ("name", "value"):
            entry.need(key, f"Write `{key}: …`.")
        name, value = entry.text("name"), entry.text("value", ("min", "max", "latest"))
        if name and name not in metrics:
            entry.fault("name", f"no metric is called {name!r}. {nearest(name, metrics)}")
        elif name in strategies:
            entry.fault("name", f"a metric has one strategy; got {name!r} again. Remove it.")
        elif name and value:
            strategies[name] = value
    return strategies


def _algorithm(spec: Fields, key: str, table: Mapping[str, Algorithm]) -> AlgorithmSpec | None:
    if not spec.need(key, "Write `{algorithmName: …}`."):
        return None
    entry = spec.mapping(key)
    entry.only("algorithmName", "algorithmSettings")
    entry.need("algorithmName", f"Write one of {', '.join(sorted(table))}.")
    name = entry.text("algorithmName")
    before = len(entry.document.faults)
    settings = _settings(entry)
    if not name:
        return None
    if name not in table:
        entry.fault("algorithmName", f"unknown algorithm {name!r}. {nearest(name, table)}")
        return None
    places = {each.text("name"): each.where for each in entry.items("algorithmSettings")}
    for setting, message in broken_settings(name, settings, table):
        if settings.get(setting) == "":  # told where it was read
            continue
        entry.document.fault(places.get(setting, (*entry.where, "algorithmSettings")), message)
    return None if len(entry.document.faults) > before else AlgorithmSpec(name=name, settings=settings)


def _settings(entry: Fields) -> dict[str, str]:
    settings: dict[str, str] = {}
    for each in entry.items("algorithmSettings"):
        each.only("name", "value")
        for key in ("name", "value"):
            each.need(key, f"Write `{key}: …`.")
        name = each.text("name")
        if name in settings:
            each.fault("name", f"each setting stands once; got {name!r} again. Remove one of them.")
        elif name:
            settings[name] = each.text("value")
    return settings


def _counts(spec: Fields) -> int:
    """Check the three counts; returns how many trials run at once."""
    trials, failed = spec.count("maxTrialCount", 1), spec.count("maxFailedTrialCount", 0)
    written = spec.count("parallelTrialCount", 1)
    parallel = _PARALLEL if written is None else written
    if trials is not None and parallel > trials:
        own = " (Katib's default)" if "parallelTrialCount" not in spec else ""
        rule = f"must be at most maxTrialCount = {trials}; got {parallel}{own}"
        spec.fault("parallelTrialCount", f"{rule}. Write a smaller one.")
    if trials is not None and failed is not None and failed > trials:
        rule = f"must be at most maxTrialCount = {trials}; got {failed}"
        spec.fault("maxFailedTrialCount", f"{rule}. Write a smaller one.")
    return parallel
