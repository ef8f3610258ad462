"""Tuning's share: rows against known errors, the table, its file and its words."""

import csv
import io
from typing import Any

import pytest
from finished_bench import finished

from ctlr.report.findings import findings
from ctlr.report.numbers.contests import Done, contests, load
from ctlr.report.theme.formats import to_csv
from ctlr.report.tuning.section import tuning_view
from ctlr.report.tuning.share import ShareRow, share_rows, share_table, share_words
from ctlr.specs import StudyResult

MAE = {"scratch": 11.0, "supervised": 8.2}  # at n = 20, tuned; see conftest
WORSE = {"scratch": 1.5, "supervised": 0.0}  # with the options in the file


@pytest.fixture(scope="module")
def at_defaults(age: Any, retrained: Any) -> list[StudyResult | Done]:
    """Scratch and supervised at n = 20 with the options in the file, worse by known amounts."""
    return load(retrained(age, WORSE, n_train=20).results, age.root)


@pytest.fixture(scope="module")
def rows(age: Any, at_defaults: list[StudyResult | Done]) -> list[ShareRow]:
    return share_rows(contests(load(age.results, age.root)), at_defaults, level=0.95)


def test_the_gain_of_tuning_stands_beside_the_gain_over_scratch_with_and_without_it(rows: list[ShareRow]) -> None:
    scratch, supervised = rows
    assert [(row.line.method, row.tuning.n_train) for row in rows] == [("scratch", 20), ("supervised", 20)]
    assert scratch.tuning.gain.mean == pytest.approx(1.5)
    assert (scratch.over_scratch, scratch.over_scratch_before) == (None, None)
    assert supervised.tuning.gain.mean == pytest.approx(0.0, abs=1e-4)
    assert supervised.over_scratch is not None
    assert supervised.over_scratch.mean == pytest.approx(11.0 - 8.2)
    assert supervised.over_scratch_before is not None
    assert supervised.over_scratch_before.mean == pytest.approx(12.5 - 8.2)


def test_rows_are_adjusted_for_one_another(rows: list[ShareRow]) -> None:
    smaller, larger = sorted(row.tuning.gain.p for row in rows)
    assert sorted(row.tuning.p_holm for row in rows) == pytest.approx([min(2 * smaller, 1), max(2 * smaller, larger)])
    assert all(row.tuning.check is not None for row in rows)


def test_the_table_and_its_file_hold_all_three_gains(rows: list[ShareRow]) -> None:
    table = share_table(rows, level=0.95)
    assert table.columns == (
        "Method", "n", "Gain of tuning", "Verdict", "p", "False", "Over scratch, both tuned",
        "Over scratch, neither tuned",
    )  # fmt: skip
    assert [cells[2].text for cells in table.rows] == ["+1.50", "0.00"]
    assert [cells[-2].text for cells in table.rows] == ["–", "+2.80"]
    lines = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert [(float(x["tuning"]), x["over_scratch"], x["over_scratch_untuned"]) for x in lines] == [
        (pytest.approx(1.5), "", ""), (pytest.approx(0.0, abs=1e-4), "2.8", "4.3"),
    ]  # fmt: skip


def test_the_words_name_what_tuning_gained_with(rows: list[ShareRow]) -> None:
    standing = [row for row in rows if row.tuning.stands]
    assert [row.line.method for row in standing] == ["scratch"]
    assert share_words(rows) == (
        "Over the options in the file, tuning gains with ‘scratch’ at 20. "
        "With the other 1 of 2 no difference was shown."
    )
    assert share_words(rows[1:]) == (
        "Tuning differs measurably from the options in the file with no method, at no size."
    )


def test_a_study_that_failed_with_the_options_in_the_file_is_told(
    age: Any, searching: Any, at_defaults: list[StudyResult | Done]
) -> None:
    failed = StudyResult(study=searching.study("simclr", 20), status="failed", reason="the loss became nan")
    before = [done.result for done in at_defaults if isinstance(done, Done)]
    search = searching.typical(age.root, "scratch", 20)
    view = tuning_view(findings(finished(age, searches=(search,), at_defaults=(*before, failed))))
    assert "share" in view.tables
    assert view.failures == ("‘simclr’ at n = 20, seed 0, with the options in the file failed: the loss became nan",)


def test_without_such_studies_there_is_no_table(age: Any) -> None:
    assert share_rows(contests(load(age.results, age.root)), [], level=0.95) == []
