"""The trial template of a manifest: which program a trial runs, and how a trial's values get into it."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ctlr.config import KeyPath
from ctlr.errors import ConfigError, nearest
from ctlr.specs import Experiment, Trial, TrialCommand
from ctlr.tuning.manifest.fields import Fields
from ctlr.tuning.manifest.jobs import check_job, command_of, is_workflow, primary_container
from ctlr.tuning.manifest.wrapping import FILLED, PLACE, check_wrapped

__all__ = ["filled_elsewhere", "read_template", "render", "rendered_spec", "without_gpus"]

_GPU = re.compile(r"^nvidia\.com/|^amd\.com/gpu|^gpu\.intel\.com/")
"""Resources of GPUs, and labels and taints of nodes that have some."""
_META = re.compile(r"\$\{trialSpec\.(?:(Name|Namespace|Kind|APIVersion)|(Annotations|Labels)\[(.+)\])\}")
_BREAKS_JSON = re.compile(r'["\\\x00-\x1f]|\$\{trialParameters\.')
"""What a value must not hold: Katib puts one after another into the text of the trialSpec's JSON."""


def read_template(spec: Fields, values: Mapping[str, Sequence[str]]) -> tuple[dict[str, str], TrialCommand]:
    """The references of a manifest's trial template, and the program of its primary container; faults are noted.

    Args:
        spec: Of the Experiment.
        values: What categorical and discrete parameters may be, by name.
    """
    nothing = TrialCommand(image="", command=())
    if not spec.need("trialTemplate", "Write what a trial runs below it."):
        return {}, nothing
    template = spec.mapping("trialTemplate")
    template.only(
        "retain", "trialSpec", "configMap", "trialParameters", "primaryPodLabels", "primaryContainerName",
        "successCondition", "failureCondition",
    )  # fmt: skip
    template.flag("retain")
    template.need("primaryContainerName", "Write the name of the container that trains.")
    from_map = "configMap" in template
    if from_map:
        _check_config_map(template)
    elif not template.need("trialSpec", "Write the job of a trial below it."):
        return {}, nothing
    job = template.mapping("trialSpec")
    parameters = [name for entry in spec.items("parameters") if (name := entry.text("name"))]
    _check_values(spec)
    references = _references(template, None if from_map else job, parameters)
    if from_map:
        return references, nothing
    check_job(template, job)
    container = primary_container(template, job)
    if container is None:
        return references, nothing
    kind = spec.mapping("metricsCollectorSpec").mapping("collector").data.get("kind", "StdOut")
    texts = {name: values.get(reference, ()) for name, reference in references.items()}
    check_wrapped(container, kind, texts, filled=is_workflow(job.data))
    return references, command_of(container)


def _check_config_map(template: Fields) -> None:
    """The job stands in a ConfigMap of the cluster: what can be known of it here is where."""
    if "trialSpec" in template:
        template.fault("configMap", "there are a trialSpec and a configMap, and Katib takes one of them. Remove one.")
    place = template.mapping("configMap")
    place.only("configMapName", "configMapNamespace", "templatePath")
    for key in ("configMapName", "configMapNamespace", "templatePath"):
        place.need(key, f"Write `{key}: …`.")
        place.text(key)
    for key in ("successCondition", "failureCondition"):
        template.text(key)
        template.need(key, "Katib knows it by itself for a trialSpec alone. Write the condition in GJSON.")


def _check_values(spec: Fields) -> None:
    for entry in spec.items("parameters"):
        space = entry.mapping("feasibleSpace")
        for index, text in enumerate(space.texts("list")):
            if fault := _json_fault(text):
                space.document.fault((*space.where, "list", index), fault)


def _json_fault(text: str) -> str:
    found = _BREAKS_JSON.search(text)
    if found is None:
        return ""
    rule = f"Katib writes a value into the trial's JSON as it is, and {found[0]!r} would break the JSON"
    return f"{rule}; got {text!r}. Choose another value."


def _references(template: Fields, job: Fields | None, parameters: Sequence[str]) -> dict[str, str]:
    """References by name; `job` is None where it stands in a ConfigMap."""
    references: dict[str, str] = {}
    template.need("trialParameters", "Write `- {name: …, reference: …}` for each parameter below it.")
    for entry in template.items("trialParameters"):
        entry.only("name", "reference", "description")
        entry.text("description")
        name, reference = entry.text("name"), entry.text("reference")
        for key in ("name", "reference"):
            entry.need(key, f"Write `{key}: …`.")
        if "{" in name or "}" in name:
            entry.fault("name", f"must not contain {{ or }}; got {name!r}. Rename it.")
        elif name in references:
            entry.fault("name", f"each has a name of its own; got {name!r} again. Rename one of them.")
        elif reference in references.values():
            entry.fault("reference", f"a parameter is referred to once; got {reference!r} again. Use the first name.")
        elif reference:
            _check_reference(entry, job, reference, parameters)
            references[name] = reference
    if job is not None:
        _check_places(template, job, references)
    for parameter in parameters:
        if parameter not in references.values():
            rule = f"the parameter {parameter!r} is referred to by none, and Katib then starts no trial"
            template.fault("trialParameters", f"{rule}. Write `- {{name: …, reference: {parameter}}}`.")
    return references


def _check_reference(entry: Fields, job: Fields | None, reference: str, parameters: Sequence[str]) -> None:
    if not reference.startswith("${"):
        if reference not in parameters:
            entry.fault("reference", f"no parameter is called {reference!r}. {nearest(reference, parameters)}")
        return
    match = _META.fullmatch(reference)
    if match is None:
        known = "${trialSpec.Name}, .Namespace, .Kind, .APIVersion, .Annotations[…] and .Labels[…]"
        entry.fault("reference", f"must be a parameter or one of {known}; got {reference!r}. Write one of them.")
    elif job is None or not match[2]:
        return
    elif match[3] not in job.mapping("metadata").mapping(match[2].lower()).data:
        entry.fault("reference", f"the trialSpec has no such {match[2].lower()[:-1]}; got {reference!r}. Add it there.")
    elif fault := _json_fault(job.mapping("metadata").mapping(match[2].lower()).text(match[3])):
        entry.fault("reference", fault)


def _check_places(template: Fields, job: Fields, references: Mapping[str, str]) -> None:
    """Places and references must match both ways."""
    used = set()
    for where, text in _texts(job.data, job.where):
        for name in PLACE.findall(text):
            used.add(name)
            if name not in references:
                message = f"no trialParameter is called {name!r}. {nearest(name, references)}"
                template.document.fault(where, message)
    for index, entry in enumerate(template.items("trialParameters")):
        name = entry.text("name")
        if name in references and name not in used:
            where = (*template.where, "trialParameters", index, "name")
            rule = f"the trialSpec has no place ${{trialParameters.{name}}}"
            template.document.fault(where, f"{rule}. Write it into the command, or remove the parameter.")


def _texts(node: Any, where: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(node, str):
        yield where, node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield (*where, key), key
            yield from _texts(value, (*where, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _texts(value, (*where, index))


def render(experiment: Experiment, trial: Trial) -> tuple[list[str], dict[str, str], str]:
    """What a trial runs: its values stand in their places, `$(NAME)` is the container's variable of that name.

    Returns:
        Program and arguments, environment, working folder (empty where the manifest names none).

    Raises:
        ConfigError: The trial lacks the value of a parameter.
    """
    fill = _filler(experiment, trial)
    environment: dict[str, str] = {}
    for name, value in experiment.trial.environment.items():
        environment[name] = _expand(fill(value), environment)
    argv = [_expand(fill(part), environment) for part in experiment.trial.command]
    return argv, environment, fill(experiment.trial.working_dir)


def rendered_spec(experiment: Experiment, trial: Trial) -> dict[str, Any]:
    """The whole trialSpec of a trial, named and placed as Katib does it.

    Raises:
        ConfigError: The trial lacks the value of a parameter.
    """
    fill = _filler(experiment, trial)

    def filled(node: Any) -> Any:
        if isinstance(node, dict):
            return {fill(key): filled(value) for key, value in node.items()}
        if isinstance(node, list):
            return [filled(value) for value in node]
        return fill(node) if isinstance(node, str) else node

    spec: dict[str, Any] = filled(_job_of(experiment))
    spec["metadata"] = {**(spec.get("metadata") or {}), "name": trial.name, "namespace": _namespace(experiment)}
    return spec


def filled_elsewhere(experiment: Experiment) -> str:
    """A place in a trial's command that only a workflow engine fills in; empty where there is none."""
    texts = (*experiment.trial.command, *experiment.trial.environment.values())
    found = FILLED.search("\n".join(texts)) if is_workflow(_job_of(experiment)) else None
    return found[0] if found else ""


def without_gpus(experiment: Experiment) -> Experiment:
    """The same search with trials on processors: no GPU, none of its nodes, and CTLR's image for processors.

    Raises:
        ConfigError: Its template stands in a ConfigMap.
    """

    def kept(node: Any) -> Any:
        if isinstance(node, list):
            return [kept(each) for each in node if not (isinstance(each, dict) and _GPU.search(str(each.get("key"))))]
        if isinstance(node, dict):
            left = {key: kept(value) for key, value in node.items() if not _GPU.search(key)}
            # What is empty without its GPU goes, too: Katib's webhook refuses `tolerations: []`.
            return {key: value for key, value in left.items() if value == node[key] or value not in ({}, [])}
        return node.replace("ctlr/ctlr-gpu:", "ctlr/ctlr-cpu:") if isinstance(node, str) else node

    manifest = copy.deepcopy(experiment.manifest)
    template = manifest["spec"]["trialTemplate"]
    if "trialSpec" not in template:
        raise ConfigError(
            f"{experiment.name}: its trial template stands in a ConfigMap, out of which no GPU can be taken here. "
            "Change the ConfigMap, or write the template below `trialSpec`."
        )
    template["trialSpec"] = kept(template["trialSpec"])
    image = experiment.trial.image.replace("ctlr/ctlr-gpu:", "ctlr/ctlr-cpu:")
    trial = experiment.trial.model_copy(update={"image": image})
    return experiment.model_copy(update={"manifest": manifest, "trial": trial})


def _filler(experiment: Experiment, trial: Trial) -> Callable[[str], str]:
    values = {name: _value(experiment, trial, reference) for name, reference in experiment.references.items()}
    return lambda text: PLACE.sub(lambda match: values.get(match[1], match[0]), text)


def _value(experiment: Experiment, trial: Trial, reference: str) -> str:
    match = _META.fullmatch(reference)
    if match is None:
        if reference not in trial.assignments:
            raise ConfigError(f"{trial.name}: each parameter needs a value; {reference!r} has none. Propose it anew.")
        return trial.assignments[reference]
    job = _job_of(experiment)
    if match[2]:
        return str(job["metadata"][match[2].lower()][match[3]])
    return {
        "Name": trial.name,
        "Namespace": _namespace(experiment),
        "Kind": str(job.get("kind", "")),
        "APIVersion": str(job.get("apiVersion", "")),
    }[match[1]]


def _job_of(experiment: Experiment) -> Mapping[str, Any]:
    job: Mapping[str, Any] = experiment.manifest["spec"]["trialTemplate"]["trialSpec"]
    return job


def _namespace(experiment: Experiment) -> str:
    return experiment.namespace or "default"


def _expand(text: str, environment: Mapping[str, str]) -> str:
    """Kubernetes' own substitution: `$(NAME)`, and `$$` for a dollar sign; unknown names stay."""
    return re.sub(
        r"\$(?:\$|\(([^)]*)\))",
        lambda match: "$" if match[0] == "$$" else environment.get(match[1], match[0]),
        text,
    )
