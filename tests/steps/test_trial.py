"""Trials: judged on validation subjects, by every scheme and stage."""

import csv
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_bench import Bench

from ctlr.data.splits import draw_split, rows_of
from ctlr.data.store import ArrayStore
from ctlr.data.targets import read_targets
from ctlr.errors import ConfigError, TrainingError
from ctlr.methods.scratch import ScratchSpec
from ctlr.specs import EncoderSpec, PretrainSpec
from ctlr.steps.finetune import finetune
from ctlr.steps.keys import pretrain_key
from ctlr.steps.pretrain import pretrain
from ctlr.steps.trial import _Part, run_trial
from ctlr.training.checkpoint import encoder_record, read_tensors, write_tensors
from ctlr.tuning.options import with_options
from ctlr.tuning.request import TrialJob, TrialResult
from ctlr.workspace import Workspace

Rows = list[dict[str, float]]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums are taken in one order whatever ran before."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tried(bench: Bench, label: str, **fields: object) -> tuple[TrialResult, Rows]:
    rows: Rows = []
    job = TrialJob(study=bench.study(label, 10), **fields)  # type: ignore[arg-type]
    result = run_trial(job, bench.arrays, bench.workspace, report=lambda row: rows.append(dict(row)))
    return result, rows


def test_a_trial_scores_as_the_study_with_its_options_does(own_bench: Bench) -> None:
    options = {"lr": "5e-3", "dropout": "0.2"}
    result, rows = tried(own_bench, "supervised", assignments=options)
    study = with_options(own_bench.study("supervised", 10), options)
    expected = finetune(study, own_bench.arrays, own_bench.workspace)
    assert result.value == expected.scores["mae"]
    assert result.best_epoch == expected.best_epoch
    assert rows[-1]["val_mae"] == result.value == min(row["val_mae"] for row in rows if "epoch" in row)


def test_every_epoch_is_reported_and_the_kept_weights_last(own_bench: Bench) -> None:
    _, rows = tried(own_bench, "scratch", assignments={"epochs": "4"})
    assert [row.get("epoch") for row in rows] == [1, 2, 3, 4, None]
    assert all({"train_loss", "val_mae", "val_loss"} <= set(row) for row in rows[:-1])
    assert rows[int(rows[-1]["best_epoch"]) - 1]["val_mae"] == rows[-1]["val_mae"]


def test_a_trial_leaves_nothing_but_the_shared_pretraining(own_bench: Bench) -> None:
    before = {path.name for path in own_bench.workspace.root.iterdir()}
    tried(own_bench, "scratch")
    assert {path.name for path in own_bench.workspace.root.iterdir()} == before
    tried(own_bench, "supervised")
    spec = PretrainSpec.of(own_bench.study("supervised"))
    assert spec is not None
    assert own_bench.workspace.has("pretrained", pretrain_key(spec, own_bench.arrays))
    assert not (own_bench.workspace.root / "finetuned").exists()


def test_the_test_set_changes_no_trial(own_bench: Bench) -> None:
    study = own_bench.study("vat", 10)
    table = ArrayStore(own_bench.arrays["cohort"], own_bench.workspace).table
    targets = read_targets(table, study.target.task, "cohort")
    split = draw_split(table, targets, study.split, n_train=10, n_reserved=study.n_reserved, seed=0)
    other = Workspace(own_bench.workspace.root.parent / "poisoned")
    stored = own_bench.arrays["cohort"]
    shutil.copytree(own_bench.workspace.root / stored.path, other.root / stored.path)
    images = np.load(other.root / stored.path / "images.npy", mmap_mode="r+")
    images[rows_of(table, split.test)] = 9
    images.flush()
    poisoned = Bench(own_bench.file, own_bench.config, own_bench.plan, other, own_bench.arrays)
    for fields in ({}, {"validation": "kfold:2"}):
        clean, _ = tried(own_bench, "vat", assignments={"epochs": "1"}, **fields)
        assert tried(poisoned, "vat", assignments={"epochs": "1"}, **fields)[0].value == clean.value


# ---------------------------------------------------------------- schemes and stages


@pytest.mark.parametrize(("scheme", "word"), [("kfold:3", "fold"), ("repeats:3", "repeat")])
def test_the_objective_of_several_trainings_is_their_running_mean(scheme: str, word: str, own_bench: Bench) -> None:
    result, rows = tried(own_bench, "scratch", validation=scheme)
    single: list[float] = []
    for number in (1, 2, 3):
        own = [row for row in rows if row.get(word) == number]
        assert [row["epoch"] for row in own] == [1, 2, 3]
        assert not any("val_mae" in row or "train_loss" in row for row in own)
        single.append(min(row[f"{word}_val_mae"] for row in own))
    means = [row["val_mae"] for row in rows if "val_mae" in row]
    assert means == pytest.approx([np.mean(single[:n]) for n in (1, 2, 3)])
    assert result.value == means[-1]
    assert result.epochs == 9


def test_the_first_repeat_is_the_holdout(own_bench: Bench) -> None:
    alone, _ = tried(own_bench, "scratch")
    _, rows = tried(own_bench, "scratch", validation="repeats:2")
    assert rows[3]["val_mae"] == alone.value


def test_pretraining_alone_is_judged_by_the_source(own_bench: Bench) -> None:
    options = {"pretrain.lr": "2e-3"}
    result, rows = tried(own_bench, "supervised", stage="pretrain", assignments=options)
    assert result.metric == "val_balanced_accuracy"
    assert [row.get("epoch") for row in rows] == [1, 2, None]
    spec = PretrainSpec.of(with_options(own_bench.study("supervised", 10), options))
    assert spec is not None
    assert result.value == pretrain(spec, own_bench.arrays, own_bench.workspace).scores["balanced_accuracy"]
    again, repeated = tried(own_bench, "supervised", stage="pretrain", assignments=options)
    assert again == result
    assert repeated[0]["train_loss"] == pytest.approx(rows[0]["train_loss"], rel=1e-5)


def test_pretraining_without_labels_is_judged_by_its_last_loss(own_bench: Bench) -> None:
    result, rows = tried(own_bench, "simclr", stage="pretrain", assignments={"pretrain.epochs": "3"})
    assert result.metric == "train_loss"
    assert result.value == pytest.approx(rows[2]["train_loss"], rel=1e-5)


def test_a_joint_trial_pretrains_with_its_options(own_bench: Bench) -> None:
    result, rows = tried(own_bench, "simclr", stage="joint", assignments={"pretrain.epochs": "1", "lr": "2e-3"})
    assert [row["pretrain_epoch"] for row in rows if "pretrain_epoch" in row] == [1]
    assert rows[-1]["val_mae"] == result.value
    assert set(result.seconds) == {"finetune", "pretrain"}


# ---------------------------------------------------------------- failures


def test_a_loss_that_is_no_number_fails_the_trial(own_bench: Bench) -> None:
    with pytest.raises(TrainingError, match="loss became"):
        tried(own_bench, "scratch", assignments={"lr": "1e20", "clip": "null"})


def test_constant_predictions_fail_the_trial(own_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # A network whose head cannot move from nought: what dead units and vanished gradients come to.
    import torch

    from ctlr.steps import finetune as step

    def dead(*args: object, **kwargs: object) -> torch.nn.Module:
        head = build(*args, **kwargs)
        for parameter in head.parameters():
            parameter.data.zero_()
        return head

    build = step.build_head
    monkeypatch.setattr(step, "build_head", dead)
    with pytest.raises(TrainingError, match="the predictions are constant; raise `epochs`"):
        tried(own_bench, "scratch", assignments={"lr": "1e-30", "epochs": "1"})


def test_an_option_that_the_stage_cannot_tune_is_refused_before_anything_is_trained(own_bench: Bench) -> None:
    with pytest.raises(ConfigError, match="Use `--stage joint`"):
        tried(own_bench, "supervised", assignments={"pretrain.lr": "1"})
    assert not (own_bench.workspace.root / "pretrained").exists()


# ---------------------------------------------------------------- what may be kept


def test_a_trial_goes_on_from_the_weights_in_its_checkpoint_folder(own_bench: Bench, tmp_path: Path) -> None:
    # Group norm has no statistics that would move while the weights do not.
    study = with_options(own_bench.study("scratch", 10), {"encoder.norm": "group"})

    def tried(folder: str, **options: str) -> float:
        job = TrialJob(study=study, assignments=options, checkpoint=str(tmp_path / folder))
        return run_trial(job, own_bench.arrays, own_bench.workspace, report=lambda row: None).value

    first = tried("a", lr="1e-2")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["weights.safetensors"]
    assert tried("a", lr="1e-30", epochs="1") == pytest.approx(first, rel=1e-6)
    assert tried("b", lr="1e-30", epochs="1") != pytest.approx(first, rel=1e-3)


@pytest.mark.parametrize("scheme", ["holdout", "kfold:2"])
def test_predictions_on_validation_are_kept_where_wanted(scheme: str, own_bench: Bench, tmp_path: Path) -> None:
    result, _ = tried(own_bench, "scratch", validation=scheme, folder=str(tmp_path / "kept"))
    with (tmp_path / "kept" / "validation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == (10 if scheme == "holdout" else 20)
    assert len({row["subject"] for row in rows}) == len(rows)
    mae = float(np.mean([abs(float(row["y_true"]) - float(row["y_pred"])) for row in rows]))
    assert mae == pytest.approx(result.value, rel=1e-4)


# ---------------------------------------------------------------- two at once


def test_two_that_want_one_pretraining_make_it_once(own_bench: Bench) -> None:
    spec = PretrainSpec.of(own_bench.study("supervised"))
    assert spec is not None
    epochs: list[int] = []
    together = threading.Barrier(2)

    def make() -> str:
        together.wait()
        made = pretrain(spec, own_bench.arrays, own_bench.workspace, progress=lambda epoch, *_: epochs.append(epoch))
        return made.sha256

    # A lock belongs to an opened file: threads keep each other out as processes do.
    with ThreadPoolExecutor(2) as pool:
        first, second = (made.result() for made in [pool.submit(make), pool.submit(make)])
    assert first == second
    assert epochs == [1, 2]


def test_the_weights_of_another_encoder_are_refused_by_both_names(own_bench: Bench, tmp_path: Path) -> None:
    write_tensors(tmp_path / "weights.safetensors", {}, encoder_record(EncoderSpec(name="sfcn", width=0.5)))
    with pytest.raises(ConfigError) as told:
        tried(own_bench, "scratch", checkpoint=str(tmp_path))
    assert "weights of sfcn (norm batch, width 0.5), and the study's encoder is small_cnn (norm " in str(told.value)


def test_a_continued_trial_is_pulled_to_the_pretrained_weights_not_to_those_it_goes_on_from(
    own_bench: Bench, tmp_path: Path
) -> None:
    def drifted(pull: str, folder: Path) -> float:
        """How far the encoder is from its pretraining after two trials, the first of which knew no pull."""
        options = {"lr": "0.01", "n_frozen": "0", "optimiser": "sgd", "weight_decay": "0", "clip": "null"}
        tried(own_bench, "supervised", assignments=options, checkpoint=str(folder))
        tried(own_bench, "supervised", assignments=options | {"l2_sp": pull}, checkpoint=str(folder))
        spec = PretrainSpec.of(own_bench.study("supervised", 10))
        assert spec is not None
        start, _ = read_tensors(
            own_bench.workspace.folder("pretrained", pretrain_key(spec, own_bench.arrays)) / "encoder.safetensors"
        )
        end, _ = read_tensors(folder / "weights.safetensors")
        names = [name for name, tensor in start.items() if tensor.ndim > 1]
        return sum(float((end[f"encoder.{name}"] - start[name]).square().sum()) for name in names)

    assert drifted("40", tmp_path / "held") < 0.5 * drifted("0", tmp_path / "free")


def part(truth: list[int], said: list[int]) -> Any:
    """A trained trial of two classes that said these on its validation images."""
    targets = SimpleNamespace(values=np.array(truth), classes=("healthy", "ill"))
    development = SimpleNamespace(targets=targets, validation=np.arange(len(truth)))
    own = np.random.default_rng(0).uniform(0.6, 0.9, len(said))  # no constant probabilities
    predictions = np.where(np.array(said)[:, None] == [0, 1], own[:, None], 1 - own[:, None])
    study = SimpleNamespace(method=ScratchSpec())
    return _Part(study, development, predictions, {"val_accuracy": 0.9}, 1.0)  # type: ignore[arg-type]


def test_one_class_for_everyone_fails_a_trial_however_frequent_that_class_is() -> None:
    with pytest.raises(TrainingError, match="one class, healthy, for all 200 of the validation set, of which 20 show"):
        part([0] * 180 + [1] * 20, [0] * 200).check("val_accuracy")
    part([0] * 180 + [1] * 20, [0] * 199 + [1]).check("val_accuracy")


def test_a_few_subjects_may_well_be_given_one_class() -> None:
    part([0] * 181 + [1] * 19, [0] * 200).check("val_accuracy")
