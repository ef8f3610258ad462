"""Hyperband (Li et al. 2018, Algorithm 1): many configurations with few resources, the best of them with more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from ctlr.errors import ConfigError
from ctlr.specs import Experiment, Parameter, Trial
from ctlr.tuning.manifest import read_settings
from ctlr.tuning.samplers.base import History, Record, Sampler, Suggestion
from ctlr.tuning.samplers.space import Point, Space

__all__ = ["HyperbandSampler", "Rung", "brackets"]

_EPS = 1e-9
"""Keeps powers that are whole numbers whole."""
_TRIES = 32


@dataclass(frozen=True, kw_only=True)
class Rung:
    """How many configurations of a bracket are tried with how much."""

    count: int
    resource: float


def brackets(resource: float, eta: float) -> dict[int, list[Rung]]:
    """Every bracket s by its number, the most exploring first; its rungs from the lowest resource to the highest.

    Args:
        resource: R, the most that a configuration gets.
        eta: Of so many configurations one is promoted, with so many times the resource.
    """
    s_max = 0
    while eta ** (s_max + 1) <= resource * (1 + _EPS):
        s_max += 1
    return {s: [_rung(resource, eta, s_max, s, i) for i in range(s + 1)] for s in range(s_max, -1, -1)}


def _rung(resource: float, eta: float, s_max: int, s: int, i: int) -> Rung:
    first = math.ceil((s_max + 1) / (s + 1) * eta**s - _EPS)
    return Rung(count=max(1, math.floor(first / eta**i + _EPS)), resource=resource * eta ** (i - s))


class HyperbandSampler(Sampler):
    """Brackets one after the other, and when all are through once more; the lowest rung's configurations are random.

    The resource is a parameter of the space that the algorithm sets, to whole numbers and, as in Katib, whatever its
    own range and step are; a promoted configuration keeps its other values. While a rung waits for its trials the next
    bracket goes on, of the next round if need be: Katib takes nothing but the number that it asks for, and a slow trial
    holds up no other. Labels say where a trial stands: `round` from the second on, `bracket`, `rung` and, if it was
    promoted, `promoted`, the trial that it follows.
    """

    def __init__(self, experiment: Experiment, *, seed: int, earlier: Sequence[Trial] = ()) -> None:
        settings = read_settings(experiment.algorithm)
        name, most = str(settings["resource_name"]), _whole(float(settings["r_l"] or 0))
        names = [parameter.name for parameter in experiment.parameters]
        if name not in names or len(names) < 2:
            raise ConfigError(
                f"algorithm: hyperband's resource_name must be one of two parameters or more; got {name!r} of "
                f"{', '.join(names)}. Name the parameter that says how long a trial trains."
            )
        parameters = [_resource(each, most) if each.name == name else each for each in experiment.parameters]
        experiment = experiment.model_copy(update={"parameters": tuple(parameters)})
        super().__init__(experiment, seed=seed, earlier=earlier)
        self._index = names.index(name)
        self._others = Space([parameter for parameter in parameters if parameter.name != name])
        self._brackets = brackets(self._number("r_l"), self._number("eta"))
        resource = self.space.dimensions[self._index]
        self._resources = {
            s: [resource.coordinate(str(_whole(rung.resource))) for rung in rungs]
            for s, rungs in self._brackets.items()
        }

    def exhausted(self, trials: Sequence[Trial]) -> bool:
        """Whether all configurations were drawn and every bracket is through."""
        self._history.follow(trials)
        if any(not record.ended for record in self._history.records):
            return False
        return self._suggest(self._history, np.random.default_rng(0)) is None

    def _suggest(self, history: History, rng: np.random.Generator) -> Suggestion | None:
        placed = _placed(history)
        tried = {self._config(point) for point in history.seen}
        latest = max((stand.turn for stand in placed), default=-1)
        for turn in range(latest + 2):
            for s, rungs in self._brackets.items():
                lowest = _Stand(turn, s, 0)
                config = self._new_config(tried, rng) if len(placed.get(lowest, [])) < rungs[0].count else None
                if config is not None:
                    return Suggestion(self._point(config, lowest), lowest.labels)
                promoted = self._promote(placed, lowest, history)
                if promoted is not None:
                    return promoted
        return None

    def _new_config(self, tried: set[Point], rng: np.random.Generator) -> Point | None:
        draws = (self._others.draw(rng) for _ in range(_TRIES))
        config = next((drawn for drawn in draws if drawn not in tried), None)
        return self._others.unseen(tried, rng) if config is None else config

    def _promote(self, placed: dict[_Stand, list[Record]], lowest: _Stand, history: History) -> Suggestion | None:
        """The next configuration of a bracket that climbs; None where none does (yet)."""
        below = placed.get(lowest, [])
        for rung in range(1, lowest.bracket + 1):
            stand = _Stand(lowest.turn, lowest.bracket, rung)
            if any(not record.ended for record in below):
                return None
            ranked = sorted((r for r in below if r.loss is not None), key=lambda r: (r.loss, below.index(r)))
            for record in ranked[: self._brackets[stand.bracket][rung].count]:
                point = self._point(self._config(record.point), stand)
                if point not in history.seen:
                    return Suggestion(point, stand.labels | {"promoted": record.name})
            below = placed.get(stand, [])
        return None

    def _config(self, point: Point) -> Point:
        return point[: self._index] + point[self._index + 1 :]

    def _point(self, config: Point, stand: _Stand) -> Point:
        resource = self._resources[stand.bracket][stand.rung]
        return (*config[: self._index], resource, *config[self._index :])


def _whole(resource: float) -> int:
    return math.floor(resource + _EPS)


def _resource(parameter: Parameter, most: int) -> Parameter:
    """A parameter that takes all that Hyperband sets it to, and what earlier trials had of it."""
    low, high = min(1, math.floor(Decimal(parameter.low))), max(most, math.ceil(Decimal(parameter.high)))
    return Parameter(name=parameter.name, kind="int", low=str(low), high=str(high))


class _Stand(NamedTuple):
    """Where a trial stands."""

    turn: int
    """Round of all brackets."""
    bracket: int
    rung: int

    @property
    def labels(self) -> dict[str, str]:
        again = {"round": str(self.turn)} if self.turn else {}
        return again | {"bracket": str(self.bracket), "rung": str(self.rung)}


def _placed(history: History) -> dict[_Stand, list[Record]]:
    """The trials of each rung of each bracket."""
    placed: dict[_Stand, list[Record]] = {}
    for record in history.records:
        labels = record.labels
        if "bracket" in labels and "rung" in labels:
            stand = _Stand(int(labels.get("round", 0)), int(labels["bracket"]), int(labels["rung"]))
            placed.setdefault(stand, []).append(record)
    return placed
