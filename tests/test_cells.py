import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctlr.cells import guarded, plain
from ctlr.report.theme.formats import records_csv

FORMULAS = ['=HYPERLINK("http://x")', "+1+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "'=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_compute_stands_behind_an_apostrophe(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-3.2", "+1e-4", "-", "+", "age", "a=b", "'quoted'", "", "-inf"])
def test_numbers_signs_and_words_stay_as_they_are(text: str) -> None:
    assert guarded(text) == plain(text) == text


@given(st.text(alphabet="'=+-@\t\r1a", max_size=6))
def test_every_text_comes_back(text: str) -> None:
    assert plain(guarded(text)) == text


def test_a_table_of_the_report_is_guarded_and_its_numbers_are_not() -> None:
    (row,) = csv.DictReader(io.StringIO(records_csv([{"class": "=1+1", "gain": -2.5, "n": -3, "note": "-2.5"}])))
    assert row == {"class": "'=1+1", "gain": "-2.5", "n": "-3", "note": "-2.5"}
