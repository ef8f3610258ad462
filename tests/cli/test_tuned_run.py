"""A tuned benchmark from the file to the report, by the command line."""

import csv
import json
from pathlib import Path

import pytest
from terminal import Finished, call
from tiny_bench import TINY, search_of

TUNING = """\
tuning:
  experiments: {scratch: rate.yaml, supervised: rate.yaml}
  trials: 2
  parallel: 1
"""


def ctlr(folder: Path, *words: str) -> Finished:
    return call(*words, folder=folder)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    folder = tmp_path_factory.mktemp("tuned")
    text = TINY.replace("simclr: {}, vat: {}}", "}").replace("n_frozen: 1}}, }", "n_frozen: 1}}}")
    (folder / "tiny.yaml").write_text(text.replace("sample_sizes: [6, 10]", "sample_sizes: [6]") + TUNING)
    (folder / "rate.yaml").write_text(search_of("lr"))
    return folder, ctlr(folder, "run", "tiny.yaml", "--workers", "1", "-o", "json")


def test_every_method_is_tuned_and_then_trained(ran: tuple[Path, Finished]) -> None:
    folder, done = ran
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert {result["method"] for result in found["results"]} == {"mean", "scratch", "supervised"}
    assert "tune scratch age small_cnn n6 (finetune)" in done.err
    reports = folder / "workspace" / "reports" / "tiny"
    with (reports / "trials.csv").open(newline="") as file:
        assert [row["method"] for row in csv.DictReader(file)] == ["scratch"] * 2 + ["supervised"] * 2
    assert "Tuning</h2>" in (reports / "report.html").read_text()
    assert (reports / "tables" / "tuning-ledger.csv").exists()


def test_the_report_tells_tunings_share_and_the_results_are_those_of_tuned_methods(
    ran: tuple[Path, Finished],
) -> None:
    folder, done = ran
    assert len(json.loads(done.out)["results"]) == 3
    reports = folder / "workspace" / "reports" / "tiny"
    with (reports / "tables" / "tuning-share.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["n_train"]) for row in rows] == [("scratch", "6"), ("supervised", "6")]
    with (reports / "tables" / "gains-age-from-sex-small-cnn.csv").open(newline="") as file:
        (gain,) = csv.DictReader(file)
    assert (rows[0]["over_scratch"], rows[1]["over_scratch"]) == ("", gain["gain"])
    # What both ways gain over scratch differs by what tuning gave to each.
    tuned, untuned = float(rows[1]["over_scratch"]), float(rows[1]["over_scratch_untuned"])
    assert tuned - untuned == pytest.approx(float(rows[1]["tuning"]) - float(rows[0]["tuning"]), abs=1e-4)
    assert len(list((folder / "workspace" / "studies").glob("*/result.json"))) == 5
    assert 'id="tuning-share"' in (reports / "report.html").read_text()


def test_a_second_run_searches_nothing_again(ran: tuple[Path, Finished]) -> None:
    folder, _ = ran
    page = folder / "workspace" / "reports" / "tiny" / "report.html"
    before = page.read_bytes()
    again = ctlr(folder, "run", "tiny.yaml", "--workers", "1")
    assert again.code == 0, again.err
    assert "Everything is finished already." in again.err
    assert "tune " not in again.err
    assert page.read_bytes() == before


def test_the_report_can_be_written_again(ran: tuple[Path, Finished]) -> None:
    folder, _ = ran
    reports = folder / "workspace" / "reports" / "tiny"
    before = (reports / "trials.csv").read_bytes()
    (reports / "identity").unlink()
    again = ctlr(folder, "report")
    assert again.code == 0, again.err
    assert (reports / "trials.csv").read_bytes() == before


def test_the_plan_counts_searches(ran: tuple[Path, Finished]) -> None:
    folder, _ = ran
    shown = ctlr(folder, "plan", "tiny.yaml", "-o", "json")
    assert shown.code == 0, shown.err
    plan = json.loads(shown.out)
    assert plan["searches"] == 2
    assert {step["steps"] for step in plan["costs"]} == {0}  # all has ended
    shown = ctlr(folder, "plan", "tiny.yaml", "-o", "json", "--workspace", "another")
    plan = json.loads(shown.out)
    tuned = {cost["method"]: cost["images"] for cost in plan["costs"] if cost["stage"] == "tune"}
    assert tuned == {"scratch": 2 * 3 * 6, "supervised": 2 * 3 * 6}
    again = {cost["method"]: (cost["steps"], cost["images"]) for cost in plan["costs"] if cost["stage"] == "defaults"}
    assert again == {"scratch": (1, 3 * 6), "supervised": (1, 3 * 6)}
    assert plan["studies_at_defaults"] == 2
    text = ctlr(folder, "plan", "tiny.yaml").out
    assert "2 of them train every method with the options in the file too" in text


def test_a_manifest_that_does_not_fit_is_told_before_anything_is_done(
    ran: tuple[Path, Finished], tmp_path: Path
) -> None:
    folder, _ = ran
    (tmp_path / "tiny.yaml").write_text((folder / "tiny.yaml").read_text())
    (tmp_path / "rate.yaml").write_text(search_of("method.temperature"))
    for command in ("check", "run"):
        done = ctlr(tmp_path, command, "tiny.yaml")
        assert done.code == 2
        assert "tuning.experiments.scratch" in done.err
        assert ": rate.yaml: `method.temperature`" in done.err
    assert not (tmp_path / "workspace").exists()
