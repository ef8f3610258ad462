"""Tables by columns: what is written comes back, small or large, and consumers see rows."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctlr.data.listing import ManyImages
from ctlr.data.store import ArrayStore, ArrayWriter, block_digests
from ctlr.data.table import Digests, ImageRecord, Table, Texts
from ctlr.errors import WorkspaceError
from ctlr.specs import StoredArrays
from ctlr.workspace import Workspace

TEXT = st.text(max_size=5)
RECORDS = st.lists(
    st.builds(
        ImageRecord, subject=TEXT, session=TEXT, file=TEXT, sha256=st.just("0" * 64) | TEXT, stored=TEXT,
        columns=st.dictionaries(TEXT, TEXT, max_size=3),
    ),
    max_size=6,
)  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(records=RECORDS)
def test_records_come_back_from_columns_as_they_were(records: list[ImageRecord], tmp_path_factory: object) -> None:
    folder = tmp_path_factory.mktemp("table")  # type: ignore[attr-defined]
    table = Table.of(records)
    assert list(table) == records
    table.block_rows = 1  # which JSON has no place for
    table.write(folder)
    assert (folder / "table.npz").exists()
    assert list(Table.read(folder)) == records


def test_a_small_table_is_json_and_a_large_one_is_not(tmp_path: Path) -> None:
    for count, name in ((3, "table.json"), (10_000, "table.npz")):
        folder = tmp_path / str(count)
        folder.mkdir()
        records = [
            ImageRecord(subject=f"s{i}", file="f", sha256=f"{i}", columns={"c": "ab"[i % 2]}) for i in range(count)
        ]
        Table.of(records).write(folder)
        assert [file.name for file in folder.iterdir()] == [name]
        assert Table.read(folder) == records


def test_digests_are_kept_as_bytes_and_tell_equal_ones() -> None:
    digests = [hashlib.sha256(bytes([i % 3])).hexdigest() for i in range(7)]
    table = Table.of([ImageRecord(subject=str(i), file="", sha256=each) for i, each in enumerate(digests)])
    assert isinstance(table.sha256, Digests)
    assert table.sha256.codes.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert table.sha256.values == digests[:3]
    assert table[4].sha256 == digests[4]


def test_a_cell_that_a_row_lacks_is_none_of_its_columns() -> None:
    column = Texts.of(["b", None, "a", "b"])
    assert column.values == ["b", "a"]
    assert column.codes.tolist() == [0, -1, 1, 0]
    table = Table.of([ImageRecord(subject="x", file="", sha256="", columns={"c": " 1 "}),
                      ImageRecord(subject="y", file="", sha256="")])  # fmt: skip
    assert table.cells("c") == ["1", ""]
    assert table.cells("d") == ["", ""]
    assert table[1].columns == {}


def _points(workspace: Workspace, values: np.ndarray) -> StoredArrays:
    count = len(values)
    names = [f"p{i:06d}" for i in range(count)]
    table = Table.listed(
        ManyImages(subjects=names, files=["t.csv"] * count, columns={"class": ["a", "b"] * (count // 2)})
    )
    table.blocks, table.block_rows = block_digests(values)
    with workspace.publish("arrays", "x") as folder:
        with ArrayWriter(folder, values.shape[1:], "float32") as writer:
            writer.extend(values)
        table.write(folder)
    return StoredArrays(
        fingerprint="x", path="arrays/x", rows=count, subjects=count, shape=values.shape[1:], dtype="float32"
    )


def test_many_small_rows_are_read_in_any_order(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((40_000, 3)).astype(np.float32)
    workspace = Workspace(tmp_path)
    arrays = _points(workspace, values)
    rows = np.random.default_rng(1).integers(0, 40_000, 5000)
    for _ in range(2):  # by blocks until they are verified, then by themselves
        store = ArrayStore(arrays, workspace, sealed=[39_999])
        np.testing.assert_array_equal(store.read(rows), values[rows])
        np.testing.assert_array_equal(store.read(np.arange(39_999)), values[:39_999])
    assert store.table[7] == ImageRecord(subject="p000007", file="t.csv", sha256="", columns={"class": "b"})


def test_a_block_that_the_disk_has_changed_is_refused(tmp_path: Path) -> None:
    values = np.zeros((20_000, 2), np.float32)
    workspace = Workspace(tmp_path)
    arrays = _points(workspace, values)
    path = tmp_path / arrays.path / "images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    store = ArrayStore(arrays, workspace)
    assert not store.read([0, 5000]).any()
    with pytest.raises(WorkspaceError, match="arrays/x .* is damaged: one of rows 16384 to 19999 holds other numbers"):
        store.read([3, 16_384])


@pytest.mark.parametrize("content", [b"", b"PK", b"\0" * 100])
def test_columns_that_cannot_be_read_are_named(tmp_path: Path, content: bytes) -> None:
    workspace = Workspace(tmp_path)
    arrays = _points(workspace, np.zeros((4, 2), np.float32))
    (tmp_path / arrays.path / "table.npz").write_bytes(content)
    with pytest.raises(WorkspaceError, match="arrays/x/table.npz .* is missing or damaged. Remove that folder"):
        ArrayStore(arrays, workspace)
