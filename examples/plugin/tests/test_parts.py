"""What is special to the parts; their promises to CTLR are checked by `ctlr plugins check`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ctlr.contracts import parts_to_try
from ctlr.errors import DataError
from ctlr.methods.base import Batch
from ctlr.specs import DATASETS, ENCODERS, METHODS
from ctlr_example.align_uniform import AlignUniformSpec
from ctlr_example.arrays import ArraysReader, ArraysSpec
from ctlr_example.made import write_arrays


def test_the_entry_points_are_found() -> None:
    for table, name in ((METHODS, "align_uniform"), (ENCODERS, "averaging_cnn"), (DATASETS, "arrays")):
        plugin = table.origin(name)
        assert plugin is not None
        assert plugin.name == "ctlr-example 0.1.0"


def test_images_that_are_all_the_same_lie_as_near_as_can_be() -> None:
    spec = AlignUniformSpec.model_validate({"pretrain": {"views": None}})
    objective = spec.pretrain_objective(parts_to_try())
    loss = objective({"pool": Batch(torch.ones(4, 1, 32, 32))}, torch.Generator())
    assert loss.item() == pytest.approx(0, abs=1e-5)  # no distance to align, and log(1) of uniformity


def test_a_subject_without_an_array_is_told_of(tmp_path: Path) -> None:
    write_arrays(tmp_path, subjects=3)
    (tmp_path / "s001.npy").unlink()
    listing = ArraysReader(ArraysSpec(root=str(tmp_path))).listing()
    assert [image.subject for image in listing.images] == ["s000", "s002"]
    assert [fault.place for fault in listing.faults] == ["s001"]


def test_a_folder_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="subjects.csv must be a table"):
        ArraysReader(ArraysSpec(root=str(tmp_path))).listing()
