"""Trials in warm workers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tiny_bench import Bench

from ctlr.specs import Trial
from ctlr.trials import WarmLauncher, placed
from ctlr.tuning.launchers import Ended, Reported
from ctlr.tuning.options import with_options
from ctlr.tuning.request import TrialJob


@pytest.fixture(scope="module")
def launcher(bench: Bench) -> Iterator[WarmLauncher]:
    """One worker for the whole module: that it outlives its trials is the point."""

    def job_of(trial: Trial) -> TrialJob:
        job = TrialJob(study=bench.study("scratch", 10), assignments=trial.assignments)
        job.check()
        return job

    launcher = WarmLauncher(job_of, bench.arrays, bench.workspace, workers=1, device="cpu")
    yield launcher
    launcher.close()


def tried(number: int, **assignments: str) -> Trial:
    return Trial(number=number, name=f"search-{number}", assignments=assignments)


def follow(launcher: WarmLauncher, act: Callable[[Reported], None] = lambda event: None) -> list[Reported | Ended]:
    """Everything that happens until all trials have ended."""
    events: list[Reported | Ended] = []
    while found := launcher.wait(None):
        for event in found:
            if isinstance(event, Reported):
                act(event)
        events += found
    return events


def test_a_trial_reports_every_epoch_and_ends_once(launcher: WarmLauncher) -> None:
    launcher.start(tried(0, lr="1e-2"))
    *reports, end = follow(launcher)
    assert [event.metrics.get("epoch") for event in reports if isinstance(event, Reported)] == [1, 2, 3, None]
    assert isinstance(end, Ended)
    assert (end.number, end.ok, end.reason, end.stopped) == (0, True, "", False)
    result = launcher.done[0].result
    assert result is not None
    assert result.value == reports[-1].metrics["val_mae"]  # type: ignore[union-attr]
    assert [row.get("epoch") for row in launcher.done[0].rows] == [1, 2, 3, None]


def test_a_worker_does_one_trial_after_another_with_equal_results(launcher: WarmLauncher) -> None:
    for number in (1, 2):
        launcher.start(tried(number, lr="1e-2"))
    ends = [event.number for event in follow(launcher) if isinstance(event, Ended)]
    assert ends == [1, 2]
    assert launcher.done[1].result == launcher.done[2].result.model_copy(  # type: ignore[union-attr]
        update={"seconds": launcher.done[1].result.seconds}  # type: ignore[union-attr]
    )


def test_a_stopped_trial_ends_within_an_epoch_and_its_worker_goes_on(launcher: WarmLauncher) -> None:
    launcher.start(tried(3, epochs="10000"))
    (worker,) = launcher._crew._workers
    *reports, end = follow(launcher, lambda event: launcher.stop(3))
    assert isinstance(end, Ended)
    assert end.stopped
    assert not end.ok
    assert len(reports) <= 3
    launcher.start(tried(4))
    assert follow(launcher)[-1].ok  # type: ignore[union-attr]
    assert launcher._crew._workers == [worker]


def test_a_trial_that_waits_for_a_worker_can_be_stopped_too(launcher: WarmLauncher) -> None:
    launcher.start(tried(5, epochs="50"))
    launcher.start(tried(6))
    launcher.stop(6)
    launcher.stop(99)
    ends = {event.number: event.stopped for event in follow(launcher) if isinstance(event, Ended)}
    assert ends == {6: True, 5: False}


@pytest.mark.parametrize(
    ("assignments", "told"),
    [({"lrr": "1"}, "scratch has no such option"), ({"lr": "1e20", "clip": "null"}, "loss became")],
)
def test_a_trial_that_cannot_go_on_is_an_end_with_its_reason(
    assignments: dict[str, str], told: str, launcher: WarmLauncher
) -> None:
    launcher.start(tried(7, **assignments))
    end = follow(launcher)[-1]
    assert isinstance(end, Ended)
    assert told in end.reason
    assert not end.ok
    assert not end.stopped


def test_waiting_has_an_end(launcher: WarmLauncher) -> None:
    assert launcher.wait(None) == []
    launcher.start(tried(11, epochs="10000"))
    while not launcher.wait(0.0):
        pass
    launcher.stop(11)
    assert follow(launcher)[-1].stopped  # type: ignore[union-attr]


def test_a_worker_that_is_killed_fails_its_trial_and_is_replaced(launcher: WarmLauncher) -> None:
    launcher.start(tried(8, epochs="10000"))
    end = follow(launcher, lambda event: launcher._crew.kill("8"))[-1]
    assert isinstance(end, Ended)
    assert "signal 9" in end.reason
    assert end.tail.count("train_loss=") >= 1
    launcher.start(tried(9, epochs="1"))
    assert follow(launcher)[-1].ok  # type: ignore[union-attr]


def test_a_deaf_worker_is_ended_after_the_grace(launcher: WarmLauncher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctlr.trials.GRACE_SECONDS", 0.0)
    launcher.start(tried(10, epochs="10000"))
    end = follow(launcher, lambda event: launcher.stop(10))[-1]
    assert isinstance(end, Ended)
    assert end.stopped


def test_a_child_begins_from_its_parents_weights_and_only_wanted_metrics_are_told(bench: Bench, tmp_path: Path) -> None:
    def job_of(trial: Trial) -> TrialJob:
        study = with_options(bench.study("supervised", 10), {"n_frozen": "0"})
        return TrialJob(study=study, assignments=trial.assignments, checkpoint="/checkpoints")

    launcher = WarmLauncher(
        job_of, bench.arrays, bench.workspace, workers=1, device="cpu", folder=tmp_path, metrics=("val_mae", "val_loss")
    )
    parent, child = tried(0, lr="1e-2"), tried(1, lr="1e-30", epochs="1")
    launcher.start(parent)
    events = follow(launcher)
    launcher.start(child, parent)
    events += follow(launcher)
    launcher.close()
    both = {"val_mae", "val_loss"}
    told = [set(event.metrics) for event in events if isinstance(event, Reported)]
    assert told == [*[both] * 3, {"val_mae"}, both, {"val_mae"}]
    weights = [tmp_path / "trials" / name / "checkpoint" / "weights.safetensors" for name in ("search-0", "search-1")]
    first, second = (load_file(path) for path in weights)
    assert all(bool((first[name] == second[name]).all()) for name in first if name.endswith("0.weight"))
    assert not Path("/checkpoints").exists()


def test_a_named_device_is_taken_as_it_is() -> None:
    assert placed("cpu") == "cpu"
    assert placed("cuda:3", 1) == "cuda:3"
