from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctlr.errors import DataError
from ctlr.report.numbers.contests import Contest, Done, contests, load
from ctlr.report.numbers.rows import GainRow, Rows, compute
from ctlr.specs import StudyResult

MAE = {
    ("scratch", 20): 11.0, ("scratch", 50): 8.6, ("scratch", 100): 6.8,
    ("supervised", 20): 8.2, ("supervised", 50): 7.3, ("supervised", 100): 6.6,
    ("simclr", 20): 9.8, ("simclr", 50): 8.5, ("simclr", 100): 6.9,
}  # fmt: skip


def computed(benchmark: Any, **options: Any) -> tuple[Contest, Rows]:
    (contest,) = contests(load(benchmark.results, benchmark.root))
    return contest, compute(contest, **{"level": 0.95} | options)


@pytest.fixture(scope="module")
def rows(age: Any) -> Rows:
    return computed(age)[1]


def gain(rows: Rows, method: str, n_train: int) -> GainRow:
    return next(row for row in rows.gains if (row.method, row.n_train) == (method, n_train))


def test_scores_are_the_known_errors_of_every_cell(rows: Rows) -> None:
    found = {(row.method, row.n_train): row.estimate.mean for row in rows.scores if row.method != "mean"}
    assert found == pytest.approx(MAE)


def test_the_mean_predictor_stands_in_every_column(rows: Rows) -> None:
    assert [row.n_train for row in rows.scores if row.method == "mean"] == [20, 50, 100]


def test_intervals_hold_their_mean_and_tell_who_was_resampled(rows: Rows) -> None:
    assert all(row.estimate.low < row.estimate.mean < row.estimate.high for row in rows.scores)
    assert {(row.estimate.n_seeds, row.estimate.n_subjects) for row in rows.scores} == {(3, 100)}


def test_a_gain_is_the_known_difference_and_positive_where_error_falls(rows: Rows) -> None:
    assert gain(rows, "supervised", 20).gain.mean == pytest.approx(11.0 - 8.2)
    assert gain(rows, "simclr", 100).gain.mean == pytest.approx(6.8 - 6.9)


def test_a_gain_is_positive_where_accuracy_rises(digits: Any) -> None:
    found = gain(computed(digits)[1], "supervised", 20)
    assert (found.gain.mean, found.direction) == (pytest.approx(0.80 - 0.60), "gain")


def test_verdicts_follow_the_intervals(new_benchmark: Callable[..., Any]) -> None:
    rows = computed(new_benchmark(methods=("scratch", "supervised", "vat"), sizes=(20, 100)))[1]
    assert gain(rows, "supervised", 20).direction == "gain"
    assert gain(rows, "vat", 20).direction == "negative"
    assert gain(rows, "supervised", 100).direction == "none"


def test_a_verdict_stands_only_if_it_survives_the_number_of_comparisons(rows: Rows) -> None:
    assert all(row.p_holm >= row.gain.p for row in rows.gains)
    assert all(row.stands == (row.direction != "none" and row.p_holm < 0.05) for row in rows.gains)
    assert gain(rows, "supervised", 20).stands


def test_rows_of_a_table_share_what_they_know_of_seeds(rows: Rows) -> None:
    assert all(row.gain.parts.freedom_of_others == 2 for row in rows.gains)
    assert all(row.estimate.parts.freedom_of_others == 2 for row in rows.scores)
    assert all(row.gain.shown == (row.gain.p < 0.05) for row in rows.gains)


def test_a_lower_level_narrows_the_interval(age: Any, rows: Rows) -> None:
    narrow, wide = computed(age, level=0.8)[1].scores[3].estimate, rows.scores[3].estimate
    assert wide.low < narrow.low < narrow.high < wide.high


def test_every_trained_method_is_held_against_the_mean_predictor(rows: Rows) -> None:
    assert {row.method for row in rows.over_mean} == {"scratch", "supervised", "simclr"}


def test_the_split_gap_says_how_much_worse_the_test_set_is(rows: Rows, digits: Any) -> None:
    error = next(row for row in rows.splits if row.method == "scratch")
    assert error.gap == pytest.approx(error.test - error.train)
    assert error.gap > 0
    right = next(row for row in computed(digits)[1].splits if row.method == "scratch")
    assert right.gap == pytest.approx(1.0 - 0.6)


@pytest.mark.parametrize(("n_train", "slope"), [(20, -0.3), (50, -0.25), (100, -0.2)])
def test_the_gap_has_the_known_slope_and_none_after_correction(rows: Rows, n_train: int, slope: float) -> None:
    for row in rows.gaps:
        if row.n_train == n_train:
            assert row.gap.slope == pytest.approx(slope)
            assert row.gap.mean == pytest.approx(0, abs=1e-9)
            assert row.gap.corrected_slope == pytest.approx(0, abs=1e-9)


def test_a_correction_needs_validation_subjects_that_differ(new_benchmark: Callable[..., Any]) -> None:
    benchmark = new_benchmark(methods=("scratch",), sizes=(20,), seeds=(0,))
    keep_rows(benchmark, lambda line: ",validation," not in line)
    (row,) = computed(benchmark)[1].gaps
    assert row.gap.slope == pytest.approx(-0.3)
    assert row.gap.corrected is row.gap.corrected_slope is None


def test_counts_tell_subjects_and_failures(age: Any) -> None:
    failed = [age.results[0].model_copy(update={"status": "failed", "reason": "NaN"}), *age.results[1:]]
    (contest,) = contests(load(failed, age.root))
    first = compute(contest, level=0.95).counts[0]
    assert (first.n_train, first.validation, first.test, first.seeds) == (20, 20, 100, 3)
    assert (first.finished, first.failed) == (11, 1)


def test_f1_of_bins_can_be_the_headline(new_benchmark: Callable[..., Any]) -> None:
    benchmark = new_benchmark(methods=("scratch", "supervised"), sizes=(20,))
    task = benchmark.results[0].study.target.task.model_copy(update={"metric": "f1_bins"})
    benchmark.results = [_with_task(result, task) for result in benchmark.results]
    rows = computed(benchmark)[1]
    assert all(0 < row.estimate.mean < 1 for row in rows.scores)
    assert len(rows.gains) == 1


def _with_task(result: StudyResult, task: Any) -> StudyResult:
    target = result.study.target.model_copy(update={"task": task})
    return result.model_copy(update={"study": result.study.model_copy(update={"target": target})})


def test_studies_tested_on_different_subjects_are_not_compared(new_benchmark: Callable[..., Any]) -> None:
    benchmark = new_benchmark(methods=("scratch", "supervised"), sizes=(20,), seeds=(0,))
    last = _predictions(benchmark).read_text().splitlines()[-1]
    keep_rows(benchmark, lambda line: line != last)
    with pytest.raises(DataError, match="same test subjects"):
        computed(benchmark)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "predictions.csv cannot be read (No such file or directory)"),
        ("subject,split,y_true,y_pred\n", "must hold rows of the split `test`; it has none"),
        ("subject,split,y_true,y_pred\na,test,50,x\n", "is damaged: could not convert string to float: 'x'"),
        ("subject,split,y_true,y_pred\na,test,50,nan\n", "is damaged: a value is not finite"),
        ("subject,split,y_true\na,test,50\n", "is damaged: 'y_pred'"),
    ],
)
def test_a_study_without_usable_predictions_has_failed_and_the_rest_goes_on(
    new_benchmark: Callable[..., Any], text: str | None, reason: str
) -> None:
    benchmark = new_benchmark(methods=("scratch",), sizes=(20, 50), seeds=(0,))
    file = _predictions(benchmark)
    file.unlink() if text is None else file.write_text(text)
    first, second = load(benchmark.results, benchmark.root)
    assert isinstance(second, Done)
    assert isinstance(first, StudyResult)
    assert first.status == "failed"
    assert reason in first.reason
    assert str(benchmark.root) not in first.reason


def test_one_test_subject_gives_a_mean_without_an_interval(new_benchmark: Callable[..., Any]) -> None:
    benchmark = new_benchmark(methods=("scratch",), sizes=(20,), seeds=(0,))
    first = next(line for line in _predictions(benchmark).read_text().splitlines() if ",test," in line)
    keep_rows(benchmark, lambda line: ",test," not in line or line == first)
    (row,) = computed(benchmark)[1].scores
    assert np.isfinite(row.estimate.mean)
    assert np.isnan([row.estimate.low, row.estimate.high]).all()


def _predictions(benchmark: Any) -> Path:
    """Predictions of the first study."""
    return benchmark.root / benchmark.results[0].path / "predictions.csv"


def keep_rows(benchmark: Any, keep: Callable[[str], bool]) -> None:
    """Drop lines of the first study's predictions."""
    file = _predictions(benchmark)
    file.write_text("\n".join(filter(keep, file.read_text().splitlines())) + "\n")


# ---------------------------------------------------------------- baselines


@pytest.fixture(scope="module")
def held(beside: Any) -> Rows:
    return computed(beside)[1]


def test_each_method_is_held_against_the_best_baseline_of_its_size(held: Rows) -> None:
    assert held.references == {20: "nearest", 50: "linear", 100: "linear"}
    best = {20: 9.9, 50: 6.0, 100: 6.7}
    found = {(row.method, row.n_train): row.gain.mean for row in held.over_references}
    assert found == pytest.approx({(method, n): best[n] - mae for (method, n), mae in MAE.items()})


def test_baselines_add_nothing_to_the_comparisons_with_scratch(held: Rows, rows: Rows) -> None:
    assert held.gains == rows.gains
    assert held.over_mean == rows.over_mean


def test_the_comparisons_with_baselines_are_a_family_of_their_own(held: Rows) -> None:
    assert len(held.over_references) == 9
    raw = [row.gain.p for row in held.over_references]
    assert min(row.p_holm for row in held.over_references) == pytest.approx(min(1.0, 9 * min(raw)))


def test_no_gap_is_corrected_by_subjects_that_a_baseline_has_learned(held: Rows) -> None:
    assert {row.method for row in held.gaps} == {"scratch", "supervised", "simclr"}
