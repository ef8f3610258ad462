"""`ctlr predict`: the digits of a study's own predictions, and a file that costs its own row alone."""

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from clinic import volume_file
from trained_models import Trained

from ctlr.cli.app import cli


def predict(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(cli, ["predict", *map(str, words)], standalone_mode=False)
    assert result.exception is None, result.exception
    assert (result.return_value or 0) == code, result.output
    return result.stdout


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def study_rows(trained: Trained, split: str) -> list[dict[str, str]]:
    with (trained.folder / "predictions.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["split"] == split]


@pytest.mark.parametrize("kind", ["pictures", "clinic"])
def test_the_digits_are_those_of_the_studys_predictions(kind: str, request: pytest.FixtureRequest) -> None:
    trained: Trained = request.getfixturevalue(kind)
    files = {
        trained.workspace.pseudonym(file.stem if kind == "pictures" else file.name.partition("_")[0]): file
        for file in trained.data.rglob("*.png" if kind == "pictures" else "*_T1w.nii.gz")
    }
    for split in ("train", "validation", "test"):
        expected = study_rows(trained, split)
        found = rows_of(
            predict(trained.folder, *(files[row["subject"]] for row in expected), "-o", "csv", "--threads", 1)
        )
        columns = [name for name in expected[0] if name == "y_pred" or name.startswith("p_")]
        assert [[row[name] for name in columns] for row in found] == [
            [row[name] for name in columns] for row in expected
        ]
        assert [row["file"] for row in found] == [str(files[row["subject"]]) for row in expected]


def test_folders_are_walked_for_files_of_the_models_kind(clinic: Trained, pictures: Trained, tmp_path: Path) -> None:
    found = rows_of(predict(clinic.workspace.root, clinic.data, "-o", "csv"))
    assert len(found) == len(list(clinic.data.rglob("*_T1w.nii.gz")))  # and no mask
    assert {row["unit"] for row in found} == {"years"}
    assert len(rows_of(predict(pictures.workspace.root, pictures.data, "-o", "csv", "--method", "scratch"))) == 32
    result = CliRunner().invoke(cli, ["predict", str(pictures.folder), str(tmp_path)], standalone_mode=False)
    assert "predicts from pictures; the folder has none" in str(result.exception)


def test_a_file_that_does_not_fit_costs_its_own_row(pictures: Trained, tmp_path: Path) -> None:
    good = sorted(pictures.data.rglob("*.png"))[:2]
    bad = tmp_path / "note.png"
    bad.write_text("no picture")
    first, broken, last = rows_of(predict(pictures.folder, good[0], bad, good[1], "-o", "csv", code=3))
    assert (broken["y_pred"], broken["p_bars"]) == ("", "")
    assert broken["reason"].startswith("a picture")
    assert [first["reason"], last["reason"]] == ["", ""]
    assert rows_of(predict(pictures.folder, *good, "-o", "csv")) == [first, last]
    predict(pictures.folder, bad, code=1)
    result = CliRunner().invoke(cli, ["predict", str(pictures.folder), *map(str, (*good, bad)), "--strict"],
                                standalone_mode=False)  # fmt: skip
    assert str(result.exception).startswith(f"{bad}: a picture")


def test_json_has_every_digit_and_a_file_takes_it(clinic: Trained, pictures: Trained, tmp_path: Path) -> None:
    file = volume_file(clinic.data, "sub-XYZZY00")
    (found,) = json.loads(predict(clinic.folder, file, "-o", "json"))
    (row,) = rows_of(predict(clinic.folder, file, "-o", "csv"))
    assert f"{found['prediction']:.6g}" == row["y_pred"]
    assert found["unit"] == "years"
    picture = next(pictures.data.rglob("bars*.png"))
    assert predict(pictures.folder, picture, "-o", "json", "--out", tmp_path / "a.json") == ""
    (told,) = json.loads((tmp_path / "a.json").read_text())
    assert set(told["probabilities"]) == {"bars", "dots"}
    assert sum(told["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert "bars" in predict(pictures.folder, picture)


def test_what_is_no_model_is_refused_with_the_remedy(pictures: Trained, tmp_path: Path) -> None:
    def refused(*words: object) -> str:
        result = CliRunner().invoke(cli, ["predict", *map(str, words)], standalone_mode=False)
        return str(result.exception)

    assert "must be a model's folder (with model.json) or a workspace with a report" in refused(tmp_path, tmp_path)
    assert "`method` choose among those of a workspace" in refused(pictures.folder, tmp_path, "--method", "vat")
    assert "none is no folder" in refused(pictures.folder, pictures.data, "--out", tmp_path / "none" / "a.csv")


def test_columns_beside_the_images_come_from_a_table(lesions: Trained, tmp_path: Path) -> None:
    expected = {row["subject"]: row for row in study_rows(lesions, "test")}
    files = [
        file for file in sorted(lesions.data.glob("*/*.png")) if lesions.workspace.pseudonym(file.stem) in expected
    ]
    pseudonym, table = lesions.workspace.pseudonym, lesions.data / "list.csv"
    text = table.read_text().replace("bars/", "").replace("dots/", "")
    (tmp_path / "list.csv").write_text(text)
    found = rows_of(predict(lesions.folder, *files, "--table", tmp_path / "list.csv", "-o", "csv", "--threads", 1))
    for file, row in zip(files, found, strict=True):
        known = expected[pseudonym(file.stem)]
        assert row["y_pred"] == known["y_pred"]
        assert float(row["p_bars"]) == pytest.approx(float(known["p_bars"]), abs=2e-5)
    command = ["predict", str(lesions.folder), str(files[0])]
    assert "the model reads 'age', 'place' beside the image" in str(CliRunner().invoke(cli, command).exception)
    (tmp_path / "short.csv").write_text("file,age\n1.png,30\n")
    told = CliRunner().invoke(cli, [*command, "--table", str(tmp_path / "short.csv")]).exception
    assert "a column 'place' is needed" in str(told)
    (tmp_path / "other.csv").write_text("file,age,place\nnobody.png,30,arm\n")
    told = CliRunner().invoke(cli, [*command, "--table", str(tmp_path / "other.csv")]).exception
    assert f"there must be a line for {files[0]}" in str(told)


@pytest.mark.parametrize("method", ["scratch", "forest"])
def test_every_target_has_its_columns_with_the_studys_digits(several: Trained, method: str) -> None:
    folder = several.of(method)
    with (folder / "predictions.csv").open() as file:
        expected = {row["subject"]: row for row in csv.DictReader(file) if row["split"] == "test"}
    pseudonym = several.workspace.pseudonym
    files = [file for file in several.data.glob("*/*.png") if pseudonym(file.stem) in expected]
    files.sort(key=lambda file: list(expected).index(pseudonym(file.stem)))  # in the groups of the study
    table = several.data / "list.csv"
    (several.data.parent / "names.csv").write_text(table.read_text().replace("bars/", "").replace("dots/", ""))
    words = [folder, *files, "--table", several.data.parent / "names.csv", "--threads", 1]
    found = rows_of(predict(*words, "-o", "csv"))
    columns = ["y_pred", "p_bars", "also_size_y_pred", "also_place_y_pred", "also_place_p_arm", "also_place_p_leg"]
    assert len(found) == len(expected) == 8
    for row, known in zip(found, expected.values(), strict=True):
        assert [row[name] for name in columns] == [known[name] for name in columns]
    (told, *_) = json.loads(predict(*words, "-o", "json"))
    assert list(told["also"]) == ["size", "place"]
    assert f"{told['also']['size']['prediction']:.6g}" == found[0]["also_size_y_pred"]
    assert told["also"]["place"]["prediction"] == found[0]["also_place_y_pred"]
