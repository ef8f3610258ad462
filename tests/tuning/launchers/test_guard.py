"""What is left of trials when nobody is there to end them."""

import os
import subprocess

from ctlr.tuning.launchers.guard import TRIAL_MARK, Guard


def sleeper(mark: str = "") -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "600"], env=os.environ | {TRIAL_MARK: mark}, start_new_session=True)


def end(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        assert process.poll() is None
        process.kill()
        process.wait()


def test_watched_groups_are_killed_and_released_ones_are_not() -> None:
    watched, released = sleeper(), sleeper()
    guard = Guard()
    guard.expect()
    for process in (watched, released):
        guard.watch(process.pid)
    guard.release(released.pid)
    guard.close()
    assert watched.wait(10) == -9
    end(released)


def test_a_program_that_was_just_being_started_is_found_by_its_mark() -> None:
    guard = Guard()
    mark = guard.expect()
    expected, other = sleeper(mark), sleeper(f"{mark}0")
    guard.close()
    assert expected.wait(10) == -9
    end(other)


def test_a_program_that_the_next_engine_starts_is_left_alone() -> None:
    before, after = Guard(), Guard()
    before.expect()
    started = sleeper(after.expect())
    before.close()
    end(started)
    after.forget()
    after.close()


def test_a_guard_that_was_never_needed_closes() -> None:
    Guard().close()
