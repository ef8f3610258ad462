import csv
import io
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ctlr.cells import guarded
from ctlr.report.theme.formats import (
    Cell,
    Table,
    decimals,
    markdown,
    number,
    records_csv,
    to_csv,
    to_latex,
    to_markdown,
)

TABLE = Table(
    name="scores",
    caption="Score in % of R&D",
    columns=("Method", "n = 20"),
    rows=((Cell("a_b|c"), Cell("−1.5", "−2.0 to −1.0")),),
    records=({"method": "a_b|c", "mean": -1.5, "low": None},),
)


@pytest.mark.parametrize(
    ("values", "digits"),
    [([312], 0), ([31.2, 1], 1), ([3.12], 2), ([0.312], 3), ([1.0], 3), ([0.0042], 5), ([0], 2), ([], 2)],
)
def test_the_largest_value_keeps_three_digits(values: list[float], digits: int) -> None:
    assert decimals(values) == digits


@pytest.mark.parametrize(
    ("value", "sign", "text"),
    [
        (-1.26, False, "−1.3"),
        (1.26, True, "+1.3"),
        (-0.01, True, "0.0"),
        (None, False, "–"),
        (float("nan"), False, "–"),
    ],
)
def test_numbers_have_a_true_minus_and_no_negative_zero(value: float | None, sign: bool, text: str) -> None:
    assert number(value, 1, sign=sign) == text


def test_csv_holds_the_records_at_full_precision() -> None:
    assert to_csv(TABLE) == "method,mean,low\na_b|c,-1.5,\n"


def test_markdown_escapes_pipes_and_aligns_numbers_right() -> None:
    assert to_markdown(TABLE).splitlines()[2:] == [
        "| Method | n = 20 |",
        "| --- | ---: |",
        r"| a\_b\|c | −1.5 [−2.0 to −1.0] |",
    ]


def test_latex_escapes_what_tex_would_obey() -> None:
    text = to_latex(TABLE)
    assert r"\caption{Score in \% of R\&D}" in text
    assert r"a\_b|c & $-$1.5 {[}$-$2.0 to $-$1.0{]} \\" in text


def test_columns_of_a_csv_are_the_union_in_order_of_appearance() -> None:
    assert records_csv([{"a": 1}, {"b": 2, "a": 3}]) == "a,b\n1,\n3,2\n"


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1))
@example("=0")
def test_any_label_survives_every_format(label: str) -> None:
    table = Table(name="t", caption=label, columns=("Method",), rows=((Cell(label),),), records=({"method": label},))
    shown = f"'{label}" if guarded(label) != label else label  # what a spreadsheet would take for a formula
    assert list(csv.DictReader(io.StringIO(to_csv(table)))) == [{"method": shown}]
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", markdown(label))) == 0
    body = to_latex(table).split("\\midrule\n")[1].split(" \\\\\n\\bottomrule")[0]
    assert not re.search(r"(?<!\\)[&%#_]", body)
