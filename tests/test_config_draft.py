"""What is right of a benchmark file that is wrong in places, and where its faults stand."""

from pathlib import Path

import pytest
from clinic import CLINIC, write_clinic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctlr.config import load, load_draft, read_document
from ctlr.errors import ConfigError

NAMES = st.text(alphabet="abcdefgh_", min_size=1, max_size=6)
VALUES = st.recursive(
    st.integers(-9, 9) | NAMES, lambda below: st.dictionaries(NAMES, below, max_size=3) | st.lists(below, max_size=3)
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_clinic(tmp_path / "clinic")
    (tmp_path / "clinic.yaml").write_text(CLINIC)
    return tmp_path / "clinic.yaml"


def test_a_right_file_is_whole(file: Path) -> None:
    draft = load_draft(file)
    assert draft.config == load(file)
    assert not draft.document.faults
    assert [data.name for data in draft.datasets] == ["clinic"]


def test_wrong_entries_are_left_out_and_the_rest_is_a_benchmark(file: Path) -> None:
    text = CLINIC.replace("supervised: {}", "supervised: {epoch: 3}, simclr: {}").replace(
        "small_cnn: {}", "small_cnn: {}, x: {}"
    )
    file.write_text(text.replace("transfers:", "transfers:\n  - {target: {data: nowhere, task: sex}}"))
    draft = load_draft(file)
    assert draft.config is not None
    assert list(draft.config.methods) == ["scratch", "simclr"]
    assert list(draft.config.encoders) == ["small_cnn"]
    assert len(draft.config.transfers) == 1
    assert [fault.key for fault in draft.document.listed()] == [
        "transfers.0.target.data", "encoders.x", "methods.supervised.epoch",
    ]  # fmt: skip
    with pytest.raises(ConfigError) as raised:
        load(file)
    assert raised.value.faults == draft.document.listed()


def test_labels_of_a_sweep_go_with_the_key_that_is_wrong(file: Path) -> None:
    file.write_text(CLINIC.replace("supervised: {}", "simclr: {sweep: {temperature: [0.1, -1]}}"))
    draft = load_draft(file)
    assert draft.config is not None
    assert list(draft.config.methods) == ["scratch"]


def test_without_sizes_there_is_no_benchmark_but_data_and_tasks(file: Path) -> None:
    file.write_text(CLINIC.replace("[4, 6]", "[]"))
    draft = load_draft(file)
    assert draft.config is None
    assert {(end.data.name, end.task.name) for end in draft.ends} == {("clinic", "sex"), ("clinic", "age")}


def test_a_dataset_in_no_folder_or_of_no_kind_is_left_alone(file: Path) -> None:
    more = "datasets:\n  a: {kind: bids, root: nix}\n  b: {kind: bidds, root: clinic}\n  c: {kind: bids, root: 3}\n"
    file.write_text(CLINIC.replace("datasets:\n", more))
    draft = load_draft(file)
    assert [data.name for data in draft.datasets] == ["clinic"]
    assert len(draft.document.faults) == 3


def test_no_fault_is_told_twice_for_being_looked_at_again(file: Path) -> None:
    file.write_text(CLINIC.replace("spacing: 12", "spacing: [12]").replace("root: clinic", "root: clinic, mask: 3"))
    keys = sorted(fault.key for fault in load_draft(file).document.listed())
    assert keys == ["datasets.clinic.mask", "datasets.clinic.preprocess.spacing"]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), st.booleans())
def test_every_key_stands_where_its_line_and_column_say(tmp_path: Path, data: dict[str, object], flow: bool) -> None:
    import io

    from ruamel.yaml import YAML

    yaml, text = YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style = flow
    yaml.dump(data, text)
    (tmp_path / "any.yaml").write_text(text.getvalue())
    document = read_document(tmp_path / "any.yaml")
    assert document.data == data
    lines = text.getvalue().splitlines()
    for where, line in document.lines.items():
        if where and isinstance(where[-1], str):
            rest = lines[line - 1][document.columns[where] - 1 :]
            assert rest.lstrip("'\"? ").startswith(where[-1])
