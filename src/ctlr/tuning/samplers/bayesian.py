"""Bayesian optimisation by a Gaussian process: acquisitions EI, PI, LCB, Thompson sampling, and a portfolio.

Optuna's `GPSampler` has expected improvement only and no settings; it also starts from its last fit, so that its
proposals depend on what was asked before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from ctlr.specs import Experiment, Trial
from ctlr.tuning.samplers.acquisition import ACQUISITIONS, Lattice, best_places
from ctlr.tuning.samplers.base import History, Record, Sampler, Suggestion
from ctlr.tuning.samplers.gaussian_process import GaussianProcess, fit

__all__ = ["ACQUISITION", "BayesianSampler"]

Array = NDArray[np.float64]

ACQUISITION = "acquisition"
"""Label: which function of the portfolio chose a trial."""
_SOBOL = 12
"""Points of the Sobol sequence at most, as a power of two; random ones follow."""
_SPREAD = 1000
"""Candidates all over the cube."""
_NEAR = 50
"""Candidates around each of the best trials, at each distance."""
_DISTANCES = (0.2, 0.05, 0.01)
_POLISHED = 5
_FAR = 20.0
"""Distances from the best value are cut at so many medians of them."""


class BayesianSampler(Sampler):
    """A Gaussian process on the unit cube, so that logarithms and normals of the space are its own.

    The first `n_initial_points` are a scrambled Sobol sequence. Pending trials are believed to end as the mean says
    (Ginsbourger et al. 2010), failed ones to be as bad as the worst.
    `gp_hedge` takes EI, LCB or PI with a chance that grows with what the places they chose are worth now (after Hoffman
    et al. 2011, who reward the whole portfolio each time).
    """

    def __init__(self, experiment: Experiment, *, seed: int, earlier: Sequence[Trial] = ()) -> None:
        super().__init__(experiment, seed=seed, earlier=earlier)
        self._initial = self._count("n_initial_points")
        self._function = str(self._settings["acq_func"])
        self._polished = 0 if self._settings["acq_optimizer"] == "sampling" else _POLISHED
        self._lattice = Lattice(self.space)
        self._sobol: Array | None = None
        self._known: tuple[list[Record], GaussianProcess] | None = None
        # Sums of several threads differ in their last bits from one machine to another, and then so do proposals.
        self._threads = ThreadpoolController()

    def _suggest(self, history: History, rng: np.random.Generator) -> Suggestion | None:
        records = history.all
        if len(records) < self._initial or sum(record.loss is not None for record in records) < 2:
            return self._first_unseen((self.space.at(row) for row in self._spread(len(history.records), rng)), rng)
        with self._threads.limit(limits=1, user_api="blas"):
            return self._modelled(records, rng)

    def _modelled(self, records: list[Record], rng: np.random.Generator) -> Suggestion | None:
        rows = np.array([self.space.units(record.point) for record in records])
        ended = np.array([record.ended for record in records])
        process = self._learned([record for record in records if record.ended], rows[ended])
        believing = process.believing(rows[~ended])
        name = self._chosen(process, records, rows, rng) if self._function == "gp_hedge" else self._function
        places = self._places(name, believing, rng)
        found = self._first_unseen((self.space.at(row) for row in places), rng)
        return found and Suggestion(found.point, {ACQUISITION: name})

    def _learned(self, ended: list[Record], rows: Array) -> GaussianProcess:
        """What is known of the objective; the proposals of one request learn it once."""
        if self._known is None or self._known[0] != ended:
            self._known = ended, fit(rows, _standardised(ended), self._lattice.categories)
        return self._known[1]

    def _places(self, name: str, process: GaussianProcess, rng: np.random.Generator) -> Array:
        candidates = self._candidates(process, rng)
        if name == "TS":
            return np.asarray(candidates[np.argsort(process.draw(candidates, rng), kind="stable")])
        # The mean where trials were, not the best value: that may be luck.
        best = float(process.predict(process.rows)[0].min())
        return best_places(process, ACQUISITIONS[name], best, candidates, self._lattice, polished=self._polished)

    def _candidates(self, process: GaussianProcess, rng: np.random.Generator) -> Array:
        """(M, D) legal rows: some all over, some that differ from the best trials in some columns."""
        dimensions = len(self.space)
        best = process.rows[np.argsort(process.values, kind="stable")[:3]]
        near = [
            np.where(
                rng.random((_NEAR, dimensions)) < max(0.5, 1 / dimensions),
                centre + distance * rng.standard_normal((_NEAR, dimensions)),
                centre,
            )
            for centre in best
            for distance in _DISTANCES
        ]
        return self._lattice.snap(np.concatenate([rng.random((_SPREAD, dimensions)), *near]))

    def _chosen(self, process: GaussianProcess, records: list[Record], rows: Array, rng: np.random.Generator) -> str:
        """A function of the portfolio by what its places are worth, in deviations of the objective."""
        names = list(ACQUISITIONS)
        gains = np.zeros(len(names))
        for i, name in enumerate(names):
            own = [k for k, record in enumerate(records) if record.labels.get(ACQUISITION) == name]
            if own:
                gains[i] = -process.predict(rows[own])[0].mean()
        weights = np.exp(gains - gains.max())
        return names[int(rng.choice(len(names), p=weights / weights.sum()))]

    def _spread(self, index: int, rng: np.random.Generator) -> Array:
        """(M, D) the point of a Sobol sequence that belongs to this proposal, then random ones."""
        if self._sobol is None:
            from scipy.stats.qmc import Sobol  # slow to import

            engine = Sobol(len(self.space), scramble=True, rng=np.random.default_rng([self._seed, 2]))
            self._sobol = np.asarray(engine.random(2 ** min(max(4, self._initial.bit_length()), _SOBOL)))
        others = rng.random((32, len(self.space)))
        return np.concatenate([self._sobol[index : index + 1], others])


def _standardised(records: list[Record]) -> Array:
    """(N,) losses with mean 0 and deviation 1; failed trials are as bad as the worst.

    Above the median only the logarithm of the distance from the best counts, and no distance counts as more than
    twenty medians: a training that diverged must not make all others look alike.
    """
    known = [record.loss for record in records if record.loss is not None]
    worst = max(known)
    losses = np.array([worst if record.loss is None else record.loss for record in records])
    # Divided first: differences of very large losses would overflow.
    values = losses / max(float(np.abs(losses).max()), 1e-300)
    values -= values.min()
    median = float(np.median(values))
    bad = values > median
    if median > 0:
        values[bad] = median * (1 + np.log(np.minimum(values[bad] / median, _FAR)))
    if not values.any():
        return values
    values /= values.max()
    return np.asarray((values - values.mean()) / values.std())
