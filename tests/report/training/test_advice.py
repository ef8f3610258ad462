"""What the report says of training: who saw other views, who predicts the mean, whose last epoch was the best."""

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finished_bench import finished

from ctlr.report.answer.section import answer_of
from ctlr.report.compared.tables import methods_table
from ctlr.report.findings import findings
from ctlr.report.numbers.contests import Contest, contests, load
from ctlr.report.numbers.rows import compute
from ctlr.report.training.advice import training_notes, training_rows, training_table
from ctlr.report.training.section import training
from ctlr.specs import FinetuneSpec, StudyResult, ViewsSpec

MIRROR = ViewsSpec(rotate=0, translate=0, scale=0, warp=0, flip=0.5)


def contest_of(benchmark: Any) -> Contest:
    (found,) = contests(load(benchmark.results, benchmark.root))
    return found


def notes_of(benchmark: Any) -> list[str]:
    contest = contest_of(benchmark)
    gaps = compute(contest, level=0.95).gaps
    return training_notes(contest, training_rows(contest, gaps))


def changed(benchmark: Any, method: str, **values: object) -> Any:
    """The same results with other values in those of a method."""
    results = [r.model_copy(update=values) if r.study.method.label == method else r for r in benchmark.results]
    return dataclasses.replace(benchmark, results=results)


def with_finetune(benchmark: Any, method: str, spec: FinetuneSpec) -> Any:
    def one(result: StudyResult) -> StudyResult:
        study = result.study
        if study.method.label != method:
            return result
        other = study.method.model_copy(update={"finetune": spec})
        return result.model_copy(update={"study": study.model_copy(update={"method": other})})

    return dataclasses.replace(benchmark, results=[one(result) for result in benchmark.results])


def test_a_report_of_methods_trained_alike_and_long_enough_says_nothing(age: Any) -> None:
    assert notes_of(age) == []


def test_methods_that_see_other_views_than_the_others_are_unfair_unless_meant(age: Any) -> None:
    (note,) = notes_of(with_finetune(age, "simclr", FinetuneSpec(views=MIRROR)))
    assert note.startswith("Unfair unless meant: methods do not see the same views while finetuning (")
    assert "none: ‘scratch’, ‘supervised’; flip 0.5: ‘simclr’" in note
    assert "`training.finetune.views`" in note


def test_methods_that_were_refitted_beside_others_that_were_not_are_unfair_unless_meant(age: Any) -> None:
    (note,) = notes_of(with_finetune(age, "scratch", FinetuneSpec(refit=True)))
    assert "yes: ‘scratch’; no: ‘supervised’, ‘simclr’" in note


def test_a_best_epoch_at_the_very_end_names_the_option_and_the_sizes(age: Any) -> None:
    trained = with_finetune(age, "simclr", FinetuneSpec(epochs=25))
    (note,) = notes_of(changed(trained, "simclr", best_epoch=25))
    assert note == (
        "‘simclr’ was best in its last epoch at n = 20 + 20, 50 + 50, 100 + 100: raise "
        "`methods.simclr.finetune.epochs`, or `methods.simclr.finetune.lr`."
    )


def test_many_methods_that_end_at_their_best_share_a_sentence(age: Any) -> None:
    late = age
    for method in ("scratch", "supervised", "simclr"):
        late = changed(with_finetune(late, method, FinetuneSpec(epochs=25)), method, best_epoch=25)
    (note,) = notes_of(late)
    assert note == (
        "3 methods were best in their last epoch (n = 20 + 20, 50 + 50, 100 + 100: ‘scratch’, ‘supervised’, ‘simclr’): "
        "raise `training.finetune.epochs`, or `training.finetune.lr`."
    )


def test_one_seed_of_three_at_the_end_is_no_sign_and_early_stopping_is_none_either(age: Any) -> None:
    trained = with_finetune(age, "simclr", FinetuneSpec(epochs=25))
    first = [r.model_copy(update={"best_epoch": 25}) if r.study.seed == 0 else r for r in trained.results]
    assert notes_of(dataclasses.replace(trained, results=first)) == []
    stopped = with_finetune(age, "simclr", FinetuneSpec(epochs=60, patience=5))
    assert notes_of(changed(stopped, "simclr", best_epoch=25)) == []


def test_a_gap_of_slope_minus_one_predicts_nearly_the_mean(scratch_alone: Callable[[float, float], Any]) -> None:
    benchmark = scratch_alone(0.01, 18.0)
    (note,) = notes_of(benchmark)
    assert note == (
        "‘scratch’ predicts nearly the mean (slope of the gap −0.99) at n = 20 + 20: raise "
        "`methods.scratch.finetune.epochs`, or `methods.scratch.finetune.lr`."
    )
    (row,) = training_table(contest_of(benchmark), training_rows(contest_of(benchmark), [])).records
    assert row["slope"] is None
    assert row["labelled"] == "20 + 20"


def test_a_slope_of_minus_a_half_is_what_little_data_does(scratch_alone: Callable[[float, float], Any]) -> None:
    assert notes_of(scratch_alone(0.5, 12.0)) == []


def test_predictions_without_spread_are_the_same_for_everybody(scratch_alone: Callable[[float, float], Any]) -> None:
    benchmark = scratch_alone(0.5, 12.0)
    for result in benchmark.results:
        flatten(benchmark.root / result.path / "predictions.csv")
    (note,) = notes_of(benchmark)
    assert note.startswith("‘scratch’ predicts nearly the same for everybody at n = 20 + 20: raise `methods.scratch")


def flatten(file: Path) -> None:
    """Draw all predictions towards 50, until a hundredth of their spread is left."""
    rows = list(csv.DictReader(file.read_text().splitlines()))
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"y_pred": str(50 + (float(row["y_pred"]) - 50) / 100)} for row in rows)


def test_the_methods_table_says_views_and_refit_of_each(age: Any) -> None:
    results = with_finetune(age, "simclr", FinetuneSpec(views=MIRROR, refit=True)).results
    table = methods_table(results, ["mean", "scratch", "simclr"])
    assert [record["views"] for record in table.records] == [
        "–", "finetuning: none", f"pretraining: {ViewsSpec().words}; finetuning: flip 0.5",
    ]  # fmt: skip
    assert [record["refit"] for record in table.records] == ["no", "no", "yes"]
    assert ViewsSpec().words == "rotate 8, translate 0.04, scale 0.06, warp 0.01"


def test_notes_stand_under_the_answer_and_the_table_beside_the_splits(age: Any) -> None:
    found = findings(finished(with_finetune(age, "simclr", FinetuneSpec(views=MIRROR))))
    (seen,) = found.views
    assert any(note.startswith("Unfair unless meant") for note in answer_of(seen).notes)
    splits, epochs = training(found, seen).tables
    assert splits.columns[2:] == ("Train", "Validation", "Test", "Gap")
    assert len(epochs.rows) == 9


def test_a_refitted_model_has_no_validation_score_of_its_own(age: Any) -> None:
    def refitted(result: StudyResult) -> StudyResult:
        if result.study.method.label != "simclr":
            return result
        scores = {"train": result.scores["train"], "test": result.scores["test"], "before_refit": {"mae": 9.0}}
        return result.model_copy(update={"scores": scores})

    benchmark = dataclasses.replace(age, results=[refitted(result) for result in age.results])
    rows = compute(contest_of(benchmark), level=0.95).splits
    assert {(row.refit, row.validation) for row in rows if row.method == "simclr"} == {(True, 9.0)}
    assert not any(row.refit for row in rows if row.method != "simclr")
