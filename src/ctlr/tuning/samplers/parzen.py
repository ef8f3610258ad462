"""What Optuna's TPE is shown, and what it answers. This module imports Optuna, which takes a while."""

from __future__ import annotations

import warnings
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ctlr.tuning.samplers.base import Record
from ctlr.tuning.samplers.space import Dimension, Point, Space

__all__ = ["ParzenModel"]


_COUNTED = 10_000
"""Values that are counted at most; more of them are as good as continuous, and Optuna's shares of each would be 0."""


class ParzenModel:
    """Optuna's `TPESampler` on records.

    Its own state is a random generator only, so that one made anew for each proposal is a pure function of the trials.
    """

    def __init__(self, space: Space, *, joint: bool, options: Mapping[str, Any]) -> None:
        self._space, self._joint, self._options = space, joint, dict(options)
        self._distributions = {
            str(i): _distribution(dimension) for i, dimension in enumerate(space.dimensions) if dimension.size != 1
        }
        self._frozen: dict[Record, FrozenTrial] = {}

    def draws(self, numbered: Sequence[tuple[int, Record]], number: int, seed: int) -> Iterator[Point | None]:
        """Proposals without end; None in place of one for which there are too few trials.

        Args:
            numbered: Trials and their numbers.
            number: Of the trial that is to be proposed.
            seed: Of the draws.
        """
        self._frozen = {record: self._frozen.get(record) or self._freeze(n, record) for n, record in numbered}
        with warnings.catch_warnings():
            # Settings of Katib's that Optuna 6 will drop.
            warnings.simplefilter("ignore", FutureWarning)
            sampler = TPESampler(seed=seed, multivariate=self._joint, **self._options)
        # A study keeps what it has read, so each proposal has its own.
        study = Study("", _Shown(list(self._frozen.values())), sampler)
        trial = _frozen(number, TrialState.RUNNING, None, {}, {})
        while True:
            if self._joint:
                drawn = sampler.sample_relative(study, trial, self._distributions)
            else:
                drawn = {
                    name: sampler.sample_independent(study, trial, name, distribution)
                    for name, distribution in self._distributions.items()
                }
            yield self._point(drawn) if drawn or not self._distributions else None

    def _point(self, drawn: Mapping[str, Any]) -> Point:
        coordinates: list[int | float] = [0] * len(self._space)
        for name, value in drawn.items():
            dimension = self._space.dimensions[int(name)]
            coordinates[int(name)] = int(value) if _counted(dimension) else dimension.at(value)
        return tuple(coordinates)

    def _freeze(self, number: int, record: Record) -> FrozenTrial:
        params: dict[str, int | float] = {}
        for name in self._distributions:
            dimension, coordinate = self._space.dimensions[int(name)], record.point[int(name)]
            params[name] = coordinate if _counted(dimension) else dimension.unit(coordinate)
        # Pruned without a value: behind all others, yet not passed over.
        ended = TrialState.PRUNED if record.loss is None else TrialState.COMPLETE
        state = ended if record.ended else TrialState.RUNNING
        return _frozen(number, state, record.loss, params, self._distributions)


class _Shown(InMemoryStorage):
    """A study that consists of given trials."""

    def __init__(self, trials: list[FrozenTrial]) -> None:
        super().__init__()
        self._trials = trials

    def get_study_id_from_name(self, study_name: str) -> int:
        return 0

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return [StudyDirection.MINIMIZE]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [trial for trial in self._trials if states is None or trial.state in states]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Pass over what TPE notes of a proposal for other processes."""


def _counted(dimension: Dimension) -> bool:
    return not dimension.ordered or (dimension.even and dimension.size is not None and dimension.size <= _COUNTED)


def _distribution(dimension: Dimension) -> BaseDistribution:
    """Categories, counted values, or the unit interval."""
    if dimension.size is None or not _counted(dimension):
        return FloatDistribution(0.0, 1.0)
    if dimension.ordered:
        return IntDistribution(0, dimension.size - 1)
    return CategoricalDistribution(list(range(dimension.size)))


def _frozen(
    number: int,
    state: TrialState,
    value: float | None,
    params: dict[str, Any],
    distributions: dict[str, BaseDistribution],
) -> FrozenTrial:
    return FrozenTrial(
        number=number, trial_id=number, state=state, value=value, params=params, distributions=distributions,
        datetime_start=None, datetime_complete=None, user_attrs={}, system_attrs={}, intermediate_values={},
    )  # fmt: skip
