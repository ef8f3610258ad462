from pathlib import Path

import numpy as np
import pytest
import torch

from ctlr.data.store import ArrayStore, ArrayWriter, ImageRecord, write_table
from ctlr.specs import StoredArrays
from ctlr.training.images import Images, Labelled
from ctlr.workspace import Workspace

CPU = torch.device("cpu")


@pytest.fixture
def stores(tmp_path: Path) -> list[ArrayStore]:
    """Two stores of five 1 x 2 x 2 images; image i of store s holds 10 s + i."""
    workspace = Workspace(tmp_path / "workspace")
    found = []
    for number in range(2):
        arrays = StoredArrays(
            fingerprint=str(number), path=f"arrays/{number}", rows=5, subjects=5, shape=(1, 2, 2), dtype="float16"
        )
        with workspace.publish("arrays", str(number)) as folder:
            with ArrayWriter(folder, (1, 2, 2), "float16") as writer:
                for row in range(5):
                    writer.append(np.full((1, 2, 2), 10 * number + row, np.float16))
            write_table(folder, [ImageRecord(subject=str(i), file=str(i), sha256=str(i)) for i in range(5)])
        found.append(ArrayStore(arrays, workspace))
    return found


@pytest.mark.parametrize("in_memory_bytes", [0, 10**9], ids=["read ahead", "held"])
def test_batches_are_the_rows_asked_for_in_their_order_across_stores(
    stores: list[ArrayStore], in_memory_bytes: int
) -> None:
    parts = [(stores[0], np.array([4, 0])), (stores[1], np.array([1, 2, 3]))]
    images = Images(parts, CPU, in_memory_bytes=in_memory_bytes)
    assert len(images) == 5
    chunks = [np.array([4, 0, 2]), np.array([1]), np.array([3, 3])]
    seen = [batch[:, 0, 0, 0].tolist() for batch in images.batches(chunks)]
    assert seen == [[13, 4, 11], [0], [12, 12]]


def test_images_that_are_not_held_are_not_read_before_they_are_wanted(stores: list[ArrayStore], monkeypatch) -> None:
    read: list[int] = []
    original = ArrayStore.read

    def watched(self: ArrayStore, rows: np.ndarray) -> np.ndarray:
        read.append(len(rows))
        return original(self, rows)

    monkeypatch.setattr(ArrayStore, "read", watched)
    images = Images([(stores[0], np.arange(5))], CPU, in_memory_bytes=0)
    assert read == []
    batches = images.batches([np.array([i]) for i in range(5)])
    next(batches)
    assert len(read) <= 3
    batches.close()


def test_mapped_images_hold_the_functions_values(stores: list[ArrayStore]) -> None:
    images = Images([(stores[0], np.arange(5))], CPU).map(lambda batch: batch.sum((1, 2, 3)), batch_size=2)
    (values,) = images.batches([np.arange(5)])
    assert values.tolist() == [0, 4, 8, 12, 16]


@pytest.mark.parametrize("in_memory_bytes", [0, 10**9], ids=["read ahead", "held"])
def test_targets_stay_with_their_images(stores: list[ArrayStore], in_memory_bytes: int) -> None:
    images = Images([(stores[1], np.arange(5))], CPU, in_memory_bytes=in_memory_bytes)
    labelled = Labelled(images, torch.arange(10.0, 15.0))
    for batch in labelled.epoch(3, 2, torch.Generator().manual_seed(0)):
        assert batch.target is not None
        assert torch.equal(batch.images[:, 0, 0, 0], batch.target)


def test_no_rows_make_no_images() -> None:
    assert len(Images([], CPU)) == 0
