"""Searches that compete for one budget: successive halving with searches as arms.

Jamieson & Talwalkar (2016, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 51,
240-248), with seconds on the clock as the resource. All searches get a little of it, cheap ones first; those whose best
trial is behind stop, and the others go on with what they know.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter

from ctlr.config import RaceSpec, TuningSpec
from ctlr.crew import Event, Job
from ctlr.durable import read_file
from ctlr.errors import WorkspaceError
from ctlr.searches._stage import Bench, StageSearch, best_of, read_rounds
from ctlr.specs import ENCODERS, Experiment, SearchStage, StoredArrays, Trial, Turn, fingerprint
from ctlr.tuning.engine import BUDGET, GOAL, Limits, best_trial, read_journal
from ctlr.workspace import Workspace, write_aside

__all__ = ["Raced", "race", "race_is_over", "round_sizes"]

_TURNS = TypeAdapter(list[Turn])
_RACE = "race.json"
"""Turns that are over, the last in a folder of a search; written after each."""
_ROUND = "round-1"


@dataclass(frozen=True)
class Raced:
    """What a race brought for one of its searches.

    Attributes:
        stages: The search's one experiment.
        path: Its folder below the workspace.
        turns: Its share of the race.
        dropped: Why its best is not trained once more and asked the test set; empty for a finalist.
    """

    stages: list[SearchStage]
    path: str
    turns: tuple[Turn, ...]
    dropped: str


def round_sizes(count: int, keep: float) -> list[int]:
    """Searches in each round, down to a single one.

    Args:
        count: Of the first round.
        keep: Share that goes on.
    """
    sizes = [count]
    while sizes[-1] > 1:
        sizes.append(min(max(1, math.ceil(sizes[-1] * keep)), sizes[-1] - 1))
    return sizes


def race(stages: Sequence[StageSearch], bench: Bench, since: float) -> list[Raced] | None:
    """Run the race of some searches, or read it; None where another run is at it.

    Args:
        stages: Of one target and size, judged by one metric.
        bench: Where trials are run.
        since: When the run began: what found nothing before is searched again.
    """
    identity, arms = _line_up(stages, bench.arrays, bench.workspace)
    if not _is_over(arms, since):
        with bench.workspace.claimed("searches", identity) as free:
            if not free:
                return None
            if not _is_over(arms, since):
                _Race(arms, bench).run()
    turns = [arm.read() for arm in arms]
    dropped = _dropped([arm.best for arm in arms], arms)
    return [
        Raced(arm.found, f"searches/{arm.identity}", tuple(each), why)
        for arm, each, why in zip(arms, turns, dropped, strict=True)
    ]


def race_is_over(stages: Sequence[StageSearch], arrays: Mapping[str, StoredArrays], workspace: Workspace) -> bool:
    """Whether `race` would only read."""
    return _is_over(_line_up(stages, arrays, workspace)[1], math.inf)


def _line_up(
    stages: Sequence[StageSearch], arrays: Mapping[str, StoredArrays], workspace: Workspace
) -> tuple[str, list[_Arm]]:
    """Identity of the race, and its searches; each depends on what it runs against."""
    arms = [_Arm(stage, workspace) for stage in stages]
    own = [arm.stage.identity(arrays, arm.earlier) for arm in arms]
    identity = fingerprint(*own)
    for arm, each in zip(arms, own, strict=True):
        arm.identity = fingerprint(identity, each)
    return identity, arms


def _is_over(arms: Sequence[_Arm], since: float) -> bool:
    """Whether all of its searches are finished, and one of them found something, or nobody did since the run began."""
    if not all(arm.workspace.has("searches", arm.identity) for arm in arms):
        return False
    for arm in arms:
        arm.read()
    if any(arm.best is not None for arm in arms):
        return True
    return all((arm.final / "stages.json").stat().st_mtime >= since for arm in arms)


@dataclass
class _Arm:
    """A search in the race."""

    stage: StageSearch
    workspace: Workspace
    identity: str = ""
    folder: Path = Path()
    """To be filled, while the race is on."""
    turns: list[Turn] = field(default_factory=list)
    trials: Sequence[Trial] = ()
    found: list[SearchStage] = field(default_factory=list)
    over: bool = False
    """Whether there is nothing left for it to try."""

    def __post_init__(self) -> None:
        self.earlier = self.stage.earlier(self.workspace)
        self.job = Job(self.stage.title, "tune", "")

    @property
    def final(self) -> Path:
        """Its folder once it is finished."""
        return self.workspace.folder("searches", self.identity)

    @property
    def best(self) -> Trial | None:
        """Its best trial so far."""
        found = best_of(self.found) if self.found else None
        return found[1] if found is not None else None

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """Cheap ones first: models without a network, then networks as the table of encoders has them."""
        study = self.stage.study
        return study.method.trains_network, study.method.pretrains, list(ENCODERS).index(study.encoder.name)

    def experiment(self) -> Experiment:
        """Its whole space, until it is exhausted."""
        return self.stage.experiment(self.identity, self.stage.manifest.parameters, 1, self.stage.trials)

    def read(self) -> list[Turn]:
        """Read what it left, and return its turns."""
        self.found = read_rounds(self.final)
        try:
            self.turns = _TURNS.validate_json(read_file(self.final / _RACE))
        except (OSError, ValueError) as error:
            raise WorkspaceError(
                f"{self.final}/{_RACE} is missing or damaged. Remove that folder and run again: it is made anew."
            ) from error
        return self.turns


class _Race:
    """A race under way."""

    def __init__(self, arms: Sequence[_Arm], bench: Bench) -> None:
        tuning = arms[0].stage.tuning
        assert tuning.race is not None
        assert tuning.seconds is not None
        self._arms, self._bench = sorted(arms, key=lambda arm: arm.rank), bench
        self._tuning: TuningSpec = tuning
        self._spec: RaceSpec = tuning.race
        self._left = tuning.seconds
        self._sign = 1 if arms[0].experiment().objective.direction == "minimize" else -1
        self._reached = False

    def run(self) -> None:
        """Run all rounds that are not over, and publish every search."""
        with contextlib.ExitStack() as open_folders:
            for arm in self._arms:
                self._bench.workspace.discard("searches", arm.identity)
                publishing = self._bench.workspace.publish("searches", arm.identity, resumable=True, shared=True)
                arm.folder = open_folders.enter_context(publishing)
                arm.turns = _turns_in(arm.folder)
                self._bench.on_event(Event(arm.job, "started"))
            going = self._arms
            sizes = round_sizes(len(going), self._spec.keep)
            for number, size in enumerate(sizes):
                going = self._ahead(going, size)
                self._round(number, going, self._left / (len(sizes) - number))
                if self._reached or self._left <= 0:
                    break
            for arm in self._arms:
                self._finish(arm)

    def _round(self, number: int, going: Sequence[_Arm], seconds: float) -> None:
        """Give each search its turn; what one leaves, because it has tried all, the others share."""
        for place, arm in enumerate(going):
            share = seconds / (len(going) - place)
            took = self._turn(number, arm, share) if not arm.over else 0.0
            seconds = max(seconds - took, 0.0)
            self._left -= took
            if self._reached:
                return

    def _turn(self, number: int, arm: _Arm, seconds: float) -> float:
        """Seconds that the turn of a search took, with its trials run or read."""
        if number < len(arm.turns):  # an interrupted run had it already
            self._look(arm, arm.turns[number])
            return arm.turns[number].seconds
        began, goal = time.monotonic(), self._spec.goal
        seconds = max(seconds, 0.1)
        outcome = self._bench.run(
            arm.experiment(), arm.folder / _ROUND, partial(arm.stage.job, arm.folder),
            limits=Limits(max_seconds=seconds, gentle=True, trial_seconds=seconds, goal=goal, at_goal=goal is not None),
            earlier=arm.earlier, on_event=partial(arm.stage.tell, self._bench, arm.job, 0),
        )  # fmt: skip
        best = outcome.optimum.value if outcome.optimum is not None else None
        turn = Turn(
            round=number + 1, seconds=time.monotonic() - began, trials=len(outcome.trials), best=best,
            reason=outcome.reason, over=outcome.reason not in (BUDGET, GOAL),
        )  # fmt: skip
        arm.turns.append(turn)
        write_aside(arm.folder / _RACE, _TURNS.dump_json(arm.turns))
        self._look(arm, turn)
        return turn.seconds

    def _look(self, arm: _Arm, turn: Turn) -> None:
        """What a turn means for the rest of the race."""
        arm.over = turn.over
        self._reached = self._reached or turn.reason == GOAL

    def _ahead(self, going: Sequence[_Arm], size: int) -> list[_Arm]:
        """So many searches, those with the best trials, cheap ones first."""
        if size == len(going):
            return list(going)
        valued = [arm for arm in going if arm.turns and arm.turns[-1].best is not None]
        ahead = sorted(valued, key=lambda arm: self._sign * (arm.turns[-1].best or 0.0))[:size]
        return sorted(ahead, key=lambda arm: (sum(t.seconds for t in arm.turns) / arm.turns[-1].trials, arm.rank))

    def _finish(self, arm: _Arm) -> None:
        """Write what a search found."""
        history = read_journal(arm.folder / _ROUND)
        experiment = arm.experiment()
        trials = () if history is None else tuple(history.trials)
        best = best_trial(experiment.objective, trials)
        reason = arm.turns[-1].reason if arm.turns else ""
        stage = arm.stage.stage_of(experiment, 1, trials, None if best is None else best.number, reason)
        if not arm.turns:
            write_aside(arm.folder / _RACE, b"[]")
        arm.stage.write(arm.folder, [stage])
        arm.stage.tell_end(self._bench, arm.job, [stage], arm.earlier)


def _turns_in(folder: Path) -> list[Turn]:
    """What an interrupted run left."""
    with contextlib.suppress(OSError, ValueError):
        return _TURNS.validate_json((folder / _RACE).read_bytes())
    return []


def _dropped(best: Sequence[Trial | None], arms: Sequence[_Arm]) -> list[str]:
    """Why each search is no finalist; empty for those that are."""
    spec = arms[0].stage.tuning.race
    assert spec is not None
    sign = 1 if arms[0].experiment().objective.direction == "minimize" else -1
    valued = [place for place, trial in enumerate(best) if trial is not None]
    ranked = sorted(valued, key=lambda place: sign * (best[place].value or 0.0))  # type: ignore[union-attr]
    finalists = ranked[: spec.finalists]
    plain = [place for place in ranked if not arms[place].stage.study.method.trains_network]
    finalists += [place for place in plain[:1] if place not in finalists]
    told = "its best trial is not among the best"
    return [
        "" if place in finalists or trial is None else f"{told}: {trial.value:.4g}" for place, trial in enumerate(best)
    ]
