"""What every search algorithm promises, and the history that all of them read."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ctlr.specs import Experiment, Proposal, Trial, fingerprint
from ctlr.tuning.manifest import SettingValue, read_settings
from ctlr.tuning.samplers.space import Point, Space

__all__ = ["History", "Record", "Sampler", "Suggestion", "elsewhere", "seed_of"]

_ELSEWHERE = "elsewhere"
"""Label of a trial of other data."""


def elsewhere(trial: Trial) -> Trial:
    """An earlier trial of other data: what it tried may be tried again, and the best of them is tried first."""
    return trial.model_copy(update={"labels": {_ELSEWHERE: "true"}})


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A trial as algorithms see it."""

    point: Point
    ended: bool
    loss: float | None = None
    """The objective, its sign such that less is better; None while it is pending and where it failed."""
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether it ended without a value."""
        return self.ended and self.loss is None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A place to try, and what the algorithm notes for itself."""

    point: Point
    labels: dict[str, str] = field(default_factory=dict)


class History:
    """The trials of an experiment, read once each.

    What was read of a trial is kept while the caller shows the same object; a list of trials that is no continuation
    of the last one is read anew. So what stands here depends on the last list alone.
    """

    def __init__(self, space: Space, *, minimise: bool, earlier: Sequence[Trial] = ()) -> None:
        self._space, self._sign = space, 1.0 if minimise else -1.0
        self.earlier = tuple(self._read(trial) for trial in earlier if trial.ended)
        """Ended trials of an earlier experiment of the same space."""
        self._clear()

    def _clear(self) -> None:
        self._followed: list[Trial] = []
        self.records: list[Record] = []
        """The experiment's own trials, by number."""
        self._new: list[bool] = []
        self.seen: set[Point] = {record.point for record in self.earlier if _ELSEWHERE not in record.labels}
        """Every place that was proposed for these data, earlier ones among them."""
        self.elsewhere = {record.point for record in self.earlier if _ELSEWHERE in record.labels}
        """Places that were tried on other data."""

    def follow(self, trials: Sequence[Trial]) -> None:
        """Take up what is new in the trials of the experiment.

        Raises:
            ConfigError: A trial lies outside the space.
        """
        if len(trials) < len(self.records):
            self._clear()
        if not all(map(operator.is_, self._followed, trials)):
            self._replace(trials)
        for trial in trials[len(self.records) :]:
            self.add(self._read(trial))
            self._followed.append(trial)

    def _replace(self, trials: Sequence[Trial]) -> None:
        changed = [i for i, (old, new) in enumerate(zip(self._followed, trials, strict=False)) if old is not new]
        for i in changed:
            if trials[i].assignments != self._followed[i].assignments:
                self._clear()
                return
            self._followed[i] = trials[i]
            self.records[i] = self._read(trials[i], self.records[i].point)

    def add(self, record: Record) -> None:
        """Take up one more trial."""
        self.records.append(record)
        self._new.append(record.point not in self.seen)
        self.seen.add(record.point)

    def forget(self, count: int) -> None:
        """Take back the last ones that were added."""
        for _ in range(count):
            record = self.records.pop()
            if self._new.pop():
                self.seen.discard(record.point)

    @property
    def all(self) -> list[Record]:
        """Earlier and own trials, in the order of their proposal."""
        return [*self.earlier, *self.records]

    def _read(self, trial: Trial, point: Point | None = None) -> Record:
        usable = trial.status in ("Succeeded", "EarlyStopped") and trial.value is not None
        loss = self._sign * trial.value if usable and trial.value is not None else None
        point = self._space.point(trial.assignments) if point is None else point
        return Record(point, trial.ended, loss, trial.name, trial.labels)


class Sampler(ABC):
    """A search algorithm.

    Contract: what is proposed depends on the experiment, the seed, the earlier trials, the trials and n alone, never on
    what was asked before; an assignment is never proposed twice; a space that can be counted is walked to its end.
    Failed trials count as bad, those stopped early with their last value, those not ended as pending. Trials are
    told apart by their objects: pass the same object for a trial that has not changed, and reading it costs nothing.
    """

    uses_results: ClassVar[bool] = True
    """Whether proposals depend on the values of trials."""

    def __init__(self, experiment: Experiment, *, seed: int, earlier: Sequence[Trial] = ()) -> None:
        self.space = Space(experiment.parameters)
        self._seed = seed
        self._settings: dict[str, SettingValue] = read_settings(experiment.algorithm)
        self._history = History(self.space, minimise=experiment.objective.direction == "minimize", earlier=earlier)

    def propose(self, trials: Sequence[Trial], n: int) -> list[Proposal]:
        """What to try next.

        Args:
            trials: All that were proposed, by number; those that have not ended are pending.
            n: How many.

        Returns:
            n proposals; fewer where the space is exhausted or pending trials must end first, see `exhausted`.

        Raises:
            ConfigError: A trial lies outside the space.
        """
        history = self._history
        history.follow(trials)
        found: list[Suggestion] = []
        try:
            while len(found) < n:
                rng = np.random.default_rng([self._seed, len(trials) + len(found)])
                suggestion = self._taken_over(history) or self._suggest(history, rng)
                if suggestion is None:
                    break
                found.append(suggestion)
                history.add(Record(suggestion.point, ended=False, labels=suggestion.labels))
        finally:
            history.forget(len(found))
        return [Proposal(assignments=self.space.assignments(each.point), labels=each.labels) for each in found]

    def exhausted(self, trials: Sequence[Trial]) -> bool:
        """Whether nothing is left to propose, whatever pending trials bring."""
        self._history.follow(trials)
        return self.space.size is not None and len(self._history.seen) >= self.space.size

    def _taken_over(self, history: History) -> Suggestion | None:
        """What was best elsewhere, before all else."""
        if history.records:
            return None
        known = [r for r in history.earlier if _ELSEWHERE in r.labels and r.loss is not None]
        best = min(known, key=lambda record: record.loss or 0.0, default=None)
        return Suggestion(best.point) if best is not None and best.point not in history.seen else None

    @abstractmethod
    def _suggest(self, history: History, rng: np.random.Generator) -> Suggestion | None:
        """One proposal; None where there is none (now)."""

    def _first_unseen(self, draws: Iterable[Point], rng: np.random.Generator) -> Suggestion | None:
        """The first of some draws that is new everywhere, else on these data; else any place that is."""
        seen = self._history.seen
        again: Point | None = None
        for point in draws:
            if point in seen:
                continue
            if point not in self._history.elsewhere:
                return Suggestion(point)
            again = point if again is None else again
        left = self.space.unseen(seen, rng) if again is None else again
        return None if left is None else Suggestion(left)

    def _number(self, name: str) -> float:
        value = self._settings[name]
        assert isinstance(value, int | float)
        return value

    def _count(self, name: str) -> int:
        value = self._settings[name]
        assert isinstance(value, int)
        return value


def seed_of(experiment: Experiment) -> int:
    """`random_state`, or a number that stays the same for an experiment's name."""
    written = experiment.algorithm.settings.get("random_state")
    return int(fingerprint(experiment.name), 16) % 2**31 if written is None else int(written)
