"""Two sources and two targets from pictures to the report's words on which transfer gains."""

import csv
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from shapes import SHAPES, write_shapes
from terminal import Finished, call

from ctlr.specs import TransferScores

SWEEP = "supervised: {sweep: {finetune: {w: [0.3, 1.0]}}}"


@dataclass(frozen=True)
class Day:
    """What happened."""

    folder: Path
    planned: Finished
    first: Finished
    again: Finished

    @property
    def report(self) -> Path:
        return self.folder / "workspace" / "reports" / "shapes"

    def table(self, name: str) -> list[dict[str, str]]:
        with (self.report / "tables" / f"{name}.csv").open(newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    folder = tmp_path_factory.mktemp("transfers")
    write_shapes(folder)
    text = SHAPES.replace("sample_sizes: [6, 8]", "sample_sizes: [8]").replace("seeds: [0, 1]", "seeds: [0]")
    text = text.replace("supervised: {}", SWEEP)
    (folder / "shapes.yaml").write_text(text)
    planned = call("plan", "shapes.yaml", "-o", "json", folder=folder)
    first = call("run", "shapes.yaml", "--workers", "1", "-o", "json", folder=folder)
    lost = next(
        path.parent
        for path in sorted(folder.glob("workspace/transfers/*/result.json"))
        if not TransferScores.model_validate_json(path.read_text()).pretraining
    )
    shutil.rmtree(lost)
    return Day(folder, planned, first, call("resume", "--workers", "1", "-o", "json", folder=folder))


def test_the_plan_counts_what_scores_transfers(day: Day) -> None:
    shown = json.loads(day.planned.out)
    # Three pairs; each has one pretraining, which both methods share.
    assert shown["transfer_scores"] == 6
    assert sum(row["steps"] for row in shown["costs"] if row["stage"] == "score") == 6


def test_scores_are_jobs_of_the_run(day: Day) -> None:
    assert day.first.code == 0, day.first.err
    ended = _ended(day.first)
    assert sum(bool(re.fullmatch(r"score \S+ to \S+ small_cnn s0", name)) for name in ended) == 3
    assert sum(bool(re.fullmatch(r"score \S+ to \S+ distances", name)) for name in ended) == 3


def _ended(run: Finished) -> list[str]:
    """Names of the steps that a run finished, but for preprocessing, by the events that it told."""
    events = [json.loads(line) for line in run.err.splitlines()]
    began = {event["step"]: event for event in events if event["kind"] == "step.started"}
    steps = [began[event["step"]] for event in events if event["kind"] == "step.finished"]
    return [step["name"] for step in steps if step["of"] != "preprocess"]


def test_what_is_missing_is_scored_by_the_next_run_alone(day: Day) -> None:
    assert day.again.code == 0
    (step,) = _ended(day.again)
    assert re.fullmatch(r"score \S+ to \S+ distances", step)
    assert len(list(day.folder.glob("workspace/transfers/*/result.json"))) == 6


def test_every_pair_has_its_gain_and_its_scores_in_the_report(day: Day) -> None:
    rows = day.table("transfer-scores")
    assert [(row["source"], row["target"]) for row in rows] == [
        ("light.lines", "light.blobs"), ("dark.lines", "light.blobs"), ("dark.blobs", "light.lines"),
    ]  # fmt: skip
    for row in rows:
        assert all(row[name] for name in ("gain", "leep", "nce", "log_me", "class_variance", "hausdorff_modified"))
    pairs = day.table("pairs")
    assert {row["candidates"] for row in pairs} == {"2"}
    assert [row["gain"] for row in pairs] == [row["gain"] for row in rows]
    assert {row["score"] for row in day.table("transfer-left-out")} == {"h_score"}


def test_the_page_says_which_transfers_gain_and_whether_a_score_told(day: Day) -> None:
    page = (day.report / "report.html").read_text()
    for words in ("Which transfers gain", "Did anything predict the gain?", "Which finetuning", "Over all transfers"):
        assert words in page
    assert "no interval says more than −1 to 1" in page
