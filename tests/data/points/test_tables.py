"""Tables of points: what is read, and what is said of what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ctlr.data.preprocess import preprocess
from ctlr.data.reader import reader_of
from ctlr.data.splits import draw_split
from ctlr.data.store import ArrayStore
from ctlr.data.targets import read_targets
from ctlr.errors import DataError
from ctlr.specs import GeneratedPointsSpec, PointsSpec, SplitSpec, StoredArrays, TaskSpec
from ctlr.workspace import Workspace

CLASS = TaskSpec(target="class", kind="classification")


def spec(root: Path, **options: Any) -> PointsSpec:
    named = {} if {"table", "train"} & options.keys() else {"table": "t.csv"}
    return PointsSpec(root=str(root), **{"features": ("x", "y"), **named, **options})


def table(root: Path, text: str | bytes, name: str = "t.csv") -> None:
    (root / name).write_bytes(text.encode() if isinstance(text, str) else text)


def stored(data: Any, folder: Path) -> tuple[StoredArrays, ArrayStore]:
    workspace = Workspace(folder / "workspace")
    arrays = preprocess(data, workspace)
    return arrays, ArrayStore(arrays, workspace)


def fault(data: PointsSpec) -> str:
    """What is said of the first row, or of the table."""
    try:
        listing = reader_of(data).listing()
    except DataError as error:
        return str(error)
    assert listing is not None
    return str(listing.faults[0])


# ---------------------------------------------------------------- what is read


def test_features_become_numbers_and_all_else_stays_text(tmp_path: Path) -> None:
    table(tmp_path, 'id,x,class,y,note\n007,1,a,-2.5,"two\nlines"\n008, 1e-3 ,b,.5,"a ""b"""\n')
    arrays, store = stored(spec(tmp_path, id="id"), tmp_path)
    assert (arrays.rows, arrays.shape, arrays.dtype) == (2, (2,), "float32")
    np.testing.assert_array_equal(store.read([0, 1]), np.array([[1, -2.5], [1e-3, 0.5]], np.float32))
    assert [record.subject for record in store.table] == ["007", "008"]
    assert [record.file for record in store.table] == ["t.csv:3", "t.csv:4"]
    assert store.table[0].columns == {"class": "a", "note": "two\nlines"}
    assert store.table[1].columns["note"] == 'a "b"'


def test_three_tables_are_three_sides(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, count in (("train", 40), ("dev", 12), ("eval", 15)):
        rows = "".join(f"{x},{y},{'ab'[i % 2]}\n" for i, (x, y) in enumerate(rng.standard_normal((count, 2))))
        table(tmp_path, "x,y,class\n" + rows, f"{name}.csv")
    data = spec(tmp_path, train="train.csv", validation="dev.csv", test="eval.csv")
    _, store = stored(data, tmp_path)
    targets = read_targets(store.table, CLASS, "points")
    split = draw_split(store.table, targets, SplitSpec(), n_train=20, n_reserved=12, seed=0)
    assert [len(side) for side in (split.train, split.validation, split.test, split.unlabelled)] == [20, 12, 15, 20]
    assert {subject.split("/")[0] for subject in split.test} == {"test"}
    assert {subject.split("/")[0] for subject in split.validation} == {"val"}


def test_a_column_says_the_side_in_the_words_of_its_field(tmp_path: Path) -> None:
    table(tmp_path, "x,y,class,fold\n1,1,a,Train\n2,1,b,dev\n3,1,a,eval\n4,1,b,testing\n")
    listing = reader_of(spec(tmp_path, split="fold")).listing()
    assert listing is not None
    assert [image.columns["split"] for image in listing.images] == ["train", "val", "test", "test"]
    table(tmp_path, "x,y,class,fold\n1,1,a,Train\n2,1,b,later\n")
    assert fault(spec(tmp_path, split="fold")) == (
        "t.csv, line 3, column 'fold' ('later'): a side must be train, validation (val, dev) or test (eval). "
        "Correct the cell."
    )


def test_constants_scale_and_no_row_does(tmp_path: Path) -> None:
    table(tmp_path, "x,y,class\n40,1,a\n60,3,b\n")
    scaled = {"centre": {"x": 50.0}, "spread": {"x": 10.0}}
    _, store = stored(spec(tmp_path, preprocess=scaled), tmp_path)
    np.testing.assert_array_equal(store.read([0, 1]), np.array([[-1, 1], [1, 3]], np.float32))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_a_byte_order_mark_says_the_encoding(encoding: str, tmp_path: Path) -> None:
    table(tmp_path, "x,y,class\n1,2,ä\n".encode(encoding))
    listing = reader_of(spec(tmp_path)).listing()
    assert listing is not None
    assert listing.images[0].columns == {"class": "ä"}


def test_latin_1_is_said_and_not_guessed(tmp_path: Path) -> None:
    table(tmp_path, "x,y,class\n1,2,a\n1,2,ä\n".encode("latin-1"))
    assert fault(spec(tmp_path)) == (
        "t.csv, line 3: UTF-8 is needed; byte 20 is something else. Save it as UTF-8, or set `encoding: latin-1` if it "
        "is that."
    )
    listing = reader_of(spec(tmp_path, encoding="latin-1")).listing()
    assert listing is not None
    assert listing.images[1].columns == {"class": "ä"}


def test_decimal_commas_are_said_and_not_guessed(tmp_path: Path) -> None:
    table(tmp_path, "x;y;class\n1,5;2;a\n-,5;2;b\n")
    data = spec(tmp_path, separator="semicolon")
    assert fault(data).endswith("and the cell holds text. Correct the cell. For decimal commas set `decimal: comma`.")
    read = reader_of(spec(tmp_path, separator="semicolon", decimal="comma")).listing()
    assert read is not None
    assert not read.faults
    table(tmp_path, "x;y;class\n1.5;2;a\n")
    assert "this one has" in fault(spec(tmp_path, separator="semicolon", decimal="comma"))


def test_thousands_of_columns_are_read(tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(3000)]
    table(tmp_path, ",".join([*names, "class"]) + "\n" + "\n".join(",".join(["1"] * 3000 + [c]) for c in "ab") + "\n")
    arrays, store = stored(spec(tmp_path, features=tuple(names)), tmp_path)
    assert arrays.shape == (3000,)
    assert store.table[1].columns == {"class": "b"}


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**100), max_value=2.0**100),
            st.text(alphabet=st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=4),
        ),
        min_size=1, max_size=5,
    )
)  # fmt: skip
def test_what_is_written_comes_back(rows: list[tuple[float, str]], tmp_path_factory: Any) -> None:
    import csv

    root = tmp_path_factory.mktemp("points")
    with (root / "t.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("x", "class"), *((repr(value), name) for value, name in rows)])
    images = reader_of(spec(root, features=("x",))).open(Workspace(root / "workspace"))
    assert images.values is not None
    assert images.values[:, 0].tolist() == [value for value, _ in rows]
    assert [image.columns["class"] for image in images.listing.images] == [name for _, name in rows]


def test_parquet_is_read_as_text_tables_are(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"x": [1.0, 2.0, None], "y": [1, 2, 3], "class": ["a", "b", "a"], "id": ["01", "02", "03"]}
    parquet.write_table(arrow.table(columns), tmp_path / "t.parquet")
    data = spec(tmp_path, table="t.parquet", id="id", preprocess={"on_bad_subject": "exclude"})
    arrays, store = stored(data, tmp_path)
    assert store.read([0, 1]).tolist() == [[1, 1], [2, 2]]
    assert store.table[1].subject == "02"
    assert str(arrays.excluded[0]).startswith("t.parquet, line 3, column 'x': a feature must be known in every row")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 nothing")
    assert fault(data) == "t.parquet: it is no Parquet file, or damaged. Export it again."


# ---------------------------------------------------------------- what is refused


WRONG = {
    "missing": ("x,y,class\n1,,a\n", "t.csv, line 2, column 'y': a feature must be known in every row, and the cell "
                "is empty. Fill it in, or leave the row out."),
    "text": ("x,y,class\n1,2,a\n1,two,a\n", "t.csv, line 3, column 'y': a feature must be a number, and the cell holds "
             "text. Correct the cell."),
    "infinite": ("x,y,class\ninf,2,a\n", "t.csv, line 2, column 'x': a feature must be finite and fit float32. Correct "
                 "the cell."),
    "large": ("x,y,class\n1e39,2,a\n", "t.csv, line 2, column 'x': a feature must be finite and fit float32. Correct "
              "the cell."),
    "nan": ("x,y,class\nNaN,2,a\n", "t.csv, line 2, column 'x': a feature must be known in every row, and the cell is "
            "empty. Fill it in, or leave the row out."),
    "grouped": ("x,y,class\n1_000,2,a\n", "t.csv, line 2, column 'x': a feature must be a number, and the cell holds "
                "text. Correct the cell."),
    "header twice": ("x,y,x\n1,2,3\n", "t.csv, line 1: a column's name must be unique; 'x' is there twice. Rename "
                     "one."),
    "no column": ("x,z\n1,2\n", "t.csv, line 1: `features`: there is no column 'y'. Known: x, z."),
    "separator": ("x;y\n1;2\n", "t.csv, line 1: `features`: there is no column 'x'. Known: x;y. Is `separator` right?"),
    "short line": ("x,y,class\n1,2,a\n1,2\n", "t.csv, line 3: every line needs as many cells as the header (3); got 2. "
                   "Correct it."),
    "quote": ('x,y,class\n1,2,"a\n', "t.csv, line 2: unexpected end of data. Close every quoted cell."),
    "empty": ("", "t.csv: a header line is needed; there is none. Export the table again."),
    "header alone": ("x,y,class\n", "t.csv: a table needs a row below its header; it has none. Export it again."),
    "zero bytes": (b"x\0,\0y\0", "t.csv: text is needed, and this holds zero bytes: UTF-16 without its mark, or no "
                   "text. Save it as UTF-8."),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_table_that_cannot_be_used_is_told(name: str, tmp_path: Path) -> None:
    table(tmp_path, WRONG[name][0])
    assert fault(spec(tmp_path)) == WRONG[name][1]


def test_a_row_without_an_id_is_told(tmp_path: Path) -> None:
    table(tmp_path, "x,y,who\n1,2,\n")
    assert fault(spec(tmp_path, id="who")) == "t.csv, line 2, column 'who': every row needs an id. Fill it in."


def test_bad_rows_stop_the_run_or_are_listed_and_left_out(tmp_path: Path) -> None:
    table(tmp_path, "x,y,class\n1,2,a\n1,two,a\n3,4,b\n")
    with pytest.raises(DataError, match="t.csv, line 3, column 'y'"):
        stored(spec(tmp_path), tmp_path)
    arrays, store = stored(spec(tmp_path, preprocess={"on_bad_subject": "exclude"}), tmp_path)
    assert store.read([0, 1]).tolist() == [[1, 2], [3, 4]]
    assert [record.subject for record in store.table] == ["t/0000001", "t/0000003"]
    assert len(arrays.excluded) == 1


def test_tables_of_one_dataset_have_the_same_columns(tmp_path: Path) -> None:
    table(tmp_path, "x,y,class\n1,2,a\n", "train.csv")
    table(tmp_path, "x,y,kind\n1,2,a\n", "test.csv")
    assert fault(spec(tmp_path, train="train.csv", test="test.csv")).startswith(
        "test.csv: all tables of a dataset need the same columns; it has kind, and the ones before have class."
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"table": None}, "name either `table`, or `train`"),
        ({"test": "b.csv"}, "`validation` and `test` go with `train`"),
        ({"table": None, "train": "a.csv", "split": "s"}, "`split` is a column of `table`"),
        ({"id": "x"}, "'x' is named twice"),
        ({"preprocess": {"centre": {"z": 1.0}}}, "'z' is none of the `features`"),
        ({"preprocess": {"spread": {"x": 0.0}}}, "greater than 0"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        PointsSpec(**{"root": ".", "features": ("x", "y"), "table": "t.csv", **options})


# ---------------------------------------------------------------- generated


def test_generated_points_are_stored_as_drawn_with_their_sides(tmp_path: Path) -> None:
    from ctlr.data.kinds.points.generating import draw

    arrays, store = stored(GeneratedPointsSpec(generator="pinwheel", points=(50, 20, 30), seed=3), tmp_path)
    points, codes = draw("pinwheel", "val", 20, 3)
    np.testing.assert_array_equal(store.read(range(50, 70)), points)
    assert store.table[50].columns == {"class": ("first", "second", "third")[codes[0]], "split": "val"}
    assert arrays.subjects == 100
