"""Tree-structured Parzen estimators."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ctlr.specs import Experiment, Trial
from ctlr.tuning.samplers.base import History, Record, Sampler, Suggestion
from ctlr.tuning.samplers.parzen import Columns, ParzenEstimator
from ctlr.tuning.samplers.space import Point

__all__ = ["TreeParzenSampler"]

Array = NDArray[np.float64]

_MODELLED = 300
"""Ended trials that are modelled at most: the best and the latest.

Optuna never counts more than 25 trials as good and gives old bad ones next to no weight, so the others change little
and would only cost time.
"""
_GOOD = 25
_TRIES = 8


class TreeParzenSampler(Sampler):
    """TPE with a joint model of all parameters; pending and failed trials stand last among the bad ones.

    Source: Bergstra et al. 2011; for the joint model Falkner et al. 2018.
    """

    def __init__(self, experiment: Experiment, *, seed: int, earlier: Sequence[Trial] = ()) -> None:
        super().__init__(experiment, seed=seed, earlier=earlier)
        self._columns = Columns.of(self.space)
        self._startup = self._count("n_startup_trials")
        written = "n_ei_candidates" if self._settings["n_ei_candidates"] is not None else "n_EI_candidates"
        self._candidates = self._count(written)
        self._gamma = self._number("gamma") if "gamma" in self._settings else 0.25
        self._prior_weight = self._number("prior_weight") if "prior_weight" in self._settings else 1.0

    def _suggest(self, history: History, rng: np.random.Generator) -> Suggestion | None:
        if sum(record.ended for record in history.all) < self._startup:
            return self._first_unseen((self.space.draw(rng) for _ in range(_TRIES)), rng)
        return self._first_unseen(self._places(history, rng), rng)

    def _places(self, history: History, rng: np.random.Generator) -> list[Point]:
        """New places, the one that promises most first: as many as candidates are asked for, where so many are found.

        The model of a small space draws what was tried over and over; to compare what is left of one draw, or to take
        the first new place of several, would be to choose among few.
        """
        good, bad = self._estimators(_modelled(history))
        found: dict[Point, Array] = {}
        for _ in range(_TRIES):
            drawn = good.draw(self._candidates, rng)
            found |= {point: row for row in drawn if (point := self.space.at(row)) not in history.seen}
            if len(found) >= self._candidates:
                break
        if not found:
            return []
        rows = np.array(list(found.values()))
        order = np.argsort(bad.log_density(rows) - good.log_density(rows), kind="stable")
        points = list(found)
        return [points[i] for i in order]

    def _estimators(self, records: list[Record]) -> tuple[ParzenEstimator, ParzenEstimator]:
        losses = [math.inf if record.loss is None else record.loss for record in records]
        ended = sum(record.ended for record in records)
        good = np.zeros(len(records), dtype=bool)
        # Of the ended ones first: a pending trial is believed to be bad.
        order = sorted(range(len(records)), key=lambda k: (not records[k].ended, losses[k]))
        good[order[: _good(self._gamma, ended)]] = True
        rows = np.array([self.space.units(record.point) for record in records]).reshape(-1, len(self.space))
        return self._estimator(rows[good]), self._estimator(rows[~good])

    def _estimator(self, rows: Array) -> ParzenEstimator:
        return ParzenEstimator(self._columns, rows, _weights(len(rows)), prior_weight=self._prior_weight)


def _modelled(history: History) -> list[Record]:
    """The trials that are modelled, by number: all pending ones, the best and the latest ended ones."""
    records = history.all
    ended = [i for i, record in enumerate(records) if record.ended]
    if len(ended) <= _MODELLED:
        return records
    losses = [math.inf if record.loss is None else record.loss for record in records]
    kept = {*sorted(ended, key=lambda i: losses[i])[:_GOOD], *ended[-(_MODELLED - _GOOD) :]}
    return [record for i, record in enumerate(records) if i in kept or not record.ended]


def _weights(n: int) -> Array:
    """(N,) weights of trials by number: those of the latest count whole, older ones less (Bergstra et al. 2013)."""
    return np.concatenate([np.linspace(1 / n, 1.0, max(n - _GOOD, 0)), np.ones(min(n, _GOOD))]) if n else np.ones(0)


def _good(gamma: float, n: int) -> int:
    """How many of n trials are good: a tenth where gamma is 0.25, Hyperopt's default, and else in proportion.

    Hyperopt counts gamma times the root of n, which finds less (`bench/proposals.py`, Branin and mixed).
    """
    return min(math.ceil(gamma / 0.25 * 0.1 * n), _GOOD)
