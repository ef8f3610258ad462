"""How good proposals are: Bayesian optimisation beside scikit-optimize's and Optuna's TPE.

    python -m bench proposals                # 4 seeds, 6 minutes on two quiet cores
    python bench/proposals.py --seeds 20     # the figures that the documentation states

Each search has 50 trials in batches of q: q are proposed, then all q values are told. The regret is the best value's
distance from the minimum; its median over seeds is compared. The range of Ackley's function lies askew around the
minimum, so that nothing is won by looking in the middle.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from ctlr.specs import AlgorithmSpec, Experiment, Objective, Parameter, Trial, TrialCommand

__all__ = ["main", "rows"]

TRIALS = 50
BATCHES = (1, 4, 8)
SEEDS = 4

Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Problem:
    parameters: tuple[Parameter, ...]
    function: Callable[[Values], float]
    minimum: float


def _double(name: str, low: float, high: float, distribution: str = "uniform") -> Parameter:
    return Parameter(name=name, kind="double", low=str(low), high=str(high), distribution=distribution)


def _int(name: str, low: int, high: int, distribution: str = "uniform") -> Parameter:
    return Parameter(name=name, kind="int", low=str(low), high=str(high), distribution=distribution)


def branin(at: Values) -> float:
    x, y = at["x0"], at["x1"]
    bowl = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return bowl**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


_A = ((10, 3, 17, 3.5, 1.7, 8), (0.05, 10, 17, 0.1, 8, 14), (3, 3.5, 1.7, 10, 17, 8), (17, 8, 0.05, 10, 0.1, 14))
_P = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886), (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650), (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)  # fmt: skip


def hartmann(at: Values) -> float:
    x = [at[f"x{i}"] for i in range(6)]
    return -sum(
        weight * math.exp(-sum(a * (v - p) ** 2 for a, v, p in zip(row, x, places, strict=True)))
        for weight, row, places in zip((1.0, 1.2, 3.0, 3.2), _A, _P, strict=True)
    )


def ackley(at: Values) -> float:
    x = [at[f"x{i}"] for i in range(5)]
    root = math.sqrt(sum(v * v for v in x) / 5)
    waves = sum(math.cos(2 * math.pi * v) for v in x) / 5
    return -20 * math.exp(-0.2 * root) - math.exp(waves) + 20 + math.e


def training(at: Values) -> float:
    """A network's error: each optimiser has a rate of its own, and deeper ones want lower rates."""
    rate, floor = {"sgd": (-1.0, 0.3), "adam": (-3.0, 0.0), "rmsprop": (-3.5, 0.1)}[at["optimiser"]]
    off = math.log10(at["lr"]) - rate + 0.15 * (at["depth"] - 6)
    width = math.log2(at["width"]) - 8
    return floor + 0.3 * off**2 + 0.02 * (at["depth"] - 6) ** 2 + 0.04 * width**2 + (at["dropout"] - 0.2) ** 2


_MIXED = (
    _double("lr", 1e-6, 1, "logUniform"),
    _int("depth", 1, 12),
    _int("width", 16, 1024, "logUniform"),
    _double("dropout", 0, 0.9),
    Parameter(name="optimiser", kind="categorical", values=("sgd", "adam", "rmsprop")),
)


def _cube(dimensions: int, low: float, high: float) -> tuple[Parameter, ...]:
    return tuple(_double(f"x{i}", low, high) for i in range(dimensions))


PROBLEMS = {
    "Branin": Problem(parameters=(_double("x0", -5, 10), _double("x1", 0, 15)), function=branin, minimum=0.39788736),
    "Hartmann-6": Problem(parameters=_cube(6, 0, 1), function=hartmann, minimum=-3.32236801),
    "Ackley-5": Problem(parameters=_cube(5, -15, 30), function=ackley, minimum=0.0),
    "mixed": Problem(parameters=_MIXED, function=training, minimum=0.0),
}


def _typed(problem: Problem, written: Mapping[str, str]) -> dict[str, Any]:
    kinds = {"double": float, "int": int, "categorical": str}
    return {p.name: kinds[p.kind](written[p.name]) for p in problem.parameters}


def _ours(problem: Problem, q: int, seed: int) -> list[float]:
    from ctlr.tuning.samplers import make_sampler

    experiment = Experiment(
        name="bench", objective=Objective(metric="loss", direction="minimize"), parameters=problem.parameters,
        algorithm=AlgorithmSpec(name="bayesianoptimization"), trial=TrialCommand(image="none", command=("none",)),
    )  # fmt: skip
    sampler = make_sampler(experiment, seed=seed)
    trials: list[Trial] = []
    while len(trials) < TRIALS:
        for proposal in sampler.propose(trials, min(q, TRIALS - len(trials))):
            number, value = len(trials), problem.function(_typed(problem, proposal.assignments))
            trials.append(
                Trial(
                    number=number,
                    name=f"t{number}",
                    assignments=proposal.assignments,
                    labels=proposal.labels,
                    status="Succeeded",
                    value=value,
                )
            )
    return [trial.value for trial in trials if trial.value is not None]


def _skopt(problem: Problem, q: int, seed: int) -> list[float]:
    from skopt import Optimizer
    from skopt.space import Categorical, Integer, Real

    def dimension(p: Parameter) -> Any:
        if p.kind == "categorical":
            return Categorical(p.values)
        prior = "log-uniform" if p.distribution == "logUniform" else "uniform"
        return (
            Real(float(p.low), float(p.high), prior) if p.kind == "double" else Integer(int(p.low), int(p.high), prior)
        )

    optimizer = Optimizer([dimension(p) for p in problem.parameters], random_state=seed)
    names, values = [p.name for p in problem.parameters], []
    while len(values) < TRIALS:
        places = [optimizer.ask()] if q == 1 else optimizer.ask(n_points=min(q, TRIALS - len(values)))
        told = [problem.function(dict(zip(names, place, strict=True))) for place in places]
        optimizer.tell(places, told)
        values.extend(told)
    return values


def _tpe(problem: Problem, q: int, seed: int) -> list[float]:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

    def distribution(p: Parameter) -> BaseDistribution:
        if p.kind == "categorical":
            return CategoricalDistribution(p.values)
        log = p.distribution == "logUniform"
        if p.kind == "double":
            return FloatDistribution(float(p.low), float(p.high), log=log)
        return IntDistribution(int(p.low), int(p.high), log=log)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    space, values = {p.name: distribution(p) for p in problem.parameters}, []
    while len(values) < TRIALS:
        batch = [study.ask(space) for _ in range(min(q, TRIALS - len(values)))]
        for trial in batch:
            values.append(problem.function(trial.params))
            study.tell(trial, values[-1])
    return values


SEARCHES = {"CTLR": _ours, "scikit-optimize": _skopt, "Optuna's TPE": _tpe}

Case = tuple[str, str, int, int]
"""Search, problem, q, seed."""


def _regret(case: Case) -> tuple[float, float]:
    """The regret of one search, and its seconds a trial."""
    search, name, q, seed = case
    warnings.simplefilter("ignore")  # scikit-optimize warns of places that it has seen
    began = time.perf_counter()
    values = SEARCHES[search](PROBLEMS[name], q, seed)
    return max(min(values) - PROBLEMS[name].minimum, 1e-12), (time.perf_counter() - began) / TRIALS


def measured(
    seeds: int, searches: tuple[str, ...] = tuple(SEARCHES)
) -> dict[tuple[str, str, int], tuple[float, float]]:
    """(search, problem, q) -> median regret and median seconds a trial."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before the workers load their libraries
    settings = list(itertools.product(searches, PROBLEMS, BATCHES))
    cases = [(*setting, seed) for seed in range(seeds) for setting in settings]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as workers:
        found = dict(zip(cases, workers.map(_regret, cases), strict=True))
    return {
        setting: tuple(statistics.median(found[(*setting, seed)][i] for seed in range(seeds)) for i in (0, 1))
        for setting in settings
    }


def rows(seeds: int = SEEDS) -> Iterator[dict[str, Any]]:
    """One row a problem, q and rival: regrets; then what a proposal costs."""
    found = measured(seeds)
    for problem, q, rival in itertools.product(PROBLEMS, BATCHES, list(SEARCHES)[1:]):
        ours, theirs = found["CTLR", problem, q][0], found[rival, problem, q][0]
        yield {
            "name": f"regret after {TRIALS} trials, {problem}, q = {q}, {seeds} seeds: {rival}",
            "ours": ours, "theirs": theirs, "ratio": theirs / ours, "target": 1.0,
        }  # fmt: skip
    for problem, q, rival in itertools.product(PROBLEMS, BATCHES, list(SEARCHES)[1:]):
        ours, theirs = found["CTLR", problem, q][1], found[rival, problem, q][1]
        yield {
            "name": f"seconds a proposal, {problem}, q = {q}: {rival}",
            "ours": ours, "theirs": theirs, "ratio": theirs / ours, "target": None,
        }  # fmt: skip


def main() -> None:
    """The table of q against regret and seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--search", choices=SEARCHES, action="append", help="only this one; may be repeated")
    arguments = parser.parse_args()
    found = measured(arguments.seeds, tuple(arguments.search or SEARCHES))
    print(f"{'':16s}{'problem':12s}{'q':>3s} {'regret':>10s} {'s/trial':>9s}")
    for (search, problem, q), (regret, seconds) in found.items():
        print(f"{search:16s}{problem:12s}{q:3d} {regret:10.4g} {seconds:9.4f}")


if __name__ == "__main__":
    main()
