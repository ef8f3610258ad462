"""Tree-structured Parzen estimators, by Optuna's `TPESampler`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ctlr.specs import Experiment, Trial
from ctlr.tuning.samplers.base import History, Record, Sampler, Suggestion

__all__ = ["TreeParzenSampler"]

_MODELLED = 300
"""Ended trials that are modelled at most: the best and the latest.

Optuna never counts more than 25 trials as good and gives old bad ones next to no weight, so the others change little
and would only cost time.
"""
_GOOD = 25
_TRIES = 8


class TreeParzenSampler(Sampler):
    """TPE with a model a parameter (`tpe`) or a joint one (`multivariate-tpe`), and a constant liar for pending trials.

    Source: Bergstra et al. 2011; for the joint model Falkner et al. 2018. Failed trials stand last among the bad ones.
    """

    def __init__(self, experiment: Experiment, *, seed: int, earlier: Sequence[Trial] = ()) -> None:
        from ctlr.tuning.samplers.parzen import ParzenModel  # imports Optuna

        super().__init__(experiment, seed=seed, earlier=earlier)
        joint = experiment.algorithm.name == "multivariate-tpe"
        options = self._joint_options() if joint else self._single_options(experiment.algorithm.settings)
        self._model = ParzenModel(self.space, joint=joint, options=options)

    def _joint_options(self) -> dict[str, Any]:
        return {"n_startup_trials": self._count("n_startup_trials"), "n_ei_candidates": self._count("n_ei_candidates")}

    def _single_options(self, written: dict[str, str]) -> dict[str, Any]:
        """Katib's settings in Optuna's words; what is not written is left to Optuna."""
        candidates = "n_ei_candidates" if "n_ei_candidates" in written else "n_EI_candidates"
        options: dict[str, Any] = {
            "n_startup_trials": self._count("n_startup_trials"), "n_ei_candidates": self._count(candidates),
            "gamma": _good(self._number("gamma")),
        }  # fmt: skip
        if "prior_weight" in written:
            options["prior_weight"] = self._number("prior_weight")
        return options

    def _suggest(self, history: History, rng: np.random.Generator) -> Suggestion | None:
        draws = self._model.draws(_modelled(history), len(history.all), seed=int(rng.integers(2**31)))
        tries = (
            self.space.draw(rng) if point is None else point for _, point in zip(range(_TRIES), draws, strict=False)
        )
        return self._first_unseen(tries, rng)


def _modelled(history: History) -> list[tuple[int, Record]]:
    """The numbered trials that are modelled: all pending ones, the best and the latest ended ones."""
    numbered = list(enumerate(history.all))
    ended = [each for each in numbered if each[1].ended]
    if len(ended) <= _MODELLED:
        return numbered
    good = sorted(ended, key=lambda each: math.inf if each[1].loss is None else each[1].loss)[:_GOOD]
    kept = {number for number, _ in good} | {number for number, _ in ended[-(_MODELLED - _GOOD) :]}
    return [(number, record) for number, record in numbered if number in kept or not record.ended]


def _good(gamma: float) -> Callable[[int], int]:
    """How many of n trials are good: Optuna's tenth where gamma is 0.25, Hyperopt's default, and else in proportion.

    Hyperopt counts gamma times the root of n, which finds less (`bench/proposals.py`, Branin and mixed).
    """
    return lambda n: min(math.ceil(gamma / 0.25 * 0.1 * n), _GOOD)
