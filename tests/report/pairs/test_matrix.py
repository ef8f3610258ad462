"""Transfers by methods."""

from __future__ import annotations

from typing import Any

import pytest
from finished_bench import finished

from ctlr.report.findings import Findings, findings
from ctlr.report.pairs.matrix import gain_matrix, transfer_names
from ctlr.report.theme.formats import Table


@pytest.fixture(scope="module")
def found(four_pairs: Any) -> Findings:
    return findings(finished(four_pairs))


@pytest.fixture(scope="module")
def matrix(found: Findings) -> Table:
    table = gain_matrix(found.views)
    assert table is not None
    return table


def test_a_row_is_a_transfer_and_a_column_a_method(matrix: Table) -> None:
    assert matrix.columns[:2] == ("Transfer", "n")
    assert len(matrix.columns) == 2 + 5
    assert {row[0].text for row in matrix.rows} == {
        f"first ({source}) → second ({target})" for source in ("letters", "things") for target in ("letters", "things")
    }
    assert [row[1].text for row in matrix.rows] == ["48 + 48"] * 4


def test_a_cell_says_by_its_sign_whether_it_is_sure_and_leads_to_its_detail(matrix: Table, found: Findings) -> None:
    cells = {
        (row[0].link, column): cell for row in matrix.rows for column, cell in zip(matrix.columns, row, strict=True)
    }
    view = found.views[0]
    cell = cells[view.slug, "w0.3-lr0.001"]
    assert cell.text.startswith("▲ +0.2")
    assert cell.link == f"{view.slug}-gains"
    assert "3 seeds" in cell.tip
    assert "all cells together" in cell.tip
    assert cell.tone == "gain"


def test_colour_grows_with_the_gain_and_is_fullest_for_the_largest(matrix: Table) -> None:
    cells = [cell for row in matrix.rows for cell in row[2:] if cell.heat is not None]
    most = max(cells, key=lambda cell: cell.heat or 0.0)
    assert most.heat == pytest.approx(1.0)
    assert all(0.0 <= (cell.heat or 0.0) <= 1.0 for cell in cells)


def test_p_is_adjusted_for_every_cell(matrix: Table) -> None:
    assert len(matrix.records) == 4 * 5
    least = min(float(str(record["p"])) for record in matrix.records)
    assert min(float(str(record["p_holm"])) for record in matrix.records) == pytest.approx(min(1.0, 20 * least))
    for record in matrix.records:
        assert record["stands"] == ("yes" if float(str(record["p_holm"])) < 0.05 else "no")


def test_one_transfer_needs_no_matrix(age: Any) -> None:
    assert gain_matrix(findings(finished(age)).views) is None


def test_data_are_named_where_there_are_several(found: Findings, age: Any) -> None:
    assert set(transfer_names(found.views).values()) == {
        f"first ({source}) → second ({target})" for source in ("letters", "things") for target in ("letters", "things")
    }
    assert list(transfer_names(findings(finished(age)).views).values()) == ["sex → age"]
