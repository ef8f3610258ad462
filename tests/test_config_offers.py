"""What completion offers of a benchmark file, held against its JSON schema, which is read from the same types."""

from pathlib import Path
from typing import Any

import pytest

from ctlr.config import json_schema, keys_at, parts, read_document, schema_parts, values_at
from ctlr.specs import DATASETS, ENCODERS, METHODS

SCHEMA = json_schema()
PARTS = parts(SCHEMA)
NAMED = schema_parts(SCHEMA)
ENTRIES: list[tuple[str, str, dict[str, Any]]] = [
    *(("methods", name, {}) for name in METHODS),
    *(("encoders", name, {}) for name in ENCODERS),
    *(("datasets", name, {"kind": name}) for name in DATASETS),
]
KINDS = {"methods": "method", "encoders": "encoder", "datasets": "kind of data"}


@pytest.mark.parametrize(
    ("section", "name", "entry"), ENTRIES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_keys_of_a_part_are_those_of_its_schema(section: str, name: str, entry: dict[str, Any]) -> None:
    offered = {key.name for key in keys_at({section: {name: entry}}, (section, name))}
    assert offered == set(PARTS[NAMED[KINDS[section], name]]["properties"]) - {"sweep"}


def test_keys_at_the_top_are_those_of_the_schema() -> None:
    assert {key.name for key in keys_at({}, ())} == set(SCHEMA["properties"])


def test_a_name_of_the_users_own_goes_by_its_kind() -> None:
    data = {"methods": {"mine": {"method": "vat"}, "other": {}}, "encoders": {"small": {"name": "small_cnn"}}}
    assert "epsilon" in {key.name for key in keys_at(data, ("methods", "mine"))}
    assert keys_at(data, ("methods", "other")) == []
    assert "width" in {key.name for key in keys_at(data, ("encoders", "small"))}


def test_values_are_choices_booleans_nothing_and_names_of_the_file() -> None:
    data = {
        "datasets": {"scans": {"kind": "bids"}}, "tasks": {"age": {}}, "methods": {"vat": {}},
        "transfers": [{"target": {"data": "scans", "task": "age"}}],
    }  # fmt: skip
    assert values_at(data, ("compute", "precision")) == ["auto", "float32", "bf16", "fp16"]
    assert values_at(data, ("methods", "vat", "finetune", "class_weights")) == ["balanced", "null"]
    assert values_at(data, ("report", "bayes_error")) == ["true", "false"]
    assert values_at(data, ("tuning",)) == ["null"]
    assert values_at(data, ("transfers", 0, "target", "data")) == ["scans"]
    assert values_at(data, ("seeds",)) == values_at(data, ("none", "of", "these")) == []


def test_keys_that_a_shipped_file_sets_are_among_those_that_are_offered() -> None:
    data = read_document(Path(__file__).parents[1] / "benchmarks" / "demo.yaml").data
    places: list[tuple[tuple[str | int, ...], Any]] = [((), data)]
    while places:
        where, found = places.pop()
        keys = {key.name: key.deeper for key in keys_at(data, where)}
        below = enumerate(found) if isinstance(found, list) else found.items()
        for name, value in below:
            assert str(name) in keys, (*where, name)
            if keys[str(name)]:
                places.append(((*where, name), value if value is not None else {}))
