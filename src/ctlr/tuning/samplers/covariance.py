"""CMA-ES by the package `cmaes`, which is also what Optuna's `CmaEsSampler` rests on.

Optuna's own keeps the strategy's state, as a pickle, in the trials of its study and has dropped restarts.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctlr.errors import ConfigError
from ctlr.specs import Experiment, Trial
from ctlr.tuning.samplers.base import History, Record, Sampler, Suggestion
from ctlr.tuning.samplers.space import Point

__all__ = ["CovarianceSampler"]

_TRIES = 32
_SIGMA = 1 / 6
"""First standard deviation where none is written, as in Optuna: the range is six of them."""
_LARGEST = 1e100
"""Losses are cut here: differences of larger ones would overflow."""


@dataclass(frozen=True, kw_only=True)
class _State:
    """A strategy after some generations."""

    strategy: Any
    """A `cmaes.CMA`; never asked nor told itself, only its copies."""
    restarts: int = 0
    large: int = 0
    """Evaluations spent in populations that double."""
    small: int = 0
    """Evaluations spent in small populations (BIPOP)."""
    in_small: bool = False


class CovarianceSampler(Sampler):
    """CMA-ES (Hansen 2016) in the unit cube, with restarts IPOP (Auger and Hansen 2005) or BIPOP (Hansen 2009).

    `sigma` is a share of the ranges. Categories are drawn at random: the strategy has no notion of them. Earlier trials
    set the first distribution (Nomura et al. 2021). The label `generation` says from which distribution a trial came;
    a generation is over when as many of its trials as the population counts have ended, in the order of their numbers,
    and until then further trials come from it too.
    """

    def __init__(self, experiment: Experiment, *, seed: int, earlier: Sequence[Trial] = ()) -> None:
        super().__init__(experiment, seed=seed, earlier=earlier)
        self._numeric = [i for i, d in enumerate(self.space.dimensions) if d.ordered and d.size != 1]
        if not self._numeric:
            raise ConfigError("algorithm: cmaes needs numbers to vary; got none. Choose tpe or evolutionary.")
        self._restart = str(self._settings["restart_strategy"])
        sigma = self._settings["sigma"]
        self._sigma = _SIGMA if sigma is None else self._number("sigma")
        self._told: list[tuple[list[Record], _State]] = []

    def _suggest(self, history: History, rng: np.random.Generator) -> Suggestion | None:
        generation, state = self._replayed(history)
        strategy = copy.deepcopy(state.strategy)
        strategy.reseed_rng(int(rng.integers(2**31)))
        found = self._first_unseen((self._at(strategy.ask(), rng) for _ in range(_TRIES)), rng)
        return found and Suggestion(found.point, {"generation": str(generation)})

    def _replayed(self, history: History) -> tuple[int, _State]:
        """The generation that is under way, and its strategy; generations that have not changed are not told again."""
        members: dict[int, list[Record]] = {}
        for record in history.records:
            if record.ended and "generation" in record.labels:
                members.setdefault(int(record.labels["generation"]), []).append(record)
        generation, state = 0, self._first(history)
        while len(ended := members.get(generation, [])) >= state.strategy.population_size:
            told = ended[: state.strategy.population_size]
            if generation < len(self._told) and self._told[generation][0] == told:
                state = self._told[generation][1]
            else:
                state = self._after(state, told)
                self._told[generation:] = [(told, state)]
            generation += 1
        return generation, state

    def _first(self, history: History) -> _State:
        known = [(self._units(r), _cut(r.loss)) for r in history.earlier if r.loss is not None]
        if not known:
            return _State(strategy=self._strategy(np.full(len(self._numeric), 0.5), None))
        from cmaes import get_warm_start_mgd  # type: ignore[import-untyped]

        mean, sigma, covariance = get_warm_start_mgd(known, gamma=max(0.1, 1 / len(known)))
        return _State(strategy=self._strategy(mean, None, sigma=float(sigma), covariance=covariance))

    def _strategy(
        self,
        mean: NDArray[np.float64],
        population: int | None,
        *,
        sigma: float | None = None,
        covariance: NDArray[np.float64] | None = None,
    ) -> Any:
        from cmaes import CMA  # slow to import

        return CMA(
            mean=mean, sigma=sigma or self._sigma, cov=covariance, population_size=population, seed=0,
            bounds=np.array([[0.0, 1.0]] * len(self._numeric)), n_max_resampling=10 * len(self._numeric),
        )  # fmt: skip

    def _after(self, state: _State, told: list[Record]) -> _State:
        losses = [_cut(record.loss) for record in told if record.loss is not None]
        if not losses:  # nothing was learned: ties would move the distribution by chance
            return state
        strategy = copy.deepcopy(state.strategy)
        bad = max(losses) + abs(max(losses)) + 1.0
        strategy.tell([(self._units(r), bad if r.loss is None else _cut(r.loss)) for r in told])
        spent = strategy.population_size
        after = _State(
            strategy=strategy, restarts=state.restarts, in_small=state.in_small,
            large=state.large + (not state.in_small) * spent, small=state.small + state.in_small * spent,
        )  # fmt: skip
        return self._restarted(after) if self._restart != "none" and strategy.should_stop() else after

    def _restarted(self, state: _State) -> _State:
        """Begin again from a random place, with a larger population or, of BIPOP's two budgets, the one less spent."""
        rng = np.random.default_rng([self._seed, state.restarts, 1])
        default = self._strategy(np.full(len(self._numeric), 0.5), None).population_size
        in_small = self._restart == "bipop" and state.small < state.large and state.restarts > 0
        doubled = default * 2 ** (state.restarts + 1)
        population = (
            max(default, int(default * (doubled / 2 / default) ** (rng.random() ** 2))) if in_small else doubled
        )
        strategy = self._strategy(rng.random(len(self._numeric)), population)
        restarts = state.restarts + (not in_small)
        return _State(strategy=strategy, restarts=restarts, large=state.large, small=state.small, in_small=in_small)

    def _units(self, record: Record) -> NDArray[np.float64]:
        return self.space.units(record.point)[self._numeric]

    def _at(self, numeric: NDArray[np.float64], rng: np.random.Generator) -> Point:
        units = rng.random(len(self.space))
        units[self._numeric] = numeric
        return self.space.at(units)


def _cut(loss: float | None) -> float:
    return 0.0 if loss is None else min(max(loss, -_LARGEST), _LARGEST)
