"""What is right of a benchmark file that is wrong in places."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ctlr.config._benchmark import BenchmarkConfig, Frame
from ctlr.config._document import Document, KeyPath
from ctlr.config._parts import Parts
from ctlr.specs import DatasetSpec, DataTask

__all__ = ["Draft", "drafted"]


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A benchmark file that may be wrong in places: what is right of it can be looked at all the same."""

    document: Document
    """With its faults."""
    config: BenchmarkConfig | None
    """The benchmark; where the file has faults, without the entries that are wrong. None where that is no benchmark."""
    datasets: tuple[DatasetSpec, ...]
    """That can be read; with a fault among the options of `preprocess` as if it did not stand there."""
    ends: tuple[DataTask, ...]
    """Of the transfers that are right."""
    away: Collection[str]
    """Datasets that a cluster holds."""


Rebind = Callable[[str, dict[str, Any]], DatasetSpec | None]
"""Binds a dataset's key and entry; what is wrong becomes a fault of the document."""


def drafted(
    document: Document,
    parts: Parts,
    *,
    labels: Callable[[str], Collection[str]],
    dataset: Rebind,
    away: Collection[str],
) -> Draft:
    """Leave out what is wrong.

    Args:
        document: With its faults.
        parts: Its entries, those that are wrong in themselves as None.
        labels: Of the methods that a key under `methods` stands for.
        dataset: Binds a dataset once more.
        away: Datasets that a cluster holds.
    """
    faulty = _faulty(document, labels)
    wrong = {where[:depth] for where in faulty for depth in range(1, len(where) + 1)}
    datasets = {key: data for key in parts.datasets if (data := _readable(key, document, parts, faulty, dataset))}
    tasks = {key: task for key, task in parts.tasks.items() if task is not None and ("tasks", key) not in wrong}
    transfers = [each for index, each in parts.transfers.items() if ("transfers", index) not in wrong]
    named = [end for each in transfers for end in (each.target, each.source) if end is not None]
    ends = [
        DataTask(data=datasets[end.data], task=tasks[end.task])
        for end in named if end.data in datasets and end.task in tasks
    ]  # fmt: skip
    entries: dict[str, Any] = {"datasets": datasets, "tasks": tasks}
    for section in ("encoders", "methods"):
        bound = getattr(parts, section)
        entries[section] = {
            key: each for key, each in bound.items() if each is not None and (section, key) not in wrong
        }
    entries["transfers"] = tuple(
        each for each in transfers
        if all(end is None or (end.data in datasets and end.task in tasks) for end in (each.target, each.source))
    )  # fmt: skip
    return Draft(
        document=document, config=_framed(document, entries, wrong), datasets=tuple(datasets.values()),
        ends=tuple(dict.fromkeys(ends)), away=away,
    )  # fmt: skip


def _faulty(document: Document, labels: Callable[[str], Collection[str]]) -> set[KeyPath]:
    """Keys with faults; the labels of a sweep stand for the key that it is written under."""
    found = {noted.where for noted in document.faults}
    return found | {
        ("methods", label, *where[2:])
        for where in found if where[:1] == ("methods",) and len(where) > 1
        for label in labels(str(where[1]))
    }  # fmt: skip


def _readable(
    key: str, document: Document, parts: Parts, faulty: Collection[KeyPath], dataset: Rebind
) -> DatasetSpec | None:
    """A dataset that can be looked at: how its images are preprocessed does not matter for that."""
    place: KeyPath = ("datasets", key)
    if any(where[:2] == place and where[2:3] != ("preprocess",) for where in faulty):
        return None
    if (data := parts.datasets[key]) is not None and (*place, "preprocess", "shape") not in faulty:
        return data
    entry = {name: each for name, each in (document.data["datasets"][key] or {}).items() if name != "preprocess"}
    count = len(document.faults)
    data = dataset(key, entry)
    del document.faults[count:]  # which are known
    return data


def _framed(document: Document, entries: Mapping[str, Any], wrong: Collection[KeyPath]) -> BenchmarkConfig | None:
    """A benchmark of the entries, where the sections that decide its sizes are right."""
    if any((key,) in wrong for key in ("sample_sizes", "seeds", "split")):
        return None
    known = {key: document.data[key] for key in Frame.model_fields if key in document.data and (key,) not in wrong}
    try:
        frame = Frame.model_validate_json(json.dumps({"name": "benchmark"} | known))
        fields = {key: getattr(frame, key) for key in Frame.model_fields}
        return BenchmarkConfig.model_validate({**fields, **entries})
    except ValidationError:  # what is left breaks a rule for the lack of the rest, e.g. no method but `scratch`
        return None
