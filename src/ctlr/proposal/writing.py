"""A proposal as a commented benchmark file, and the schema that editors read beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ctlr.proposal.choosing import Choice
from ctlr.proposal.looking import SeenDataset
from ctlr.proposal.timing import Fitted

__all__ = ["text_of"]

_PLAIN = re.compile(r"[A-Za-z_./][\w./+-]*( [\w./+-]+)*")
_TAKEN = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"}
"""Words that a YAML reader may take for something else."""


def text_of(fitted: Fitted, file: Path, *, folder: Path, minutes: float) -> str:
    """A benchmark file.

    Args:
        fitted: What it holds.
        file: Where it will lie.
        folder: That was looked at, as the user named it.
        minutes: That the run may take.
    """
    return "\n".join(_lines(fitted, file, folder, minutes)) + "\n"


def _lines(fitted: Fitted, file: Path, folder: Path, minutes: float) -> Iterator[str]:
    draft, choice = fitted.draft, fitted.draft.choice
    document = draft.document(file.parent)
    yield f"# ctlr run {file.name}"
    yield "#"
    yield f"# Proposed by `ctlr init --data {folder}`, from what lies there."
    yield f"# At most some {fitted.seconds:.0f} s on the machine that it was written on; {minutes:g} min were allowed."
    if fitted.cut:
        yield f"# What there was no time for: {'; '.join(dict.fromkeys(fitted.cut))}."
    yield f"name: {flow(document['name'])}"
    yield f"description: {flow(document['description'])}"
    yield ""
    yield "datasets:"
    for data in draft.datasets:
        yield from _dataset(data, document["datasets"][data.name])
    yield ""
    yield f"# Target: {choice.why['target']}."
    yield "tasks:"
    for key, task in document["tasks"].items():
        yield f"  {key}: {flow(task)}"
    if choice.others:
        yield f"  # Other columns that could be asked for: {', '.join(choice.others)}."
    yield ""
    yield f"# Source: {choice.why['source']}."
    yield "transfers:"
    yield f"  - {flow(document['transfers'][0])}"
    yield ""
    yield "encoders:"
    for key, encoder in document["encoders"].items():
        yield f"  {key}: {flow(encoder)} # half as wide as by default, and twice as fast"
    yield ""
    yield "methods: # baselines without a network stand beside them in every table"
    for key, method in document["methods"].items():
        yield f"  {key}: {'' if method else '{} '}# {_ABOUT[key]}"
        yield from (f"    {option}: {flow(value)}" for option, value in method.items())
    yield ""
    yield f"# Labelled training subjects: {choice.why['sizes']}."
    yield f"sample_sizes: {flow(document['sample_sizes'])}"
    yield f"seeds: {flow(document['seeds'])}{_seeds(draft.seeds)}"
    yield f"split: {flow(document['split'])}{_group(choice)}"
    yield ""
    yield "training: # for every method that does not set its own"
    for stage, options in document["training"].items():
        yield f"  {stage}: {flow(options)}"
    yield ""
    yield "tracking: {backend: none} # mlflow: records every run (pip install 'ctlr[tracking]')"


_ABOUT = {
    "scratch": "the baseline of every gain",
    "supervised": "learns the source's labels first",
    "linear_probe": "the same, its features kept as they are",
    "simclr": "learns from images without labels first",
    "simclr_probe": "the same, its features kept as they are",
}


def _dataset(data: SeenDataset, options: dict[str, Any]) -> Iterator[str]:
    yield f"  {data.name}: # {data.sighting.what}"
    for why in data.sighting.why:
        yield f"    # {why}"
    yield "    # on_bad_subject: unusable images are listed in the report and left out; stop: they end the run"
    for key, value in options.items():
        yield f"    {key}: {flow(value)}"


def _seeds(count: int) -> str:
    return "" if count >= 5 else " # five support verdicts (docs: Reading the report)"


def _group(choice: Choice) -> str:
    sites = [column.name for column in choice.data.columns if column.role == "site" and column.holds == "classes"]
    return f" # group: {flow(sites[0])} keeps each site on one side" if sites else ""


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        return (
            value if _PLAIN.fullmatch(value) and value.lower() not in _TAKEN else json.dumps(value, ensure_ascii=False)
        )
    if isinstance(value, float):
        return f"{value:g}" if value != int(value) or value >= 1e6 else f"{int(value)}"
    return json.dumps(value)
