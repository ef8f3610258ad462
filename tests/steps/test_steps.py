import csv
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from tiny_bench import Bench

from ctlr.data.development import open_development
from ctlr.data.splits import draw_split, rows_of
from ctlr.data.store import ArrayStore
from ctlr.data.targets import read_targets
from ctlr.errors import LeakageError, TrainingError
from ctlr.specs import PretrainSpec, Study, StudyResult
from ctlr.steps.assembly import development_of
from ctlr.steps.evaluate import evaluate
from ctlr.steps.finetune import finetune
from ctlr.steps.keys import pretrain_key, study_key
from ctlr.steps.pretrain import pretrain
from ctlr.training.checkpoint import load_model
from ctlr.workspace import Workspace


class Killed(Exception):
    """Stands for a kill between two epochs."""


def whole(study: Study, bench: Bench) -> StudyResult:
    """All steps of a study."""
    spec = PretrainSpec.of(study)
    if spec is not None:
        pretrain(spec, bench.arrays, bench.workspace)
    finetune(study, bench.arrays, bench.workspace)
    return evaluate(study, bench.arrays, bench.workspace)


def test_rows(study: Study, bench: Bench) -> np.ndarray:
    table = ArrayStore(bench.arrays["cohort"], bench.workspace).table
    targets = read_targets(table, study.target.task, "cohort")
    split = draw_split(table, targets, study.split, n_train=6, n_reserved=study.n_reserved, seed=0)
    return rows_of(table, split.test)


test_rows.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize("label", ["scratch", "supervised", "simclr", "vat"])
def test_every_method_runs_from_images_to_scores(label: str, own_bench: Bench) -> None:
    result = whole(own_bench.study(label), own_bench)
    assert result.status == "ok"
    assert set(result.scores) == {"train", "validation", "test"}
    assert set(result.scores["test"]) >= {"mae", "rmse", "r2"}
    assert 0 < result.scores["test"]["mae"] < 60
    assert bool(result.pretraining) == (label in ("supervised", "simclr"))
    assert result.parameters > 0
    assert 0 < 12 * result.seconds_per_image < result.seconds["evaluate"]
    folder = own_bench.workspace.root / result.path
    assert {path.name for path in folder.iterdir()} == {
        "result.json", "predictions.csv", "history.csv", "model.safetensors", "model.json", "monitoring.json",
        ".files.json",
    }  # fmt: skip


def test_scores_are_those_of_the_predictions_in_the_file(own_bench: Bench) -> None:
    result = whole(own_bench.study("scratch"), own_bench)
    with (own_bench.workspace.root / result.path / "predictions.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    assert len(rows) == 12
    errors = [abs(float(row["y_true"]) - float(row["y_pred"])) for row in rows]
    assert result.scores["test"]["mae"] == pytest.approx(np.mean(errors), rel=1e-4)


def test_predictions_name_no_subject(own_bench: Bench) -> None:
    result = whole(own_bench.study("scratch"), own_bench)
    text = (own_bench.workspace.root / result.path / "predictions.csv").read_text()
    assert "sub-" not in text
    store = ArrayStore(own_bench.arrays["cohort"], own_bench.workspace)
    assert not any(f"{record.subject}," in text for record in store.table)


def test_the_mean_predictor_says_the_training_mean(own_bench: Bench) -> None:
    result = evaluate(own_bench.study("mean"), own_bench.arrays, own_bench.workspace)
    with (own_bench.workspace.root / result.path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    mean = np.mean([float(row["y_true"]) for row in rows if row["split"] == "train"])
    assert {round(float(row["y_pred"]), 3) for row in rows} == {round(float(mean), 3)}
    assert result.scores["test"].keys().isdisjoint({"r"})


def test_what_is_in_the_test_set_changes_no_weight(own_bench: Bench) -> None:
    study = own_bench.study("vat")
    before = finetune(study, own_bench.arrays, own_bench.workspace).sha256
    poisoned = poison(own_bench, test_rows(study, own_bench))
    assert finetune(study, poisoned.arrays, poisoned.workspace).sha256 == before
    spec = PretrainSpec.of(own_bench.study("simclr"))
    assert spec is not None
    clean = pretrain(spec, own_bench.arrays, own_bench.workspace).sha256
    assert pretrain(spec, poisoned.arrays, poisoned.workspace).sha256 == clean


def poison(bench: Bench, rows: np.ndarray) -> Bench:
    """The same data with other images in the given rows."""
    workspace = Workspace(bench.workspace.root.parent / "poisoned")
    stored = bench.arrays["cohort"]
    shutil.copytree(bench.workspace.root / stored.path, workspace.root / stored.path)
    images = np.load(workspace.root / stored.path / "images.npy", mmap_mode="r+")
    assert np.abs(images[rows]).max() > 0
    images[rows] = 9
    images.flush()
    return Bench(bench.file, bench.config, bench.plan, workspace, bench.arrays)


def test_test_images_and_ages_are_out_of_reach_before_evaluation(bench: Bench) -> None:
    study = bench.study("scratch")
    development = development_of(study, bench.arrays, bench.workspace)
    rows = test_rows(study, bench)
    assert np.isnan(development.targets.values[rows]).all()
    with pytest.raises(LeakageError, match="only `evaluate` may read it"):
        development.store.read(rows[:1])
    for side in (development.train, development.validation, development.pool):
        assert not set(side) & set(rows)


def test_the_pool_is_the_same_for_every_size_and_leaves_validation_out(bench: Bench) -> None:
    pools = []
    for n_train in (6, 10):
        study = bench.study("scratch", n_train)
        development = open_development(
            study.target, bench.arrays["cohort"], bench.workspace, split=study.split, n_train=n_train,
            n_reserved=study.n_reserved, seed=0,
        )  # fmt: skip
        pools.append(set(development.pool))
        assert set(development.train) <= pools[-1]
        assert not set(development.validation) & pools[-1]
    assert pools[0] == pools[1]
    assert len(pools[0]) == 48 - 12 - 10


@pytest.mark.parametrize("label", ["scratch", "supervised", "vat"])
def test_a_study_killed_after_an_epoch_ends_with_the_same_numbers(label: str, own_bench: Bench, tmp_path: Path) -> None:
    study = own_bench.study(label)
    expected = whole(study, own_bench)
    other = Bench(own_bench.file, own_bench.config, own_bench.plan, Workspace(tmp_path / "other"), own_bench.arrays)
    (other.workspace.root / "arrays").symlink_to(own_bench.workspace.root / "arrays")

    def kill(epoch: int, epochs: int, row: Mapping[str, float]) -> None:
        if epoch == 1:
            raise Killed

    spec = PretrainSpec.of(study)
    if spec is not None:
        with pytest.raises(Killed):
            pretrain(spec, other.arrays, other.workspace, progress=kill)
        pretrain(spec, other.arrays, other.workspace)
    with pytest.raises(Killed):
        finetune(study, other.arrays, other.workspace, progress=kill)
    resumed = whole(study, other)
    assert resumed.scores == expected.scores


def test_a_finished_step_is_not_done_again(own_bench: Bench) -> None:
    study = own_bench.study("supervised")
    result = whole(study, own_bench)

    def never(epoch: int, epochs: int, row: Mapping[str, float]) -> None:
        raise AssertionError("trained again")

    spec = PretrainSpec.of(study)
    assert spec is not None
    pretrain(spec, own_bench.arrays, own_bench.workspace, progress=never)
    finetune(study, own_bench.arrays, own_bench.workspace, progress=never)
    assert evaluate(study, own_bench.arrays, own_bench.workspace) == result


def test_all_sizes_share_one_pretraining_and_seeds_do_not(bench: Bench) -> None:
    keys = {pretrain_key(PretrainSpec.of(bench.study("simclr", n)), bench.arrays) for n in (6, 10)}  # type: ignore[arg-type]
    assert len(keys) == 1
    other = bench.study("simclr").model_copy(update={"seed": 1})
    assert pretrain_key(PretrainSpec.of(other), bench.arrays) not in keys  # type: ignore[arg-type]


def test_a_result_belongs_to_content_not_to_names_and_places(bench: Bench) -> None:
    study = bench.study("scratch")
    renamed = study.model_copy(update={"method": study.method.model_copy(update={"label": "baseline"})})
    assert study_key(renamed, bench.arrays) == study_key(study, bench.arrays)
    changed = {"cohort": bench.arrays["cohort"].model_copy(update={"fingerprint": "other"})}
    assert study_key(study, changed) != study_key(study, bench.arrays)


def test_frozen_features_computed_once_give_the_weights_of_the_slow_way(
    own_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = own_bench.study("supervised")
    study = study.model_copy(update={"compute": study.compute.model_copy(update={"precision": "float32"})})
    fast = whole(study, own_bench)
    model = load_model(own_bench.workspace.root / fast.path)
    shutil.rmtree(own_bench.workspace.root / "finetuned")
    shutil.rmtree(own_bench.workspace.root / "studies")
    # A view that changes nothing is random all the same as far as the features go: they are computed every time.
    from ctlr.specs import ViewsSpec

    still = ViewsSpec(rotate=0, translate=0, scale=0, warp=0)
    spec = study.method.finetune.model_copy(update={"views": still})
    slow_study = study.model_copy(update={"method": study.method.model_copy(update={"finetune": spec})})
    slow = whole(slow_study, own_bench)
    other = load_model(own_bench.workspace.root / slow.path)
    for name, tensor in model.head.state_dict().items():
        assert other.head.state_dict()[name].numpy() == pytest.approx(tensor.numpy(), abs=1e-5)
    assert slow.scores["test"]["mae"] == pytest.approx(fast.scores["test"]["mae"], abs=1e-3)


def test_frozen_blocks_keep_their_pretrained_weights_and_statistics(own_bench: Bench) -> None:
    study = own_bench.study("supervised")
    result = whole(study, own_bench)
    tuned = load_model(own_bench.workspace.root / result.path).encoder
    spec = PretrainSpec.of(study)
    assert spec is not None
    from ctlr.training.checkpoint import read_tensors

    folder = own_bench.workspace.folder("pretrained", pretrain_key(spec, own_bench.arrays))
    before, _ = read_tensors(folder / "encoder.safetensors")
    same = {name: bool((before[name] == tensor).all()) for name, tensor in tuned.state_dict().items()}
    assert all(kept for name, kept in same.items() if name.startswith("blocks.0."))
    assert not all(kept for name, kept in same.items() if name.startswith("blocks.1."))


def test_a_predictor_that_came_out_constant_is_a_failure(own_bench: Bench) -> None:
    study = own_bench.study("scratch")
    dead = study.method.finetune.model_copy(update={"lr": 1e-30, "epochs": 1, "strategy": "linear_probe"})
    study = study.model_copy(update={"method": study.method.model_copy(update={"finetune": dead})})
    finetune(study, own_bench.arrays, own_bench.workspace)
    model = own_bench.workspace.folder("finetuned", study_key(study, own_bench.arrays))
    from ctlr.training.checkpoint import read_tensors, write_tensors

    tensors, _ = read_tensors(model / "model.safetensors")
    write_tensors(model / "model.safetensors", {k: t * 0 if "head" in k else t for k, t in tensors.items()}, {})
    with pytest.raises(TrainingError, match="predictions are constant; raise `epochs`"):
        evaluate(study, own_bench.arrays, own_bench.workspace)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums are taken in one order whatever ran before."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_a_record_says_nothing_of_where_the_data_lie() -> None:
    from ctlr.methods.scratch import ScratchSpec
    from ctlr.specs import BidsSpec, DataTask, EncoderSpec, TaskSpec

    end = DataTask(
        data=BidsSpec(name="mri", root="/home/jane/scans"), task=TaskSpec(name="age", target="age", kind="regression")
    )
    study = Study(
        target=end, source=end, method=ScratchSpec(label="scratch"), encoder=EncoderSpec(name="small_cnn"), n_train=5,
        n_reserved=5, seed=0,
    )  # fmt: skip
    assert "jane" not in study.without_folders().model_dump_json()
    assert study.without_folders().id == study.id
