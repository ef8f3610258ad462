from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from ctlr.specs import AlgorithmSpec, Experiment, Objective, Parameter, Proposal, Trial, TrialCommand
from ctlr.tuning.samplers import Sampler

MakeExperiment = Callable[..., Experiment]
RunSearch = Callable[..., list[Trial]]


def _experiment(
    algorithm: str, parameters: Sequence[Parameter], *, direction: str = "minimize", **settings: str
) -> Experiment:
    return Experiment(
        name="search",
        objective=Objective(metric="loss", direction=direction),
        algorithm=AlgorithmSpec(name=algorithm, settings=settings),
        parameters=tuple(parameters),
        trial=TrialCommand(image="any", command=("any",)),
    )


def _trial(number: int, proposal: Proposal, value: float | None, status: str = "Succeeded") -> Trial:
    return Trial(
        number=number,
        name=f"search-{number}",
        assignments=proposal.assignments,
        labels=proposal.labels,
        status=status,
        value=value,
    )


def _search(
    sampler: Sampler,
    n: int,
    value: Callable[[dict[str, str]], float | None],
    *,
    trials: Sequence[Trial] = (),
    batch: int = 1,
) -> list[Trial]:
    """Continue a search to n trials or to its end; None as a value is a failure."""
    trials = list(trials)
    while len(trials) < n:
        proposals = sampler.propose(trials, min(batch, n - len(trials)))
        if not proposals:
            break
        for proposal in proposals:
            found = value(proposal.assignments)
            trials.append(_trial(len(trials), proposal, found, "Failed" if found is None else "Succeeded"))
    return trials


@pytest.fixture(scope="session")
def make_experiment() -> MakeExperiment:
    return _experiment


@pytest.fixture(scope="session")
def make_trial() -> Callable[..., Trial]:
    return _trial


@pytest.fixture(scope="session")
def search() -> RunSearch:
    return _search
