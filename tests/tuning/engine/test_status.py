"""The status in Katib's shape."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kubeflow_katib_api.models import V1beta1Experiment
from small_search import search

from ctlr.specs import Experiment, Objective
from ctlr.tuning.engine import Outcome, read_journal, run_experiment, status_document
from ctlr.tuning.launchers import FunctionLauncher

TWO = Objective(metric="loss", direction="minimize", additional=("acc",), strategies={"loss": "min", "acc": "latest"})


def descend(assignments: dict[str, str]) -> object:
    """Values around the assignment; every third trial fails."""
    x = float(assignments["x"])
    yield {"loss": x, "acc": 0.5}
    yield {"loss": x - 1, "acc": 0.25}
    if x > 0.9:
        raise ValueError("too much")
    yield {"loss": x - 0.5, "acc": 0.75}


def ran(experiment: Experiment, folder: Path) -> Outcome:
    with closing(FunctionLauncher(descend, "loss")) as launcher:
        return run_experiment(experiment, folder, launcher)


@pytest.fixture
def experiment() -> Experiment:
    return search(max_trials=16, max_failed=9, objective=TWO)


def test_the_status_of_a_finished_experiment_is_katibs(experiment: Experiment, tmp_path: Path) -> None:
    outcome = ran(experiment, tmp_path)
    document = status_document(experiment, outcome.trials, started=outcome.started, completion=outcome.completion)
    status = document["status"]
    failed = [trial.name for trial in outcome.trials if float(trial.assignments["x"]) > 0.9]
    assert failed
    assert status["failedTrialList"] == failed
    assert (status["trials"], status["trialsFailed"]) == (16, len(failed))
    assert (status["trialsSucceeded"], "trialsRunning" in status) == (16 - len(failed), False)
    assert [(each["type"], each["status"], each["reason"]) for each in status["conditions"]] == [
        ("Created", "True", "ExperimentCreated"),
        ("Running", "False", "ExperimentRunning"),
        ("Succeeded", "True", "ExperimentMaxTrialsReached"),
    ]
    least = min(float(trial.assignments["x"]) for trial in outcome.trials)
    assert status["currentOptimalTrial"]["parameterAssignments"] == [{"name": "x", "value": repr(least)}]
    assert status["currentOptimalTrial"]["observation"]["metrics"] == [
        {"name": "loss", "latest": repr(least - 0.5), "min": repr(least - 1), "max": repr(least)},
        {"name": "acc", "latest": "0.75", "min": "0.25", "max": "0.75"},
    ]
    assert {name: document[name] for name in experiment.manifest} == experiment.manifest


def test_katibs_own_model_reads_it_and_loses_nothing(experiment: Experiment, tmp_path: Path) -> None:
    outcome = ran(experiment, tmp_path)
    document = status_document(experiment, outcome.trials, started=outcome.started, completion=outcome.completion)
    read = V1beta1Experiment.from_dict(document)
    assert read is not None
    assert read.status is not None
    assert read.status.to_dict().keys() == document["status"].keys()
    assert read.status.current_optimal_trial.to_dict() == document["status"]["currentOptimalTrial"]
    assert read.status.start_time == outcome.started.replace(microsecond=0)


def test_a_trial_without_a_value_is_counted_as_katib_counts_it(experiment: Experiment, tmp_path: Path) -> None:
    answers = iter([{"acc": 0.5}, {"loss": float("nan")}, ValueError("no"), {"loss": 1.0, "acc": 0.5}])

    def answer(assignments: dict[str, str]) -> dict[str, float]:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    four = experiment.model_copy(update={"max_trials": 4, "max_failed": None})
    with closing(FunctionLauncher(answer, "loss")) as launcher:
        outcome = run_experiment(four, tmp_path, launcher)
    document = status_document(four, outcome.trials, started=outcome.started, completion=outcome.completion)
    names = [trial.name for trial in outcome.trials]
    assert {key: value for key, value in document["status"].items() if key.startswith("trial") or "List" in key} == {
        "trials": 4, "metricsUnavailableTrialList": names[:2], "trialMetricsUnavailable": 2,
        "failedTrialList": names[2:3], "trialsFailed": 1, "succeededTrialList": names[3:], "trialsSucceeded": 1,
    }  # fmt: skip
    read = V1beta1Experiment.from_dict(document)
    assert read is not None
    assert read.status is not None
    assert read.status.trial_metrics_unavailable == 2


def test_a_metric_whose_last_report_is_no_number_is_unavailable(experiment: Experiment, tmp_path: Path) -> None:
    def answer(assignments: dict[str, str]) -> Iterator[dict[str, float]]:
        yield {"loss": 1.0, "acc": 0.5}
        yield {"loss": 2.0, "acc": float("nan")}

    with closing(FunctionLauncher(answer, "loss")) as launcher:
        outcome = run_experiment(experiment, tmp_path, launcher)
    status = status_document(experiment, outcome.trials, started=outcome.started)["status"]
    assert status["currentOptimalTrial"]["observation"]["metrics"] == [
        {"name": "loss", "latest": "2.0", "min": "1.0", "max": "2.0"},
        {"name": "acc", "latest": "unavailable", "min": "0.5", "max": "0.5"},
    ]


def test_an_experiment_under_way_is_running(experiment: Experiment, tmp_path: Path) -> None:
    ran(experiment, tmp_path)
    lines = (tmp_path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "journal.jsonl").write_bytes(b"".join(lines[:3]))
    history = read_journal(tmp_path)
    assert history is not None
    status = status_document(experiment, history.trials, started=history.started)["status"]
    assert status["conditions"][-1]["type"] == "Running"
    assert status["conditions"][-1]["status"] == "True"
    assert status["runningTrialList"] == [history.trials[0].name]
    assert "currentOptimalTrial" not in status
    assert "completionTime" not in status


def test_a_failed_experiment_says_so(tmp_path: Path) -> None:
    experiment = search(max_trials=16, max_failed=0, objective=TWO)
    outcome = ran(experiment, tmp_path)
    status = status_document(experiment, outcome.trials, started=outcome.started, completion=outcome.completion)[
        "status"
    ]
    assert (status["conditions"][-1]["type"], status["conditions"][-1]["reason"]) == ("Failed", "ExperimentFailed")
