"""How long methods train until their validation score reaches a target."""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from finished_bench import finished

from ctlr.config import ReportSpec
from ctlr.report.findings import findings
from ctlr.report.numbers.contests import Contest, contests, load
from ctlr.report.training.section import training
from ctlr.report.training.time_to import time_to_rows, time_to_table


@pytest.fixture
def contest(age: Any) -> Contest:
    (found,) = contests(load(age.results, age.root))
    return found


def write_histories(contest: Contest, root: Path, method: str, maes: list[list[float]]) -> None:
    """Histories of a method's seeds at n = 20, by epoch of two seconds; other studies have none."""
    for done, values in zip(contest.cells[method, 20], maes, strict=True):
        file = root / done.result.path / "history.csv"
        file.parent.mkdir(parents=True)
        with file.open("w", newline="") as stream:
            rows = [(epoch, 2.0, value) for epoch, value in enumerate(values, 1)]
            csv.writer(stream).writerows([("epoch", "seconds", "validation_mae"), *rows])


def test_the_first_epoch_that_reaches_the_target_counts_and_seeds_that_never_do_are_told(
    contest: Contest, tmp_path: Path
) -> None:
    write_histories(contest, tmp_path, "scratch", [[9, 7, 9, 6], [9, 9, 8, 7], [9, 9, 9, 9]])
    (row,) = time_to_rows(contest, tmp_path, target=7.0)
    assert (row.method, row.n_train, row.epochs, row.seconds) == ("scratch", 20, (2, 4, None), (4.0, 8.0, None))
    table = time_to_table(contest, [row], 7.0)
    assert [cell.text for cell in table.rows[0]] == ["scratch", "20 + 20", "2 of 3 seeds", "2, 4, –", "6.0 s"]
    assert table.records[0] | {"target": "age", "goal": 7.0, "reached": 2, "epochs": "2 4 "} == table.records[0]


def test_a_target_that_nobody_reaches_has_no_time(contest: Contest, tmp_path: Path) -> None:
    write_histories(contest, tmp_path, "scratch", [[9, 8]] * 3)
    (row,) = time_to_rows(contest, tmp_path, target=7.0)
    assert (row.reached, row.mean_seconds) == (0, None)


def test_the_report_has_the_table_where_the_benchmark_names_a_target(age: Any) -> None:
    asked = finished(age)
    config = asked.config.model_copy(update={"report": ReportSpec(time_to=12.0)})
    found = findings(dataclasses.replace(asked, config=config))
    (view,) = found.views
    *_, times = training(found, view).tables
    assert times.columns == ("Method", "n", "Reached in", "Epochs", "Time")
    assert len(times.rows) == 9
