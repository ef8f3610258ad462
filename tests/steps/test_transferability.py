import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from shapes import SHAPES, write_shapes
from tiny_bench import Bench

from ctlr.config import load
from ctlr.data.development import open_development
from ctlr.data.preprocess import preprocess
from ctlr.data.splits import draw_split, rows_of
from ctlr.data.store import ArrayStore
from ctlr.data.targets import read_targets
from ctlr.encoders import build_encoder
from ctlr.plan import Plan, make_plan
from ctlr.specs import PretrainSpec, StoredArrays, TransferScores, TransferSpec
from ctlr.steps.keys import pretrain_key, transfer_key
from ctlr.steps.pretrain import pretrain
from ctlr.steps.transferability import score_transfer
from ctlr.training.checkpoint import read_tensors
from ctlr.transferability.hausdorff import hausdorff
from ctlr.transferability.scores import combined_class_variance
from ctlr.workspace import Workspace


@dataclass(frozen=True)
class Place:
    """Shapes whose images are stored."""

    plan: Plan
    workspace: Workspace
    arrays: Mapping[str, StoredArrays]

    def spec(self, source: str, *, scored: bool) -> TransferSpec:
        """The transfer to blobs from lines of a dataset."""
        return next(
            spec
            for spec in self.plan.transfers
            if (spec.source.data.name, spec.target.task.name) == (source, "blobs")
            and (spec.pretraining is not None) == scored
        )

    def score(self, spec: TransferSpec) -> TransferScores:
        """Pretrain where that is needed, and score."""
        if spec.pretraining is not None:
            pretrain(spec.pretraining, self.arrays, self.workspace)
        return score_transfer(spec, self.arrays, self.workspace)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("shapes")
    write_shapes(folder)
    (folder / "shapes.yaml").write_text(SHAPES)
    plan = make_plan(load(folder / "shapes.yaml", ["training.pretrain.epochs=1"]))
    workspace = Workspace(folder / "workspace")
    return Place(plan, workspace, {data.name: preprocess(data, workspace, workers=1) for data in plan.datasets})


@pytest.fixture
def place(stored: Place, tmp_path: Path) -> Place:
    """The same images in a workspace of the test's own."""
    workspace = Workspace(tmp_path / "workspace")
    (workspace.root / "arrays").symlink_to(stored.workspace.root / "arrays")
    return Place(stored.plan, workspace, stored.arrays)


def test_features_and_predictions_of_a_pretraining_are_scored(place: Place) -> None:
    found = place.score(place.spec("dark", scored=True))
    assert found.scores.keys() == {"leep", "nce", "log_me", "class_variance"}
    # No better than guessing one of two classes at the worst, perfect at the best.
    assert -np.log(2) <= found.scores["leep"] <= 0
    assert -np.log(2) - 1e-9 <= found.scores["nce"] <= 0
    assert 0 <= found.scores["class_variance"] <= 1
    assert (found.images, found.tables, found.source.data.root) == (8, {}, "")  # type: ignore[union-attr]


def test_a_score_that_few_images_cannot_carry_is_left_out_with_its_reason(place: Place) -> None:
    found = place.score(place.spec("dark", scored=True))
    assert "with 8 images of 16 features it is the number of classes less one" in found.left_out["h_score"]


def test_scores_are_those_of_the_labelled_training_images(place: Place) -> None:
    spec = place.spec("dark", scored=True)
    found = place.score(spec)
    assert spec.pretraining is not None
    opened = open_development(
        spec.target, place.arrays["light"], place.workspace, split=spec.split, n_train=8, n_reserved=spec.n_reserved,
        seed=spec.seed,
    )  # fmt: skip
    encoder = build_encoder(spec.pretraining.encoder, channels=1, ndim=2, seed=0)
    weights = place.workspace.folder("pretrained", pretrain_key(spec.pretraining, place.arrays))
    encoder.load_state_dict(read_tensors(weights / "encoder.safetensors")[0])
    import torch

    with torch.inference_mode():
        features = encoder.eval()(torch.from_numpy(opened.store.read(opened.train))).numpy()
    expected = combined_class_variance(features, opened.targets.values[opened.train])
    assert found.scores["class_variance"] == pytest.approx(expected, rel=1e-4)


def test_validation_and_test_images_change_no_score(place: Place, tmp_path: Path) -> None:
    scored, measured = (place.spec("dark", scored=kind) for kind in (True, False))
    before = [place.score(spec).scores for spec in (scored, measured)]
    store = ArrayStore(place.arrays["light"], place.workspace)
    targets = read_targets(store.table, scored.target.task, "light")
    split = draw_split(store.table, targets, scored.split, n_train=8, n_reserved=scored.n_reserved, seed=0)
    unseen = rows_of(store.table, [*split.validation, *split.test])
    workspace = Workspace(tmp_path / "poisoned")
    shutil.copytree(place.workspace.root / "arrays", workspace.root / "arrays")
    images = np.load(workspace.root / place.arrays["light"].path / "images.npy", mmap_mode="r+")
    images[unseen] = 7
    images.flush()
    poisoned = Place(place.plan, workspace, place.arrays)
    assert [poisoned.score(spec).scores for spec in (scored, measured)] == before


def test_distances_are_means_over_the_pairs_of_classes(place: Place) -> None:
    found = place.score(place.spec("dark", scored=False))
    assert (found.source_classes, found.target_classes, found.per_class) == (("bar", "beam"), ("disc", "ring"), 4)
    table = found.tables["modified"]
    forward, backward = np.array(table.forward), np.array(table.backward)
    assert found.scores["hausdorff_modified"] == pytest.approx(np.maximum(forward, backward).mean())
    assert found.scores["hausdorff_modified_forward"] == pytest.approx(forward.mean())
    assert found.scores["hausdorff_plain_backward"] == pytest.approx(np.mean(found.tables["plain"].backward))
    assert found.scores["hausdorff_plain"] >= found.scores["hausdorff_modified"]
    # As many components as 16 images have: nothing is projected away, so images keep their distances.
    assert found.components == 15
    assert found.explained == pytest.approx(1)


def test_with_all_components_distances_are_those_between_pixels(place: Place) -> None:
    spec = place.spec("dark", scored=False)
    found = place.score(spec)
    light, dark = (ArrayStore(place.arrays[name], place.workspace) for name in ("light", "dark"))
    near = [
        hausdorff(*(store.read(np.arange(len(store))).reshape(len(store), -1) for store in pair)).both
        for pair in ((light, dark), (dark, dark))
    ]
    # Bright shapes on dark ground lie far from dark shapes on bright ground: farther than a share of the images.
    assert near[1] < found.scores["hausdorff_modified"]
    assert found.scores["hausdorff_modified"] == pytest.approx(near[0], rel=0.25)


def test_what_has_been_scored_is_read(place: Place) -> None:
    spec = place.spec("light", scored=False)
    first = place.score(spec)
    shutil.rmtree(place.workspace.folder("transfers", transfer_key(spec, place.arrays)))
    with place.workspace.publish("transfers", transfer_key(spec, place.arrays)) as folder:
        (folder / "result.json").write_text(first.model_copy(update={"images": 99}).model_dump_json())
    assert place.score(spec).images == 99


def test_a_pretraining_without_its_head_lacks_the_scores_of_predictions_alone(place: Place) -> None:
    spec = place.spec("dark", scored=True)
    assert spec.pretraining is not None
    pretrain(spec.pretraining, place.arrays, place.workspace)
    folder = place.workspace.folder("pretrained", pretrain_key(spec.pretraining, place.arrays))
    (folder / "head.safetensors").unlink()
    found = score_transfer(spec, place.arrays, place.workspace)
    assert found.scores.keys() == {"log_me", "class_variance"}
    assert "kept no head" in found.left_out["leep"]
    assert "kept no head" in found.left_out["nce"]


def test_a_numeric_target_is_cut_into_bins_and_images_that_both_tasks_share_have_no_distance(own_bench: Bench) -> None:
    needed = PretrainSpec.of(own_bench.study("supervised", 10))
    assert needed is not None
    assert needed.source is not None
    pretrain(needed, own_bench.arrays, own_bench.workspace)
    plain = TransferSpec(
        source=needed.source, target=needed.target, n_train=10, n_reserved=needed.n_reserved, seed=0,
        split=needed.split, compute=needed.compute,
    )  # fmt: skip
    spec = plain.model_copy(update={"pretraining": needed})
    found = score_transfer(spec, own_bench.arrays, own_bench.workspace)
    assert found.scores.keys() == {"leep", "nce", "log_me", "class_variance"}
    apart = score_transfer(plain, own_bench.arrays, own_bench.workspace)
    assert apart.scores == {}
    assert "share images" in apart.left_out["hausdorff_modified"]


def test_a_numeric_source_predicts_no_classes(own_bench: Bench) -> None:
    study = own_bench.study("supervised", 10)
    assert study.source is not None
    turned = study.model_copy(update={"source": study.target, "target": study.source})
    needed = PretrainSpec.of(turned)
    assert needed is not None
    pretrain(needed, own_bench.arrays, own_bench.workspace)
    spec = TransferSpec(
        source=study.target, target=study.source, n_train=10, n_reserved=needed.n_reserved, seed=0, split=needed.split,
        compute=needed.compute, pretraining=needed,
    )  # fmt: skip
    found = score_transfer(spec, own_bench.arrays, own_bench.workspace)
    assert "predicts no probabilities" in found.left_out["leep"]
    assert {"nce", "log_me", "class_variance"} <= found.scores.keys()
