"""Functions as trials."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from ctlr.specs import Trial
from ctlr.tuning.launchers import Ended, FunctionLauncher, Reported


def told(function: Callable[[Mapping[str, str]], Any], trials: int = 1) -> list[Reported | Ended]:
    """Every event of some trials, their seconds set to 0."""
    launcher = FunctionLauncher(function, "loss")
    for number in range(trials):
        launcher.start(Trial(number=number, name=f"t{number}", assignments={"x": str(number)}))
    found: list[Reported | Ended] = []
    while events := launcher.wait(None):
        found += events
    return found


def test_a_number_is_the_objective() -> None:
    reported, ended = told(lambda assignments: 2 * float(assignments["x"]) + 1)
    assert isinstance(reported, Reported)
    assert isinstance(ended, Ended)
    assert (reported.metrics, ended.ok) == ({"loss": 1.0}, True)


def test_a_mapping_names_its_metrics() -> None:
    reported = told(lambda assignments: {"loss": 1, "acc": 0.5})[0]
    assert isinstance(reported, Reported)
    assert reported.metrics == {"loss": 1.0, "acc": 0.5}


def test_generators_take_turns() -> None:
    def steps(assignments: Mapping[str, str]) -> Iterator[float]:
        yield 1.0
        yield 2.0

    assert [(type(event).__name__, event.number) for event in told(steps, trials=2)] == [
        ("Reported", 0), ("Reported", 1), ("Reported", 0), ("Reported", 1), ("Ended", 0), ("Ended", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("answer", ["no number", None, {"loss": "x"}])
def test_an_answer_that_is_no_number_fails_the_trial(answer: Any) -> None:
    (ended,) = told(lambda assignments: answer)
    assert isinstance(ended, Ended)
    assert not ended.ok
    assert "Error: " in ended.reason


def test_a_generator_that_is_stopped_is_closed() -> None:
    closed = []

    def steps(assignments: Mapping[str, str]) -> Iterator[float]:
        try:
            while True:
                yield 1.0
        finally:
            closed.append(assignments["x"])

    launcher = FunctionLauncher(steps, "loss")
    for number in (0, 1):
        launcher.start(Trial(number=number, name=f"t{number}", assignments={"x": str(number)}))
    launcher.wait(None)
    launcher.stop(0)
    launcher.stop(1)
    launcher.stop(1)
    assert [(event.number, event.stopped) for event in launcher.wait(None) if isinstance(event, Ended)] == [
        (0, True),
        (1, True),
    ]
    assert closed == ["0"]
    assert launcher.wait(None) == []
