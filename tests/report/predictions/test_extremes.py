from pathlib import Path
from typing import Any

import numpy as np
from finished_bench import finished
from numpy.typing import NDArray
from stored_bench import stored_bench

from ctlr.report.findings import findings
from ctlr.report.predictions.extremes import extremes, extremes_table
from ctlr.specs import DigitsSpec, PreprocessSpec, TaskSpec
from ctlr.workspace import Workspace

SMALL = PreprocessSpec(shape=(16, 16), channels=1, normalise="percentile", dtype="uint8")
DIGITS = DigitsSpec(name="figures", domain="textured", classes=("1", "7"), per_class=6, preprocess=SMALL)
CLASS = TaskSpec(name="figure", target="class", kind="classification")


def doubtful(truth: NDArray[Any], sites: Any) -> NDArray[np.float64]:
    """The first row is surely wrong, the last one surely right, all others are half and half with a lean."""
    share = np.linspace(0.02, 0.98, len(truth))
    return np.where(np.eye(2, dtype=bool)[truth], share[:, None], 1 - share[:, None])


def test_the_worst_come_first_and_the_best_last(tmp_path: Path) -> None:
    found = findings(stored_bench(DIGITS, CLASS, tmp_path, predict=doubtful))
    (view,) = found.views
    extreme = extremes(view, found.stocks["figures"])
    assert extreme is not None
    errors = [row.error for row in extreme.rows]
    np.testing.assert_allclose(errors[:4], 1 - np.linspace(0.02, 0.98, 12)[:4], atol=1e-9)
    np.testing.assert_allclose(errors[4:], [0.02, 1 - np.linspace(0.02, 0.98, 12)[-2]], atol=1e-9)
    assert [row.wrong for row in extreme.rows] == [2, 2, 2, 2, 0, 0]


def test_a_subject_is_a_hash_beside_its_own_picture(tmp_path: Path) -> None:
    found = findings(stored_bench(DIGITS, CLASS, tmp_path, predict=doubtful))
    (view,), stock = found.views, found.stocks["figures"]
    extreme = extremes(view, stock)
    assert extreme is not None
    table = stock.store.table
    names = Workspace(tmp_path).pseudonyms(table[row].subject for row in range(len(table)))
    rows = [names.index(row.subject) for row in extreme.rows]
    assert rows == [0, 1, 2, 3, 11, 10]
    assert len(set(extreme.pictures)) == len(extreme.pictures) == 6
    listed = extremes_table(view, extreme)
    assert listed.rows[0][1].text == names[0]
    assert not any(table[row].subject in str(listed.rows) for row in range(len(table)))


def test_without_stored_images_hashes_stand_alone(age: Any) -> None:
    (view,) = findings(finished(age)).views
    extreme = extremes(view, None)
    assert extreme is not None
    assert extreme.pictures == ()
    errors = np.mean(
        [np.abs(done.predictions["test"].prediction - done.predictions["test"].truth)
         for done in view.contest.cells[extreme.method, 100]], axis=0,
    )  # fmt: skip
    assert extreme.rows[0].error == errors.max()
    assert extreme.rows[4].error == errors.min()
