"""One benchmark, cut off in every way at several moments and taken up again, beside the same one left in peace."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clinic import CLINIC, write_clinic
from terminal import Finished, Running, ctlr, until

LONG = "training.pretrain.epochs=60", "training.finetune.epochs=120"


@dataclass(frozen=True)
class Cut:
    """How and when a run is cut off."""

    name: str
    when: Callable[[Path, Running], Any]
    how: Callable[[Running], None]


@dataclass(frozen=True)
class Episode:
    """What came of a run that was cut off."""

    finished: Finished
    workers: list[int]
    """Workers that outlived it."""
    steps: dict[str, int]
    """Finished steps and when they were written, as the run left them."""


@dataclass(frozen=True)
class Story:
    """All that happened."""

    peaceful: Finished
    episodes: dict[str, Episode]
    crippled: Finished
    """The run one of whose workers was killed."""
    last: Finished
    workspace: Path
    steps: dict[str, int]


def training(*patterns: str) -> Callable[[Path, Running], Any]:
    """Whether the run has written such a thing of a stage that has not finished."""

    def written(workspace: Path, run: Running) -> bool:
        found = [path for pattern in patterns for path in workspace.glob(pattern)]
        return any(written_at(path) > run.began for path in found)

    return written


def written_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # its stage has just finished
        return 0


def starting(workspace: Path, run: Running) -> bool:
    """Whether a worker loads its code, and would break off with a traceback if it heard an interrupt."""
    return any(has_signal(pid, "SigCgt") and has_signal(pid, "SigBlk") for pid in run.workers())


def has_signal(pid: int, mask: str) -> bool:
    """Whether SIGINT is in one of a process's masks: caught, blocked."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it ended meanwhile
        return False
    bits = next(line.split()[1] for line in lines if line.startswith(mask))
    return bool(int(bits, 16) & 1 << (signal.SIGINT - 1))


def kill(run: Running) -> None:
    run.kill()


def send(number: signal.Signals, *, group: bool) -> Callable[[Running], None]:
    return lambda run: run.signal(number, group=group)


FINETUNING = training("finetuned/*.partial")  # which takes less than the second that a checkpoint is worth
PRETRAINING = training("pretrained/*.partial/checkpoint.safetensors", "finetuned/*.partial")  # looked at too late

CUTS = (
    Cut("killed while images are stored", lambda workspace, run: (workspace / "arrays").exists(), kill),
    Cut("interrupted at a terminal while a worker starts", starting,
        send(signal.SIGINT, group=True)),
    Cut("terminated alone while a worker starts", lambda workspace, run: run.workers(),
        send(signal.SIGTERM, group=False)),
    Cut("killed while a worker starts", lambda workspace, run: run.workers(), kill),
    Cut("killed in pretraining", PRETRAINING, kill),
    Cut("interrupted at a terminal in pretraining", PRETRAINING, send(signal.SIGINT, group=True)),
    Cut("interrupted alone in finetuning", FINETUNING, send(signal.SIGINT, group=False)),
    Cut("terminated as a group in finetuning", FINETUNING, send(signal.SIGTERM, group=True)),
    Cut("killed in finetuning", FINETUNING, kill),
)  # fmt: skip
KILLED = [cut.name for cut in CUTS if cut.how is kill]
STOPPED = [cut.name for cut in CUTS if cut.how is not kill]


def finished_steps(workspace: Path) -> dict[str, int]:
    """Folder -> when its result was written."""
    kinds = ("arrays", "pretrained", "finetuned", "studies")
    records = [path for kind in kinds for path in (workspace / kind).glob("*/*.json")]
    return {
        str(path.relative_to(workspace)): path.stat().st_mtime_ns
        for path in records
        if not path.parent.name.endswith(".partial")
    }


def results(finished: Finished) -> list[dict[str, Any]]:
    """Records of `-o json` without what a clock says."""
    return [
        {key: value for key, value in record.items() if not key.startswith("seconds_")}
        for record in json.loads(finished.out)["results"]
    ]


def episode(cut: Cut, run: Running, workspace: Path) -> Episode:
    """Cut a run off when its moment has come."""
    run.wait_for(lambda: cut.when(workspace, run))
    cut.how(run)
    finished = run.finish()
    if cut.how is kill:  # its workers are told of its death, which takes a moment
        until(lambda: not run.workers())
    workers = run.workers()
    assert run.left() == []
    return Episode(finished, workers, finished_steps(workspace))


@pytest.fixture(scope="module")
def story(warm: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("interruption")
    write_clinic(folder / "clinic")
    (folder / "clinic.yaml").write_text(CLINIC)
    workspace = folder / "cut"
    start = ("run", "clinic.yaml", *(word for setting in LONG for word in ("--set", setting)))
    peaceful = ctlr(*start, "--workspace", "peaceful", "--workers", "2", "-o", "json", folder=folder, warm=warm)
    episodes: dict[str, Episode] = {}
    for cut in CUTS:
        command = ("resume",) if episodes else start
        with Running(*command, "--workspace", "cut", "--workers", "1", folder=folder) as run:
            episodes[cut.name] = episode(cut, run, workspace)
    with Running("resume", "--workspace", "cut", "--workers", "1", folder=folder) as run:
        run.wait_for(lambda: FINETUNING(workspace, run))
        os.kill(run.workers()[0], signal.SIGKILL)
        crippled = run.finish()
    steps = finished_steps(workspace)
    last = ctlr("resume", "--workspace", "cut", "--workers", "1", "-o", "json", folder=folder, warm=warm)
    return Story(peaceful, episodes, crippled, last, workspace, steps)


@pytest.mark.parametrize("name", KILLED)
def test_no_worker_outlives_a_killed_run(story: Story, name: str) -> None:
    assert story.episodes[name].finished.code == -signal.SIGKILL
    assert story.episodes[name].workers == []


@pytest.mark.parametrize("name", STOPPED)
def test_a_stopped_run_ends_its_workers_and_says_how_to_go_on(story: Story, name: str) -> None:
    episode = story.episodes[name]
    assert episode.finished.code == 130
    assert episode.finished.out == ""
    assert "ctlr resume --workspace cut" in episode.finished.err
    assert "Traceback" not in episode.finished.err
    assert episode.workers == []


def test_cut_off_nine_times_a_benchmark_ends_with_the_numbers_of_one_left_in_peace(story: Story) -> None:
    assert story.peaceful.code == story.last.code == 0
    assert len(results(story.peaceful)) == 6
    assert results(story.last) == results(story.peaceful)


def test_no_finished_step_is_done_again(story: Story) -> None:
    left: dict[str, int] = {}
    now = finished_steps(story.workspace)
    for episode in story.episodes.values():
        assert left.items() <= episode.steps.items()
        left = episode.steps
    assert left
    assert left.items() <= story.steps.items() <= now.items()


def test_a_killed_worker_fails_its_study_alone(story: Story) -> None:
    assert story.crippled.code == 3
    (failed,) = [line for line in story.crippled.err.splitlines() if "FAILED" in line]
    assert "the worker was killed (signal 9)" in failed
    assert "lower `batch_size` or --workers" in failed
    done = [path for path in story.steps if path.startswith("studies/") and path.endswith("/result.json")]
    assert len(done) == 5


def test_the_next_run_repeats_the_failed_study_alone(story: Story) -> None:
    told = [json.loads(line) for line in story.last.err.splitlines()]
    assert [event["steps"] for event in told if event["kind"] == "run.planned"] == [1]
    assert [event["kind"] for event in told if event.get("of") == "study"] == ["step.started"]


def test_nothing_unfinished_is_left_behind(story: Story) -> None:
    assert [path.name for path in story.workspace.rglob("*") if ".partial" in path.name or ".aside" in path.name] == []
