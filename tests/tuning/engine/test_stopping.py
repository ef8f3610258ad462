"""The median rule and goals."""

import pytest
from small_search import search

from ctlr.specs import AlgorithmSpec, Objective, Trial, TrialReport
from ctlr.tuning.engine.stopping import MedianStop, make_stopping_rule, reached


def objective(direction: str = "minimize") -> Objective:
    return Objective(metric="loss", direction=direction)  # type: ignore[arg-type]


def trial(values: list[float], status: str = "Succeeded") -> Trial:
    reports = tuple(TrialReport(step=i, metrics={"loss": value}, seconds=0.0) for i, value in enumerate(values, 1))
    return Trial(number=0, name="t", assignments={}, status=status, reports=reports)  # type: ignore[arg-type]


def test_it_is_really_the_median() -> None:
    rule = MedianStop(objective(), start_step=2)
    for values in ([1.0, 3.0, 99.0], [4.0, 4.0], [1000.0, 1000.0]):
        rule.add(trial(values))
    assert rule.threshold() == 4.0


def test_too_few_trials_stop_none() -> None:
    rule = MedianStop(objective(), min_trials=3)
    rule.add(trial([1.0]))
    rule.add(trial([1.0]))
    rule.add(trial([], "Succeeded"))
    assert rule.threshold() is None
    assert not rule.stops(9, 99.0, rule.threshold())
    rule.add(trial([1.0]))
    assert rule.threshold() == 1.0


@pytest.mark.parametrize("status", ["EarlyStopped", "Failed", "Killed"])
def test_only_trials_that_ran_to_their_end_count(status: str) -> None:
    """Katib 0.19's medianstop takes up a trial where its condition is SUCCEEDED."""
    rule = MedianStop(objective(), min_trials=2)
    for each in (trial([1.0]), trial([9.0], status), trial([3.0]), trial([9.0] * 9, status)):
        rule.add(each)
    assert rule.threshold() == 2.0


@pytest.mark.parametrize(("direction", "worse", "better"), [("minimize", 2.0, 0.5), ("maximize", 0.5, 2.0)])
def test_only_what_is_worse_stops_and_not_before_the_first_step_that_counts(
    direction: str, worse: float, better: float
) -> None:
    rule = MedianStop(objective(direction), min_trials=1, start_step=4)
    assert rule.stops(4, worse, 1.0)
    assert rule.stops(9, worse, 1.0)
    assert not rule.stops(3, worse, 1.0)
    assert not rule.stops(4, better, 1.0)
    assert not rule.stops(4, 1.0, 1.0)


def test_the_rules_settings_are_katibs() -> None:
    rule = make_stopping_rule(search(early_stopping=AlgorithmSpec(name="medianstop")))
    assert rule is not None
    for _ in range(3):
        rule.add(trial([1.0] * 4))
    assert rule.stops(4, 2.0, rule.threshold())
    assert not rule.stops(3, 2.0, rule.threshold())


@pytest.mark.parametrize(
    ("direction", "value", "met"),
    [("minimize", 1.0, True), ("minimize", 1.1, False), ("maximize", 1.0, True), ("maximize", 0.9, False)],
)
def test_a_goal_is_reached_by_what_is_as_good(direction: str, value: float, met: bool) -> None:
    assert reached(objective(direction), 1.0, value) is met
    assert not reached(objective(direction), 1.0, None)
    assert not reached(objective(direction), None, value)
