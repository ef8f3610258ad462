"""Predictions as they are read back."""

from pathlib import Path

import pytest

from ctlr.errors import DataError
from ctlr.report.numbers.predictions import read_predictions


def test_predictions_are_read_by_blocks_in_the_order_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctlr.report.numbers.predictions._BLOCK", 2)
    file = tmp_path / "predictions.csv"
    rows = ["a,test,no,'=1,0.4,0.6", "b,train,no,no,0.9,0.1", "", 'c,test,"\'=1",no,0.7,0.3', "d,train,no,no,1,0"]
    file.write_text("\n".join(["subject,split,y_true,y_pred,p_no,p_=1", *rows]) + "\n")
    found = read_predictions(file, "classification")
    assert list(found) == ["test", "train"]
    assert found["test"].subjects.tolist() == ["a", "c"]
    assert found["test"].truth.tolist() == [0, 1]
    assert found["test"].prediction.tolist() == [1, 0]
    assert found["test"].probabilities is not None
    assert found["test"].probabilities.tolist() == [[0.4, 0.6], [0.7, 0.3]]
    assert found["train"].subjects.tolist() == ["b", "d"]


def test_a_line_cut_short_is_damage(tmp_path: Path) -> None:
    file = tmp_path / "predictions.csv"
    file.write_text("subject,split,y_true,y_pred\na,test,50,51\nb,test,4")
    with pytest.raises(DataError, match="is damaged: a line has other cells than subject, split, y_true, y_pred"):
        read_predictions(file, "regression")
