"""What one run gains over another, on made-up studies whose errors are known exactly."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from finished_bench import finished

from ctlr.report.comparison.document import compare
from ctlr.report.comparison.pairing import Held, PairedCell, hold
from ctlr.report.comparison.sides import Side, differences
from ctlr.report.document.making import document
from ctlr.report.findings import findings

METHODS = ("mean", "scratch", "supervised")


def side(name: str, benchmark: Any, people: Mapping[str, str] | None = None, **more: Any) -> Side:
    """A run that is compared, from results that a test made up."""
    found = findings(finished(benchmark, **more))
    return Side(name=name, report=document(found), found=found, people=people or {})


def cell(held: list[Held], method: str, n_train: int = 20) -> PairedCell:
    return next(each for each in held[0].cells if (each.method, each.n_train) == (method, n_train))


def rewritten(benchmark: Any, change: Callable[[dict[str, str]], dict[str, str]]) -> Any:
    """The benchmark with other lines of the test set in its predictions."""
    for result in benchmark.results:
        file = benchmark.root / result.path / "predictions.csv"
        with file.open(newline="") as stream:
            rows = [change(row) if row["split"] == "test" else row for row in csv.DictReader(stream)]
        with file.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return benchmark


def first_only(run: Side, seeds: tuple[int, ...]) -> Any:
    """The results of a run that have these seeds."""
    assert run.found is not None
    kept = [result for result in run.found.results if result.study.seed in seeds]
    return SimpleNamespace(root=run.found.finished.root, results=kept)


@pytest.fixture
def first(new_benchmark: Callable[..., Any]) -> Side:
    return side("first", new_benchmark(methods=METHODS, sizes=(20,)))


@pytest.fixture
def make(age_in: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    return lambda **factors: age_in(tmp_path / "second", **factors)


def test_a_run_that_errs_by_a_year_less_gains_a_year(
    first: Side, make: Callable[..., Any], retrained: Callable[..., Any]
) -> None:
    other = make(methods=("mean", "scratch"), sizes=(20,))
    other.results += retrained(other, {"supervised": -1.0}, 20).results
    held = hold(first, side("second", other))
    row = cell(held, "supervised").row
    assert row is not None
    assert row.gain.mean == pytest.approx(1.0)
    assert (row.gain.n_seeds, row.gain.n_subjects) == (3, 100)
    assert row.gain.low < 1.0 < row.gain.high
    assert cell(held, "supervised").words == "100 test subjects"


def test_the_same_predictions_are_no_comparison_and_count_in_no_correction(
    first: Side, make: Callable[..., Any], retrained: Callable[..., Any]
) -> None:
    other = make(methods=("mean", "scratch"), sizes=(20,))
    other.results += retrained(other, {"supervised": -3.0}, 20).results
    held = hold(first, side("second", other))
    assert cell(held, "scratch").same
    assert cell(held, "scratch").row is None
    assert [row.method for row in held[0].rows] == ["supervised"]
    (row,) = held[0].rows
    assert row.stands
    assert row.p_holm == row.gain.p


def test_who_is_known_by_other_pseudonyms_is_paired_all_the_same(first: Side, make: Callable[..., Any]) -> None:
    other = rewritten(make(methods=METHODS, sizes=(20,)), lambda row: row | {"subject": f"x{row['subject'][::-1]}"})
    subjects = {
        name for done in first.contests.popitem()[1].done for name in done.predictions["test"].subjects.tolist()
    }
    people = {f"x{name[::-1]}": name for name in subjects}
    assert cell(hold(first, side("second", other, people)), "supervised").same
    unknown = cell(hold(first, side("second", other)), "supervised")
    assert unknown.row is None
    assert unknown.words == "other test subjects: 0 of 100 and 100 in common"


def test_of_other_test_sets_those_in_common_are_paired_and_counted(first: Side, make: Callable[..., Any]) -> None:
    seen = list[str]()

    def half(row: dict[str, str]) -> dict[str, str]:
        seen.append(row["subject"]) if row["subject"] not in seen else None
        return row | ({"subject": f"other {row['subject']}"} if seen.index(row["subject"]) < 40 else {})

    other = rewritten(make(methods=METHODS, sizes=(20,)), half)
    paired = cell(hold(first, side("second", other)), "supervised")
    assert paired.same
    assert paired.words == "60 test subjects in common, of 100 and 100"


def test_equal_ids_with_other_true_values_are_other_people(first: Side, make: Callable[..., Any]) -> None:
    other = rewritten(make(methods=METHODS, sizes=(20,)), lambda row: row | {"y_true": str(float(row["y_true"]) + 1)})
    found = cell(hold(first, side("second", other)), "supervised")
    assert found.row is None
    assert found.words == "other true values of the same test subjects"
    assert all(score is not None for score in found.scores)


def test_other_seeds_are_not_paired_and_a_single_one_in_common_has_no_verdict(
    first: Side, make: Callable[..., Any]
) -> None:
    other = make(methods=("scratch", "supervised"), sizes=(20,), seeds=(1,))
    alone = side("alone", first_only(first, seeds=(0,)))
    apart = cell(hold(alone, side("second", other)), "supervised")
    assert apart.words == "no seed in common: 0 and 1"
    assert apart.row is None
    better = rewritten(other, lambda row: row | {"y_pred": str((float(row["y_pred"]) + float(row["y_true"])) / 2)})
    single = cell(hold(first, side("second", better)), "supervised").row
    assert single is not None
    assert single.gain.low > 0
    assert (single.gain.verdict, single.stands) == ("not tested", False)


def test_what_one_run_alone_has_is_named(first: Side, make: Callable[..., Any]) -> None:
    held = hold(first, side("second", make(methods=("mean", "scratch", "simclr"), sizes=(20, 50))))
    assert held[0].only == (
        ("supervised at 20 + 20",),
        ("mean at 50 + 50", "scratch at 50 + 50", "simclr at 20 + 20", "simclr at 50 + 50"),
    )


def test_a_report_without_its_workspace_stands_side_by_side(first: Side) -> None:
    alone = Side(name="mailed", report=first.report)
    found = cell(hold(first, alone), "supervised")
    assert found.row is None
    assert found.words == "of mailed the report alone is there, without predictions"
    assert found.scores[0] == found.scores[1]
    answer = compare([first, alone]).answer
    assert "3 study cells cannot be paired (of mailed the report alone is there, without predictions)" in answer
    assert "no difference is claimed" in answer


def test_the_answer_says_what_came_of_it_and_what_differs(
    first: Side, make: Callable[..., Any], retrained: Callable[..., Any]
) -> None:
    other = make(methods=("mean", "scratch"), sizes=(20,))
    other.results += retrained(other, {"supervised": -3.0}, 20).results
    answer = compare([first, side("second", other, environment={"torch": "9.9"})]).answer.replace("\u00a0", " ")
    assert answer.startswith(
        "‘second’ and ‘first’ have 3 study cells in common. ‘second’ is better in 1 (‘supervised’ at 20 + 20 by 3.0 "
        "years,"
    )
    assert "In 2 every prediction is the same." in answer
    assert answer.endswith("What differs: one version or machine: torch.")


def test_the_same_run_twice_differs_in_nothing(first: Side, make: Callable[..., Any]) -> None:
    found = compare([first, side("second", make(methods=METHODS, sizes=(20,)))])
    assert found.answer == (
        "‘second’ and ‘first’ have 3 study cells in common. Every prediction is the same in both. Nothing differs in "
        "their options, data, versions and precision."
    )


def test_of_three_runs_the_first_is_the_reference(
    first: Side, make: Callable[..., Any], age_in: Callable[..., Any], tmp_path: Path
) -> None:
    second = side("second", make(methods=METHODS, sizes=(20,)))
    third = side("third", age_in(tmp_path / "third", methods=("scratch",), sizes=(20,)))
    found = compare([first, second, third])
    assert list(found.held) == ["second", "third"]
    assert [len(found.held[name][0].cells) for name in found.held] == [3, 1]
    assert all(len(each.values) == 3 for each in (*found.file, *found.data, *found.versions))


def test_a_key_that_one_side_lacks_differs_from_one_that_is_empty() -> None:
    assert [each.key for each in differences([{"a": "1", "b": ""}, {"a": "1"}])] == ["b"]
