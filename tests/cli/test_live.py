"""What a person sees of a run in a real terminal, and what is left of it in a pipe."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from glass import Glass, at_terminal, resize
from terminal import Running, call, ctlr
from tiny_bench import TINY, Bench

from ctlr.events import KINDS, SAID, read_events

FEW = ("--set", "sample_sizes=[6]", "--set", "methods={scratch: {}, supervised: {}}", "--workers", "2")
LONG = ("--set", "training.pretrain.epochs=4000", "--set", "training.finetune.epochs=4000")
FAILING = ("--set", "methods={scratch: {}, exploding: {method: scratch, finetune: {lr: 1.0e+20, clip: null}}}")
BAR = re.compile(r"\d+/\d+ [━─]+")


@pytest.fixture
def place(own_bench: Bench) -> Path:
    """A folder with a small benchmark whose images are stored."""
    folder = own_bench.workspace.root.parent
    (folder / "tiny.yaml").write_text(TINY)
    return folder


def test_the_first_line_waits_for_nothing_that_is_slow_to_load(place: Path) -> None:
    program = """
import sys
from pathlib import Path
import ctlr.events

def begin(*_):
    slow = {"torch", "numpy", "scipy", "matplotlib", "mlflow", "sklearn"}
    print(*slow & sys.modules.keys(), "begun", file=sys.stderr)
    raise SystemExit

ctlr.events.Recorded.begin = begin
sys.argv = ["ctlr", "run", "tiny.yaml"]
from ctlr.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=place, capture_output=True, text=True, check=True)
    assert done.stderr == "begun\n"


def test_the_first_line_comes_within_a_second_of_work(place: Path) -> None:
    """By the processor's clock: other programs may take the machine's."""
    seen = list[float]()

    def watch(glass: Glass, pid: int, terminal: int) -> None:
        if not seen:
            ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
            seen.append(sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"))
            assert glass.shown[0] == "tiny: 3 studies, 2 workers, workspace workspace"
            os.kill(pid, signal.SIGINT)

    at_terminal("run", "tiny.yaml", *FEW, folder=place, columns=80, watch=watch)
    assert seen[0] < 1.0


@pytest.mark.parametrize("columns", [120, 60, 40])
def test_a_terminal_shows_one_bar_and_the_metric_and_keeps_a_line_a_step(columns: int, place: Path, warm: Path) -> None:
    code, glass, frames = at_terminal("run", "tiny.yaml", *FEW, folder=place, warm=warm, columns=columns)
    assert code == 0
    bars = [[line for line in frame if BAR.search(line)] for frame in frames]
    assert any(bars)
    assert max(map(len, bars)) == 1
    assert any("val_mae" in line and "scratch" in line and "[" not in line for frame in frames for line in frame)
    assert all(len(line) <= columns for frame in frames for line in frame)
    told = "".join(line.ljust(columns) for line in glass.everything)
    assert told.startswith("tiny: 3 studies, 2 workers, workspace workspace")
    for step in ("[1/4]", "[2/4]", "[3/4]", "[4/4]", "Report: workspace/reports/tiny/report.html"):
        assert told.count(step) == 1
    assert not any(BAR.search(line) for line in glass.shown)  # the bar has gone, and left nothing


def test_a_study_that_fails_is_told_at_once_with_its_reason(place: Path, warm: Path) -> None:
    seen = list[str]()

    def watch(glass: Glass, pid: int, terminal: int) -> None:
        if not seen and any("failed, for the reasons above" in line for line in glass.shown):
            seen.extend(glass.everything)

    code, glass, _ = at_terminal("run", "tiny.yaml", *FEW, *FAILING, folder=place, warm=warm, columns=100, watch=watch)
    assert code == 3
    assert glass.coloured
    assert re.search(r"\[\d/\d\] exploding-age-n6-s0-\w+ FAILED: the (validation )?loss became nan", "\n".join(seen))


def test_no_colour_where_nobody_wants_it(place: Path, warm: Path) -> None:
    _, glass, frames = at_terminal(
        "run", "tiny.yaml", *FEW, *FAILING, folder=place, warm=warm, columns=80, environment={"NO_COLOR": "1"}
    )
    assert any(BAR.search(line) for frame in frames for line in frame)
    assert not glass.coloured


def test_a_dumb_terminal_reads_like_a_log(place: Path, warm: Path) -> None:
    _, glass, frames = at_terminal(
        "run", "tiny.yaml", *FEW, folder=place, warm=warm, columns=80, environment={"TERM": "dumb"}
    )
    assert not any(BAR.search(line) for frame in frames for line in frame)
    assert sum(line.startswith("[") for line in glass.everything) == 4


def test_a_worker_that_is_killed_fails_its_step_alone(place: Path) -> None:
    killed = list[int]()

    def watch(glass: Glass, pid: int, terminal: int) -> None:
        if not killed and any("epoch" in line for line in glass.shown):
            (loader,) = (child for child in children(pid) if children(child))
            killed.append(children(loader)[0])
            os.kill(killed[0], signal.SIGKILL)

    code, glass, frames = at_terminal(
        "run", "tiny.yaml", *FEW, "--set", "training.pretrain.epochs=400", folder=place, columns=100, watch=watch
    )
    assert killed
    assert code == 3
    assert any("starting workers: PyTorch is loading" in line for frame in frames for line in frame)
    told = "".join(line.ljust(100) for line in glass.everything)
    assert "FAILED: the worker was killed (signal 9)" in told
    assert any("failed, for the reasons above" in line for frame in frames for line in frame)


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_terminal_of_another_size_is_filled_anew(place: Path, warm: Path) -> None:
    sizes = [40, 110, 60]

    def watch(glass: Glass, pid: int, terminal: int) -> None:
        if sizes and any(BAR.search(line) for line in glass.shown):
            resize(terminal, sizes.pop(), 12)

    cuts_lines = {"XTERM_VERSION": "XTerm(379)"}
    code, glass, frames = at_terminal(
        "run", "tiny.yaml", *FEW, folder=place, warm=warm, columns=120, environment=cuts_lines, watch=watch
    )
    assert (code, sizes) == (0, [])
    assert len([line for frame in frames for line in frame if BAR.search(line)][-1]) < 40
    assert sum(line.startswith("Report: ") for line in glass.everything) == 1


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_says_what_is_kept_and_how_to_go_on(presses: int, place: Path) -> None:
    pressed = list[float]()

    def watch(glass: Glass, pid: int, terminal: int) -> None:
        training = [found for line in glass.shown if (found := re.search(r"epoch (\d+)/4000", line))]
        if not pressed and any(int(found[1]) > 30 for found in training):
            os.write(terminal, b"\x03")
            pressed.append(time.monotonic())
        elif pressed and len(pressed) < presses:
            time.sleep(0.5)
            os.write(terminal, b"\x03")
            pressed.append(time.monotonic())

    code, glass, _ = at_terminal("run", "tiny.yaml", *FEW, *LONG, folder=place, columns=100, watch=watch)
    assert len(pressed) == presses
    told = " ".join(line for line in glass.everything)
    if presses == 1:
        assert code == 130
        assert re.search(r"Kept: [01] of 4 steps, and the checkpoints of .* \(epoch \d+ of 4000\)", told)
        assert "Go on with: ctlr resume --workspace workspace --workers 2" in told
        assert "Traceback" not in told
    else:
        assert code in (130, -signal.SIGINT)
        assert time.monotonic() - pressed[-1] < 10
    assert not any(BAR.search(line) for line in glass.shown)


def test_a_pipe_gets_a_line_at_once_and_one_a_step(place: Path, warm: Path) -> None:
    done = ctlr("run", "tiny.yaml", *FEW, folder=place, warm=warm)
    first, *steps = done.err.splitlines()
    assert first == "tiny: 3 studies, 2 workers, workspace workspace"
    assert [line[:5] for line in steps if line.startswith("[")] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert "\x1b" not in done.err + done.out
    assert re.search(r"\[\d/4\] scratch-age-n6-s0-\w+ [\d.]+ s, val_mae [\d.]+", done.err)


def test_quietly_only_the_result_is_told(place: Path, warm: Path) -> None:
    done = ctlr("run", "tiny.yaml", *FEW, "--quiet", folder=place, warm=warm)
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("Report: workspace/reports/tiny/report.html\n")
    bad = ctlr("run", "tiny.yaml", *FEW, *FAILING, "-q", folder=place, warm=warm)
    assert bad.code == 3
    (line,) = bad.err.splitlines()
    assert re.match(r"exploding-age-n6-s0-\w+ failed: the (validation )?loss became nan", line)


def test_results_as_json_have_their_events_on_stderr(place: Path, warm: Path) -> None:
    done = ctlr("run", "tiny.yaml", *FEW, "-o", "json", folder=place, warm=warm)
    assert json.loads(done.out)["failed"] == 0
    told = [json.loads(line) for line in done.err.splitlines()]
    assert told == list(read_events(place / "workspace" / "runs" / "tiny" / "events.jsonl"))
    assert {event["kind"] for event in told} <= set(KINDS)
    assert {"run.began", "worker.starting", "worker.started", "step.progress", "run.ended"} <= {
        event["kind"] for event in told
    }


def test_errors_are_a_line_of_json_where_results_are(place: Path, warm: Path) -> None:
    wrong = call("run", "tiny.yaml", "--workers", "0", "--output=json", folder=place)
    told = json.loads(wrong.err)
    assert (wrong.code, told["kind"], told["exit_code"]) == (2, "error", 2)
    assert "--workers" in told["reason"]
    done = ctlr("run", "none.yaml", "-o", "json", folder=place, warm=warm)
    (line,) = done.err.splitlines()
    told = json.loads(line)
    assert (done.code, done.out, told["kind"], told["exit_code"]) == (2, "", "error", 2)
    assert "none.yaml" in told["reason"]
    assert json.loads(ctlr("resume", "-o", "json", folder=place, warm=warm).err)["kind"] == "error"


def test_an_interrupted_run_tells_programs_what_is_kept(place: Path) -> None:
    with Running("run", "tiny.yaml", *FEW, *LONG, "-o", "json", folder=place) as run:
        run.wait_for(lambda: list((place / "workspace").glob("*/*.partial/checkpoint.safetensors")))
        run.signal(signal.SIGINT, group=True)
        done = run.finish()
    *events, kept, error = (json.loads(line) for line in done.err.splitlines())
    assert (done.code, events[-1]["kind"]) == (130, "run.interrupted")
    assert (kept["kind"], kept["of"]) == ("kept", 4)
    assert all(epoch > 0 for epoch in kept["checkpoints"].values())
    assert kept["checkpoints"]
    assert kept["command"] == "ctlr resume --workspace workspace --workers 2"
    assert error["kind"] == "error"
    assert {"kept", "error"} <= set(SAID)


def test_a_run_whose_lines_nobody_reads_to_the_end_goes_on(place: Path) -> None:
    words = [sys.executable, "-m", "ctlr", "run", "tiny.yaml", *FEW]
    program = " ".join(f"'{word}'" for word in words) + " 2>&1 | head -n 1; echo ${PIPESTATUS[0]}"
    done = subprocess.run(["bash", "-c", program], cwd=place, capture_output=True, text=True, check=True)
    assert done.stdout == "tiny: 3 studies, 2 workers, workspace workspace\n0\n"
    assert (place / "workspace" / "reports" / "tiny" / "report.html").exists()


def test_runs_and_studies_are_listed_and_shown(place: Path, warm: Path) -> None:
    assert ctlr("run", "tiny.yaml", *FEW, *FAILING, "-q", folder=place, warm=warm).code == 3
    (row,) = json.loads(call("ls", "-o", "json", folder=place).out)
    assert (row["run"], row["state"], row["failed"]) == ("tiny", "finished", 1)
    assert (row["studies_done"], row["studies"]) == (2, 3)
    assert row["best"][0]["method"] == "scratch"
    assert re.search(r"tiny │ finished │ .* │ 2/3 +│ scratch mae", call("ls", folder=place).out)

    shown = call("show", "tiny", folder=place)
    assert shown.out.startswith("tiny: finished, began ")
    assert re.search(r"FAILED exploding-age-n6-s0-\w+: the (validation )?loss became nan", shown.out)
    assert "Report: workspace/reports/tiny/report.html" in shown.out
    assert call("show", "workspace/reports/tiny", folder=place).out.splitlines()[1:3] == shown.out.splitlines()[1:3]

    study = json.loads(call("show", "scratch", "-o", "json", folder=place).out)
    assert study["record"]["test_mae"] > 0
    assert {"history.csv", "predictions.csv", "result.json"} <= set(study["files"])
    assert (place / study["folder"]).is_dir()
    failed = call("show", "exploding", folder=place).out
    assert ": failed, a study of tiny" in failed
    assert re.search("FAILED: the (validation )?loss became nan", failed)


def test_a_run_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    missing = call("ls", "nowhere", folder=tmp_path)
    assert missing.code == 2
    assert "nowhere is no workspace" in missing.err
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "workspace.json").write_text("{}")
    assert call("ls", folder=tmp_path).out == "Nothing was run yet in workspace. Start with: ctlr run FILE\n"
    done = call("show", "x", folder=tmp_path)
    assert done.code == 2
    assert "workspace has no run 'x', and no study whose id begins so. Known: none." in done.err
