"""What is left of trials when nobody is there to end them."""

import os
import subprocess
from pathlib import Path

from ctlr.tuning.guard import TRIAL_FOLDER, Guard


def sleeper(folder: Path | None = None) -> subprocess.Popen[bytes]:
    environment = dict(os.environ) if folder is None else os.environ | {TRIAL_FOLDER: str(folder)}
    return subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True)


def test_watched_groups_are_killed_and_released_ones_are_not() -> None:
    watched, released = sleeper(), sleeper()
    guard = Guard()
    guard.expect("")
    for process in (watched, released):
        guard.watch(process.pid)
    guard.release(released.pid)
    guard.close()
    assert watched.wait(10) == -9
    assert released.poll() is None
    released.kill()
    released.wait()


def test_a_program_that_was_just_being_started_is_found_by_its_folder(tmp_path: Path) -> None:
    expected, other = sleeper(tmp_path / "a"), sleeper(tmp_path / "ab")
    guard = Guard()
    guard.expect(str(tmp_path / "a"))
    guard.close()
    assert expected.wait(10) == -9
    assert other.poll() is None
    other.kill()
    other.wait()


def test_a_guard_that_was_never_needed_closes() -> None:
    Guard().close()
