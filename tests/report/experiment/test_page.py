import csv
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finished_bench import finished

from ctlr.report.experiment.page import build_experiment_page
from ctlr.report.page import build_report
from ctlr.specs import AlgorithmSpec, Experiment, Parameter, SearchResult, Trial, TrialCommand

SECRETS = ("sub-JANE01", "jane.roe", "/home/", "TAIL")
METHODS = ("scratch", "supervised")


@pytest.fixture(scope="module")
def searches(age: Any) -> list[SearchResult]:
    return [age.typical_search(method, size) for method in METHODS for size in (20, 100)]


@pytest.fixture
def small(new_benchmark: Callable[..., Any]) -> Any:
    """Two methods at one size, one seed."""
    return new_benchmark(methods=METHODS, sizes=(20,), seeds=(0,), n_test=20)


@pytest.fixture
def experiment(searching: Any) -> Experiment:
    return Experiment(
        name="supervised-bayesian", objective=searching.lowest.model_copy(update={"goal": 7.0}),
        algorithm=AlgorithmSpec(name="bayesianoptimization", settings={"random_state": "1"}),
        early_stopping=AlgorithmSpec(name="medianstop"), parameters=searching.space, max_trials=20, parallel=2,
        trial=TrialCommand(image="ctlr", command=("ctlr", "trial")),
    )  # fmt: skip


def _trials(searches: list[SearchResult]) -> tuple[Trial, ...]:
    return searches[0].stages[0].trials


def test_an_experiment_has_a_page_of_its_own(
    read: Callable[[Path], Any], experiment: Experiment, searches: list[SearchResult], tmp_path: Path
) -> None:
    trials = _trials(searches)
    report = build_experiment_page(
        experiment, trials, out=tmp_path / "out", status="ExperimentMaxTrialsReached", message="20 trials ended."
    )
    assert report == tmp_path / "out" / "report.html"
    page = read(report)
    best = min((t for t in trials if t.value is not None), key=lambda t: t.value or 0.0)
    assert f"of trial {best.number + 1} of 20 ({best.name}): lr = " in page.text
    assert "The goal of 7 was not reached." in page.text
    assert (
        "Minimise val_mae by bayesianoptimization (random_state = 1), trials stopped early by medianstop" in page.text
    )
    assert "ExperimentMaxTrialsReached: 20 trials ended." in page.text
    assert "the loss is no number at epoch 3" in page.text
    assert page.text.count("(log scale)") == 1
    words = re.findall(r'aria-label="([^"]*)"', report.read_text())
    for start in ("val_mae of 20 trials in their order: 18 succeeded, 1 stopped early, 1 failed",
                  "When 20 trials ran", "Options and val_mae of 19 trials",
                  "val_mae of 19 trials against lr", "Best val_mae so far by device seconds"):  # fmt: skip
        assert any(label.startswith(start) for label in words), start
    assert "fANOVA over the 18 trials that succeeded, for 3 options that varied: a rough guide" in page.text
    with (tmp_path / "out" / "trials.csv").open() as stream:
        assert next(csv.DictReader(stream))["params_lr"] == trials[0].assignments["lr"]


@pytest.mark.parametrize(
    ("allowed", "made", "asked", "told"),
    [
        (24, 6, 6, "6 trials were made; this run was asked for 6, and the manifest allows 24."),
        (24, 24, None, "24 trials were made, as many as the manifest allows."),
        (24, 1, None, "1 trial was made; the manifest allows 24."),
        (24, 30, 30, "30 trials were made; this run was asked for 30, and the manifest allows 24."),
        (None, 5, None, "5 trials were made; the manifest sets no limit."),
    ],
)
def test_a_page_says_how_many_trials_there_were_and_who_asked_for_them(
    read: Callable[[Path], Any], experiment: Experiment, searching: Any, tmp_path: Path, allowed: int | None,
    made: int, asked: int | None, told: str,
) -> None:  # fmt: skip
    trials = [searching.trial(number, 5.0) for number in range(made)]
    changed = experiment.model_copy(update={"max_trials": allowed})
    assert told in read(build_experiment_page(changed, trials, out=tmp_path, asked=asked)).text


def test_the_optimum_can_be_copied(
    read: Callable[[Path], Any], experiment: Experiment, searching: Any, tmp_path: Path
) -> None:
    lines = "methods:\n  scratch:\n    finetune:\n      lr: 0.01\n"
    report = build_experiment_page(experiment, [searching.trial(0, 5.0)], out=tmp_path, optimum=lines)
    assert f'<pre class="yaml">{lines}</pre>' in report.read_text()


def test_equal_trials_give_an_equal_page(experiment: Experiment, searches: list[SearchResult], tmp_path: Path) -> None:
    first, second = (build_experiment_page(experiment, _trials(searches), out=tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_first_trials_already_make_a_page(
    read: Callable[[Path], Any], experiment: Experiment, searching: Any, tmp_path: Path, count: int
) -> None:
    running = [searching.trial(number, None, status="Running", seconds=0.0) for number in range(count)]
    page = read(build_experiment_page(experiment, running, out=tmp_path))
    assert ("No trial has a value yet." if count else "No trial has a value.") in page.text


def test_a_page_says_why_there_is_no_importance(
    read: Callable[[Path], Any], experiment: Experiment, searching: Any, tmp_path: Path
) -> None:
    page = read(build_experiment_page(experiment, [searching.trial(0, 5.0)], out=tmp_path))
    assert "No importance: 1 trials succeeded; it takes 8 to tell." in page.text


def test_diverged_trials_do_not_squash_the_others(
    read: Callable[[Path], Any], experiment: Experiment, searching: Any, tmp_path: Path
) -> None:
    trials = [searching.trial(n, 1e9 if n == 3 else 5.0 + n / 10) for n in range(12)]
    report = build_experiment_page(experiment, trials, out=tmp_path)
    assert "Arrows lie beyond the edge." in read(report).text
    assert "1e9" not in report.read_text()


def test_what_a_program_said_stays_in_the_journal(
    read: Callable[[Path], Any], small: Any, experiment: Experiment, searching: Any, tmp_path: Path
) -> None:
    reason = "ended with exit code 1: cannot read /home/jane.roe/sub-JANE01_T1w.nii.gz"
    trials = [
        searching.trial(n, None if n == 1 else 5.0, tail="TAIL of it", reason=reason if n == 1 else "")
        for n in range(4)
    ]  # fmt: skip
    build_experiment_page(experiment, trials, out=tmp_path / "out" / "alone", message=f"the last one: {reason}")
    search = searching.search(searching.study("scratch", 20), searching.stage(trials))
    build_report(finished(small, searches=(search,)), tmp_path / "out" / "benchmark")
    for file in (tmp_path / "out").rglob("*.*"):
        for secret in (*SECRETS, str(tmp_path)):
            assert secret not in file.read_text(), f"{secret} in {file.name}"
    assert "the last one: ended with exit code 1" in read(tmp_path / "out" / "alone" / "report.html").text


def test_names_are_text_whatever_they_hold(
    read: Callable[[Path], Any], experiment: Experiment, searching: Any, tmp_path: Path
) -> None:
    name = "<script>$x_1$</script>"
    odd = Parameter(name=name, kind="categorical", values=("$\\frac$", "<b>"))
    trials = [searching.trial(n, 5.0 + n, assignments={name: odd.values[n % 2]}) for n in range(3)]
    changed = experiment.model_copy(
        update={"parameters": (odd,), "objective": experiment.objective.model_copy(update={"metric": "$a_"})}
    )
    report = build_experiment_page(changed, trials, out=tmp_path)
    assert name in read(report).text
    assert "<script>$" not in report.read_text()


def test_the_front_of_the_page_loads_neither_matplotlib_nor_optuna() -> None:
    code = (
        "import sys, ctlr.report.experiment.page as _; assert not {'torch', 'matplotlib', 'optuna'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
