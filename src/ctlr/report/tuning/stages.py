"""What a search tried, stage by stage: rounds joined, trials in order, the best so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np

from ctlr.specs import METRICS, Experiment, Objective, Parameter, SearchResult, SearchStage, Study, Trial, trial_row

__all__ = [
    "Line",
    "StageTrials",
    "Tried",
    "best_so_far",
    "course",
    "experiment_records",
    "experiment_stage",
    "join_rounds",
    "metric_of",
    "search_records",
    "value_of",
    "window",
]


class Line(NamedTuple):
    """What a learning curve belongs to, by the names that other tables give it."""

    method: str
    data: str
    target: str
    source: str
    """Empty without one."""
    encoder: str

    @classmethod
    def of(cls, study: Study) -> Line:
        """The line that a study is a point of."""
        source = study.source
        return cls(
            method=study.method.label, data=study.target.data.name, target=study.target.task.name,
            source=f"{source.data.name}.{source.task.name}" if source else "", encoder=study.encoder.label,
        )  # fmt: skip

    @property
    def transfer(self) -> str:
        """`cohort.age from cohort.sex`."""
        return f"{self.data}.{self.target}{f' from {self.source}' if self.source else ''}"


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A trial in its place."""

    trial: Trial
    order: int
    """From 1, over all rounds."""
    round: int
    started: float
    """Seconds after the stage's first round began; a round begins where the one before ended."""

    @property
    def scored(self) -> bool:
        """Whether its value counts: a failed or killed trial may have reported one before it ended."""
        return self.trial.value is not None and self.trial.status in ("Succeeded", "EarlyStopped")


@dataclass(frozen=True, kw_only=True)
class StageTrials:
    """Everything that one stage tried."""

    stage: str
    """pretrain, finetune or joint; empty for an experiment by itself."""
    objective: Objective
    parameters: tuple[Parameter, ...]
    """Of the first round, whose ranges hold those of the others."""
    names: Mapping[str, str]
    """Parameter -> what the reader is shown."""
    tried: tuple[Tried, ...]
    shared_by: int = 1

    @property
    def scored(self) -> tuple[Tried, ...]:
        """Trials with a value that counts."""
        return tuple(each for each in self.tried if each.scored)

    @property
    def ranked(self) -> list[Tried]:
        """Scored trials from best to worst; of equal ones the earlier first."""
        sign = 1.0 if self.objective.direction == "minimize" else -1.0
        return sorted(self.scored, key=lambda each: sign * value_of(each))

    @property
    def best(self) -> Tried | None:
        """The best trial; None where none has a value."""
        return next(iter(self.ranked), None)


def value_of(tried: Tried) -> float:
    """Value of a scored trial."""
    assert tried.trial.value is not None
    return tried.trial.value


def join_rounds(stages: Sequence[SearchStage]) -> list[StageTrials]:
    """Put the rounds of each stage together, in order."""
    return [_joined(list(rounds)) for _, rounds in groupby(stages, key=lambda stage: stage.stage)]


def _joined(rounds: Sequence[SearchStage]) -> StageTrials:
    first = rounds[0]
    tried: list[Tried] = []
    began = 0.0
    for stage in rounds:
        before = len(tried)
        tried += [
            Tried(trial=trial, order=before + place, round=stage.round, started=began + trial.started)
            for place, trial in enumerate(stage.trials, start=1)
        ]
        began = max((each.started + each.trial.seconds for each in tried), default=0.0)
    return StageTrials(
        stage=first.stage, objective=first.objective, parameters=first.parameters, names=first.options,
        tried=tuple(tried), shared_by=first.shared_by,
    )  # fmt: skip


def experiment_stage(experiment: Experiment, trials: Sequence[Trial]) -> StageTrials:
    """An experiment by itself, as one stage."""
    ordered = sorted(trials, key=lambda trial: trial.number)
    return StageTrials(
        stage="", objective=experiment.objective, parameters=experiment.parameters,
        names={parameter.name: parameter.name for parameter in experiment.parameters},
        tried=tuple(
            Tried(trial=trial, order=place, round=1, started=trial.started)
            for place, trial in enumerate(ordered, start=1)
        ),
    )  # fmt: skip


def best_so_far(values: Sequence[float | None], direction: str) -> list[float | None]:
    """Best value up to each place; None before the first one."""
    pick = min if direction == "minimize" else max
    found: list[float | None] = []
    best: float | None = None
    for value in values:
        if value is not None:
            best = value if best is None else pick(best, value)
        found.append(best)
    return found


def window(values: Sequence[float], minimise: bool) -> tuple[float, float]:
    """Limits that show the good values well: a diverged trial's, far worse than most, lie beyond."""
    if not values:
        return 0.0, 1.0
    signed = np.array(values if minimise else [-value for value in values])
    best, most = float(signed.min()), float(np.quantile(signed, 0.75))
    worst = float(signed[signed <= best + 3 * (most - best)].max()) if most > best else float(signed.max())
    room = 0.06 * (worst - best) or 0.05 * abs(best) or 1.0
    low, high = best - room, worst + room
    return (low, high) if minimise else (-high, -low)


def course(stage: StageTrials, *, trials: float = 0.0, seconds: float = 0.0) -> list[tuple[float, float, float]]:
    """(trials, device seconds, best so far) after each trial, once there is a best.

    Args:
        stage: Whose trials they are.
        trials: Charged before its first one.
        seconds: Charged before its first one.
    """
    values = best_so_far([value_of(each) if each.scored else None for each in stage.tried], stage.objective.direction)
    found = []
    for each, best in zip(stage.tried, values, strict=True):
        trials, seconds = trials + 1, seconds + each.trial.seconds
        if best is not None:
            found.append((trials, seconds, best))
    return found


def metric_of(objective: Objective) -> str | None:
    """The validation metric that an objective stands for; None where it is none (a training loss)."""
    name = objective.metric.removeprefix("val_")
    return name if name in METRICS else None


# ---------------------------------------------------------------- one row a trial


def search_records(searches: Sequence[SearchResult]) -> list[dict[str, object]]:
    """Long form: one row a trial, one column an option. A stage that several searches share stands in each."""
    return [
        trial_row(
            {**Line.of(search.study)._asdict(), "n_train": search.study.n_train, "stage": stage.stage}
            | {"round": stage.round}
            | _trial(trial, stage.objective)
            | {"shared_by": stage.shared_by},
            {option: trial.assignments.get(name, "") for name, option in stage.options.items()},
        )
        for search in searches
        for stage in search.stages
        for trial in stage.trials
    ]


def experiment_records(stage: StageTrials) -> list[dict[str, object]]:
    """Long form: one row a trial, one column `params_NAME` a parameter."""
    return [
        _trial(each.trial, stage.objective) | {f"params_{name}": text for name, text in _shown(each.trial)}
        for each in stage.tried
    ]


def _trial(trial: Trial, objective: Objective) -> dict[str, object]:
    return {
        "number": trial.number, "trial": trial.name, "status": trial.status, "metric": objective.metric,
        "value": trial.value, "seconds": trial.seconds, "started": trial.started,
    }  # fmt: skip


def _shown(trial: Trial) -> Iterator[tuple[str, str]]:
    yield from ((name, value) for name, value in trial.assignments.items())
