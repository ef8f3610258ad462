"""Workers that keep what they loaded: jobs that are stopped, numbers that come with progress."""

import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pool_jobs import Interrupting, start

from ctlr.crew import Crew, Event, Job
from ctlr.wishes import Wishes, clock, heeded, now, read_wishes, write_wishes


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(start, (), 1, tmp_path / "logs")
    yield crew
    crew.dismiss()


def until(crew: Crew, state: str) -> list[Event]:
    """Events up to the first of that state."""
    events: list[Event] = []
    while not any(event.state == state for event in events):
        events += crew.listen()
    return events


def test_a_stopped_job_ends_at_its_next_progress_and_its_worker_stays(crew: Crew) -> None:
    crew.give(Job("a", "pid", ""))
    first = until(crew, "finished")[-1].text
    crew.give(Job("b", "endless", ""))
    until(crew, "progress")
    crew.stop("b")
    assert until(crew, "stopped")[-1].job.id == "b"
    crew.give(Job("c", "pid", ""))
    assert until(crew, "finished")[-1].text == first


def test_a_wish_to_stop_that_comes_too_late_stops_no_other_job(crew: Crew) -> None:
    crew.give(Job("a", "echo", "1"))
    while not crew._workers[0].connection.poll(0.01):  # its answer lies there, and nobody has looked
        pass
    time.sleep(0.2)
    crew.stop("a")
    until(crew, "finished")
    crew.give(Job("b", "echo", "2"))
    assert until(crew, "finished")[-1].text == "2"


def test_stopping_what_does_not_run_does_nothing(crew: Crew) -> None:
    crew.stop("a")
    crew.give(Job("a", "echo", "1"))
    crew.stop("b")
    assert until(crew, "finished")[-1].text == "1"


def test_numbers_come_with_progress_in_full(crew: Crew) -> None:
    crew.give(Job("a", "echo", ""))
    progress = until(crew, "finished")[0]
    assert progress.row == {"loss": 0.5}
    assert progress.text == "loss=0.5"


def test_a_crew_has_room_until_every_worker_is_at_a_job(crew: Crew) -> None:
    assert crew.has_room
    crew.give(Job("a", "endless", ""))
    assert not crew.has_room
    crew.kill("a")
    assert "signal 9" in until(crew, "failed")[-1].text
    assert crew.has_room


def test_while_a_run_is_to_pause_workers_hold_and_the_clock_stands(crew: Crew, tmp_path: Path) -> None:
    ticks, told, held = tmp_path / "ticks", list[bool](), list[float]()

    def go_on() -> None:
        """As soon as the worker holds."""
        before, deadline = "", time.monotonic() + 60
        while (now := ticks.read_text()) != before or not now:
            assert time.monotonic() < deadline, "the worker does not hold"
            before = now
            time.sleep(0.5)
        held.append(float(now))
        write_wishes(tmp_path, "r", Wishes(goal=0.5))

    def tell(paused: bool) -> None:
        told.append(paused)
        if paused:
            threading.Thread(target=go_on).start()

    write_wishes(tmp_path, "r", Wishes(paused=True))
    with heeded(tmp_path, "r", tell):
        crew.give(Job("a", "tick", str(ticks)))
        until(crew, "progress")  # a run that begins is awake, whatever was wanted of the one before
        assert told == []
        write_wishes(tmp_path, "r", Wishes(paused=True))
        began, counted = time.monotonic(), clock()
        while told != [True, False]:
            crew.listen()
        assert time.monotonic() - began >= clock() - counted + 0.5
        assert now().goal == 0.5
        while float(ticks.read_text() or 0) <= held[0]:  # it goes on where it was
            crew.listen()
        crew.stop("a")
        until(crew, "stopped")
    assert now() == Wishes()


def test_a_signal_ends_a_run_that_is_paused_and_what_was_told_is_not_lost(crew: Crew, tmp_path: Path) -> None:
    def tell(paused: bool) -> None:
        if paused:
            threading.Thread(target=lambda: (time.sleep(0.3), signal.raise_signal(signal.SIGINT))).start()

    with heeded(tmp_path, "r", tell):
        crew.give(Job("a", "tick", str(tmp_path / "ticks")))
        until(crew, "progress")
        write_wishes(tmp_path, "r", Wishes(paused=True))
        with pytest.raises(KeyboardInterrupt):
            until(crew, "never")
        crew.stop("a")
        until(crew, "stopped")  # though nobody has taken the wish back


@pytest.mark.parametrize("text", ["", "[]", "{", '{"goal": "x"}', '{"goal": NaN, "paused": 1}', "\x00"])
def test_wishes_that_are_damaged_are_none(tmp_path: Path, text: str) -> None:
    write_wishes(tmp_path, "r", Wishes())
    (tmp_path / "runs" / "r" / "wishes.json").write_text(text)
    assert read_wishes(tmp_path, "r") == Wishes()


@pytest.mark.parametrize("want", ["memory", "torch memory", "lacking", "unmapped"])
def test_a_worker_that_lacked_memory_leaves_and_the_next_job_has_another(crew: Crew, want: str) -> None:
    crew.give(Job("a", "pid", ""))
    first = until(crew, "finished")[-1].text
    crew.give(Job("b", want, ""))
    assert until(crew, "failed")[-1].text.startswith("out of memory")
    assert crew.has_room
    crew.give(Job("c", "pid", ""))
    assert until(crew, "finished")[-1].text != first


@pytest.mark.skipif(sys.platform != "linux", reason="Linux chooses by these figures")
def test_for_want_of_memory_linux_ends_a_worker_before_what_all_are_forked_from(crew: Crew) -> None:
    crew.give(Job("a", "expendable", ""))
    worker, loader = map(int, until(crew, "finished")[-1].text.split())
    assert worker == min(1000, loader + 500)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")
def test_the_end_of_what_workers_are_forked_from_is_told_and_the_next_job_runs(crew: Crew) -> None:
    crew.give(Job("a", "orphan", ""))
    assert "was killed" in until(crew, "failed")[-1].text
    crew.give(Job("b", "echo", "1"))
    assert until(crew, "finished")[-1].text == "1"


def test_listening_has_an_end(crew: Crew) -> None:
    assert crew.listen(0) == []
    crew.give(Job("a", "endless", ""))
    until(crew, "progress")
    crew.stop("a")
    until(crew, "stopped")
    assert crew.listen(0.05) == []


def test_a_signal_that_comes_while_a_worker_starts_waits_until_it_can_be_dismissed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    crew = Crew(start, (Interrupting(),), 1, tmp_path / "logs")
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            crew.give(Job("a", "echo", ""))
        assert signal.getsignal(signal.SIGTERM) is interrupt
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(multiprocessing.active_children()) == 1
    crew.dismiss()
    assert multiprocessing.active_children() == []
    assert capfd.readouterr().err == ""
