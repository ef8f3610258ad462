"""Refit: once an epoch is chosen, the same training again on training and validation subjects together."""

import csv
from collections.abc import Mapping

import pytest
import torch
from tiny_bench import Bench

from ctlr.specs import FinetuneSpec, Study, StudyResult
from ctlr.steps.evaluate import evaluate
from ctlr.steps.finetune import finetune, target_training
from ctlr.steps.keys import study_key
from ctlr.training.checkpoint import load_model
from ctlr.workspace import Workspace


class Killed(Exception):
    """Stands for a kill between two epochs."""


def study_with(bench: Bench, **options: object) -> Study:
    study = bench.study("scratch")
    # In bf16 a score depends on how many images are looked at together, on some processors more than on others.
    study = study.model_copy(update={"compute": study.compute.model_copy(update={"precision": "float32"})})
    plain = {"epochs": 3, "batch_size": 8}
    spec = FinetuneSpec.model_validate(plain | options)
    return study.model_copy(update={"method": study.method.model_copy(update={"finetune": spec})})


def done(study: Study, bench: Bench) -> StudyResult:
    finetune(study, bench.arrays, bench.workspace)
    return evaluate(study, bench.arrays, bench.workspace)


def splits_in(result: StudyResult, bench: Bench) -> dict[str, int]:
    with (bench.workspace.root / result.path / "predictions.csv").open() as file:
        sides = [row["split"] for row in csv.DictReader(file)]
    return {side: sides.count(side) for side in sides}


def test_a_refitted_model_counts_validation_subjects_as_trained_on(own_bench: Bench) -> None:
    result = done(study_with(own_bench, refit=True), own_bench)
    assert splits_in(result, own_bench) == {"train": 12, "test": 12}
    assert set(result.scores) == {"train", "test", "before_refit"}
    assert result.record()["before_refit_mae"] == result.scores["before_refit"]["mae"]
    assert "validation_mae" not in result.record()
    assert (result.record()["n_train"], result.record()["n_validation"], result.labelled) == (6, 6, "6 + 6")


def test_the_epoch_is_chosen_as_without_a_refit_and_the_weights_are_others(own_bench: Bench) -> None:
    plain = done(study_with(own_bench), own_bench)
    again = done(study_with(own_bench, refit=True), own_bench)
    assert again.best_epoch == plain.best_epoch
    assert again.scores["before_refit"] == pytest.approx(plain.scores["validation"], rel=1e-5)
    first, second = (load_model(own_bench.workspace.root / result.path) for result in (plain, again))
    assert not torch.equal(next(first.encoder.parameters()), next(second.encoder.parameters()))


def test_a_refit_sees_both_sides_for_the_chosen_number_of_epochs(
    own_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ctlr.steps.finetune as step

    rows: list[int] = []

    def noting(study: Study, development: object, *args: object, **options: object) -> object:
        rows.append(len(development.train))  # type: ignore[attr-defined]
        return target_training(study, development, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(step, "target_training", noting)
    seen: list[tuple[int, int]] = []
    study = study_with(own_bench, refit=True)
    checkpoint = finetune(
        study, own_bench.arrays, own_bench.workspace, progress=lambda epoch, epochs, row: seen.append((epoch, epochs))
    )
    assert rows == [6, 12]
    assert seen == [(e, 3) for e in (1, 2, 3)] + [
        (e, checkpoint.best_epoch) for e in range(1, checkpoint.best_epoch + 1)
    ]
    assert checkpoint.refit
    assert checkpoint.samples == 3 * 6 + checkpoint.best_epoch * 12
    folder = own_bench.workspace.folder("finetuned", study_key(study, own_bench.arrays))
    assert sorted(path.name for path in folder.iterdir()) == [
        ".files.json", "history.csv", "model.json", "model.safetensors", "result.json", "trained.json",
    ]  # fmt: skip


@pytest.mark.parametrize("killed_at", [2, 4])
def test_a_refit_killed_in_either_training_ends_with_the_same_numbers(own_bench: Bench, killed_at: int) -> None:
    study = study_with(own_bench, refit=True, keep="last")
    expected = done(study, own_bench)
    other = Bench(
        own_bench.file, own_bench.config, own_bench.plan, Workspace(own_bench.workspace.root.parent / "other"),
        own_bench.arrays,
    )  # fmt: skip
    (other.workspace.root / "arrays").symlink_to(own_bench.workspace.root / "arrays")
    epochs = 0

    def kill(epoch: int, of: int, row: Mapping[str, float]) -> None:
        nonlocal epochs
        epochs += 1
        if epochs == killed_at:
            raise Killed

    with pytest.raises(Killed):
        finetune(study, other.arrays, other.workspace, progress=kill)
    assert done(study, other).scores == expected.scores


def test_trials_of_a_search_do_not_refit(own_bench: Bench) -> None:
    from ctlr.steps.trial import run_trial
    from ctlr.tuning.options import known_options
    from ctlr.tuning.request import TrialJob

    study = study_with(own_bench, refit=True)
    assert not [name for name in known_options(study) if name.endswith("refit")]
    epochs: list[float] = []
    job = TrialJob(study=study, assignments={"lr": "1e-3"})
    run_trial(job, own_bench.arrays, own_bench.workspace, report=lambda row: epochs.append(row.get("epoch", 0)))
    assert [epoch for epoch in epochs if epoch] == [1, 2, 3]
