"""`python -m bench` ends with a whole table whatever one row does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BENCHES = {
    "sound": """
def rows():
    print("a rival's chatter")
    yield {"name": "sound row", "ours": 2.0, "theirs": 1.0, "ratio": 2.0, "target": 1.0}
    yield {"name": "slow row", "ours": 1.0, "theirs": 2.0, "ratio": 0.5, "target": 1.0}
""",
    "broken": """
import subprocess
import sys
from ctlr.errors import TrainingError

ROW = {"name": "after the broken ones", "ours": 2.0, "theirs": 1.0, "ratio": 2.0, "target": None}


def nan():
    raise TrainingError("the training loss became nan in epoch 2;\\nlower `lr`")


def command():
    subprocess.run([sys.executable, "-c", "raise SystemExit('no such cohort')"], check=True, capture_output=True)


def jobs():
    yield "loss of sfcn", nan
    yield "a command", command
    yield "good", lambda: [ROW]
""",
    "halfway": """
def rows():
    yield {"name": "first of two", "ours": 2.0, "theirs": None, "ratio": None, "target": 3.0}
    raise ValueError
""",
    "killed": """
import os
import signal


def rows():
    yield {"name": "before the end", "ours": 2.0, "theirs": None, "ratio": None, "target": None}
    os.kill(os.getpid(), signal.SIGKILL)
""",
}


@pytest.fixture
def benches(tmp_path: Path) -> Path:
    (tmp_path / "bench").mkdir()
    for name, text in BENCHES.items():
        (tmp_path / "bench" / f"{name}.py").write_text(text)
    return tmp_path


def bench(folder: Path, *names: str) -> tuple[int, list[str]]:
    path = os.pathsep.join([str(folder), str(ROOT / "src"), str(ROOT)])
    finished = subprocess.run(
        [sys.executable, "-m", "bench", *names], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": path}, cwd=folder,
    )  # fmt: skip
    assert "Traceback" not in finished.stderr
    return finished.returncode, [" ".join(line.split()) for line in finished.stdout.splitlines()]


def test_failed_rows_are_named_with_their_reason_and_the_others_go_on(benches: Path) -> None:
    code, lines = bench(benches, "broken", "halfway", "killed", "absent", "sound")
    assert code == 1
    assert lines[1:] == [
        "loss of sfcn failed: TrainingError: the training loss became nan in epoch 2; lower `lr`",
        next(line for line in lines if line.startswith("a command failed: CalledProcessError: ")),
        "after the broken ones 2 1 2.00 -",
        "first of two 2 - - 3",
        "halfway failed: ValueError",
        "before the end 2 - - -",
        "killed failed: its process ended with SIGKILL",
        "absent failed: ModuleNotFoundError: No module named 'bench.absent'",
        "a rival's chatter",
        "sound row 2 1 2.00 1",
        "slow row 1 2 0.50 1 !",
        "5 failed: loss of sfcn; a command; halfway; killed; absent",
    ]
    assert lines[2].endswith("no such cohort")


def test_a_missed_target_is_no_failure(benches: Path) -> None:
    code, lines = bench(benches, "sound")
    assert code == 0
    assert lines[-1] == "slow row 1 2 0.50 1 !"
