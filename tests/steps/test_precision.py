"""A study in bf16 on a processor with a faulty kernel."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from faulty_kernel import faulty_bf16
from tiny_bench import Bench

from ctlr.specs import ComputeSpec
from ctlr.steps.evaluate import evaluate
from ctlr.steps.finetune import finetune
from ctlr.training.checkpoint import read_tensors
from ctlr.workspace import Workspace


def at_side_four(enter: Sequence[int], leave: Sequence[int], kernel: Sequence[int]) -> bool:
    """The last convolution of the small CNN at 32^3: no shape that was seen to fail, so the self-test must find it."""
    return set(enter) == {4}


def test_a_study_gives_the_same_weights_twice_and_its_record_says_which_layer_ran_in_float32(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    planned = next(study for study in bench.plan.studies if study.method.method == "scratch")
    short = planned.method.finetune.model_copy(update={"epochs": 1})
    study = planned.model_copy(
        update={
            "compute": ComputeSpec(precision="bf16"),
            "method": planned.method.model_copy(update={"finetune": short}),
        }
    )
    found = []
    with faulty_bf16(monkeypatch, at_side_four):
        for name in ("first", "again"):
            workspace = Workspace(tmp_path / name)
            for kind in ("arrays", "cohorts"):
                (workspace.root / kind).symlink_to(bench.workspace.root / kind)
            checkpoint = finetune(study, bench.arrays, workspace)
            found.append(read_tensors(workspace.root / checkpoint.path / "model.safetensors")[0])
    assert all(bool(value.isfinite().all()) for value in found[0].values())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())
    assert evaluate(study, bench.arrays, workspace).device == (
        "cpu bf16 channels_last_3d; 1 of 4 convolutions in float32 (blocks.3.0)"
    )
