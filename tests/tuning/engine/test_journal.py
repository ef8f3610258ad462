"""The journal gives back what it was told."""

import os
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from flushed import Disk
from hypothesis import given, settings
from hypothesis import strategies as st
from small_search import search

from ctlr.errors import WorkspaceError
from ctlr.specs import Trial, TrialReport
from ctlr.tuning.engine import Completion, read_journal
from ctlr.tuning.engine.journal import AS_PROPOSED, Journal, changes

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
METRICS = st.dictionaries(TEXT, NUMBER, max_size=3)
SETTINGS = st.dictionaries(TEXT, TEXT, max_size=3)
REPORTS = st.lists(st.builds(TrialReport, step=st.integers(0, 99), metrics=METRICS, seconds=NUMBER), max_size=3).map(
    tuple
)
TRIALS = st.lists(
    st.builds(
        Trial,
        number=st.just(0),
        name=TEXT,
        assignments=SETTINGS,
        labels=SETTINGS,
        status=st.sampled_from(["Succeeded", "Failed", "EarlyStopped", "Killed", "Running"]),
        reports=REPORTS,
        value=st.none() | NUMBER,
        metrics=METRICS,
        seconds=NUMBER,
        started=NUMBER,
        reason=TEXT,
        tail=TEXT,
    ),
    max_size=4,
)


def written(folder: Path, trials: list[Trial]) -> list[Trial]:
    """Note trials as the engine does; those under way have no end."""
    numbered = []
    with Journal(folder) as journal:
        journal.begin(search(), 7, ())
        for number, trial in enumerate(trials):
            trial = trial.model_copy(update={"number": number})
            as_proposed = trial.model_copy(update=AS_PROPOSED | {"started": 0.0})
            journal.proposed(as_proposed, 0)
            for report in trial.reports:
                journal.reported(number, report)
            if trial.ended:
                journal.ended(trial)
            numbered.append(trial if trial.ended else as_proposed)
    return numbered


def test_what_trials_came_to_is_on_the_disk_within_a_second_and_the_end_at_once(tmp_path: Path) -> None:
    disk, root, trial = Disk(), tmp_path / "search", Trial(number=0, name="a", assignments={}, status="Succeeded")
    with disk.watched(), Journal(root) as journal:
        journal.begin(search(), 7, ())
        journal.proposed(trial, 0)
        journal.ended(trial)
        disk.leave(root, tmp_path / "first")
        journal.ended(trial)
        journal.completed(Completion(True, "ExperimentMaxTrialsReached", "", datetime.now(UTC)))
        disk.leave(root, tmp_path / "last")
    first, last = read_journal(tmp_path / "first"), read_journal(tmp_path / "last")
    assert first is not None
    assert last is not None
    assert [trial.status for trial in first.trials] == ["Succeeded"]
    assert last.completion is not None


@settings(max_examples=40, deadline=None)
@given(TRIALS)
def test_what_was_written_is_read(trials: list[Trial]) -> None:
    with TemporaryDirectory() as folder:
        expected = written(Path(folder), trials)
        history = read_journal(Path(folder))
    assert history is not None
    assert (history.trials, history.seed, history.experiment) == (expected, 7, search())


@settings(max_examples=40, deadline=None)
@given(TRIALS, st.integers(0, 10_000))
def test_any_cut_leaves_a_journal_that_can_be_read(trials: list[Trial], cut: int) -> None:
    with TemporaryDirectory() as folder:
        expected = written(Path(folder), trials)
        path = Path(folder) / "journal.jsonl"
        path.write_bytes(path.read_bytes()[:cut])
        history = read_journal(Path(folder))
    if history is not None:
        for found, whole in zip(history.trials, expected, strict=False):
            assert found.assignments == whole.assignments
            assert found == whole or not found.ended


def test_a_folder_without_a_journal_has_no_history(tmp_path: Path) -> None:
    assert read_journal(tmp_path) is None


def test_only_the_counts_may_change() -> None:
    assert changes(search(), search(max_trials=9, parallel=4, max_failed=0)) == []
    assert changes(search(), search(algorithm="tpe")) == ['algorithm.name: was "random", is "tpe"']
    assert changes(search(), search(goal=0.5)) == ["objective.goal: was null, is 0.5"]


@pytest.mark.parametrize("line", ["null", "[]", "7", '"text"', "{}", "[" * 100_000, '{"event": "proposed", "time": 7}'])
@pytest.mark.parametrize("place", [0, 1])
def test_a_line_that_is_no_event_is_named_with_what_to_remove(tmp_path: Path, line: str, place: int) -> None:
    with Journal(tmp_path) as journal:
        journal.begin(search(), 0, [])
    lines = journal.path.read_text().splitlines()
    lines.insert(place, line)
    journal.path.write_text("\n".join(lines) + "\n")
    told = f"line {place + 1} is no event of an experiment. Restore the file, or remove the folder {tmp_path}"
    with pytest.raises(WorkspaceError, match=told):
        read_journal(tmp_path)


def test_a_process_that_is_forked_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with Journal(tmp_path):
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)  # until the test is over
            os._exit(0)
    try:
        with Journal(tmp_path) as again:
            assert again.path.exists()
    finally:
        os.close(writing)
        os.close(reading)
        os.waitpid(child, 0)
