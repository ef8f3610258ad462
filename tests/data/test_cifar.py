import contextlib
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published import noise, write_cifar10

from ctlr.data.kinds.torchvision.cifar import read_batch
from ctlr.errors import DataError

FILE = "cifar-10-batches-py/data_batch_1"


def test_a_batch_is_read_as_torchvision_reads_it(tmp_path: Path) -> None:
    pixels, labels = write_cifar10(tmp_path)[FILE]
    read, codes = read_batch(tmp_path / FILE)
    assert read.shape == (20, 32, 32, 3)
    np.testing.assert_array_equal(read, pixels.transpose(0, 2, 3, 1))
    assert codes.tolist() == labels
    with (tmp_path / FILE).open("rb") as file:
        assert pickle.load(file)["labels"] == labels  # torchvision's own way gives the same


def test_batches_pickled_by_python_2_are_read(tmp_path: Path) -> None:
    """As on the author's page: module and text of Python 2, bytes as texts in latin-1."""
    pixels = noise(2, 3072)
    path = tmp_path / "batch"
    text = pixels.tobytes()
    path.write_bytes(
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85"
        b"U\x01b\x87Rq\x05(K\x01K\x02M\x00\x0c\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + len(text).to_bytes(4, "little") + text + b"tbU\x06labelsq\x08]q\x09(K\x03K\x07eu."
    )  # fmt: skip
    read, codes = read_batch(path)
    np.testing.assert_array_equal(read, pixels.reshape(2, 3, 32, 32).transpose(0, 2, 3, 1))
    assert codes.tolist() == [3, 7]


class _Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_calls_anything_is_refused_and_calls_nothing(tmp_path: Path, protocol: int) -> None:
    mark, path = tmp_path / "called", tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps({"data": _Trap(mark), "labels": [1]}, protocol=protocol))
    with pytest.raises(DataError, match=r"data_batch_1 must be a batch.*it asks for posix.mkdir.*Unpack it again"):
        read_batch(path)
    assert not mark.exists()


FOREIGN = {
    "no pickle": b"hello",
    "nothing": b"",
    "a list": pickle.dumps([1, 2], protocol=2),
    "no labels": pickle.dumps({"data": noise(2, 3072)}, protocol=2),
    "texts as labels": pickle.dumps({"data": noise(2, 3072), "labels": ["a", "b"]}, protocol=2),
    "too few labels": pickle.dumps({"data": noise(2, 3072), "labels": [1]}, protocol=2),
    "a label of CIFAR-100": pickle.dumps({"data": noise(2, 3072), "labels": [1, 10]}, protocol=2),
    "other pictures": pickle.dumps({"data": noise(2, 784), "labels": [1, 2]}, protocol=2),
    "other numbers": pickle.dumps({"data": noise(2, 3072).astype(np.float32), "labels": [1, 2]}, protocol=2),
    "columns": pickle.dumps({"data": np.asfortranarray(noise(2, 3072)), "labels": [1, 2]}, protocol=2),
    "objects": pickle.dumps({"data": np.array([[None] * 3072]), "labels": [1]}, protocol=2),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_other_files_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data_batch_1").write_bytes(content)
    with pytest.raises(DataError, match="data_batch_1 must be a batch of CIFAR-10's Python version"):
        read_batch(tmp_path / "data_batch_1")


def test_a_cut_batch_is_refused(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="data_batch_1 must be a batch"):
        read_batch(tmp_path / FILE)


WHOLE = pickle.dumps({"data": noise(1, 3072), "labels": [1]}, protocol=2)


@given(place=st.integers(0, 200), byte=st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_a_damaged_header_is_a_batch_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(WHOLE[:place] + bytes([byte]) + WHOLE[place + 1 :])
    with contextlib.suppress(DataError):
        pixels, codes = read_batch(path)
        assert len(pixels) == len(codes)
