from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctlr.data.tsv import number, read_table
from ctlr.errors import DataError


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("3.5", 3.5),
        ("3,5", 3.5),
        (" 42 ", 42.0),
        ("89+", 89.0),
        ("-1e-3", -0.001),
        (".5", 0.5),
        ("7.", 7.0),
        ("007", 7.0),
    ],
)
def test_a_number_is_read_as_people_write_it(cell: str, value: float) -> None:
    assert number(cell) == value


@pytest.mark.parametrize("cell", ["n/a", "N/A", "", "  ", "NaN", "NA"])
def test_a_missing_number_is_nan(cell: str) -> None:
    assert math.isnan(number(cell))


@pytest.mark.parametrize("cell", ["male", "1.234,5", "1_000", "inf", "1e999", "12 years", "٣", "+", "89++", "0x10"])
def test_other_text_is_no_number(cell: str) -> None:
    with pytest.raises(ValueError, match="number"):
        number(cell)


@settings(max_examples=50, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_comes_back_with_a_point_or_a_comma(value: float) -> None:
    assert number(repr(value)) == value
    assert number(repr(value).replace(".", ",")) == value


def _table(tmp_path: Path, data: bytes) -> dict[str, dict[str, str]]:
    (tmp_path / "participants.tsv").write_bytes(data)
    return read_table(tmp_path / "participants.tsv", name="participants.tsv", key="participant_id")


def test_byte_order_mark_crlf_quotes_and_leading_zeros_survive(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbfparticipant_id\tage\tnote\r\n"0012"\t 31,5\t"said ""hm"""\r\nsub-3\tn/a\tx\t\t\r\n\r\n'
    assert _table(tmp_path, data) == {
        "0012": {"age": "31,5", "note": 'said "hm"'},
        "sub-3": {"age": "n/a", "note": "x"},
    }


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "participants.tsv: a header line is needed; the file is empty"),
        (b"subject_id\tage\n1\t2\n", "line 1: a column 'participant_id' is needed.*age, subject_id"),
        (b"participant_id,age\n1,2\n", "line 1: a column 'participant_id' is needed.*Separate cells by tabs"),
        (b"participant_id\tage\tage\n1\t2\t3\n", "line 1: a column's name must be unique; 'age'"),
        (b"participant_id\tage\n1\t2\n2\n", r"line 3: every line needs as many cells as the header \(2\); got 1"),
        (b"participant_id\tage\n1\t2\n1\t3\n", "line 3: 'participant_id' must be there and unique; got '1'"),
        (b"participant_id\tage\n\t2\n", "line 2: 'participant_id' must be there and unique; got ''"),
        (b'participant_id\tage\n"1\t2\n', "line 2: unexpected end of data"),
        (b"participant_id\tage\n1\t\xff\n", "UTF-8 is needed; byte 21"),
    ],
)
def test_a_broken_table_is_named_with_its_line(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        _table(tmp_path, data)


_CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8).map(str.strip)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(_CELLS.filter(bool), _CELLS, min_size=1, max_size=5))
def test_quoted_cells_of_any_text_come_back(tmp_path_factory: pytest.TempPathFactory, cells: dict[str, str]) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    lines = ["participant_id\tx", *(f"{quoted(key)}\t{quoted(cell)}" for key, cell in cells.items())]
    read = _table(tmp_path_factory.mktemp("table"), "\n".join(lines).encode())
    assert read == {key: {"x": cell} for key, cell in cells.items()}
