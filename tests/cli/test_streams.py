"""What a shell does to a command: closes its streams, interrupts it twice, limits it."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from terminal import PATIENCE_SECONDS, Running, call
from tiny_bench import TINY

from ctlr.cli import app


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


def shell(program: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = program.replace("ctlr", f"{sys.executable} -m ctlr")
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_files_that_others_write_into(closed: str, place: Path) -> None:
    done = shell(f"ctlr init new.yaml {closed}; echo $?; ctlr check tiny.yaml {closed}; echo $?", place)
    assert done.stdout.split()[-1] == "0"
    assert "Traceback" not in done.stdout + done.stderr
    assert (place / "new.yaml").read_text().splitlines()[1] == "# ctlr run new.yaml"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("ulimit -f 0; ctlr init new.yaml", "Raise `ulimit -f`"),
        ("ulimit -n 12; ctlr plan tiny.yaml", ""),
        (f"ctlr init {'x' * 300}.yaml", "Choose a shorter"),
        (f"ctlr check {'x' * 300}.yaml", "File name too long"),
        (f"ctlr plan tiny.yaml --workspace {'x' * 300}", "Choose a shorter"),
        (f"ctlr {'x' * 3000}", "No such command"),
        (f"ctlr check tiny.yaml --{'x' * 3000}", "No such option"),
        ("ctlr run tiny.yaml --workspace /proc/x", "/proc/x cannot be made a folder (No such file or directory)"),
        ("ctlr cohort /proc/x --subjects 1", "/proc/x"),
        ("ctlr init /proc/x.yaml", "/proc"),
    ],
)
def test_what_the_system_refuses_is_told_in_a_line(command: str, says: str, place: Path) -> None:
    done = shell(command, place)
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 1500
    assert says in done.stderr
    assert done.returncode in ({0, 1, 2} if not says else {1, 2})


@pytest.mark.parametrize("stream", ["2> >(head -c 1 >/dev/null)", "2>/dev/full"])
def test_a_run_goes_on_when_nobody_hears_how_far_it_is(stream: str, place: Path) -> None:
    few = "--set 'methods={scratch: {}}' --set sample_sizes=[6] --workers 1 -o json"
    done = shell(f"ctlr run tiny.yaml {few} {stream}; echo code $?", place)
    assert done.stdout.endswith("code 0\n")
    assert '"failed": 0' in done.stdout
    assert (place / "workspace" / "reports" / "tiny" / "report.html").exists()


def test_a_table_that_nobody_reads_to_its_end_is_no_fault(place: Path) -> None:
    assert shell("ctlr explain | head -c 1 >/dev/null; echo ${PIPESTATUS[0]}", place).stdout == "0\n"


def lost(items: list[object]) -> None:
    items.clear()
    time.sleep(1)


def test_an_interrupt_comes_again_where_nothing_could_be_raised(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stubborn:
        def __del__(self) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "unraisablehook", app._come_again)
    with pytest.raises(KeyboardInterrupt):
        lost([Stubborn()])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("seed", [0, 1])
def test_two_interrupts_in_a_row_print_no_traceback(seed: int, place: Path) -> None:
    rng = random.Random(seed)
    with Running("run", "tiny.yaml", "--workers", "1", folder=place) as run:
        time.sleep(rng.uniform(0.1, 4))
        for _ in range(2):
            if run.process.poll() is None:
                run.signal(signal.SIGINT, group=True)
            time.sleep(rng.choice([0.002, 0.02, 0.1]))
        run.process.wait(PATIENCE_SECONDS)
        assert "Traceback" not in run.finish().err
        assert run.left() == []


def test_a_message_of_the_command_line_is_short(place: Path) -> None:
    assert len(call("check", "tiny.yaml", "--set", f"{'x' * 3000}=1", folder=place).err) < 1500
