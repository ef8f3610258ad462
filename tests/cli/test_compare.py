"""`ctlr compare` on real runs: that differ in one option, in data, in a version, in nothing; and a run made again."""

from __future__ import annotations

import html
import json
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clinic import write_clinic
from jsonschema import Draft202012Validator
from terminal import Finished, call, ctlr

from ctlr.report.comparison.document import json_schema as comparison_schema
from ctlr.report.document.values import json_schema

PEOPLE = 40
CLINIC = """\
name: clinic
datasets:
  clinic: {kind: bids, root: clinic, preprocess: {spacing: 12, shape: [16, 16, 16]}}
tasks:
  age: {target: age, kind: regression}
  sex: {target: sex, kind: classification}
transfers:
  - {source: {data: clinic, task: sex}, target: {data: clinic, task: age}}
encoders: {small_cnn: {}}
methods: {scratch: {}, supervised: {}}
sample_sizes: [6]
seeds: [0, 1]
baselines: []
split: {test: 12}
leaks: {copies: 0.9999}
training:
  pretrain: {epochs: 1}
  finetune: {epochs: 2, batch_size: 8}
"""
TYPED = "ctlr run clinic.yaml --workers 1 --set training.finetune.epochs=3 --workspace work"


@dataclass(frozen=True)
class Runs:
    """Where benchmarks were run: `work` twice, with two options; `again` and `others` once, with other people there."""

    folder: Path
    last: Finished
    """Of the second run in `work`."""

    def compare(self, *runs: str) -> dict[str, Any]:
        """What is printed for programs; it keeps to its schema."""
        done = call("compare", *runs, "-o", "json", folder=self.folder)
        assert done.code == 0, done.err
        found: dict[str, Any] = json.loads(done.out)
        Draft202012Validator(comparison_schema()).validate(found)
        return found


def run(folder: Path, warm: Path, *arguments: str) -> Finished:
    done = ctlr("run", "clinic.yaml", "--workers", "1", *arguments, folder=folder, warm=warm)
    assert done.code == 0, done.err
    return done


@pytest.fixture(scope="module")
def runs(warm: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("runs")
    write_clinic(folder / "clinic", people=PEOPLE)
    (folder / "clinic.yaml").write_text(CLINIC)
    run(folder, warm, "--workspace", "work")
    last = ctlr(*shlex.split(TYPED)[1:], "-o", "json", folder=folder, warm=warm)
    run(folder, warm, "--workspace", "again")
    other = folder / "elsewhere"
    write_clinic(other / "clinic", people=PEOPLE + 8)
    (other / "clinic.yaml").write_text(CLINIC)
    run(other, warm, "--workspace", "../others")
    return Runs(folder, last)


def differing(found: dict[str, Any], what: str) -> dict[str, list[str]]:
    return {each["key"]: each["values"] for each in found[what]}


def test_what_a_run_prints_for_programs_keeps_to_its_schema(runs: Runs) -> None:
    shown = json.loads(runs.last.out)
    Draft202012Validator(json_schema()).validate(shown)
    assert {"benchmark", "report", "failed", "results"} <= set(shown)
    assert (shown["report"], shown["failed"], len(shown["results"])) == ("work/reports/clinic/report.html", 0, 6)
    assert shown["provenance"]["typed"] == f"{TYPED} -o json"
    assert shown["provenance"]["file"]["datasets"]["clinic"]["root"] == "clinic"
    assert {row["stage"] for row in shown["provenance"]["precision"]} >= {"pretraining", "finetuning", "prediction"}
    assert all(len(sha) == 64 for sha in shown["provenance"]["weights"].values())
    assert [gain["method"] for gain in shown["transfers"][0]["gains"]] == ["supervised"]


def test_the_schemas_are_printed_for_programs(tmp_path: Path) -> None:
    assert json.loads(call("schema", "--report", folder=tmp_path).out) == json_schema()
    assert json.loads(call("schema", "--compare", folder=tmp_path).out) == comparison_schema()


def test_the_run_before_the_last_one_differs_in_its_option(runs: Runs) -> None:
    found = runs.compare("work~1", "work")
    assert differing(found, "file") == {
        "methods.scratch.finetune.epochs": ["2", "3"],
        "methods.supervised.finetune.epochs": ["2", "3"],
    }
    assert (found["data"], found["precision"], set(differing(found, "versions"))) == ([], [], {"command"})
    (transfer,) = found["comparisons"]
    cells = {cell["method"]: cell for cell in transfer["cells"]}
    assert cells["mean"]["same"]
    for method in ("scratch", "supervised"):
        gain = cells[method]["gain"]
        ours, theirs = (cells[method][side]["mean"] for side in ("reference", "other"))
        assert gain["mean"] == pytest.approx(ours - theirs)  # a lower error is a gain
        assert (gain["n_seeds"], gain["n_subjects"]) == (2, 12)
        assert gain["low"] < gain["mean"] < gain["high"]


def test_the_same_file_in_another_workspace_gives_every_prediction_again(runs: Runs) -> None:
    found = runs.compare("work~1", "again")
    assert set(differing(found, "versions")) == {"command"}
    assert (found["file"], found["data"], found["precision"]) == ([], [], [])
    assert [cell["same"] for cell in found["comparisons"][0]["cells"]] == [True, True, True]
    assert found["comparisons"][0]["cells"][0]["paired"] == "12 test subjects"
    assert found["answer"].endswith("Every prediction is the same in both. Nothing differs in their options, data, "
                                    "versions and precision.")  # fmt: skip


def test_other_data_are_told_and_paired_by_those_who_are_in_both_test_sets(runs: Runs) -> None:
    found = runs.compare("again", "others")
    data = differing(found, "data")
    assert data["clinic: subjects"] == [str(PEOPLE), str(PEOPLE + 8)]
    assert "clinic: fingerprint" in data
    assert any(key.startswith("split of ‘age’") for key in data)
    for cell in found["comparisons"][0]["cells"]:
        common = re.match(r"(\d+) test subjects in common, of 12 and 12", cell["paired"])
        few = re.match(r"other test subjects: [01] of 12 and 12 in common", cell["paired"])
        assert (common and cell["gain"]["n_subjects"] == int(common[1])) or (few and cell["gain"] is None)


def test_another_version_is_named(runs: Runs, tmp_path: Path) -> None:
    shutil.copytree(runs.folder / "again", tmp_path / "doctored", symlinks=True)
    for file in (tmp_path / "doctored" / "last.json", *(tmp_path / "doctored" / "ran").glob("*.json")):
        values = json.loads(file.read_text())
        values["environment"] |= {"scipy": "0.0.1", "processor": "Abacus"}
        file.write_text(json.dumps(values))
    found = runs.compare("again", str(tmp_path / "doctored"))
    versions = differing(found, "versions")
    assert versions["scipy"][1] == "0.0.1"
    assert versions["processor"][1] == "Abacus"
    assert "What differs: 2 versions or machine: scipy, processor." in found["answer"]


def test_of_three_runs_the_first_is_the_reference(runs: Runs) -> None:
    found = runs.compare("work", "again", "others")
    assert [run["name"] for run in found["runs"]] == ["work", "again", "others"]
    assert [pair["run"] for pair in found["comparisons"]] == ["again", "others"]


def test_the_page_stands_alone_and_its_table_is_printed(runs: Runs) -> None:
    shown = call("compare", "work:clinic~1", "work/reports/clinic", folder=runs.folder)
    assert shown.code == 0, shown.err
    assert "methods.scratch.finetune.epochs" in shown.out
    assert "Difference" in shown.out
    page = runs.folder / "work" / "compare" / "work-clinic-1-work-reports-clinic" / "compare.html"
    assert shown.out.splitlines()[-1] == f"Comparison: {page.relative_to(runs.folder)}"
    text = page.read_text()
    assert "http" not in text.replace("http-equiv", "")
    assert "‘work/reports/clinic’ and ‘work:clinic~1’ have 3 study cells in common." in text
    assert {file.name for file in (page.parent / "tables").glob("*.csv")} >= {"file.csv", "versions.csv"}
    assert not any(f"XYZZY{number:02d}" in text for number in range(PEOPLE))


def test_equal_comparisons_are_equal_bytes(runs: Runs, tmp_path: Path) -> None:
    for name in ("one", "two"):
        call("compare", "work~1", "again", "--out", str(tmp_path / name), folder=runs.folder)
    files = sorted(file.relative_to(tmp_path / "one") for file in (tmp_path / "one").rglob("*") if file.is_file())
    assert len(files) > 5
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)


def test_a_mailed_report_is_held_against_a_workspace_without_differences_of_predictions(
    runs: Runs, tmp_path: Path
) -> None:
    shutil.copytree(runs.folder / "work" / "reports" / "clinic", tmp_path / "mailed")
    found = runs.compare("again", str(tmp_path / "mailed"))
    assert set(differing(found, "file")) == {"methods.scratch.finetune.epochs", "methods.supervised.finetune.epochs"}
    assert [run["paired"] for run in found["runs"]] == [True, False]
    assert all(cell["gain"] is None and "the report alone is there" in cell["paired"]
               for cell in found["comparisons"][0]["cells"])  # fmt: skip
    assert "no difference is claimed" in found["answer"]


def test_a_report_that_has_nothing_for_programs_is_refused_with_what_to_name(runs: Runs, tmp_path: Path) -> None:
    shutil.copytree(runs.folder / "work" / "reports" / "clinic", tmp_path / "old")
    (tmp_path / "old" / "report.json").unlink()
    done = call("compare", "work", str(tmp_path / "old"), folder=runs.folder)
    assert done.code == 2
    assert "is a report without report.json, which an earlier CTLR has written." in " ".join(done.err.split())


def test_long_names_of_runs_make_short_names_of_folders_that_stay_apart(runs: Runs, tmp_path: Path) -> None:
    pages = list[str]()
    for name in ("one", "two"):
        place = tmp_path / ("a" * 60) / name
        shutil.copytree(runs.folder / "work" / "reports" / "clinic", place)
        pages.append(runs.compare("again", str(place))["page"])
    assert len(set(pages)) == 2
    assert all(len(Path(page).parent.name) < 80 for page in pages)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("work",), "takes two runs or more"),
        (("work", "work"), "'work' stands there twice"),
        (("work", "nowhere"), "'nowhere' is neither a workspace nor the folder of a report"),
        (("work", "work:clinik"), "holds no run of 'clinik'. Did you mean 'clinic'?"),
        (("work", "work~7"), "remembers 2 runs with different options; `~7` asks for one before them. Take `~1` at"),
    ],
)
def test_what_cannot_be_compared_is_named(runs: Runs, arguments: tuple[str, ...], said: str) -> None:
    done = call("compare", *arguments, folder=runs.folder)
    assert done.code == 2
    assert said in " ".join(done.err.split())


def test_a_run_is_made_again_from_its_report_alone(runs: Runs, warm: Path, tmp_path: Path) -> None:
    page = (runs.folder / "work" / "reports" / "clinic" / "report.html").read_text()
    typed, command, file = map(html.unescape, re.findall(r"<pre><code>(.*?)</code></pre>", page, re.DOTALL)[-3:])
    assert typed == f"{TYPED} -o json"
    (tmp_path / "clinic.yaml").write_text(file)
    shutil.copytree(runs.folder / "clinic", tmp_path / "clinic")
    for line in (command, typed):
        assert ctlr(*shlex.split(line)[1:], folder=tmp_path, warm=warm).code == 0
    for workspace in ("workspace", "work"):
        found = runs.compare("work", str(tmp_path / workspace))
        assert "Every prediction is the same in both." in found["answer"]
        assert (found["file"], found["data"], found["precision"]) == ([], [], [])
    weights = [json.loads((root / "reports" / "clinic" / "report.json").read_text())["provenance"]["weights"]
               for root in (runs.folder / "work", tmp_path / "work", tmp_path / "workspace")]  # fmt: skip
    assert weights[0] == weights[1] == weights[2]


def test_a_home_folder_is_in_no_report_and_yet_the_run_can_be_made_again(warm: Path, tmp_path: Path) -> None:
    home = tmp_path / "homes" / "drjekyll"
    write_clinic(home / "data" / "clinic", people=PEOPLE)
    file = CLINIC.replace("root: clinic", f"root: {home}/data/clinic").replace("supervised: {}", "")
    (home / "studies").mkdir()
    (home / "studies" / "clinic.yaml").write_text(file.replace("seeds: [0, 1]", "seeds: [0]"))
    environment = {"HOME": str(home), "USER": "drjekyll", "LOGNAME": "drjekyll"}

    def run_at_home(*arguments: str) -> None:
        done = ctlr(*arguments, folder=tmp_path, environment=environment, warm=warm)
        assert done.code == 0, done.err

    run_at_home("run", f"{home}/studies/clinic.yaml", "--workers", "1", "--workspace", f"{home}/w")
    report = home / "w" / "reports" / "clinic"
    for written in (file for file in report.rglob("*") if file.is_file()):
        assert "jekyll" not in written.read_text(), written.name
    made = json.loads((report / "report.json").read_text())["provenance"]
    assert made["typed"] == 'ctlr run "$HOME"/studies/clinic.yaml --workers 1 --workspace "$HOME"/w'
    assert made["file"]["datasets"]["clinic"]["root"] == "~/data/clinic"
    page = (report / "report.html").read_text()
    again = html.unescape(re.findall(r"<pre><code>(.*?)</code></pre>", page, re.DOTALL)[-1])
    (tmp_path / "clinic.yaml").write_text(again)
    run_at_home("run", "clinic.yaml", "--workers", "1")
    done = ctlr("compare", f"{home}/w", "workspace", folder=tmp_path, environment=environment, warm=warm)
    assert "Every prediction is the same in both." in " ".join(done.out.split())
    assert "jekyll" not in "".join(file.read_text() for file in (home / "w" / "compare").rglob("*.*") if file.is_file())


def test_to_run_it_once_more_leaves_every_byte_of_the_report(runs: Runs, warm: Path) -> None:
    report = runs.folder / "again" / "reports" / "clinic"
    before = {file: file.read_bytes() for file in report.rglob("*") if file.is_file()}
    run(runs.folder, warm, "--workspace", "again", "--device", "cpu")
    assert {file: file.read_bytes() for file in report.rglob("*") if file.is_file()} == before
    shutil.rmtree(report)
    run(runs.folder, warm, "--workspace", "again", "--device", "cpu")
    assert {file: file.read_bytes() for file in report.rglob("*") if file.is_file()} == before
