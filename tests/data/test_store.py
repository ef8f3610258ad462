from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ctlr.data.identity import read_stored
from ctlr.data.store import ArrayStore, ArrayWriter, ImageRecord, read_table, write_table
from ctlr.errors import LeakageError, WorkspaceError
from ctlr.specs import StoredArrays
from ctlr.workspace import Workspace

VALUES = np.random.default_rng(0).standard_normal((12, 1, 3, 4)).astype(np.float16)


def _store(workspace: Workspace, values: np.ndarray, scale: float = 1.0, offset: float = 0.0) -> StoredArrays:
    with workspace.publish("arrays", "x") as folder:
        with ArrayWriter(folder, values.shape[1:], str(values.dtype)) as writer:
            for row in values:
                writer.append(row)
        records = [ImageRecord(subject=f"s{i}", file=f"s{i}.png", sha256=f"{i}") for i in range(len(values))]
        write_table(folder, records)
    return StoredArrays(
        fingerprint="x", path="arrays/x", rows=len(values), subjects=len(values), shape=values.shape[1:],
        dtype=str(values.dtype), scale=scale, offset=offset,
    )  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "w")


def test_rows_come_in_the_order_asked_for_and_repeatedly(workspace: Workspace) -> None:
    store = ArrayStore(_store(workspace, VALUES), workspace)
    rows = [7, 0, 11, 7]
    assert len(store) == 12
    assert store.read(rows).dtype == np.float32
    np.testing.assert_array_equal(store.read(rows), VALUES[rows].astype(np.float32))
    np.testing.assert_array_equal(store.read(np.array(rows, np.uint8)), VALUES[rows].astype(np.float32))
    assert store.read([]).shape == (0, 1, 3, 4)


def test_numpy_reads_the_file_too(workspace: Workspace) -> None:
    arrays = _store(workspace, VALUES)
    np.testing.assert_array_equal(np.load(workspace.root / arrays.path / "images.npy", mmap_mode="r"), VALUES)


def test_eight_bits_are_decoded(workspace: Workspace) -> None:
    stored = np.arange(24, dtype=np.uint8).reshape(2, 1, 3, 4)
    store = ArrayStore(_store(workspace, stored, scale=0.5, offset=-4.0), workspace)
    np.testing.assert_array_equal(store.read([1])[0], stored[1] * 0.5 - 4)


def test_a_sealed_row_is_not_read(workspace: Workspace) -> None:
    store = ArrayStore(_store(workspace, VALUES), workspace, sealed=[3, 4])
    np.testing.assert_array_equal(store.read([2, 5]), VALUES[[2, 5]].astype(np.float32))
    with pytest.raises(LeakageError, match=r"s3\.png is a test image: only `evaluate` may read it. 2 such rows"):
        store.read([0, 4, 3])


@pytest.mark.parametrize("rows", [[-1], [12], [0, 99]])
def test_a_row_that_is_not_there_is_an_index_error(workspace: Workspace, rows: list[int]) -> None:
    store = ArrayStore(_store(workspace, VALUES), workspace)
    with pytest.raises(IndexError, match="rows run from 0 to 11"):
        store.read(rows)


def test_records_come_back_as_they_were(workspace: Workspace) -> None:
    record = ImageRecord(subject="sub-é", session="1", file="a/b.nii", sha256="0", columns={"age": "89+", "x": ""})
    assert ImageRecord.model_validate_json(record.model_dump_json()) == record
    arrays = _store(workspace, VALUES[:1])
    write_table(workspace.root / arrays.path, [record])
    assert read_table(arrays, workspace) == (record,)


def test_a_file_that_lost_rows_is_refused(workspace: Workspace) -> None:
    arrays = _store(workspace, VALUES)
    store = ArrayStore(arrays, workspace)
    path = workspace.root / arrays.path / "images.npy"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(WorkspaceError, match="arrays/x in the workspace is damaged.*Remove that folder"):
        ArrayStore(arrays, workspace)
    with pytest.raises(WorkspaceError, match="is damaged"):
        store.read([11])


def test_a_row_that_the_disk_has_changed_is_refused(workspace: Workspace) -> None:
    arrays = _store(workspace, VALUES)
    digests = [hashlib.sha256(row.tobytes()).hexdigest() for row in VALUES]
    write_table(
        workspace.root / arrays.path,
        [ImageRecord(subject="s", file="s", sha256="0", stored=digest) for digest in digests],
    )
    path = workspace.root / arrays.path / "images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 4
    path.write_bytes(content)
    store = ArrayStore(arrays, workspace)
    np.testing.assert_array_equal(store.read(range(11)), VALUES[:11].astype(np.float32))
    with pytest.raises(WorkspaceError, match="arrays/x .* is damaged: row 11 holds other numbers"):
        store.read([3, 11])


def test_a_row_is_held_against_its_digest_once_a_process(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = _store(workspace, VALUES)
    digests = [hashlib.sha256(row.tobytes()).hexdigest() for row in VALUES]
    write_table(
        workspace.root / arrays.path,
        [ImageRecord(subject="s", file="s", sha256="0", stored=digest) for digest in digests],
    )
    taken, sha256 = [], hashlib.sha256
    monkeypatch.setattr(hashlib, "sha256", lambda data: taken.append(len(data)) or sha256(data))
    for _ in range(3):  # as each study opens the arrays for itself
        ArrayStore(arrays, workspace).read([3, 5, 3])
    assert len(taken) == 2


@pytest.mark.parametrize("text", ["null", "{}", "7", "[null]", "[]", "[", "[" * 100_000, "\0"])
def test_a_table_that_cannot_be_read_is_named(workspace: Workspace, text: str) -> None:
    arrays = _store(workspace, VALUES)
    (workspace.root / arrays.path / "table.json").write_text(text)
    with pytest.raises(WorkspaceError, match="arrays/x/table.json .* is missing or damaged. Remove that folder"):
        ArrayStore(arrays, workspace)


@pytest.mark.parametrize("change", [{"path": "arrays/y"}, {"fingerprint": "y"}, {"rows": "12"}])
def test_a_record_of_other_arrays_is_named(workspace: Workspace, change: dict[str, str]) -> None:
    arrays = _store(workspace, VALUES)
    file = workspace.root / "arrays/x/stored.json"
    file.write_text(arrays.model_dump_json())
    assert read_stored("x", workspace) == arrays
    file.write_text(json.dumps(arrays.model_dump(mode="json") | change))
    with pytest.raises(WorkspaceError, match="arrays/x/stored.json .* is missing or damaged. Remove the folder"):
        read_stored("x", workspace)


def test_a_row_of_another_shape_is_not_written(tmp_path: Path) -> None:
    with ArrayWriter(tmp_path, (1, 3, 4), "float16") as writer:
        with pytest.raises(ValueError, match="a row must be float16"):
            writer.append(VALUES[0, :, :2])
        with pytest.raises(ValueError, match="a row must be float16"):
            writer.append(VALUES[0].astype(np.float32))


def test_the_header_has_room_for_any_number_of_rows(tmp_path: Path) -> None:
    with ArrayWriter(tmp_path, (1,), "uint8") as writer:
        for value in range(1234):
            writer.append(np.array([value % 256], np.uint8))
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy")[:, 0], np.arange(1234) % 256)


def test_reading_every_row_in_batches_takes_no_memory_that_grows_with_the_rows(workspace: Workspace) -> None:
    arrays = _store(workspace, np.zeros((256, 1, 64, 64, 64), np.float16))  # 128 MiB
    code = (
        "import resource, sys\nfrom ctlr.data.store import ArrayStore\nfrom ctlr.specs import StoredArrays\n"
        "from ctlr.workspace import Workspace\n"
        "store = ArrayStore(StoredArrays.model_validate_json(sys.argv[2]), Workspace(sys.argv[1]))\n"
        "store.read(range(8))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for start in range(0, 256, 8): store.read(range(start, start + 8))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    command = [sys.executable, "-c", code, str(workspace.root), arrays.model_dump_json()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) < 20 * 1024  # KiB; a batch is 8 MiB of float32
