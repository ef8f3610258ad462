"""Programs as trials: what they do wrong, and what is left of them."""

import json
import os
import re
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import small_search
from small_search import alive, gone, python, run_programs, search, shell

from ctlr.errors import ConfigError
from ctlr.specs import AlgorithmSpec, Collector, Trial, TrialCommand
from ctlr.tuning.launchers import Ended, ProcessLauncher

DEADLINE = {"spec": {"trialTemplate": {"trialSpec": {"spec": {"activeDeadlineSeconds": 1}}}}}


def only_trial(folder: Path, trial: TrialCommand, **changes: object) -> Trial:
    """Run one trial."""
    outcome = run_programs(search(trial, max_trials=1, **changes), folder)
    (ran,) = outcome.trials
    return ran


def log_of(folder: Path, trial: Trial) -> Path:
    return folder / "trials" / trial.name / "log.txt"


def test_a_program_that_prints_its_objective_succeeds_with_it(tmp_path: Path) -> None:
    trial = only_trial(tmp_path, shell("echo loss=0.5; echo warning >&2; echo loss=0.25"))
    assert (trial.status, trial.value, trial.reason) == ("Succeeded", 0.25, "")
    assert [(report.step, report.metrics) for report in trial.reports] == [(1, {"loss": 0.5}), (2, {"loss": 0.25})]
    assert log_of(tmp_path, trial).read_text() == "loss=0.5\nwarning\nloss=0.25\n"


@pytest.mark.parametrize(("strategy", "value"), [("min", 1.0), ("max", 3.0), ("latest", 2.0)])
def test_the_strategy_says_which_value_counts(tmp_path: Path, strategy: str, value: float) -> None:
    assert only_trial(tmp_path, shell("printf 'loss=1\nloss=3\nloss=2\n'"), strategy=strategy).value == value


@pytest.mark.parametrize(
    ("trial", "reason"),
    [
        (TrialCommand(image="i", command=("/no/such/program",)), "command '/no/such/program' does not exist"),
        (TrialCommand(image="i", command=("/etc/passwd",)), "command '/etc/passwd' cannot be started.*denied"),
        (TrialCommand(image="i", command=("true",), working_dir="/no/such/folder"), "workingDir /no/such/folder"),
        (TrialCommand(image="i", command=()), "names no command"),
        (shell("echo loss=1; echo the disk is gone; exit 3"), "exit code 3: the disk is gone"),
        (shell("echo loss=1; kill -9 $$"), r"killed \(signal 9\), most likely for want of memory"),
        (shell("echo loss=1; kill -11 $$"), r"signal 11 \(SIGSEGV\)"),
        (shell("echo hello"), "reported no loss; it is looked for in its output, by lines like loss=0.5"),
        (shell("echo loss=nan"), "reported no loss that is a finite number at its last report; it is looked for in"),
        (shell("echo loss=0.5; echo loss=unknown"), "reported no loss that is a finite number at its last report"),
        (python("print('loss=1e999')"), "reported no loss that is a finite number"),
        (python("raise ValueError('the rate is too high')"), "exit code 1: ValueError: the rate is too high"),
    ],
)
def test_a_program_that_goes_wrong_is_failed_with_the_reason(tmp_path: Path, trial: TrialCommand, reason: str) -> None:
    failed = only_trial(tmp_path, trial)
    assert (failed.status, failed.value) == ("Failed", None)
    assert re.search(reason, failed.reason), failed.reason


def test_a_value_that_is_no_number_costs_no_trial(tmp_path: Path) -> None:
    """Katib's collector passes them over: the least value of these lines is 0.5."""
    printed = shell("printf 'args: loss=mse\nloss=0.75\nloss=0.5\nloss=None\nloss=nan\nloss=\033[32m0.1\033[0m\n'")
    trial = only_trial(tmp_path, printed, strategy="min")
    assert (trial.status, trial.value, [report.step for report in trial.reports]) == ("Succeeded", 0.5, [1, 2])


def test_the_latest_value_is_that_of_the_latest_time(tmp_path: Path) -> None:
    stamp = "2026-11-20T09:30:0"
    printed = shell(f"echo {stamp}0Z loss=1; echo {stamp}2Z loss=2; echo {stamp}1Z loss=3; echo loss=4")
    assert only_trial(tmp_path, printed).value == 2.0


def test_a_failed_trial_shows_the_last_lines_that_it_printed(tmp_path: Path) -> None:
    failed = only_trial(tmp_path, shell("seq 1000; exit 1"))
    assert failed.tail.splitlines() == [str(number) for number in range(981, 1001)]


def test_a_gigabyte_of_output_fills_neither_the_disk_nor_the_memory(tmp_path: Path) -> None:
    flood = "echo first; head -c 1000000000 /dev/zero | tr '\\0' 'x'; echo; echo loss=1; echo last"
    code = f"import resource, sys; import small_search as s; from pathlib import Path\
\no = s.run_programs(s.search(s.shell({flood!r}), max_trials=1), Path({str(tmp_path)!r}))\
\nprint(o.trials[0].value, o.trials[0].name, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    idle = "import resource; import small_search; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    value, name, peak = script(code).split()
    assert (float(value), int(peak) < int(script(idle)) + 40_000) == (1.0, True)
    text = (tmp_path / "trials" / name / "log.txt").read_text()
    assert text.startswith("first\nxxx")
    assert text.endswith("xxx\nloss=1\nlast\n")
    assert len(text) < 1_100_000
    assert "bytes left out" in text


def script(code: str) -> str:
    """What a Python script prints, with the tests' helpers at hand."""
    places = [str(Path(small_search.__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(places)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return run.stdout.decode()


def test_binary_output_is_passed_over(tmp_path: Path) -> None:
    trial = only_trial(tmp_path, shell("head -c 300000 /dev/urandom; echo; echo loss=2; printf '\\377\\376'; exit 5"))
    assert (trial.status, trial.metrics) == ("Failed", {"loss": 2.0})
    assert "�" in trial.tail
    assert json.loads(json.dumps(trial.tail)) == trial.tail


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    trial = only_trial(tmp_path, shell("trap '' TERM; while :; do sleep 0.1; done"), manifest=DEADLINE)
    assert trial.status == "Failed"
    assert 1.4 < trial.seconds < 30


def test_what_a_trial_has_forked_ends_with_it(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hang = f"sleep 600 & echo $! $$ > {pids}; wait"
    only_trial(tmp_path / "run", shell(hang), manifest=DEADLINE)
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_a_child_that_holds_the_pipe_does_not_keep_the_engine(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    trial = only_trial(tmp_path / "run", shell(f"sleep 600 & echo $! > {pids}; echo loss=1"))
    assert trial.status == "Succeeded"
    assert trial.seconds < 60
    assert gone(int(pids.read_text()))


def test_a_child_in_a_session_of_its_own_does_not_keep_the_engine(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    trial = only_trial(tmp_path / "run", shell(f"setsid sleep 20 & echo $! > {pids}; sleep 0.1; echo loss=1"))
    assert trial.status == "Succeeded"
    assert trial.seconds < 15


def test_a_program_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    trial = only_trial(tmp_path, shell("echo loss=1; exec >&- 2>&-; sleep 0.3; exit 4"))
    assert trial.status == "Failed"
    assert "exit code 4" in trial.reason
    assert trial.seconds > 0.3


@pytest.mark.parametrize("inside", [None, "runPolicy"])
def test_the_jobs_deadline_ends_a_trial(tmp_path: Path, inside: str | None) -> None:
    limit = {"activeDeadlineSeconds": 1}
    job = {"spec": limit if inside is None else {inside: limit}}
    trial = only_trial(
        tmp_path, shell("echo loss=1; sleep 60"), manifest={"spec": {"trialTemplate": {"trialSpec": job}}}
    )
    assert trial.status == "Failed"
    assert "longer than its activeDeadlineSeconds, 1 s" in trial.reason


def test_the_manifests_environment_lies_over_this_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "1")
    monkeypatch.setenv("BOTH", "2")
    script = shell("echo loss=$OURS$BOTH; echo $CTLR_TRIAL_NAME; pwd")
    command = script.model_copy(update={"environment": {"BOTH": "3"}, "working_dir": str(tmp_path)})
    trial = only_trial(tmp_path / "run", command)
    assert log_of(tmp_path / "run", trial).read_text().split() == ["loss=13", trial.name, str(tmp_path)]


def test_json_is_read_from_lines_whose_values_are_strings(tmp_path: Path) -> None:
    lines = ['{"loss": "0.5", "timestamp": 1.5}', '{"loss": 0.25}', "no json", "[1]"]
    printed = shell("printf '%s\\n' " + " ".join(f"'{line}'" for line in lines))
    trial = only_trial(tmp_path, printed, collector=Collector(format="JSON"))
    assert [report.metrics for report in trial.reports] == [{"loss": 0.5}]


def test_a_file_that_the_command_names_is_each_trials_own(tmp_path: Path) -> None:
    path = "/no/such/folder/metrics.log"
    trial = shell(f"sleep 0.1; echo loss=${{trialParameters.x}} > {path}")
    experiment = search(trial, collector=Collector(kind="File", path=path), max_trials=4, parallel=4)
    trials = run_programs(experiment, tmp_path).trials
    assert [trial.value for trial in trials] == [float(trial.assignments["x"]) for trial in trials]


def test_a_file_that_the_program_knows_is_begun_anew_by_each_trial_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "metrics.log"
    (tmp_path / "link").symlink_to(path)
    trial = shell(f"echo loss=${{trialParameters.x}} >> {tmp_path}/link")
    experiment = search(trial, collector=Collector(kind="File", path=str(path)), max_trials=3)
    trials = run_programs(experiment, tmp_path / "run").trials
    assert [[report.metrics["loss"] for report in trial.reports] for trial in trials] == [
        [float(trial.assignments["x"])] for trial in trials
    ]
    assert not path.exists()
    for each in trials:
        assert (tmp_path / "run/trials" / each.name / "metrics.log").read_text() == f"loss={each.assignments['x']}\n"


@pytest.mark.parametrize("kind", ["file", "link", "device"])
def test_a_file_that_is_there_already_is_left_as_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "notes.txt"
    (tmp_path / "other").write_text("mine")
    if kind == "file":
        path.write_text("mine")
    else:
        path.symlink_to(tmp_path / "other" if kind == "link" else "/dev/null")
    experiment = search(shell("echo loss=1"), collector=Collector(kind="File", path=str(path)))
    with pytest.raises(ConfigError, match=f"The collector's file {path} is there already.*Move it away, or pass"):
        run_programs(experiment, tmp_path / "run")
    assert (kind == "device" or path.read_text() == "mine", os.path.lexists(path)) == (True, True)


def test_a_file_that_cannot_be_written_is_refused_with_the_remedy(tmp_path: Path) -> None:
    experiment = search(shell("true"), collector=Collector(kind="File", path="/proc/none/metrics.log"))
    with pytest.raises(ConfigError, match="pass its path in the trial's command"):
        run_programs(experiment, tmp_path)


def test_a_trial_carries_its_parents_checkpoint_on(tmp_path: Path) -> None:
    place = "/no/such/checkpoints/"
    settings = {"suggestion_trial_dir": place}
    trial = shell(f"cat {place}steps; echo ${{trialParameters.x}} >> {place}steps; echo loss=1")
    experiment = search(trial).model_copy(update={"algorithm": AlgorithmSpec(name="pbt", settings=settings)})
    first, second = (Trial(number=n, name=f"t{n}", assignments={"x": str(n)}) for n in (0, 1))
    with closing(ProcessLauncher(experiment, tmp_path)) as launcher:
        for each, parent in ((first, None), (second, first)):
            launcher.start(each, parent)
            while not isinstance(launcher.wait(None)[-1], Ended):
                pass
    assert (tmp_path / "trials/t0/checkpoint/steps").read_text() == "0\n"
    assert (tmp_path / "trials/t1/checkpoint/steps").read_text() == "0\n1\n"


def test_closing_kills_what_runs(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    experiment = search(shell(f"sleep 600 & echo $! $$ > {pids}; echo loss=1; wait"))
    with closing(ProcessLauncher(experiment, tmp_path)) as launcher:
        launcher.start(Trial(number=0, name="t0", assignments={"x": "0"}))
        launcher.wait(None)
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_waiting_ends_with_the_time_or_at_once_where_nothing_runs(tmp_path: Path) -> None:
    with closing(ProcessLauncher(search(shell("sleep 600")), tmp_path)) as launcher:
        assert launcher.wait(None) == []
        launcher.start(Trial(number=0, name="t0", assignments={"x": "0"}))
        assert (launcher.wait(0.05), launcher.wait(0)) == ([], [])
        launcher.stop(7)
        launcher.stop(0)
        (ended,) = launcher.wait(None)
    assert isinstance(ended, Ended)
    assert (ended.stopped, ended.ok) == (True, False)


def test_a_call_reports_metrics(tmp_path: Path) -> None:
    call = "from ctlr.tuning.push import report_metrics\nfor v in (2, '1.5'): report_metrics({'loss': v, 'other': 1})"
    command = TrialCommand(image="none", command=(sys.executable, "-c", call))
    trial = only_trial(tmp_path, command, collector=Collector(kind="Push"))
    assert [report.metrics for report in trial.reports] == [{"loss": 2.0}, {"loss": 1.5}]


def test_trials_die_with_an_engine_that_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hang = shell(f"sleep 600 & echo $! $$ > {pids}.aside; mv {pids}.aside {pids}; echo loss=1; wait")
    arguments = [search(hang).model_dump_json(), str(tmp_path / "run"), "new"]
    engine = subprocess.Popen([sys.executable, small_search.__file__, *arguments])
    until = time.monotonic() + 30
    while not pids.exists() and time.monotonic() < until:
        time.sleep(0.01)
    found = [int(pid) for pid in pids.read_text().split()]
    assert all(alive(pid) for pid in found)
    engine.kill()
    engine.wait()
    assert all(gone(pid) for pid in found)
