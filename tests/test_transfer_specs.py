from pathlib import Path

import pytest
from shapes import SHAPES, write_shapes

from ctlr.config import load
from ctlr.plan import Plan, make_plan
from ctlr.specs import TRANSFER_SCORES, TransferSpec

ONE_PAIR = "transfers=[{source: {data: dark, task: lines}, target: {data: light, task: blobs}}]"


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    write_shapes(tmp_path, per_class=1)
    path = tmp_path / "shapes.yaml"
    path.write_text(SHAPES)
    return path


def planned(path: Path, *overrides: str) -> Plan:
    return make_plan(load(path, overrides))


def test_one_pair_of_source_and_target_is_not_scored(shapes: Path) -> None:
    assert planned(shapes, ONE_PAIR).transfers == ()


def test_every_pair_is_measured_once_and_every_supervised_pretraining_scored(shapes: Path) -> None:
    plan = planned(shapes)
    distances = [spec for spec in plan.transfers if spec.pretraining is None]
    scored = [spec.pretraining for spec in plan.transfers if spec.pretraining is not None]
    assert len(distances) == 3
    assert {spec.seed for spec in distances} == {0}
    assert {spec.identity() for spec in scored} == {spec.identity() for spec in plan.pretrainings}
    assert len(scored) == 6  # three pairs, two seeds


def test_methods_that_differ_in_their_finetuning_share_their_scores(shapes: Path) -> None:
    more = planned(shapes, "methods.slow={method: supervised, finetune: {lr: 1.0e-4}}", "methods.simclr={}")
    assert len(more.transfers) == len(planned(shapes).transfers)


def test_the_images_of_the_largest_size_are_looked_at(shapes: Path) -> None:
    assert {spec.n_train for spec in planned(shapes).transfers} == {8}


def test_pairs_without_a_supervised_pretraining_have_their_distances(shapes: Path) -> None:
    plan = planned(shapes, "methods={scratch: {}, vat: {}}")
    assert [spec.pretraining for spec in plan.transfers] == [None] * 3


def test_scores_are_the_same_under_other_names_and_on_another_machine(shapes: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    write_shapes(there, per_class=1)
    (there / "shapes.yaml").write_text(SHAPES.replace("supervised: {}", "lent: {method: supervised}"))
    ours, theirs = (planned(path).transfers for path in (shapes, there / "shapes.yaml"))
    assert [spec.identity() for spec in ours] == [spec.identity() for spec in theirs]


def test_a_transfer_survives_json_and_leaves_folders_at_home(shapes: Path) -> None:
    for spec in planned(shapes).transfers:
        assert TransferSpec.model_validate_json(spec.model_dump_json()) == spec
        travelling = spec.without_folders()
        assert travelling.source.data.root == travelling.target.data.root == ""  # type: ignore[union-attr]


def test_distances_promise_by_being_small_and_the_others_by_being_large() -> None:
    small = {name for name, direction in TRANSFER_SCORES.items() if direction == "min"}
    assert small == {"hausdorff_modified", "hausdorff_plain"}
