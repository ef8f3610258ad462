"""Every kind of data keeps the promises of `DatasetSpec` and of `ctlr.data.reader.Reader`, a stranger's kind too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import array_kinds
import npy_kind
import pytest
from data_kinds import EXAMPLES
from pydantic import ValidationError

from ctlr.config import json_schema, load
from ctlr.contracts import data as contract
from ctlr.contracts import loads_quickly
from ctlr.cost import costs
from ctlr.plan import make_plan
from ctlr.specs import DATASETS, PLUGINS, DatasetSpec, DataTask, use_files

KINDS = sorted({*DATASETS, "npy", "dots", "waves"})


@pytest.fixture(autouse=True)
def strangers_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers' kinds come from their files."""
    monkeypatch.setenv(PLUGINS, "")
    use_files([Path(npy_kind.__file__), Path(array_kinds.__file__)])


def made(kind: str, folder: Path) -> DatasetSpec:
    folder.mkdir()
    return EXAMPLES[kind](folder)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("promise", contract.PROMISES, ids=lambda promise: promise.__name__)
def test_a_kind_keeps_its_promise(promise: Callable[[contract.Case], None], kind: str, tmp_path: Path) -> None:
    promise(contract.Case(kind, EXAMPLES[kind], tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_loads_neither_numpy_nor_torch(kind: str) -> None:
    loads_quickly("kind of data", kind)


def test_every_kind_of_the_table_has_an_example_and_a_reader_of_its_own() -> None:
    assert set(EXAMPLES) == set(KINDS)
    assert len({kind.reader for kind in DATASETS.values()}) == len(DATASETS)


@pytest.mark.parametrize("change", [{"nope": 1}, {"preprocess": {"spacing": "6"}}, {"kind": "nope"}, {"kind": None}])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_of_a_dataset_is_told_as_the_datasets(kind: str, change: dict[str, Any], tmp_path: Path) -> None:
    wrong = json.loads(made(kind, tmp_path / "data").model_dump_json()) | change
    with pytest.raises(ValidationError) as caught:
        DataTask.model_validate_json(json.dumps({"data": wrong, "task": {"target": "x", "kind": "regression"}}))
    assert caught.value.errors()[0]["loc"][0] == "data"


def test_the_json_schema_knows_every_kind() -> None:
    names = {model["$ref"] for model in json_schema()["properties"]["datasets"]["additionalProperties"]["oneOf"]}
    assert names == {f"#/$defs/{spec.__name__}" for spec in DATASETS.values()}


# ---------------------------------------------------------------- a stranger's kind


def test_a_strangers_kind_is_planned_as_any_other(tmp_path: Path) -> None:
    made("npy", tmp_path / "data")
    file = tmp_path / "own.yaml"
    file.write_text(
        "name: own\n"
        "datasets: {own: {kind: npy, root: data, preprocess: {shape: [16, 16, 16], spacing: 3}}}\n"
        "tasks: {age: {target: age, kind: regression}}\n"
        "transfers: [{target: {data: own, task: age}}]\n"
        "encoders: {small_cnn: {}}\nmethods: {scratch: {}}\nsample_sizes: [20]\nseeds: [0]\n"
    )
    plan = make_plan(load(file))
    assert type(plan.datasets[0]) is DATASETS["npy"]
    assert type(plan).model_validate_json(plan.model_dump_json()) == plan
    assert [cost.images for cost in costs(plan, {}, {}) if cost.stage == "preprocess"] == [None]
