"""A benchmark written out: for people, for logs, for editors."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.representer import RoundTripRepresenter

from ctlr.config._benchmark import BenchmarkConfig, Frame, TrainingSpec
from ctlr.config._layers import LAYER_TRANSFER
from ctlr.config._parts import METHOD_KINDS, SECTIONS, Transfer
from ctlr.config._written import as_written
from ctlr.specs import BASELINES, DATASETS, ENCODERS, MORE_BASELINES, EncoderSpec, TaskSpec, Value

__all__ = ["json_schema", "public_dump", "resolved_yaml"]

_ORDER = (
    "name", "description", "plugins", "datasets", "tasks", "transfers", "encoders", "methods", "baselines",
    "sample_sizes", "seeds", "split", "leaks", "compute", "tuning", "tracking", "report", "platform",
)  # fmt: skip


def public_dump(config: BenchmarkConfig, folder: Path | None = None) -> dict[str, Any]:
    """The benchmark as plain data that may travel: no address, no cluster, no subject of an accepted leak.

    Args:
        config: The benchmark.
        folder: Of its file: datasets and manifests then lie where the file says it, so that it can be run again
            (`as_written`). None: a dataset's name stands for its folder, and manifests go by their files' names.
    """
    data = _plain(config)

    def place(path: str, name: str) -> str:
        return as_written(path, folder) if folder is not None else name

    for name, dataset in data["datasets"].items():
        if "root" in dataset:
            dataset["root"] = place(dataset["root"], name)
    for name, method in data["methods"].items():
        for option in config.methods[name].files:
            if method.get(option) is not None:
                method[option] = place(method[option], Path(method[option]).name)
    data["leaks"]["accept"] = [
        [name if name in data["datasets"] else "a subject" for name in pair] for pair in data["leaks"]["accept"]
    ]
    data["tracking"]["uri"] = None
    del data["platform"]
    if data["tuning"] is not None:
        paths: dict[str, list[str]] = data["tuning"]["experiments"]
        data["tuning"]["experiments"] = {
            label: [place(path, Path(path).name) for path in each] for label, each in paths.items()
        }
        data["tuning"]["warm_start"] = data["tuning"]["warm_start"] and "an earlier workspace"
    return data


def resolved_yaml(config: BenchmarkConfig, *, public: bool = False, folder: Path | None = None) -> str:
    """The benchmark with every option in place, as a file that `load` reads back to the same value.

    Args:
        config: The benchmark.
        public: Leave out what must not travel, as `public_dump` does.
        folder: As of `public_dump`.
    """
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = io.StringIO()
    yaml.dump(_flow_short_lists(public_dump(config, folder) if public else _plain(config)), text)
    return text.getvalue()


class _Representer(RoundTripRepresenter):
    """Writes `null` where ruamel.yaml leaves a gap."""


_Representer.add_representer(type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null"))


def _plain(config: BenchmarkConfig) -> dict[str, Any]:
    """Plain data in the order of a file; keys are names, so names are not repeated inside."""
    data = config.model_dump(mode="json")
    data["plugins"] = [Path(file).name for file in config.plugins]
    if not data["plugins"]:
        del data["plugins"]
    for section, field in SECTIONS.items():
        for entry in data[section].values():
            del entry[field]
            entry.pop("plugin", None)  # its file says it
    for entry in data["methods"].values():
        if not METHOD_KINDS[entry["method"]].trains_network:
            del entry["finetune"]  # no method of its kind may have one
    return {key: data[key] for key in _ORDER if key in data}


def _flow_short_lists(value: Any) -> Any:
    """Lists of numbers and words on one line; anything else as it is."""
    if isinstance(value, dict):
        return {key: _flow_short_lists(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    sequence = CommentedSeq(map(_flow_short_lists, value))
    if not any(isinstance(item, dict) for item in value):
        sequence.fa.set_flow_style()
    return sequence


_SWEEP: dict[str, Any] = {
    "type": "object",
    "description": "Options as in this entry, each with a list of values: one method for each combination.",
    "additionalProperties": {"anyOf": [{"type": "array", "minItems": 1}, {"type": "object"}]},
}
"""Read away by `load`, so that no value holds it."""


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a benchmark file as a person writes it, for editors."""
    datasets, methods, encoders = DATASETS.values(), METHOD_KINDS.values(), _encoders_by_options()
    models: list[type[Value]] = [Frame, TrainingSpec, Transfer, TaskSpec, *encoders, *datasets, *methods]
    places, schema = models_json_schema([(model, "validation") for model in models])
    # Not the classes' names: where two are called the same, each gets a longer one.
    names: dict[Any, str] = {model: ref["$ref"].rpartition("/")[2] for (model, _), ref in places.items()}
    definitions: dict[str, Any] = schema["$defs"]
    filled = {TaskSpec: "name"} | dict.fromkeys(datasets, "name") | dict.fromkeys([*methods, *encoders], "label")
    for model, field in filled.items():
        properties = definitions[names[model]]["properties"]
        del properties[field]
        properties.pop("plugin", None)  # its file says it
    for model in datasets:
        definitions[names[model]].setdefault("required", []).append("kind")
    for model in methods:
        definitions[names[model]]["properties"]["sweep"] = _SWEEP
        if not model.trains_network:
            del definitions[names[model]]["properties"]["finetune"]
    for options, called in encoders.items():
        definitions[names[options]]["properties"]["name"]["enum"] = called
        definitions[names[options]]["required"] = []
    frame = definitions.pop("Frame")
    listed, nothing = frame["properties"]["baselines"]["anyOf"]
    frame["properties"]["baselines"]["anyOf"] = [listed | {"items": {"enum": [*BASELINES, *MORE_BASELINES]}}, nothing]
    # As written by hand: a lone manifest without brackets, settings as numbers.
    tuning = definitions["TuningSpec"]["properties"]
    paths = tuning["experiments"]["additionalProperties"]
    tuning["experiments"]["additionalProperties"] = {"anyOf": [paths, {"type": "string"}]}
    for settings in (tuning["settings"], definitions["AlgorithmSpec"]["properties"]["settings"]):
        settings["additionalProperties"] = {"type": ["string", "number"]}
    algorithm = tuning["algorithms"]["additionalProperties"]
    tuning["algorithms"]["additionalProperties"] = {"anyOf": [algorithm, {"type": "string"}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "CTLR benchmark",
        "type": "object",
        "additionalProperties": False,
        "properties": {**frame["properties"], **_sections(names)},
        "required": [*frame["required"], "datasets", "tasks", "transfers", "encoders", "methods"],
        "$defs": definitions,
    }


def _encoders_by_options() -> dict[type[EncoderSpec], list[str]]:
    """Names of the encoders by the class of their options."""
    found: dict[type[EncoderSpec], list[str]] = {}
    for name, part in ENCODERS.items():
        found.setdefault(part.options or EncoderSpec, []).append(name)
    return found


def _networks(pretrain: dict[str, str], finetune: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": "Copy the first n blocks from source or target, for every n (Yosinski et al. 2014).",
        "additionalProperties": False,
        "properties": {"pretrain": pretrain, "finetune": finetune},
    }


def _sections(names: Mapping[Any, str]) -> dict[str, Any]:
    def ref(name: str) -> dict[str, str]:
        return {"$ref": f"#/$defs/{name}"}

    nothing = {"type": "null"}
    by_options = _encoders_by_options()
    own_encoder = {"oneOf": [{"allOf": [ref(names[options]), {"required": ["name"]}]} for options in by_options]}
    own_method = {
        "oneOf": [{"allOf": [ref(names[model]), {"required": ["method"]}]} for model in METHOD_KINDS.values()]
    }
    datasets = {"oneOf": [ref(names[model]) for model in DATASETS.values()]}
    methods = {key: {"anyOf": [ref(names[model]), nothing]} for key, model in METHOD_KINDS.items()}
    methods[LAYER_TRANSFER] = {"anyOf": [_networks(ref("FitSpec"), ref("FinetuneSpec")), nothing]}
    encoders: dict[str, Any] = {
        key: {"anyOf": [ref(names[part.options or EncoderSpec]), nothing]} for key, part in ENCODERS.items()
    }
    some = {"type": "object", "minProperties": 1}
    return {
        "datasets": some | {"additionalProperties": datasets},
        "tasks": some | {"additionalProperties": ref("TaskSpec")},
        "transfers": {"type": "array", "minItems": 1, "items": ref("Transfer")},
        "encoders": some | {"properties": encoders, "additionalProperties": own_encoder},
        "methods": some | {"properties": methods, "additionalProperties": own_method},
        "training": ref("TrainingSpec"),
    }
