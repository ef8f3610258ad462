"""Algorithms that vary what did well: population-based training, a genetic algorithm, and regularised evolution.

Optuna has no population-based training and no regularised evolution, and its genetic samplers keep their generations in
a study, where what was asked before decides; these are functions of the trials alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ctlr.specs import Experiment, Trial
from ctlr.tuning.samplers.base import History, Record, Sampler, Suggestion
from ctlr.tuning.samplers.space import Dimension, Point

__all__ = ["GENERATION", "MEMBER", "PARENT", "EvolutionarySampler", "PopulationSampler", "RegularizedSampler"]

GENERATION, MEMBER, PARENT = "generation", "member", "parent"
"""Labels of population-based training: how many trainings went before, whose they are, and the name of the trial with
whose checkpoint this one begins."""
_TRIES = 32
_SCALE = 0.1
"""Standard deviation of a mutation, as a share of the parameter's range."""


class PopulationSampler(Sampler):
    """Population-based training (Jaderberg et al. 2017).

    Members train on from their own checkpoint with their own values. Who is among the last `truncation_threshold` of
    the population takes over checkpoint and values of one among the first (exploit), and varies the values (explore):
    numbers by 0.8 or 1.2 and lists by a neighbour, or, with `resample_probability`, drawn anew with that probability.
    Members are compared by their latest results, and those that are behind go first, so that none waits for all.

    A trial is its values *and* the checkpoint from which it begins: a member that trains on repeats its values.
    A failed training is repeated by the values and checkpoint of one among the first, varied.
    """

    def __init__(self, experiment: Experiment, *, seed: int, earlier: Sequence[Trial] = ()) -> None:
        super().__init__(experiment, seed=seed, earlier=earlier)
        self._size = self._count("n_population")
        self._cut = math.floor(self._number("truncation_threshold") * self._size)
        resample = self._settings["resample_probability"]
        self._resample = None if resample is None else self._number("resample_probability")

    def exhausted(self, trials: Sequence[Trial]) -> bool:
        """Never: a population can always train on."""
        return False

    def _suggest(self, history: History, rng: np.random.Generator) -> Suggestion | None:
        latest: dict[int, Record] = {}
        results: dict[int, Record] = {}
        for record in history.records:
            if MEMBER in record.labels:
                member = int(record.labels[MEMBER])
                latest[member] = record
                if record.loss is not None:
                    results[member] = record
        free = [m for m in range(max(self._size, len(latest))) if m not in latest or latest[m].ended]
        # One more member where all train: a service has to propose whatever it is asked for.
        member = min(free, key=lambda m: (_generation(latest.get(m)), m), default=len(latest))
        return self._next(member, latest.get(member), results, rng)

    def _next(
        self, member: int, last: Record | None, results: dict[int, Record], rng: np.random.Generator
    ) -> Suggestion:
        ranked = sorted(results, key=lambda m: (results[m].loss, m))
        labels = {GENERATION: str(_generation(last)), MEMBER: str(member)}
        if last is None or (last.failed and not ranked):
            return Suggestion(self._fresh(rng), labels)
        loses = last.failed or member in ranked[max(len(ranked) - self._cut, 1) :]
        if not loses:
            return Suggestion(last.point, labels | {PARENT: last.name})
        winner = results[int(rng.choice(ranked[: max(1, self._cut)]))]
        return Suggestion(self._explored(winner.point, rng), labels | {PARENT: winner.name})

    def _fresh(self, rng: np.random.Generator) -> Point:
        draws = [self.space.draw(rng) for _ in range(_TRIES)]
        return next((point for point in draws if point not in self._history.seen), draws[0])

    def _explored(self, point: Point, rng: np.random.Generator) -> Point:
        draws = [self._varied(point, rng) for _ in range(_TRIES)]
        return next((each for each in draws if each not in self._history.seen), draws[0])

    def _varied(self, point: Point, rng: np.random.Generator) -> Point:
        if self._resample is None:
            return tuple(_perturbed(d, c, rng) for d, c in zip(self.space.dimensions, point, strict=True))
        drawn = self.space.draw(rng)
        again = rng.random(len(point)) < self._resample
        return tuple(new if redo else old for new, old, redo in zip(drawn, point, again, strict=True))


def _generation(last: Record | None) -> int:
    """Of a member's next trial; one that failed is repeated."""
    return 0 if last is None else int(last.labels[GENERATION]) + (not last.failed)


def _perturbed(dimension: Dimension, coordinate: int | float, rng: np.random.Generator) -> int | float:
    """A number times 0.8 or 1.2, a value with a step moved by one step at least, or a neighbour in a list."""
    up = bool(rng.integers(2))
    new = dimension.scaled(coordinate, 1.2 if up else 0.8)
    if dimension.size is None or new != coordinate:
        return new
    return min(max(int(coordinate) + (1 if up else -1), 0), dimension.size - 1)


class EvolutionarySampler(Sampler):
    """A steady-state genetic algorithm, CTLR's own: parents by tournament among the best, one child at a time.

    The population is the best `population_size` of all ended trials, earlier ones included, so it needs no generations
    and no worker waits. Parents win tournaments of two; a child takes each value from either parent with equal chances
    (with `crossover_probability`, else all from one), and each value mutates with `mutation_probability` (one in D
    where it is not written): numbers by a normal step of a tenth of the range, categories to another one.
    """

    def __init__(self, experiment: Experiment, *, seed: int, earlier: Sequence[Trial] = ()) -> None:
        super().__init__(experiment, seed=seed, earlier=earlier)
        self._size = self._count("population_size")
        written = self._settings["mutation_probability"]
        self._mutation = 1 / len(self.space) if written is None else self._number("mutation_probability")
        self._crossover = self._number("crossover_probability")

    def _suggest(self, history: History, rng: np.random.Generator) -> Suggestion | None:
        records = history.all
        ended = [record for record in records if record.loss is not None]
        if len(records) < self._size or len(ended) < 2:
            return self._first_unseen((self.space.draw(rng) for _ in range(_TRIES)), rng)
        population = sorted(ended, key=lambda record: record.loss or 0.0)[: self._size]
        return self._first_unseen((self._child(population, rng) for _ in range(_TRIES)), rng)

    def _child(self, population: Sequence[Record], rng: np.random.Generator) -> Point:
        # The population is sorted: the lower of two numbers wins.
        one, other = (population[int(rng.integers(len(population), size=2).min())].point for _ in range(2))
        if rng.random() < self._crossover:
            mixed = rng.random(len(one)) < 0.5
            one = tuple(b if take else a for a, b, take in zip(one, other, mixed, strict=True))
        mutates = rng.random(len(one)) < self._mutation
        return tuple(
            _mutated(dimension, coordinate, rng) if mutate else coordinate
            for dimension, coordinate, mutate in zip(self.space.dimensions, one, mutates, strict=True)
        )


class RegularizedSampler(Sampler):
    """Regularised evolution (Real et al. 2019, [arXiv:1802.01548](https://arxiv.org/abs/1802.01548), algorithm 1).

    After `population_size` draws each child is the best of `sample_size` members, drawn with replacement, with
    `mutations` of its values changed: numbers by a normal step of a tenth of the range, categories to another one. The
    population is the youngest that ended with a value, earlier trials included: who is good lives no longer than
    others, so that what was good by chance dies out. Age is the order of proposals, so that no worker waits and the
    fastest have no advantage. Where parameters are those of modules, one that changes changes wherever it is used.
    """

    def __init__(self, experiment: Experiment, *, seed: int, earlier: Sequence[Trial] = ()) -> None:
        super().__init__(experiment, seed=seed, earlier=earlier)
        self._size = self._count("population_size")
        self._sample = self._count("sample_size")
        self._varying = [place for place, dimension in enumerate(self.space.dimensions) if dimension.size != 1]
        self._mutations = min(self._count("mutations"), len(self._varying))

    def _suggest(self, history: History, rng: np.random.Generator) -> Suggestion | None:
        records = history.all
        population = [record for record in records if record.loss is not None][-self._size :]
        if len(records) < self._size or not population:
            return self._first_unseen((self.space.draw(rng) for _ in range(_TRIES)), rng)
        return self._first_unseen((self._child(population, rng) for _ in range(_TRIES)), rng)

    def _child(self, population: Sequence[Record], rng: np.random.Generator) -> Point:
        drawn = [population[int(place)] for place in rng.integers(len(population), size=self._sample)]
        child = list(min(drawn, key=lambda record: record.loss or 0.0).point)
        for place in rng.choice(self._varying, self._mutations, replace=False) if self._varying else ():
            child[place] = _mutated(self.space.dimensions[place], child[place], rng)
        return tuple(child)


def _mutated(dimension: Dimension, coordinate: int | float, rng: np.random.Generator) -> int | float:
    size = dimension.size
    if size == 1:
        return coordinate
    if size is not None and not dimension.ordered:
        return (int(coordinate) + int(rng.integers(1, size))) % size
    step = rng.normal(scale=_SCALE)
    unit = abs(dimension.unit(coordinate) + step)
    new = dimension.at(1 - abs(1 - unit))  # what leaves the range is thrown back
    if size is not None and new == coordinate:
        return min(max(int(coordinate) + (1 if step > 0 else -1), 0), size - 1)
    return new
