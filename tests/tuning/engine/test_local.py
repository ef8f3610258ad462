"""Whole experiments: how they end, what they know, and that they go on where they were."""

import fcntl
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_search
from small_search import gone, run_programs, search, shell

from ctlr.errors import ConfigError, WorkspaceError
from ctlr.specs import AlgorithmSpec, Collector, Experiment, Parameter, Trial
from ctlr.tuning.engine import Limits, Outcome, read_journal, run_experiment
from ctlr.tuning.launchers import Ended, FunctionLauncher, Reported
from ctlr.tuning.samplers import make_sampler

GRID = (Parameter(name="x", kind="double", low="0", high="0.4", step="0.1"),)


def value_of(assignments: Mapping[str, str]) -> float:
    return float(assignments["x"])


def call(experiment: Experiment, folder: Path, function: Callable[..., Any] = value_of, **options: Any) -> Outcome:
    """Run an experiment whose trials are calls."""
    limits = Limits(**{name: options.pop(name) for name in list(options) if name in Limits.__annotations__})
    launcher = FunctionLauncher(function, experiment.objective.metric)
    return run_experiment(experiment, folder, launcher, limits=limits, **options)


def told(trials: tuple[Trial, ...]) -> list[tuple[Any, ...]]:
    """What must repeat of trials: all but their seconds."""
    return [
        (trial.number, trial.name, trial.assignments, trial.labels, trial.status, trial.value, trial.reason)
        for trial in trials
    ]


class Interrupts:
    """Values of trials, until the user has enough of it."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def __call__(self, assignments: Mapping[str, str]) -> float:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return value_of(assignments)


# How an experiment ends


def test_an_experiment_ends_at_its_most_trials(tmp_path: Path) -> None:
    outcome = call(search(max_trials=5, parallel=2), tmp_path)
    assert (len(outcome.trials), outcome.succeeded, outcome.reason) == (5, True, "ExperimentMaxTrialsReached")
    assert outcome.optimum is not None
    assert outcome.optimum.value == min(value_of(t.assignments) for t in outcome.trials)


@pytest.mark.parametrize("seed", [None, 1])
def test_a_goal_that_the_first_trial_meets_ends_it(tmp_path: Path, seed: int | None) -> None:
    outcome = call(search(seed=seed, goal=1.0, max_trials=9, parallel=3), tmp_path)
    assert outcome.reason == "ExperimentGoalReached"
    assert [trial.status for trial in outcome.trials] == ["Succeeded", "Killed", "Killed"]
    assert outcome.optimum == outcome.trials[0]


@pytest.mark.parametrize("seed", [None, 1])
def test_a_finite_space_that_is_tried_out_ends_it_as_succeeded(tmp_path: Path, seed: int | None) -> None:
    outcome = call(search(seed=seed, algorithm="grid", parameters=GRID, max_trials=100, parallel=3), tmp_path)
    assert (outcome.succeeded, outcome.reason) == (True, "ExperimentSuggestionEndReached")
    assert sorted(value_of(trial.assignments) for trial in outcome.trials) == [0, 0.1, 0.2, 0.3, 0.4]


@pytest.mark.parametrize(("max_failed", "trials"), [(0, 1), (1, 1), (2, 2)])
def test_as_many_failures_as_katib_bears_fail_it(tmp_path: Path, max_failed: int, trials: int) -> None:
    def fail(assignments: Mapping[str, str]) -> float:
        raise ValueError("the loss went up")

    outcome = call(search(max_failed=max_failed, max_trials=9), tmp_path, fail)
    assert (len(outcome.trials), outcome.succeeded, outcome.reason) == (trials, False, "ExperimentFailed")
    assert outcome.optimum is None
    assert {trial.reason for trial in outcome.trials} == {"ValueError: the loss went up"}
    assert "Traceback" in outcome.trials[0].tail


def test_failed_trials_count_among_the_most_trials(tmp_path: Path) -> None:
    values = iter([1.0, float("nan"), float("nan"), 2.0])
    outcome = call(search(max_failed=4, max_trials=4, parallel=1), tmp_path, lambda assignments: next(values))
    assert (len(outcome.trials), outcome.succeeded) == (4, True)
    assert outcome.reason == "ExperimentMaxTrialsReached"


def test_a_search_in_which_no_trial_has_a_value_has_failed(tmp_path: Path) -> None:
    outcome = call(search(max_trials=4, max_failed=None), tmp_path, lambda assignments: float("nan"))
    assert (len(outcome.trials), outcome.succeeded, outcome.reason) == (4, False, "ExperimentFailed")
    assert outcome.message.startswith("no trial has a value of loss; the last one that failed: ")
    assert outcome.optimum is None


def test_a_search_cut_short_without_a_value_goes_on(tmp_path: Path) -> None:
    endless = search(max_trials=4, max_failed=None)
    cut = call(endless, tmp_path, lambda assignments: float("nan"), max_trials=2)
    assert (len(cut.trials), cut.reason) == (2, "ExperimentFailed")
    resumed = call(endless, tmp_path, resume=True)
    assert (len(resumed.trials), resumed.succeeded) == (4, True)


def test_more_parallel_trials_than_trials_do_no_harm(tmp_path: Path) -> None:
    assert len(call(search(max_trials=2, parallel=8), tmp_path).trials) == 2


def test_the_time_of_a_run_ends_its_trials(tmp_path: Path) -> None:
    slow = search(shell("echo loss=1; sleep 60"), max_trials=9, parallel=2)
    outcome = run_programs(slow, tmp_path, max_seconds=0.5)
    assert [trial.status for trial in outcome.trials] == ["Killed", "Killed"]
    assert (outcome.succeeded, outcome.reason) == (False, "ExperimentBudgetSpent")
    assert outcome.message == "the time of the run is over, and no trial has a value yet"
    fast = search(shell("echo loss=1; sleep 60"), max_trials=9, parallel=2)
    again = run_programs(fast, tmp_path, max_seconds=0.2, resume=True)
    assert [trial.name for trial in again.trials] == [trial.name for trial in outcome.trials]


def test_a_time_that_is_over_with_failures_alone_is_a_failure_that_goes_on(tmp_path: Path) -> None:
    failing = search(shell("sleep 0.1; exit 3"), max_trials=900, parallel=1, max_failed=None)
    outcome = run_programs(failing, tmp_path, max_seconds=1.5)
    assert (outcome.succeeded, outcome.reason) == (False, "ExperimentBudgetSpent")
    assert outcome.message.startswith("the time of the run is over, and no trial has a value of loss; the last one")
    again = run_programs(failing, tmp_path, max_seconds=1.0, resume=True)
    assert len(again.trials) > len(outcome.trials)


def test_the_time_of_all_trials_ends_it_once_and_for_all(tmp_path: Path) -> None:
    slow = search(shell("echo loss=1; sleep 0.2"), max_trials=90, parallel=2, max_failed=9)
    outcome = run_programs(slow, tmp_path, device_seconds=1.0)
    assert 0.9 < sum(trial.seconds for trial in outcome.trials) < 3.0
    assert run_programs(slow, tmp_path, device_seconds=1.0, resume=True) == outcome
    assert len(run_programs(slow, tmp_path, device_seconds=2.0, resume=True).trials) > len(outcome.trials)


def test_a_gentle_end_lets_those_that_run_come_to_theirs(tmp_path: Path) -> None:
    slow = search(shell("echo loss=1; sleep 0.6"), max_trials=90, parallel=2, max_failed=9)
    outcome = run_programs(slow, tmp_path, max_seconds=0.9, gentle=True)
    assert {trial.status for trial in outcome.trials} == {"Succeeded"}
    assert outcome.reason == "ExperimentBudgetSpent"
    assert len(outcome.trials) == 4
    assert len(run_programs(slow, tmp_path, max_seconds=0.1, gentle=True, resume=True).trials) == 6


def test_a_trial_whose_own_time_is_over_ends_with_the_value_that_it_has(tmp_path: Path) -> None:
    slow = search(shell("echo loss=3; sleep 60"), max_trials=2, parallel=2)
    outcome = run_programs(slow, tmp_path, trial_seconds=0.5)
    assert [(trial.status, trial.value, trial.reason) for trial in outcome.trials] == [
        ("EarlyStopped", 3.0, "its 0.5 s were over")
    ] * 2
    silent = run_programs(search(shell("sleep 60"), max_trials=1), tmp_path / "silent", trial_seconds=0.2)
    assert [(trial.status, trial.value) for trial in silent.trials] == [("EarlyStopped", None)]
    assert 0.8 <= silent.trials[0].seconds < 30
    assert silent.optimum is None


def test_a_goal_that_is_reported_ends_trial_and_search_at_once(tmp_path: Path) -> None:
    falling = shell("for i in 5 4 3 2 1; do echo loss=$i; sleep 0.1; done; sleep 60")
    outcome = run_programs(search(falling, max_trials=9, parallel=1), tmp_path, goal=3.0, at_goal=True)
    (trial,) = outcome.trials
    assert (trial.status, trial.value, outcome.reason) == ("EarlyStopped", 3.0, "ExperimentGoalReached")
    assert [report.metrics["loss"] for report in trial.reports] == [5, 4, 3]


def test_a_goal_that_is_asked_for_while_it_runs_takes_the_place_of_all_others(tmp_path: Path) -> None:
    asked: list[float] = []
    falling = shell("for i in 5 4 3 2 1; do echo loss=$i; sleep 0.1; done; sleep 60")
    outcome = run_programs(
        search(falling, max_trials=9, parallel=1), tmp_path / "1", goal=0.5,
        asked_goal=lambda: asked[-1] if asked else None,
        on_event=lambda trial, report: asked.append(3.0) if report is not None else None,
    )  # fmt: skip
    (trial,) = outcome.trials
    assert (trial.status, trial.value, outcome.reason) == ("EarlyStopped", 3.0, "ExperimentGoalReached")
    met = call(search(max_trials=5), tmp_path / "2", asked_goal=lambda: 1.0)
    assert (len(met.trials), met.reason) == (1, "ExperimentGoalReached")
    assert len(call(search(max_trials=5), tmp_path / "2", resume=True).trials) == 5  # it goes on without
    there = call(search(max_trials=5), tmp_path / "3", asked_goal=lambda: 0.2, elsewhere=0.1)
    assert (there.trials, there.reason) == ((), "ExperimentGoalReached")
    assert len(call(search(max_trials=2), tmp_path / "4", asked_goal=lambda: -1.0, elsewhere=0.1).trials) == 2


def test_limits_narrow_the_manifest(tmp_path: Path) -> None:
    assert len(call(search(max_trials=9), tmp_path / "1", max_trials=3).trials) == 3
    assert len(call(search(max_trials=3), tmp_path / "2", max_trials=9).trials) == 9
    assert call(search(max_trials=3), tmp_path / "2", resume=True).message == "9 trials were run"
    assert len(call(search(max_trials=9), tmp_path / "3", goal=1.0).trials) == 1


def test_at_most_as_many_workers_run_as_are_asked_for(tmp_path: Path) -> None:
    running: set[int] = set()
    most = 0

    def count(trial: Trial, report: object) -> None:
        nonlocal most
        (running.discard if trial.ended else running.add)(trial.number)
        most = max(most, len(running))

    call(search(max_trials=12, parallel=4), tmp_path / "2", workers=2, on_event=count)
    assert most == 2
    call(search(max_trials=12, parallel=4), tmp_path / "9", workers=9, on_event=count)
    assert most == 4


@pytest.mark.parametrize("kind", ["TensorFlowEvent", "PrometheusMetric", "Custom", "None"])
def test_collectors_of_a_cluster_are_refused(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(ConfigError, match=f"got {kind}.*use StdOut"):
        call(search(collector=Collector(kind=kind)), tmp_path)


def test_trials_at_once_cannot_share_a_file(tmp_path: Path) -> None:
    experiment = search(collector=Collector(kind="File", path="/tmp/metrics.log"), parallel=2)
    with pytest.raises(ConfigError, match="2 trials at once would write one file"):
        call(experiment, tmp_path)


# What proposals know


def slow_in_turn(order: str, seconds: float = 0.1) -> str:
    """A trial that takes longer, up to these seconds, the smaller or the greater its value is."""
    delay = {"small": "1 - x", "great": "x"}[order]
    return f"x=${{trialParameters.x}}; sleep $(awk -v x=$x 'BEGIN {{print ({delay}) * {seconds}}}'); echo loss=$x"


@pytest.mark.parametrize("algorithm", ["tpe", "regularizedevolution"])
def test_a_run_with_a_seed_repeats_whatever_the_timing_and_the_workers(algorithm: str, tmp_path: Path) -> None:
    runs = []
    for workers, order in [(3, "small"), (3, "great"), (1, "small")]:
        experiment = search(shell(slow_in_turn(order)), algorithm=algorithm, max_trials=14, parallel=3)
        runs.append(told(run_programs(experiment, tmp_path / f"{workers}{order}", workers=workers).trials))
    assert runs[0] == runs[1] == runs[2]


def test_a_proposal_knows_only_the_trials_before_its_window(tmp_path: Path) -> None:
    experiment = search(algorithm="tpe", max_trials=16, parallel=3)
    trials = call(experiment, tmp_path).trials
    sampler = make_sampler(experiment, seed=1)
    for trial in trials:
        known = max(trial.number - 2, 0)
        pending = [
            each.model_copy(update={"status": "Running", "value": None}) for each in trials[known : trial.number]
        ]
        (proposal,) = sampler.propose([*trials[:known], *pending], 1)
        assert proposal.assignments == trial.assignments


def test_without_a_seed_runs_differ_and_say_theirs(tmp_path: Path) -> None:
    first, second = (call(search(seed=None), tmp_path / name) for name in "ab")
    assert first.seed != second.seed
    assert first.trials[0].assignments != second.trials[0].assignments
    repeated = call(search(seed=first.seed), tmp_path / "c")
    assert [t.assignments for t in repeated.trials] == [t.assignments for t in first.trials]


def test_a_warm_start_is_kept_in_the_journal(tmp_path: Path) -> None:
    earlier = call(search(seed=5, max_trials=20), tmp_path / "earlier").trials
    experiment = search(algorithm="tpe", max_trials=6)
    whole = call(experiment, tmp_path / "whole", earlier=earlier)
    with pytest.raises(KeyboardInterrupt):
        call(experiment, tmp_path / "cut", Interrupts(3), earlier=earlier)
    assert told(call(experiment, tmp_path / "cut", resume=True).trials) == told(whole.trials)
    assert told(call(experiment, tmp_path / "cold").trials) != told(whole.trials)


# Stopping trials early

MEDIAN = AlgorithmSpec(name="medianstop", settings={"min_trials_required": "3", "start_step": "2"})


def steady(assignments: Mapping[str, str]) -> Iterator[float]:
    """Six reports of the same value."""
    for _ in range(6):
        yield value_of(assignments)


@pytest.mark.parametrize("seed", [None, 1])
def test_a_trial_worse_than_the_median_stops_at_the_first_step_that_counts(tmp_path: Path, seed: int | None) -> None:
    experiment = search(seed=seed, max_trials=12, early_stopping=MEDIAN)
    trials = call(experiment, tmp_path, steady).trials
    for trial in trials:
        before = [each.value for each in trials[: trial.number] if each.status == "Succeeded"]
        worse = len(before) >= 3 and trial.value > np.median(before)
        assert (trial.status, len(trial.reports)) == (("EarlyStopped", 2) if worse else ("Succeeded", 6))
        assert trial.value == value_of(trial.assignments)
    assert {trial.status for trial in trials} == {"Succeeded", "EarlyStopped"}


def test_an_early_stop_ends_the_program_at_once(tmp_path: Path) -> None:
    parameters = (Parameter(name="x", kind="discrete", values=("1", "2", "3", "9")),)
    longer = shell(
        "for i in 1 2; do echo loss=${trialParameters.x}; sleep 0.05; done; [ ${trialParameters.x} = 9 ] && sleep 60; :"
    )
    last = search(longer, algorithm="grid", parameters=parameters, max_trials=4, early_stopping=MEDIAN)
    stopped = run_programs(last, tmp_path).trials[-1]
    assert (stopped.status, stopped.value) == ("EarlyStopped", 9.0)
    assert stopped.seconds < 30


def test_stops_repeat_with_a_seed_whatever_the_workers(tmp_path: Path) -> None:
    experiment = search(algorithm="tpe", max_trials=20, parallel=4, early_stopping=MEDIAN)
    one, four = (call(experiment, tmp_path / str(n), steady, workers=n).trials for n in (1, 4))
    assert told(one) == told(four)
    assert "EarlyStopped" in {trial.status for trial in one}


def test_a_mean_over_folds_that_lacks_some_is_no_value(tmp_path: Path) -> None:
    easy = {0.1: (5.0, 9.0), 0.2: (5.1, 9.1), 0.3: (5.2, 9.2), 0.4: (6.0, 8.0)}  # the running means of two folds
    rule = MEDIAN.model_copy(update={"settings": {"min_trials_required": "3", "start_step": "1"}})
    experiment = search(
        algorithm="grid", parameters=(Parameter(name="x", kind="double", low="0.1", high="0.4", step="0.1"),),
        max_trials=4, early_stopping=rule, goal=7.0,
    )  # fmt: skip

    def folds(assignments: Mapping[str, str]) -> Iterator[float]:
        yield from easy[value_of(assignments)]

    outcome = call(experiment.model_copy(update={"resampled": True}), tmp_path, folds)
    stopped = outcome.trials[3]
    assert (stopped.status, stopped.value, stopped.metrics) == ("EarlyStopped", None, {"loss": 6.0})
    assert outcome.optimum == outcome.trials[0]
    assert outcome.reason == "ExperimentMaxTrialsReached"


def test_device_seconds_are_those_of_trials_at_work_not_of_those_that_wait(tmp_path: Path) -> None:
    def slow(assignments: Mapping[str, str]) -> float:
        time.sleep(0.1)
        return value_of(assignments)

    limits = Limits(device_seconds=2.0)
    experiment = search(seed=None, max_trials=90, parallel=40)
    trials = run_experiment(experiment, tmp_path, FunctionLauncher(slow, "loss"), limits=limits).trials
    assert sum(trial.status == "Succeeded" for trial in trials) >= 5
    assert sum(trial.seconds for trial in trials) == pytest.approx(2, abs=0.5)


# Going on


def test_an_interrupted_experiment_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    experiment = search(algorithm="tpe", max_trials=15, parallel=3)
    whole = call(experiment, tmp_path / "whole")
    for calls in (0, 4, 9):
        with pytest.raises(KeyboardInterrupt):
            call(experiment, tmp_path / "cut", Interrupts(calls), resume=calls > 0)
    assert told(call(experiment, tmp_path / "cut", resume=True).trials) == told(whole.trials)


class Batches(FunctionLauncher):
    """Tells everything that comes of the trials at once."""

    def wait(self, seconds: float | None) -> list[Reported | Ended]:
        events: list[Reported | Ended] = []
        while found := super().wait(seconds):
            events += found
        return events


def test_an_interrupt_amid_several_events_leaves_none_to_wait_for(tmp_path: Path) -> None:
    def interrupt(trial: Trial, report: object) -> None:
        if trial.ended:
            raise KeyboardInterrupt

    experiment = search(max_trials=6, parallel=3)
    with pytest.raises(KeyboardInterrupt):
        run_experiment(experiment, tmp_path / "cut", Batches(value_of, "loss"), on_event=interrupt)
    whole = call(experiment, tmp_path / "whole")
    assert told(call(experiment, tmp_path / "cut", resume=True).trials) == told(whole.trials)


def test_ctrl_c_ends_the_trials_and_leaves_the_experiment_to_go_on(tmp_path: Path) -> None:
    place, pids = tmp_path / "run", tmp_path / "pids"
    hang = search(shell(f"echo $$ >> {pids}; echo loss=1; [ -e {tmp_path}/go ] || sleep 600"), parallel=2)
    engine = subprocess.Popen(
        [sys.executable, small_search.__file__, hang.model_dump_json(), str(place), "new"], stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 30
    while not (pids.exists() and len(pids.read_text().split()) == 2) and time.monotonic() < until:
        time.sleep(0.01)
    engine.send_signal(signal.SIGINT)
    assert engine.wait(20) != 0
    assert all(gone(int(pid)) for pid in pids.read_text().split())
    (tmp_path / "go").touch()
    resumed = run_programs(hang, place, resume=True)
    assert [trial.status for trial in resumed.trials] == ["Succeeded"] * 4


def test_killing_the_engine_at_any_moment_loses_and_repeats_nothing(tmp_path: Path) -> None:
    experiment = search(shell(slow_in_turn("small", seconds=0.4)), algorithm="tpe", max_trials=14, parallel=3)
    whole = run_programs(experiment, tmp_path / "whole")
    place, rng, ended = tmp_path / "cut", np.random.default_rng(3), 0
    for attempt in range(3):
        engine = subprocess.Popen(
            [sys.executable, small_search.__file__, experiment.model_dump_json(), str(place), "resume"]
        )
        until = time.monotonic() + 60
        while ended_trials(place) < ended + 1 + attempt and engine.poll() is None and time.monotonic() < until:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.05))
        engine.kill()
        engine.wait()
        ended = ended_trials(place)
    assert 0 < ended < 14
    resumed = run_programs(experiment, place, resume=True)
    assert told(resumed.trials) == told(whole.trials)
    assert resumed.optimum is not None
    assert whole.optimum is not None
    assert resumed.optimum.assignments == whole.optimum.assignments


def ended_trials(folder: Path) -> int:
    history = read_journal(folder)
    return 0 if history is None else sum(trial.ended for trial in history.trials)


def test_a_line_that_was_cut_is_dropped(tmp_path: Path) -> None:
    experiment = search(algorithm="tpe", max_trials=6)
    whole = call(experiment, tmp_path / "whole")
    data = (tmp_path / "whole" / "journal.jsonl").read_bytes()
    for cut in (5, len(data) // 3, len(data) // 2, len(data) - 250, len(data) - 1):
        place = tmp_path / str(cut)
        place.mkdir()
        (place / "journal.jsonl").write_bytes(data[:cut])
        assert told(call(experiment, place, resume=True).trials) == told(whole.trials)
        again = read_journal(place)
        assert again is not None
        assert told(tuple(again.trials)) == told(whole.trials)


@pytest.mark.parametrize("left", [b"\0" * 4096, b'{"event": "rep' + b"\0" * 100 + b"\n{}\n"])
def test_the_end_that_a_power_cut_left_of_a_journal_is_dropped(tmp_path: Path, left: bytes) -> None:
    whole = call(search(max_trials=6), tmp_path / "whole")
    data = (tmp_path / "whole" / "journal.jsonl").read_bytes()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "journal.jsonl").write_bytes(data[: len(data) // 2].rpartition(b"\n")[0] + b"\n" + left)
    assert told(call(search(max_trials=6), tmp_path / "cut", resume=True).trials) == told(whole.trials)
    assert b"\0" not in (tmp_path / "cut" / "journal.jsonl").read_bytes()


def test_a_damaged_journal_is_refused_with_the_line(tmp_path: Path) -> None:
    call(search(), tmp_path)
    path = tmp_path / "journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], "garbage\n", *lines[2:]]))
    with pytest.raises(WorkspaceError, match=r"journal.jsonl: line 3 is no event"):
        call(search(), tmp_path, resume=True)


def test_a_journal_in_the_way_is_refused_with_the_remedy(tmp_path: Path) -> None:
    call(search(), tmp_path)
    with pytest.raises(ConfigError, match=r"journal of an experiment, small.*--resume"):
        call(search(), tmp_path)


def test_an_experiment_that_was_refused_before_its_first_trial_can_be_mended(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        call(search(algorithm="bayes"), tmp_path)
    assert call(search(), tmp_path).succeeded


def test_a_second_engine_in_the_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.joinpath("journal.jsonl").touch()
    with tmp_path.joinpath("journal.jsonl").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(WorkspaceError, match="run by another process"):
            call(search(), tmp_path)


def test_a_changed_space_is_refused_with_the_difference(tmp_path: Path) -> None:
    call(search(), tmp_path)
    other = (Parameter(name="x", kind="double", low="0", high="2"),)
    with pytest.raises(ConfigError, match=r'parameters\[0\].high: was "1", is "2"'):
        call(search(parameters=other), tmp_path, resume=True)
    with pytest.raises(ConfigError, match=r"algorithm.settings.random_state: was \"1\", is null"):
        call(search(seed=None), tmp_path, resume=True)


def test_counts_may_change_while_an_experiment_has_not_ended(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        call(search(max_trials=4), tmp_path, Interrupts(2))
    assert len(call(search(max_trials=8, parallel=2, max_failed=0), tmp_path, resume=True).trials) == 8


def test_an_experiment_that_has_ended_gives_what_came_of_it(tmp_path: Path) -> None:
    outcome = call(search(), tmp_path)
    assert call(search(), tmp_path, Interrupts(0), resume=True) == outcome


def test_policy_never_does_not_carry_on_what_has_ended(tmp_path: Path) -> None:
    call(search(), tmp_path)
    with pytest.raises(ConfigError, match="resumePolicy is Never"):
        call(search(max_trials=9), tmp_path, resume=True)


@pytest.mark.parametrize("policy", ["LongRunning", "FromVolume"])
def test_other_policies_carry_on_with_more_trials(tmp_path: Path, policy: str) -> None:
    call(search(max_trials=4, resume_policy=policy), tmp_path / "cut")
    more = call(search(max_trials=9, resume_policy=policy), tmp_path / "cut", resume=True)
    assert told(more.trials) == told(call(search(max_trials=9), tmp_path / "whole").trials)


@pytest.mark.parametrize("policy", ["LongRunning", "FromVolume"])
def test_a_goal_reached_is_not_carried_on(tmp_path: Path, policy: str) -> None:
    call(search(max_trials=4, goal=1.0, resume_policy=policy), tmp_path)
    with pytest.raises(ConfigError, match=r"ended \(ExperimentGoalReached\), and only an experiment that has used up"):
        call(search(max_trials=9, goal=1.0, resume_policy=policy), tmp_path, resume=True)
    ended = search(max_trials=4, goal=1.0, resume_policy=policy)
    again = run_experiment(
        ended, tmp_path, FunctionLauncher(value_of, "loss"), limits=Limits(max_trials=9), resume=True
    )
    assert len(again.trials) == 1


def test_a_goal_beyond_the_one_reached_carries_on_where_the_policy_lets_it(tmp_path: Path) -> None:
    for policy in ("Never", "LongRunning"):
        call(search(max_trials=4, goal=1.0, resume_policy=policy), tmp_path / policy)
    with pytest.raises(ConfigError, match="resumePolicy is Never"):
        call(search(max_trials=4, goal=1.0), tmp_path / "Never", resume=True, goal=-9.0)
    kept = search(max_trials=4, goal=1.0, resume_policy="LongRunning")
    more = call(kept, tmp_path / "LongRunning", resume=True, goal=-9.0)
    assert (len(more.trials), more.reason) == (4, "ExperimentMaxTrialsReached")


def test_trials_that_all_failed_are_used_up_and_more_of_them_carry_on(tmp_path: Path) -> None:
    failing = {"function": lambda assignments: float("nan")}
    call(search(max_trials=2, max_failed=None, resume_policy="LongRunning"), tmp_path / "all", **failing)
    more = call(search(max_trials=4, max_failed=None, resume_policy="LongRunning"), tmp_path / "all", resume=True)
    assert [trial.status for trial in more.trials] == ["Failed", "Failed", "Succeeded", "Succeeded"]
    call(search(max_trials=2, max_failed=2, resume_policy="LongRunning"), tmp_path / "many", **failing)
    with pytest.raises(ConfigError, match="only an experiment that has used up its trials goes on"):
        call(search(max_trials=4, max_failed=2, resume_policy="LongRunning"), tmp_path / "many", resume=True)


@pytest.mark.parametrize("most", [2, 3])
def test_no_count_is_changed_to_what_was_made_or_less(tmp_path: Path, most: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        call(search(max_trials=6), tmp_path, Interrupts(2))
    with pytest.raises(ConfigError, match=f"must be above the 3 trials that were made; got {most}"):
        call(search(max_trials=most), tmp_path, resume=True)
    assert len(call(search(max_trials=6), tmp_path, resume=True).trials) == 6


def test_more_trials_than_the_manifests_are_held_against_its_policy(tmp_path: Path) -> None:
    for policy in ("Never", "LongRunning"):
        call(search(max_trials=2, resume_policy=policy), tmp_path / policy)
    with pytest.raises(ConfigError, match="resumePolicy is Never"):
        call(search(max_trials=2), tmp_path / "Never", resume=True, max_trials=5)
    kept = search(max_trials=2, resume_policy="LongRunning")
    assert len(call(kept, tmp_path / "LongRunning", resume=True, max_trials=5).trials) == 5


def test_an_experiment_narrowed_by_the_run_goes_on(tmp_path: Path) -> None:
    call(search(max_trials=6), tmp_path / "cut", max_trials=2)
    whole = call(search(max_trials=6), tmp_path / "whole")
    assert told(call(search(max_trials=6), tmp_path / "cut", resume=True).trials) == told(whole.trials)


def test_the_journal_is_lines_of_json(tmp_path: Path) -> None:
    call(search(max_trials=2), tmp_path)
    events = [json.loads(line)["event"] for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert events == ["experiment", *["proposed", "reported", "ended"] * 2, "completed"]
