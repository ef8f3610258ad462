"""Every kind of data keeps the promises of `DatasetSpec` and of `ctlr.data.reader.Reader`, a stranger's kind too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_kinds import EXAMPLES
from npy_kind import NpySpec
from pydantic import ValidationError

from ctlr.config import json_schema, load
from ctlr.cost import costs
from ctlr.data.identity import remembered_identity
from ctlr.data.preprocess import preprocess, preprocess_some
from ctlr.data.reader import reader_of
from ctlr.data.store import ArrayStore
from ctlr.errors import DataError
from ctlr.plan import make_plan
from ctlr.specs import DATASETS, DatasetSpec, DataTask, TaskSpec
from ctlr.workspace import Workspace

KINDS = sorted({*DATASETS, "npy"})
TASK = TaskSpec(name="kind", target="class", kind="classification")


@pytest.fixture(autouse=True)
def strangers_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS, "npy", NpySpec)


def made(kind: str, folder: Path) -> DatasetSpec:
    folder.mkdir()
    return EXAMPLES[kind](folder)


@pytest.fixture(params=KINDS)
def data(request: pytest.FixtureRequest, tmp_path: Path) -> DatasetSpec:
    return made(request.param, tmp_path / "data")


# ---------------------------------------------------------------- the spec


def test_every_kind_of_the_table_has_an_example() -> None:
    assert set(EXAMPLES) == set(KINDS)


def test_a_kind_stands_in_the_table_under_its_name(data: DatasetSpec) -> None:
    assert DATASETS[data.kind] is type(data)
    assert type(data).model_fields["kind"].default == data.kind
    assert len({kind.reader for kind in DATASETS.values()}) == len(DATASETS)


def test_a_dataset_is_read_back_as_its_kind_with_all_its_options(data: DatasetSpec) -> None:
    end = DataTask(data=data, task=TASK)
    text = end.model_dump_json()
    assert json.loads(text)["data"] == json.loads(data.model_dump_json())
    again = DataTask.model_validate_json(text)
    assert type(again.data) is type(data)
    assert again == end


@pytest.mark.parametrize("change", [{"nope": 1}, {"preprocess": {"spacing": "6"}}, {"kind": "nope"}, {"kind": None}])
def test_a_dataset_with_a_wrong_option_is_not_read_back(data: DatasetSpec, change: dict[str, Any]) -> None:
    wrong = json.loads(data.model_dump_json()) | change
    with pytest.raises(ValidationError) as caught:
        DataTask.model_validate_json(json.dumps({"data": wrong, "task": {"target": "x", "kind": "regression"}}))
    assert caught.value.errors()[0]["loc"][0] == "data"


def test_the_json_schema_knows_every_kind() -> None:
    names = {model["$ref"] for model in json_schema()["properties"]["datasets"]["additionalProperties"]["oneOf"]}
    assert names == {f"#/$defs/{spec.__name__}" for spec in DATASETS.values()}


def test_a_dataset_of_no_folder_says_none_and_one_moved_keeps_all_else(data: DatasetSpec) -> None:
    options = json.loads(data.model_dump_json())
    assert data.in_folder() == ("root" in options)
    moved = json.loads(data.at("elsewhere").model_dump_json())
    assert moved == (options | {"root": "elsewhere"} if data.in_folder() else options)


def test_the_root_is_judged_before_the_other_options_are_checked(data: DatasetSpec, tmp_path: Path) -> None:
    if not data.in_folder():
        pytest.skip("it lies in no folder")
    options = json.loads(data.model_dump_json()) | {"preprocess": "nonsense"}
    assert data.fault_of_root(options, tmp_path / "data") == ""
    assert data.fault_of_root(options | {"root": "nowhere"}, tmp_path / "nowhere").endswith(".")


def test_an_option_raises_the_number_of_subjects_that_is_known(data: DatasetSpec) -> None:
    if data.known_subjects is None:
        assert data.raised_by == ""
    elif data.raised_by:
        more = data.model_copy(update={data.raised_by: getattr(data, data.raised_by) + 1})
        assert more.known_subjects is not None
        assert more.known_subjects > data.known_subjects


def test_words_fit_into_a_sentence(data: DatasetSpec) -> None:
    for words in (data.lies_as, data.meant_for):
        assert words
        assert not words.endswith((".", " "))


# ---------------------------------------------------------------- the reader


def test_readers_load_neither_numpy_nor_torch() -> None:
    readers = [kind.reader for kind in DATASETS.values()]
    code = (
        f"import pkgutil, sys; [pkgutil.resolve_name(name) for name in {readers}]\n"
        "print([name for name in ('numpy', 'torch', 'PIL', 'sklearn', 'nibabel') if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"


def test_what_a_dataset_holds_is_known_without_reading(data: DatasetSpec, tmp_path: Path) -> None:
    listing = reader_of(data).listing()
    arrays = preprocess(data, Workspace(tmp_path / "workspace"))
    if listing is None:
        assert data.known_subjects == arrays.subjects == arrays.rows
    else:
        assert len(listing.images) == arrays.rows
        assert reader_of(data, listing).listing() is listing


def test_images_are_stored_in_order_with_the_shape_that_was_asked_for(data: DatasetSpec, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    arrays = preprocess(data, workspace)
    assert arrays.shape == (data.preprocess.channels, *data.preprocess.shape)
    images = reader_of(data).open(workspace).listing.images
    store = ArrayStore(arrays, workspace)
    assert [(row.subject, row.session, row.file, row.columns) for row in store.table] == [
        (image.subject, image.session, image.file, image.columns) for image in images
    ]
    for number, image in enumerate(images):
        row = reader_of(data).open(workspace).row(image)
        assert row.digest == store.table[number].sha256
        assert row.values.dtype == np.dtype(arrays.dtype)


def test_columns_are_those_that_the_spec_says(data: DatasetSpec, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    table = ArrayStore(preprocess(data, workspace), workspace).table
    if data.classes_only:
        assert {name for row in table for name in row.columns} <= {"class", "split"}
    if data.known_classes:
        assert {row.columns["class"] for row in table} == data.known_classes


def test_any_number_of_workers_stores_the_same(data: DatasetSpec, tmp_path: Path) -> None:
    written = set()
    for workers in (1, 3):
        workspace = Workspace(tmp_path / f"workspace-{workers}")
        arrays = preprocess(data, workspace, workers=workers)
        written.add((workspace.root / arrays.path / "images.npy").read_bytes())
    assert len(written) == 1


def test_neither_the_name_nor_the_place_decides_what_is_stored(data: DatasetSpec, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    arrays = preprocess(data, workspace)
    elsewhere = made(data.kind, tmp_path / "elsewhere").model_copy(update={"name": "other"})
    assert preprocess(elsewhere, workspace) == arrays
    for file in (workspace.root / arrays.path).iterdir():
        assert str(tmp_path).encode() not in file.read_bytes()


def test_options_and_every_file_decide_what_is_stored(data: DatasetSpec, tmp_path: Path) -> None:
    reader = reader_of(data)
    _, files = reader.files()
    same = dict.fromkeys(files, "a")
    seen = {reader.content(same)} | {reader.content({**same, file: "b"}) for file in files}
    assert len(seen) == 1 + len(files)
    options = data.preprocess.model_copy(update={"normalise": "none"})
    seen.add(reader_of(data.model_copy(update={"preprocess": options})).content(same))
    assert len(seen) == 2 + len(files)


def test_what_was_stored_is_known_again_until_a_file_changes(data: DatasetSpec, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    arrays = preprocess(data, workspace)
    listing = reader_of(data).listing()
    assert remembered_identity(data, listing, workspace) == arrays.fingerprint
    root, files = reader_of(data).files()
    if files:
        with (root / files[0]).open("ab") as file:
            file.write(b"\0")
        assert remembered_identity(data, listing, workspace) is None


def test_a_folder_that_is_gone_stops_with_a_reason(data: DatasetSpec) -> None:
    if data.in_folder():
        with pytest.raises(DataError):
            reader_of(data.at("/nowhere/at/all")).files()


def test_a_few_images_are_timed_unless_it_is_read_as_a_whole(data: DatasetSpec) -> None:
    assert preprocess_some(data, reader_of(data).listing(), 2) == (0 if data.to_time(2) is None else 2)


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
    assert type(plan.datasets[0]) is NpySpec
    assert type(plan).model_validate_json(plan.model_dump_json()) == plan
    assert [cost.images for cost in costs(plan, {}, {}) if cost.stage == "preprocess"] == [None]
