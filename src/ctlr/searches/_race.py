"""Searches that compete for one budget: successive halving with searches as arms.

Jamieson & Talwalkar (2016, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 51,
240-248), with seconds on the clock as the resource. All searches get a little of it, cheap ones first; those whose best
trial is behind stop, and the others go on with what they know.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ctlr import wishes
from ctlr.config import RaceSpec, TuningSpec
from ctlr.crew import Job
from ctlr.durable import read_file
from ctlr.errors import WorkspaceError
from ctlr.searches._stage import Bench, StageSearch, best_of, read_rounds, why_none
from ctlr.specs import ENCODERS, Experiment, SearchStage, StoredArrays, Trial, Turn, Value, fingerprint
from ctlr.tuning.engine import BUDGET, GOAL, OUT_OF_TIME, Limits, best_trial, reached
from ctlr.wishes import clock
from ctlr.workspace import Workspace, write_aside

__all__ = ["Raced", "race", "race_is_over", "round_sizes"]

_RACE = "race.json"
"""What of a race is over, in the folder of each of its searches; written after each turn."""
_ROUND = "round-1"
_LEAST = 0.5
"""Of an equal share of a round: what every search gets of it, whatever the others took."""
_TOO_SLOW = "none of its trials had a value within its share of the time"
_SCRAPS = 0.1
"""Of a budget: as much as rounds leave by themselves."""
_ROUNDING = 1e-6
"""Of sums of seconds."""


class _Course(Value):
    """What a search has of a race."""

    legs: tuple[float, ...] = ()
    """Budgets of seconds, one after the other, of which the last is being spent."""
    turns: tuple[Turn, ...] = ()
    """That are over."""


@dataclass(frozen=True)
class Raced:
    """What a race brought for one of its searches.

    Attributes:
        stages: The search's one experiment.
        path: Its folder below the workspace.
        turns: Its share of the race.
        dropped: Why its best is not trained once more and asked the test set; empty for a finalist, and for one whose
            trials failed.
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
    for arm in arms:
        arm.read()
    return [
        Raced(arm.found, f"searches/{arm.identity}", arm.course.turns, why)
        for arm, why in zip(arms, _dropped([arm.best for arm in arms], arms), strict=True)
    ]


def race_is_over(stages: Sequence[StageSearch], arrays: Mapping[str, StoredArrays], workspace: Workspace) -> bool:
    """Whether `race` would only read."""
    return _is_over(_line_up(stages, arrays, workspace)[1], math.inf)


def _line_up(
    stages: Sequence[StageSearch], arrays: Mapping[str, StoredArrays], workspace: Workspace
) -> tuple[str, list[_Arm]]:
    """Identity of the race, and its searches; each depends on what it runs against."""
    arms = [_Arm(stage, arrays, workspace) for stage in stages]
    own = [arm.stage.identity(arrays, arm.earlier) for arm in arms]
    identity = fingerprint(*own)
    for arm, each in zip(arms, own, strict=True):
        arm.identity = fingerprint(identity, each)
    return identity, arms


def _is_over(arms: Sequence[_Arm], since: float) -> bool:
    """Whether nothing is left to do: all of its searches are finished, and no seconds were added since.

    A race in which nobody found anything is run again, unless it ended since the run began.
    """
    if not all(arm.workspace.has("searches", arm.identity) for arm in arms):
        return False
    for arm in arms:
        arm.read()
    if all(arm.best is None for arm in arms):
        return all((arm.final / "stages.json").stat().st_mtime >= since for arm in arms)
    race = arms[0].stage.tuning.race
    if race is not None and _reached(arms, race.goal):
        return True
    seconds = arms[0].stage.tuning.seconds or 0.0
    return sum(arms[0].course.legs) >= seconds - _ROUNDING or all(arm.over for arm in arms)


def _reached(arms: Sequence[_Arm], goal: float | None) -> bool:
    """Whether a search has reached a goal."""
    objective = arms[0].experiment().objective
    return any(reached(objective, goal, turn.best) for arm in arms for turn in arm.course.turns)


@dataclass
class _Arm:
    """A search in the race."""

    stage: StageSearch
    arrays: Mapping[str, StoredArrays]
    workspace: Workspace
    identity: str = ""
    folder: Path = Path()
    """To be filled, while the race is on."""
    course: _Course = field(default_factory=_Course)
    found: list[SearchStage] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.earlier = self.stage.earlier(self.arrays, self.workspace)
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
    def over(self) -> bool:
        """Whether there is nothing left for it to try."""
        return bool(self.course.turns) and self.course.turns[-1].over

    def seen(self, before: int) -> Turn | None:
        """Its last turn before a round; None where it had none."""
        return next((turn for turn in reversed(self.course.turns) if turn.round < before), None)

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """Cheap ones first: models without a network, then networks as the table of encoders has them."""
        study = self.stage.study
        place = list(ENCODERS).index(study.encoder.name) if study.method.has_encoder else 0
        return study.method.trains_network, study.method.pretrains, place

    def experiment(self) -> Experiment:
        """Its whole space, until it is exhausted."""
        return self.stage.experiment(self.identity, self.stage.manifest.parameters, 1, self.stage.trials)

    def read(self) -> None:
        """Read what it left."""
        self.found = read_rounds(self.final)
        try:
            self.course = _Course.model_validate_json(read_file(self.final / _RACE))
        except (OSError, ValueError) as error:
            raise WorkspaceError(
                f"{self.final}/{_RACE} is missing or damaged. Remove that folder and run again: it is made anew."
            ) from error

    def note(self, course: _Course) -> None:
        """Keep what is over, also for whoever goes on after an interruption."""
        self.course = course
        write_aside(self.folder / _RACE, course.model_dump_json().encode())


class _Race:
    """A race under way."""

    def __init__(self, arms: Sequence[_Arm], bench: Bench) -> None:
        tuning = arms[0].stage.tuning
        assert tuning.race is not None
        assert tuning.seconds is not None
        self._arms, self._bench = sorted(arms, key=lambda arm: arm.rank), bench
        self._tuning: TuningSpec = tuning
        self._spec: RaceSpec = tuning.race
        self._seconds = tuning.seconds
        self._left = 0.0
        self._sign = 1 if arms[0].experiment().objective.direction == "minimize" else -1

    @property
    def _reached(self) -> bool:
        """Whether a search has reached the goal that is in force now."""
        asked = wishes.now().goal
        return _reached(self._arms, self._spec.goal if asked is None else asked)

    def run(self) -> None:
        """Run all rounds that are not over, and publish every search."""
        workspace = self._bench.workspace
        with contextlib.ExitStack() as open_folders:
            for arm in self._arms:
                workspace.reopen("searches", arm.identity)
                publishing = workspace.publish("searches", arm.identity, resumable=True, shared=True)
                arm.folder = open_folders.enter_context(publishing)
                arm.course = _course_in(arm.folder)
                arm.stage.tell_begin(self._bench, arm.job)
            legs = max((arm.course.legs for arm in self._arms), key=len)
            if (more := self._seconds - sum(legs)) > _ROUNDING:
                legs = (*legs, more)
            for arm in self._arms:
                arm.note(arm.course.model_copy(update={"legs": legs}))
            number = 0
            for leg, seconds in enumerate(legs, start=1):
                number = self._leg(leg, number, seconds)
            for arm in self._arms:
                self._finish(arm)

    def _leg(self, leg: int, number: int, seconds: float) -> int:
        """Spend one budget: the first among all, a further one among those that are ahead; the rounds so far.

        Where those that went on have tried all they had, the rest is spent among the others in the same way.
        """
        self._left += seconds
        ahead = max(1, math.ceil(len(self._arms) * self._spec.keep))
        before, count = -1, len(self._arms) if leg == 1 else ahead
        while number > before and not self._reached and self._left > _SCRAPS * seconds:
            before, number = number, self._halve(leg, number, round_sizes(count, self._spec.keep))
            count = ahead
        return number

    def _halve(self, leg: int, number: int, sizes: Sequence[int]) -> int:
        """Give so many searches what is left in equal rounds, each of those that are ahead; the rounds so far."""
        going: Sequence[_Arm] = self._arms
        for place, size in enumerate(sizes):
            if self._reached or self._left <= 0:
                break
            going = self._ahead(going, size, number + 1)
            if not going:  # nobody has anything left to try
                break
            number += 1
            self._round(leg, number, going, self._left / (len(sizes) - place))
        return number

    def _round(self, leg: int, number: int, going: Sequence[_Arm], seconds: float) -> None:
        """Give each search its turn; what one leaves, because it has tried all, the others share.

        What one takes beyond its turn, later rounds lack, so that slow ones do not take the turns of those behind them.
        """
        least = _LEAST * seconds / len(going)
        for place, arm in enumerate(going):
            share = max(seconds / (len(going) - place), least)
            turn = self._turn(leg, number, arm, share)
            if turn is None:
                continue
            seconds = max(seconds - turn.seconds, 0.0)
            self._left -= turn.seconds
            if self._reached:
                return

    def _turn(self, leg: int, number: int, arm: _Arm, seconds: float) -> Turn | None:
        """The turn of a search, run or read; None where it has nothing left to try."""
        known = next((turn for turn in arm.course.turns if turn.round == number), None)
        if known is not None or arm.over:  # an interrupted run had it already
            return known
        began, goal = clock(), self._spec.goal
        seconds = max(seconds, 0.1)
        values = [
            self._sign * each.best for other in self._arms for each in other.course.turns if each.best is not None
        ]
        best = self._sign * min(values) if values else None
        outcome = self._bench.run(
            arm.experiment(), arm.folder / _ROUND, partial(arm.stage.job, arm.folder),
            limits=Limits(max_seconds=seconds, gentle=True, trial_seconds=seconds, goal=goal, at_goal=goal is not None,
                          asked_goal=lambda: wishes.now().goal, elsewhere=best),
            earlier=arm.earlier, on_event=partial(arm.stage.tell, self._bench, arm.job, 1, 0),
        )  # fmt: skip
        turn = Turn(
            round=number, leg=leg, seconds=clock() - began, trials=len(outcome.trials),
            best=outcome.optimum.value if outcome.optimum is not None else None, reason=outcome.reason,
            over=outcome.reason not in (BUDGET, GOAL),
        )  # fmt: skip
        arm.note(arm.course.model_copy(update={"turns": (*arm.course.turns, turn)}))
        return turn

    def _ahead(self, going: Sequence[_Arm], size: int, number: int) -> list[_Arm]:
        """So many searches, those with the best trials before a round, cheap ones first.

        One that has tried all needs no more seconds, and takes no place.
        """
        if number == 1:
            return list(going)
        turns = [
            (arm, turn)
            for arm in going
            if (turn := arm.seen(number)) is not None and turn.best is not None and not turn.over
        ]
        ahead = sorted(turns, key=lambda each: self._sign * (each[1].best or 0.0))[:size]

        def cost(each: tuple[_Arm, Turn]) -> tuple[float, tuple[bool, bool, int]]:
            arm, last = each
            spent = sum(turn.seconds for turn in arm.course.turns if turn.round < number)
            return spent / last.trials, arm.rank

        return [arm for arm, _ in sorted(ahead, key=cost)]

    def _finish(self, arm: _Arm) -> None:
        """Write what a search found."""
        experiment, trials = arm.experiment(), self._bench.found(arm.folder / _ROUND)
        best = best_trial(experiment.objective, trials)
        reason = arm.course.turns[-1].reason if arm.course.turns else ""
        stage = arm.stage.stage_of(experiment, 1, trials, None if best is None else best.number, reason)
        arm.stage.write(arm.folder, [stage], arm.arrays)
        valued = any(turn.best is not None for each in self._arms for turn in each.course.turns)
        why = _only_slow([stage]) if best is None and valued else ""
        arm.stage.tell_end(self._bench, arm.job, [stage], arm.earlier, why=why)


def _course_in(folder: Path) -> _Course:
    """What an interrupted run left."""
    with contextlib.suppress(OSError, ValueError):
        return _Course.model_validate_json((folder / _RACE).read_bytes())
    return _Course()


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

    def why(place: int, trial: Trial | None) -> str:
        if trial is not None:
            return "" if place in finalists else f"its best trial is not among the best: {trial.value:.4g}"
        return _only_slow(arms[place].found) if valued else ""

    return [why(place, trial) for place, trial in enumerate(best)]


def _only_slow(stages: Sequence[SearchStage]) -> str:
    """That time alone kept a search from a value; empty where a trial failed of anything else."""
    trials = [trial for stage in stages for trial in stage.trials]
    if any(trial.status == "Failed" and OUT_OF_TIME not in trial.reason for trial in trials):
        return ""
    return _TOO_SLOW if trials else why_none(stages)
