"""What a benchmark file may say, option by option, as tables of the guide and `ctlr explain` tell it.

Everything comes from the JSON schema, parts of others included; only words of options whose name says it stand here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ctlr.config._dump import json_schema

__all__ = ["Option", "options_of", "parts", "schema_parts"]

WORDS = {
    "kind": "Which kind of dataset this is.",
    "TaskSpec.kind": "A number, or one of several classes.",
    "AlsoSpec.kind": "A number, or one of several classes.",
    "method": "Which method this is; needed only where the key is a name of your own.",
    "name": "Which encoder this is; needed only where the key is a name of your own.",
    "norm": "Batch norm, or group norm in its place.",
    "preprocess": "How its images become arrays.",
    "subjects": "How many.",
    "seed": "Another seed, other people.",
    "target": "What is learned in the end.",
    "pretrain": "How its pretraining runs.",
    "finetune": "How the target task is learned.",
    "epochs": "Passes over the data.",
    "batch_size": "Images a step.",
    "lr": "Learning rate of the head, at the peak of the schedule.",
    "class_weights": "Weigh each class by the inverse of its frequency.",
    "power_iterations": "Steps that search the perturbation's direction.",
    "unlabelled_batch_size": "Images of the pool a step.",
    "split": "Who trains, validates and tests.",
    "compute": "Threads and precision.",
    "tracking": "Where runs are recorded.",
    "report": "How sure the report has to be.",
    "platform": "Where on a cluster its pods run; a laptop has no use for it.",
}
"""What options mean whose name says it, so that the code has no sentence for them."""

_NAMED = ("datasets", "tasks", "transfers", "encoders", "methods", "training")


@dataclass(frozen=True)
class Option:
    """An option of a part.

    Attributes:
        name: Its key.
        values: What it takes, as Markdown: values between backticks, ranges, what lists hold.
        default: As JSON; empty where it is a part with defaults of its own.
        required: Whether it must be given.
        meaning: A sentence or two, with the unit; empty is a fault of whoever wrote the option.
        part: Name of the part whose options it takes; empty for a plain value.
        field: Its JSON schema.
    """

    name: str
    values: str
    default: str
    required: bool
    meaning: str
    part: str
    field: Mapping[str, Any]


def parts(schema: Mapping[str, Any] | None = None) -> dict[str, Mapping[str, Any]]:
    """Options by part of a benchmark file: name -> JSON schema. `Frame` is what stands at the top.

    Args:
        schema: Of the benchmark file, where it is known already.
    """
    schema = json_schema() if schema is None else schema
    frame = {key: value for key, value in schema["properties"].items() if key not in _NAMED}
    return {"Frame": {"properties": frame, "required": schema["required"]}, **schema["$defs"]}


def schema_parts(schema: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Name of the schema's part by what it is and is called: `("method", "vat")`, `("kind of data", "bids")`."""
    found = {}
    for name, part in schema["$defs"].items():
        for what, key in (("method", "method"), ("kind of data", "kind")):
            if "const" in (field := part.get("properties", {}).get(key, {})):
                found[what, field["const"]] = name
    encoders = schema["properties"]["encoders"]["properties"]
    return found | {("encoder", name): each["anyOf"][0]["$ref"].rpartition("/")[2] for name, each in encoders.items()}


def options_of(
    name: str, known: Mapping[str, Mapping[str, Any]], *, section: Callable[[str], str], base: str = ""
) -> Iterator[Option]:
    """Options of a part, what it is called first.

    Args:
        name: Of the part.
        known: From `parts`.
        section: What stands for the options of a part that is inside this one.
        base: A part whose options are left out where both have them alike.
    """
    inherited = known[base]["properties"] if base else {}
    options = known[name]["properties"]
    for key in sorted(options, key=lambda key: key not in ("kind", "method", "name")):
        field = options[key]
        if field == inherited.get(key) or key == "sweep":  # it has a section of its own
            continue
        words = WORDS.get(f"{name}.{key}", WORDS.get(key, ""))
        default, part = field.get("default", {}), field.get("$ref", "").rpartition("/")[2]
        yield Option(
            name=key,
            values=_values(field, section),
            default="" if part and isinstance(default, dict) else json.dumps(default),
            required=key in known[name].get("required", ()),
            meaning=" ".join(field.get("description", words).split()),
            part=part,
            field=field,
        )


def _values(field: Mapping[str, Any], section: Callable[[str], str]) -> str:
    if "$ref" in field:
        return section(field["$ref"].rpartition("/")[2])
    if "anyOf" in field:
        return " or ".join(_values(each, section) for each in field["anyOf"])
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    match field["type"]:
        case "array" if "prefixItems" in field:
            return f"list: {', '.join(_values(each, section) for each in field['prefixItems'])}"
        case "array":
            return f"list: {_values(field['items'], section)}"
        case "boolean":
            return "`true`, `false`"
        case "null":
            return "`null`"
        case "object":
            return f"mapping to {_values(field['additionalProperties'], section)}"
        case "string":
            return "text"
        case list(kinds):
            return " or ".join(_values({"type": kind}, section) for kind in kinds)
        case "integer":
            return f"whole number{_range(field)}"
    return f"number{_range(field)}"


def _range(field: Mapping[str, Any]) -> str:
    ends = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {field[key]:g}" for key, sign in ends.items() if key in field]
    return f" {', '.join(found)}" if found else ""
