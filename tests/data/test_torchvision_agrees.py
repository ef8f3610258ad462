"""What CTLR knows of published sets, and reads of them, beside torchvision's own word."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from published import write_cifar10, write_emnist

from ctlr.data.kinds.torchvision.cifar import read_batch
from ctlr.data.kinds.torchvision.emnist import read_part
from ctlr.encoders.torchvision_cpu import load_torchvision
from ctlr.specs import PUBLISHED

CIFAR10, EMNIST = PUBLISHED["cifar10"], PUBLISHED["emnist-balanced"]


@pytest.fixture(scope="module")
def datasets() -> ModuleType:
    load_torchvision()
    return importlib.import_module("torchvision.datasets")


def test_addresses_and_checksums_are_torchvisions(datasets: ModuleType) -> None:
    assert (CIFAR10.address, CIFAR10.md5) == (datasets.CIFAR10.url, datasets.CIFAR10.tgz_md5)
    assert (EMNIST.address, EMNIST.md5) == (datasets.EMNIST.url, datasets.EMNIST.md5)
    named = [name for name, _ in [*datasets.CIFAR10.train_list, *datasets.CIFAR10.test_list]]
    assert list(CIFAR10.files) == [f"{datasets.CIFAR10.base_folder}/{name}" for name in named]


def test_classes_of_emnist_have_torchvisions_codes(datasets: ModuleType) -> None:
    assert [name[0] for name in EMNIST.classes] == datasets.EMNIST.classes_split_dict["balanced"]
    both = {name[1] for name in EMNIST.classes if len(name) == 2}
    assert both == datasets.EMNIST._merged_classes


def test_cifar10_is_read_as_torchvision_reads_it(
    datasets: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar10(tmp_path)
    monkeypatch.setattr(datasets.CIFAR10, "_check_integrity", lambda _: True)  # of the full files
    monkeypatch.setattr(datasets.CIFAR10, "_load_meta", lambda _: None)
    theirs = datasets.CIFAR10(tmp_path, train=False)
    pixels, codes = read_batch(tmp_path / "cifar-10-batches-py" / "test_batch")
    np.testing.assert_array_equal(pixels, theirs.data)
    assert codes.tolist() == theirs.targets


def test_emnist_is_read_as_torchvision_reads_it_and_turned_upright(datasets: ModuleType, tmp_path: Path) -> None:
    write_emnist(tmp_path)
    theirs = datasets.EMNIST(tmp_path, split="balanced", train=False)
    pixels, codes = read_part(tmp_path, *EMNIST.files[2:])
    np.testing.assert_array_equal(pixels, theirs.data.numpy().transpose(0, 2, 1))
    assert codes.tolist() == theirs.targets.tolist()
