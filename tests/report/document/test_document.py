"""The report for programs: `report.json`, what `ctlr report -o json` prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finished_bench import finished
from jsonschema import Draft202012Validator

from ctlr.errors import WorkspaceError
from ctlr.report.comparison.document import json_schema as comparison_schema
from ctlr.report.document.values import SCHEMA, json_schema, read_document
from ctlr.report.page import build_report

DOCS = Path(__file__).parents[3] / "docs" / "reference"


@pytest.fixture(scope="module")
def page(age: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = {"environment": {"ctlr": "0.1.0"}, "seconds": 283.4, "excluded": ("cohort: it is empty.",) * 2}
    return build_report(finished(age, **given), tmp_path_factory.mktemp("age"))


@pytest.fixture(scope="module")
def told(page: Path) -> dict[str, Any]:
    shown: dict[str, Any] = read_document(page).model_dump(mode="json", by_alias=True)
    return shown


def test_what_lies_beside_the_page_keeps_to_the_schema(page: Path, told: dict[str, Any]) -> None:
    validator = Draft202012Validator(json_schema())
    validator.validate(json.loads((page.parent / "report.json").read_text()))
    validator.validate(told)
    wrong = told | {"failed": "none"}
    assert [error.json_path for error in validator.iter_errors(wrong)] == ["$.failed"]


def test_the_schema_says_its_version_and_what_every_key_means() -> None:
    schema = json_schema()
    assert schema["properties"]["schema"]["const"] == SCHEMA == "ctlr.report/1"
    assert set(schema["required"]) >= {"benchmark", "report", "failed", "results"}
    for name in ("Gain", "Score"):
        assert {"mean", "low", "high", "se", "n_seeds"} <= set(schema["$defs"][name]["properties"])
    assert "positive is better" in schema["$defs"]["Gain"]["description"]
    assert "Holm" in schema["$defs"]["Gain"]["properties"]["stands"]["description"]


@pytest.mark.parametrize(
    ("name", "made"), [("report.schema.json", json_schema), ("compare.schema.json", comparison_schema)]
)
def test_the_schema_in_the_guide_is_the_one_that_is_printed(name: str, made: Callable[[], dict[str, Any]]) -> None:
    assert json.loads((DOCS / name).read_text()) == made()


def test_gains_scores_and_verdicts_are_those_of_the_page(told: dict[str, Any]) -> None:
    (transfer,) = told["transfers"]
    assert (transfer["target"], transfer["source"], transfer["encoder"]) == ("cohort.age", "cohort.sex", "small")
    assert (transfer["metric"], transfer["better"], transfer["unit"]) == ("mae", "lower", "years")
    gain = next(row for row in transfer["gains"] if (row["method"], row["n_train"]) == ("supervised", 20))
    assert gain["mean"] == pytest.approx(2.8)
    assert (gain["against"], gain["verdict"], gain["stands"]) == ("scratch", "gain", True)
    assert gain["low"] < 2.8 < gain["high"]
    score = next(row for row in transfer["scores"] if (row["method"], row["n_train"]) == ("supervised", 20))
    assert score["mean"] == pytest.approx(8.2)
    assert score["over"] == "over seeds and subjects"


def test_answer_counts_and_warnings_stand_in_it(told: dict[str, Any]) -> None:
    assert "‘supervised’ lowers MAE by 2.8 years" in told["answer"]
    assert (told["studies"], told["finished"], told["failed"], told["seconds"]) == (36, 36, 0, 283.0)
    assert told["warnings"][0] == "2 images were left out of cohort: it is empty."
    assert told["transfers"][0]["counts"][0]["test_subjects"] == 100


def test_it_names_the_page_by_its_path_and_in_its_own_file_by_its_name(page: Path, told: dict[str, Any]) -> None:
    assert told["report"] == str(page)
    assert json.loads((page.parent / "report.json").read_text())["report"] == "report.html"


def test_one_seed_has_no_p_and_no_verdict(new_benchmark: Callable[..., Any], tmp_path: Path) -> None:
    benchmark = new_benchmark(methods=("scratch", "supervised"), sizes=(20,), seeds=(0,))
    (gain,) = read_document(build_report(finished(benchmark), tmp_path / "out")).transfers[0].gains
    assert (gain.verdict, gain.stands, gain.p, gain.p_holm, gain.detectable) == ("not tested", False, None, None, None)
    assert gain.over == "over subjects only"


def test_failed_studies_are_counted_with_their_reason(new_benchmark: Callable[..., Any], tmp_path: Path) -> None:
    benchmark = new_benchmark(methods=("scratch",), sizes=(20,), seeds=(0, 1))
    benchmark.fail(benchmark.results.pop().study, "the loss is no number at epoch 3")
    found = read_document(build_report(finished(benchmark), tmp_path / "out"))
    assert (found.finished, found.failed) == (1, 1)
    assert found.warnings == ("1 of 2 studies failed: the loss is no number at epoch 3",)
    assert [row["status"] for row in found.results] == ["ok", "failed"]


def test_a_damaged_one_is_named_with_what_writes_it_anew(page: Path, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(WorkspaceError, match=r"report\.json is missing, damaged or of another version.*`ctlr report`"):
        read_document(tmp_path / "report.html")


def test_keys_that_a_later_version_adds_are_passed_over(page: Path, tmp_path: Path) -> None:
    text = json.loads((page.parent / "report.json").read_text()) | {"colour": "blue"}
    (tmp_path / "report.json").write_text(json.dumps(text))
    assert read_document(tmp_path / "report.html").benchmark == "Brain age"
