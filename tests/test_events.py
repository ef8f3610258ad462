"""The record of a run's events: numbered without gaps, whatever ends the run."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_bench import Bench, search_of

from ctlr import events
from ctlr.claims import claimed
from ctlr.config import TuningSpec
from ctlr.crew import Event, Job, TrialNews
from ctlr.errors import DataError
from ctlr.events import KINDS, EventLog, SharedLog, events_path, process_start, read_events, recorded
from ctlr.running import run_benchmark
from ctlr.specs import Trial, TrialReport

JOB = Job("preprocess cohort", "preprocess", "")


class Silent:
    """Hears what is passed on."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def begin(self, benchmark: str, studies: int, workers: int, workspace: Path) -> None:
        self.heard.append(benchmark)

    def __enter__(self) -> None:
        self.heard.append("enter")

    def __exit__(self, *error: object) -> None:
        self.heard.append("exit")

    def expect(self, names: object) -> None:
        self.heard.append(names)

    def __call__(self, event: Event) -> None:
        self.heard.append(event)

    def told(self, event: dict[str, object]) -> None:
        self.heard.append(event["kind"])


def kinds(path: Path) -> list[str]:
    return [event["kind"] for event in read_events(path)]


def test_a_last_line_that_was_cut_is_taken_away_and_the_numbers_go_on(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "tiny" / "events.jsonl"
    log = EventLog(path)
    log.write("step.taken", step="a")
    log.write("step.taken", step="b")
    log.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"n":3,"kind":"step.ta')
    assert [event["n"] for event in read_events(path)] == [1, 2]
    log = EventLog(path)
    log.write("step.taken", step="c")
    log.close()
    assert path.read_bytes().startswith(whole)
    assert [(event["n"], event["step"]) for event in read_events(path)] == [(1, "a"), (2, "b"), (3, "c")]
    assert [event["n"] for event in read_events(path, after=2)] == [3]


def test_what_a_power_cut_leaves_of_the_end_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"n":1,"kind":"step.taken"}\n' + b"\0" * 100 + b"\n" + b"\0" * 7)
    log = EventLog(path)
    log.write("step.taken")
    log.close()
    assert [event["n"] for event in read_events(path)] == [1, 2]
    assert path.read_bytes().count(b"\0") == 0


def test_numbers_that_json_does_not_know_are_null(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.write("step.progress", row={"loss": math.nan, "mae": 1.5}, total=math.inf)
    (event,) = read_events(tmp_path / "events.jsonl")
    log.close()
    assert event["row"] == {"loss": None, "mae": 1.5}
    assert event["total"] is None


def test_a_full_disk_ends_the_record_and_not_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(tmp_path / "events.jsonl")

    def full(place: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(events.os, "write", full)
        log.write("step.taken")
    log.write("step.taken")  # else a number would be missing
    log.close()
    assert kinds(tmp_path / "events.jsonl") == []


def test_whoever_watches_is_told_all_the_same(tmp_path: Path) -> None:
    silent, event = Silent(), Event(JOB, "started")
    with recorded(silent, tmp_path, "tiny") as watcher:
        watcher.begin("tiny", 3, 1, tmp_path)
        with watcher:
            watcher(event)
            watcher.expect({"a": "A"})
    assert silent.heard == [
        "tiny", "run.began", "enter", event, "step.started", {"a": "A"}, "run.planned", "exit", "run.ended",
    ]  # fmt: skip
    assert kinds(events_path(tmp_path, "tiny")) == ["run.began", "step.started", "run.planned", "run.ended"]


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (KeyboardInterrupt(), "run.interrupted", None),
        (DataError("an image is needed.", place="sub-01"), "run.failed", "an image is needed."),
        (ZeroDivisionError("no"), "run.failed", "ZeroDivisionError: no"),
    ],
    ids=["Ctrl-C", "a fault of the data", "a fault of ours"],
)
def test_how_a_run_ends_is_told(tmp_path: Path, error: BaseException, kind: str, reason: str | None) -> None:
    with pytest.raises(type(error)), recorded(Silent(), tmp_path, "tiny"):
        raise error
    (event,) = read_events(events_path(tmp_path, "tiny"))
    assert (event["kind"], event.get("reason")) == (kind, reason)


def test_rows_that_come_often_are_thinned_and_the_last_one_stays(tmp_path: Path) -> None:
    with recorded(Silent(), tmp_path, "tiny") as watcher:
        watcher(Event(JOB, "started"))
        for epoch in range(1, 1001):
            watcher(Event(JOB, "progress", epoch, 1000, row={"epoch": epoch}))
        watcher(Event(JOB, "finished", text="40 images"))
    told = list(read_events(events_path(tmp_path, "tiny")))
    rows = [event["done"] for event in told if event["kind"] == "step.progress"]
    assert rows[0] == 1
    assert rows[-1] == 1000
    assert len(rows) < 10
    assert told[-2]["text"] == "40 images"


def test_a_long_record_leaves_out_rows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_BYTES", 10)
    with recorded(Silent(), tmp_path, "tiny") as watcher:
        watcher(Event(JOB, "started"))
        watcher(Event(JOB, "progress", 1, 2))
        watcher(Event(JOB, "finished"))
    assert kinds(events_path(tmp_path, "tiny")) == ["step.started", "step.finished", "run.ended"]


def test_a_trial_is_told_with_its_parameters_reports_and_end(tmp_path: Path) -> None:
    job, trial = Job("tune scratch", "tune", ""), Trial(number=4, name="t-4", assignments={"lr": "0.01"})
    ended = trial.model_copy(update={"status": "Failed", "reason": "the loss is NaN", "seconds": 2.5})
    with recorded(Silent(), tmp_path, "tiny") as watcher:
        watcher(Event(job, "trial", trial=TrialNews(1, trial)))
        watcher(Event(job, "trial", trial=TrialNews(1, trial, TrialReport(step=1, metrics={"mae": 3.0}, seconds=1.0))))
        watcher(Event(job, "progress", 5, 10, "trial 4 failed", trial=TrialNews(1, ended)))
    began, reported, end, _ = read_events(events_path(tmp_path, "tiny"))
    assert (began["kind"], began["number"], began["parameters"]) == ("trial.started", 4, {"lr": "0.01"})
    assert (reported["report"], reported["metrics"]) == (1, {"mae": 3.0})
    assert (end["status"], end["reason"], end["value"], end["seconds"]) == ("Failed", "the loss is NaN", None, 2.5)


@pytest.fixture(scope="module")
def told(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """Events of a tuned run of two methods, one of which can only fail, which is run twice."""
    root = tmp_path_factory.mktemp("told")
    (root / "lr.yaml").write_text(search_of("finetune.lr"))
    (root / "high.yaml").write_text(search_of("finetune.lr", "1e+20", "2e+20"))
    bad = bench.config.methods["scratch"].model_copy(update={"label": "exploding"})
    bad = bad.model_copy(update={"finetune": bad.finetune.model_copy(update={"clip": None})})
    tuning = TuningSpec.model_validate(
        {"experiments": {"scratch": (str(root / "lr.yaml"),), "exploding": (str(root / "high.yaml"),)}, "trials": 3}
    )
    methods = {"scratch": bench.config.methods["scratch"], "exploding": bad}
    config = bench.config.model_copy(update={"methods": methods, "sample_sizes": (6,), "tuning": tuning})
    for _ in range(2):
        run_benchmark(config, bench.file.parent, root / "workspace", workers=1, device="cpu", watcher=Silent())
    return list(read_events(events_path(root / "workspace", "tiny")))


def test_two_runs_are_one_record_without_gaps(told: list[dict[str, object]]) -> None:
    assert [event["n"] for event in told] == list(range(1, len(told) + 1))
    assert {event["kind"] for event in told} <= set(KINDS)
    assert [event["kind"] for event in told].count("run.began") == 2
    assert told[-1]["kind"] == "run.ended"


def test_every_trial_of_a_search_is_told_from_its_start_to_its_value(told: list[dict[str, object]]) -> None:
    search = next(event for event in told if "scratch" in str(event.get("step")) and event["kind"] == "step.started")
    assert (search["metric"], search["direction"], search["trials"]) == ("val_mae", "min", 3)
    own = [event for event in told if event.get("step") == search["step"] and str(event["kind"]).startswith("trial")]
    assert sorted(event["number"] for event in own if event["kind"] == "trial.started") == [0, 1, 2]  # type: ignore[type-var]
    assert any(event["kind"] == "trial.reported" for event in own)
    ended = [event for event in own if event["kind"] == "trial.ended"]
    assert len(ended) == 3
    assert all(
        event["status"] == "Succeeded" and event["value"] > 0 and "rate" in event["parameters"] for event in ended
    )  # type: ignore[operator]


def test_studies_are_told_with_their_validation_score_or_their_reason(told: list[dict[str, object]]) -> None:
    studies = {event["step"]: event for event in told if event["kind"] == "step.started" and event["of"] == "study"}
    scratch = {step for step, event in studies.items() if event["method"] == "scratch"}
    assert all(studies[step]["target"] == "cohort.age" for step in scratch)
    done = [event for event in told if event["kind"] == "step.finished" and event["step"] in scratch]
    assert done
    assert all(event["validation"] > 0 and "test" not in event for event in done)  # type: ignore[operator]


def test_a_search_that_finds_nothing_is_told_with_its_reason(told: list[dict[str, object]]) -> None:
    failed = {str(event["step"]): str(event["reason"]) for event in told if event["kind"] == "step.failed"}
    (step,) = failed
    assert "exploding" in step
    assert failed[step].startswith("every trial failed")


def test_a_run_that_is_killed_leaves_whole_lines(tiny_file: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "ctlr", "run", str(tiny_file), "-w", str(tmp_path / "w"), "--workers", "1"]
    run = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    path, deadline = events_path(tmp_path / "w", "tiny"), time.monotonic() + 60
    while "step.progress" not in kinds(path):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    began = next(read_events(path))
    assert (began["pid"], began["started"]) == (run.pid, process_start(run.pid))
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    before = kinds(path)
    assert "run.ended" not in before
    assert all(json.loads(line) for line in path.read_bytes().splitlines())
    subprocess.run([*words[:3], "resume", *words[5:]], check=True, capture_output=True)
    after = list(read_events(path))
    assert [event["n"] for event in after] == list(range(1, len(after) + 1))
    assert [event["kind"] for event in after][: len(before)] == before
    assert after[-1]["kind"] == "run.ended"


def test_a_process_is_known_by_its_start(tmp_path: Path) -> None:
    assert process_start(os.getpid()) == process_start(os.getpid())
    assert process_start(os.getpid()) is not None
    assert process_start(2**22 + 1) is None


def test_many_pods_number_their_events_without_gaps_and_lose_none(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from ctlr.events import SharedLog\n"
        "log = SharedLog(pathlib.Path(sys.argv[1]), 'tiny')\n"
        "for each in range(40): log.write('step.taken', step=sys.argv[2] + str(each))\n"
    )
    pods = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), name]) for name in "abc"]
    assert [pod.wait() for pod in pods] == [0, 0, 0]
    found = list(read_events(events_path(tmp_path, "tiny")))
    assert [event["n"] for event in found] == list(range(1, 121))
    for name in "abc":
        assert [e["step"] for e in found if e["step"].startswith(name)] == [f"{name}{each}" for each in range(40)]
    assert not list((tmp_path / "claims").iterdir())


def test_a_pod_that_died_while_it_wrote_leaves_no_line_that_is_cut(tmp_path: Path) -> None:
    log = SharedLog(tmp_path, "tiny")
    log.write("step.taken", step="a")
    path = events_path(tmp_path, "tiny")
    path.write_bytes(path.read_bytes() + b'{"n":2,"kind":"step.ta')
    log.write("step.taken", step="b")
    assert [(event["n"], event["step"]) for event in read_events(path)] == [(1, "a"), (2, "b")]
    assert path.read_bytes().count(b"\n") == 2


def test_while_a_run_leads_in_the_workspace_it_alone_tells(tmp_path: Path) -> None:
    log = SharedLog(tmp_path, "tiny")
    with claimed(tmp_path, "runs", "lead"):
        log.write("step.taken", step="a")
    log.write("step.taken", step="b")
    assert [event["step"] for event in read_events(events_path(tmp_path, "tiny"))] == ["b"]


@pytest.mark.parametrize("padding", [10, 70_000, 300_000])
def test_the_last_event_is_found_from_the_end_however_long_it_is(tmp_path: Path, padding: int) -> None:
    path = tmp_path / "events.jsonl"
    for number, words in ((1, "a"), (2, "b" * padding), (3, "c")):
        log = EventLog(path)
        log.write("step.failed", step=words)
        log.close()
        assert [event["n"] for event in read_events(path)][-1] == number
    path.write_bytes(path.read_bytes() + b"x" * padding)
    log = EventLog(path)
    log.write("step.failed", step="d")
    log.close()
    assert [event["n"] for event in read_events(path)] == [1, 2, 3, 4]
