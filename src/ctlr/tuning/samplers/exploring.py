"""Algorithms that do not look at results: grid, random and Sobol's sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ctlr.errors import ConfigError
from ctlr.specs import Experiment, Trial
from ctlr.tuning.samplers.base import History, Sampler, Suggestion
from ctlr.tuning.samplers.space import Point

__all__ = ["GridSampler", "RandomSampler", "SobolSampler"]

_TRIES = 32
"""Draws before the next new place is taken by its number: a space in which all of them fail is nearly walked."""
_BLOCK = 1024
"""Sobol points drawn at once."""


class GridSampler(Sampler):
    """Every assignment once.

    The order is that of nested loops over the parameters as the manifest lists them, the last one innermost; numbers
    rise, categories keep the manifest's order.
    """

    uses_results = False

    def __init__(self, experiment: Experiment, *, seed: int, earlier: Sequence[Trial] = ()) -> None:
        super().__init__(experiment, seed=seed, earlier=earlier)
        for dimension in self.space.dimensions:
            if dimension.continuous:
                raise ConfigError(f"{dimension.name}: grid needs a step for a double; got none. Add `step`.")

    def _suggest(self, history: History, rng: np.random.Generator) -> Suggestion | None:
        size = self.space.size
        assert size is not None
        # Mostly the k-th proposal is the k-th place, so the walk is short from there; what it passed over comes last.
        start = len(history.records)
        return next(
            (
                Suggestion(point)
                for begin, end in ((start, size), (0, min(start, size)))
                for number in range(begin, end)
                if (point := self.space.numbered(number)) not in history.seen
            ),
            None,
        )


class RandomSampler(Sampler):
    """Places by the parameters' distributions, without replacement."""

    uses_results = False

    def _suggest(self, history: History, rng: np.random.Generator) -> Suggestion | None:
        return self._first_unseen((self.space.draw(rng) for _ in range(_TRIES)), rng)


class SobolSampler(Sampler):
    """Sobol's sequence with the directions of Joe and Kuo (2008), not scrambled; it begins at the lower corner.

    The k-th proposal is the k-th point, or the next one that stands for a new place.
    """

    uses_results = False

    def __init__(self, experiment: Experiment, *, seed: int, earlier: Sequence[Trial] = ()) -> None:
        super().__init__(experiment, seed=seed, earlier=earlier)
        self._blocks: dict[int, NDArray[np.float64]] = {}

    def _suggest(self, history: History, rng: np.random.Generator) -> Suggestion | None:
        return self._first_unseen(self._points(len(history.records)), rng)

    def _points(self, first: int) -> Iterator[Point]:
        for index in range(first, first + _TRIES):
            block, row = divmod(index, _BLOCK)
            if block not in self._blocks:
                self._blocks = {block: self._block(block)}
            yield self.space.at(self._blocks[block][row])

    def _block(self, number: int) -> NDArray[np.float64]:
        from scipy.stats.qmc import Sobol  # slow to import

        engine = Sobol(len(self.space), scramble=False)
        if number:
            engine.fast_forward(number * _BLOCK)
        points: NDArray[np.float64] = engine.random(_BLOCK)
        return points
