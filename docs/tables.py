"""Write the tables of the guide that repeat what the code says: `python docs/tables.py` brings every page up to date.

A page marks the place of a table with `<!-- table: NAME -->` and `<!-- /table -->`. NAME is a part of the schema that
`ctlr schema` prints (`SplitSpec`; `FinetuneSpec beyond FitSpec` leaves out what both have alike), `encoders`, or
`what encoders are`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from ctlr.config import json_schema
from ctlr.encoders import build_encoder
from ctlr.specs import ENCODERS, EncoderSpec

__all__ = ["parts", "refreshed", "tables_in"]

HERE = Path(__file__).parent
REGION = re.compile(r"<!-- table: (?P<name>.+?) -->\n.*?<!-- /table -->", re.DOTALL)

WORDS = {
    "kind": "Which kind of dataset this is.",
    "TaskSpec.kind": "A number, or one of several classes.",
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

SECTIONS = {
    "PreprocessSpec": "preprocess", "End": "transfers", "ViewsSpec": "views", "FitSpec": "training",
    "FinetuneSpec": "training", "SplitSpec": "split", "LeakSpec": "leaks", "ComputeSpec": "compute",
    "TrackingSpec": "tracking", "ReportSpec": "report", "PlatformSpec": "platform", "TolerationSpec": "platform",
    "TuningSpec": "tuning",
}  # fmt: skip
"""Where on the page the options of a part stand."""


def parts() -> dict[str, Mapping[str, Any]]:
    """Options by part of a benchmark file: name -> JSON schema. `Frame` is what stands at the top."""
    schema = json_schema()
    frame = {key: value for key, value in schema["properties"].items() if key not in _NAMED}
    return {"Frame": {"properties": frame, "required": schema["required"]}, **schema["$defs"]}


_NAMED = ("datasets", "tasks", "transfers", "encoders", "methods", "training")


def tables_in(text: str) -> list[str]:
    """Names of the tables that a page holds."""
    return [match["name"] for match in REGION.finditer(text)]


def refreshed(text: str) -> str:
    """A page with its tables as the code has them now."""
    return REGION.sub(lambda match: _table(match["name"]), text)


def _table(name: str) -> str:
    others = {"encoders": _encoder_rows, "what encoders are": _encoder_words}
    rows = others[name]() if name in others else _option_rows(*name.split(" beyond "))
    return "\n".join([f"<!-- table: {name} -->", *rows, "<!-- /table -->"])


# ---------------------------------------------------------------- options


def _option_rows(name: str, base: str = "") -> Iterator[str]:
    known = parts()
    inherited = known[base]["properties"] if base else {}
    yield "| Option | Values | Default | Meaning |"
    yield "|---|---|---|---|"
    options = known[name]["properties"]
    for key in sorted(options, key=lambda key: key not in ("kind", "method", "name")):
        field = options[key]
        if field == inherited.get(key) or key == "sweep":  # it has a section of its own
            continue
        default = "required" if key in known[name].get("required", ()) else _default(key, field)
        words = WORDS.get(f"{name}.{key}", WORDS.get(key, ""))
        meaning = " ".join(field.get("description", words).split())
        yield f"| `{key}` | {_values(field)} | {default} | {meaning} |"


def _default(key: str, field: Mapping[str, Any]) -> str:
    if key in ("name", "method"):
        return "the key"
    default = field.get("default", {})
    return "see there" if isinstance(default, dict) and "$ref" in field else f"`{json.dumps(default)}`"


def _values(field: Mapping[str, Any]) -> str:
    if "$ref" in field:
        section = SECTIONS[field["$ref"].rpartition("/")[2]]
        return f"[options](#{section})"
    if "anyOf" in field:
        return " or ".join(map(_values, field["anyOf"]))
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    match field["type"]:
        case "array":
            return f"list: {_values(field['items'])}"
        case "boolean":
            return "`true`, `false`"
        case "null":
            return "`null`"
        case "object":
            return f"mapping to {_values(field['additionalProperties'])}"
        case "string":
            return "text"
        case list(kinds):
            return " or ".join(_values({"type": kind}) for kind in kinds)
        case "integer":
            return f"whole number{_range(field)}"
    return f"number{_range(field)}"


def _range(field: Mapping[str, Any]) -> str:
    ends = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {field[key]:g}" for key, sign in ends.items() if key in field]
    return f" {', '.join(found)}" if found else ""


# ---------------------------------------------------------------- encoders


def _encoder_rows() -> Iterator[str]:
    yield "| Encoder | Images | Blocks | Features | Weights |"
    yield "|---|---|---:|---:|---:|"
    for name, part in ENCODERS.items():
        for ndim in part.dimensions:
            channels = 1 if ndim == 3 else 3
            with torch.device("meta"):  # shapes are enough
                encoder = build_encoder(EncoderSpec(name=name), channels=channels, ndim=ndim, seed=0)
            weights = sum(parameter.numel() for parameter in encoder.parameters())
            yield f"| `{name}` | {ndim}-D | {len(encoder.blocks)} | {encoder.width} | {weights:,} |"


def _encoder_words() -> Iterator[str]:
    yield "| Encoder | What it is | `width` | `norm: group` | Published weights |"
    yield "|---|---|---|---|---|"
    for name, part in ENCODERS.items():
        scaled = ", ".join(f"{ndim}-D" for ndim in part.scaled_in) or "–"
        norms = "yes" if part.has_norms else "–"
        yield f"| `{name}` | {part.about} | {scaled} | {norms} | {part.published or '–'} |"


if __name__ == "__main__":
    for page in sorted(HERE.glob("*.md")):
        before = page.read_text()
        if (after := refreshed(before)) != before:
            page.write_text(after)
