from __future__ import annotations

import math
import unicodedata
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


def test_empty_cells_at_the_end_of_the_header_are_no_columns(tmp_path: Path) -> None:
    assert _table(tmp_path, b"participant_id\tage\t\t\n1\t20\t\t\n2\t30\n") == {"1": {"age": "20"}, "2": {"age": "30"}}
    assert _table(tmp_path, b"participant_id\tage\t\n1\t20\t\n") == {"1": {"age": "20"}}
    with pytest.raises(DataError, match=r"line 2: every line needs as many cells as the header \(2\); got 4"):
        _table(tmp_path, b"participant_id\tage\t\t\n1\t20\t\tx\n")
    with pytest.raises(DataError, match="line 1: a column needs a name; several have none"):
        _table(tmp_path, b"participant_id\t\t\tage\n1\t20\t\tx\n")


def test_what_cannot_be_seen_makes_no_difference(tmp_path: Path) -> None:
    data = (
        "\ufeffparticipant_id\u200b\tgroup\u00a0\n01\u200b\tna\u00efve\u00a0one\n02\tnai\u0308ve one\ufeff\n".encode()
    )
    assert _table(tmp_path, data) == {"01": {"group": "naïve one"}, "02": {"group": "naïve one"}}


def test_a_table_that_was_not_fetched_says_how_to_fetch_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="participants.tsv: Git LFS has not fetched .* `git lfs pull`"):
        _table(tmp_path, b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n")
    (tmp_path / "participants.tsv").unlink()
    (tmp_path / "participants.tsv").symlink_to(".git/annex/objects/W7/MD5E-s3--01.tsv")
    with pytest.raises(DataError, match="participants.tsv: git-annex has not fetched .* `datalad get`"):
        read_table(tmp_path / "participants.tsv", name="participants.tsv", key="participant_id")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "participants.tsv: a header line is needed; the file is empty"),
        (b"subject_id\tage\n1\t2\n", "line 1: a column 'participant_id' is needed.*age, subject_id"),
        (b"participant_id,age\n1,2\n", "line 1: a column 'participant_id' is needed.*Separate cells by tabs"),
        (b"participant_id\tage\tage\n1\t2\t3\n", "line 1: a column's name must be unique; 'age'"),
        (b"participant_id\tage\n1\t2\t3\n", "line 2: every line.*got 3. Remove those beyond, or name their columns"),
        (b'participant_id\tage\n1\t"2\n3\t4\n', "line 2: a cell that begins with a quote must end with one"),
        (b"participant_id\tage\n1\t2\n2\n", r"line 3: every line needs as many cells as the header \(2\); got 1"),
        (b"participant_id\tage\n1\t2\n1\t3\n", "line 3: 'participant_id' must be there and unique; got '1'"),
        (b"participant_id\tage\n\t2\n", "line 2: 'participant_id' must be there and unique; got ''"),
        (b'participant_id\tage\n"1\t2\n', "line 2: a cell that begins with a quote must end with one"),
        (b"participant_id\tage\n1\t\xff\n", "UTF-8 is needed; byte 21"),
    ],
)
def test_a_broken_table_is_named_with_its_line(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        _table(tmp_path, data)


_CELLS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs", "Cf", "Zs")), max_size=8
).map(lambda text: unicodedata.normalize("NFC", text).strip())


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(_CELLS.filter(bool), _CELLS, min_size=1, max_size=5))
def test_quoted_cells_of_any_text_come_back(tmp_path_factory: pytest.TempPathFactory, cells: dict[str, str]) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    lines = ["participant_id\tx", *(f"{quoted(key)}\t{quoted(cell)}" for key, cell in cells.items())]
    read = _table(tmp_path_factory.mktemp("table"), "\n".join(lines).encode())
    assert read == {key: {"x": cell} for key, cell in cells.items()}


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["right", "short", "long", "again"]), min_size=1, max_size=12))
def test_all_lines_that_are_wrong_are_told_at_once(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    cells = {"right": "sub-{0}\t1", "short": "sub-{0}", "long": "sub-{0}\t1\t2", "again": "sub-00\t1"}
    path = tmp_path_factory.mktemp("tables") / "table.tsv"
    rows = [cells[kind].format(number) for number, kind in enumerate(lines)]
    path.write_text("\n".join(["participant_id\tage", "sub-00\t1", *rows]) + "\n")
    wrong = [f"table.tsv, line {number + 3}" for number, kind in enumerate(lines) if kind != "right"]
    if not wrong:
        assert len(read_table(path, name="table.tsv", key="participant_id")) == len(lines) + 1
        return
    with pytest.raises(DataError) as raised:
        read_table(path, name="table.tsv", key="participant_id")
    told = (raised.value, *raised.value.others)
    assert [error.place for error in told] == wrong
    assert all(str(error).startswith(error.place) for error in told)
