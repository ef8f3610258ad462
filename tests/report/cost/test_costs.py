from typing import Any

import pytest

from ctlr.report.cost.section import step_rows, steps_table, time_rows, time_table
from ctlr.report.theme.formats import duration


def test_shared_work_is_counted_once(age: Any) -> None:
    rows = {row.step: row for row in step_rows(age.results)}
    assert list(rows) == ["preprocess", "pretrain", "finetune", "evaluate"]
    # 36 studies on one dataset; 18 of them on 2 methods x 3 seeds of pretraining; 27 of them are trained.
    assert [(row.runs, row.shared_by) for row in rows.values()] == [(1, 36), (6, 18), (27, 27), (36, 36)]
    assert (rows["preprocess"].seconds, rows["preprocess"].seconds_unshared) == (21, 36 * 21)
    assert (rows["pretrain"].seconds, rows["pretrain"].seconds_unshared) == (6 * 34, 18 * 34)


def test_a_method_pays_for_its_pretrainings_once(age: Any) -> None:
    rows = {row.method: row for row in time_rows(age.results)}
    finetune = 3 * (3 * 3.0 + (20 + 50 + 100) / 25)
    assert (rows["simclr"].studies, rows["simclr"].pretrainings, rows["simclr"].pretrain) == (9, 3, 3 * 34)
    assert rows["simclr"].finetune == pytest.approx(finetune)
    assert rows["simclr"].total == pytest.approx(3 * 34 + finetune + 9 * 0.4)
    assert (rows["mean"].pretrainings, rows["mean"].finetune, rows["mean"].parameters) == (0, 0, 0)


def test_a_method_says_what_a_test_image_costs_it(age: Any) -> None:
    timed = [r.model_copy(update={"seconds_per_image": 0.002 + 0.001 * r.study.seed}) for r in age.results]
    rows = time_rows([r for r in timed if r.study.method.label == "scratch"])
    assert rows[0].seconds_per_image == pytest.approx(0.003)
    table = time_table(rows)
    assert table.rows[0][table.columns.index("A test image")].text == "3.000 ms"
    assert time_table(time_rows(age.results)).rows[0][6].text == "–"


def test_the_steps_table_ends_with_what_sharing_saved(age: Any) -> None:
    *_, last = steps_table(step_rows(age.results)).rows
    assert [cell.text for cell in last] == ["all", "", "", "", "6 min 22 s", "19 min 03 s"]


def test_a_table_without_studies_is_empty() -> None:
    assert time_table(time_rows([])).rows == ()
    assert step_rows([]) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"),
     (7800, "2 h 10 min")],
)  # fmt: skip
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert duration(seconds) == text
