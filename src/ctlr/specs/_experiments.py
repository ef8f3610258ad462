"""Searches and their trials: Katib's Experiment as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from ctlr.specs._studies import Study
from ctlr.specs._value import Value

__all__ = [
    "AlgorithmSpec",
    "Collector",
    "Experiment",
    "Objective",
    "Parameter",
    "Proposal",
    "SearchResult",
    "SearchStage",
    "Trial",
    "TrialCommand",
    "TrialReport",
    "TrialStatus",
    "Turn",
    "trial_row",
]

Settings = dict[str, str]


TrialStatus = Literal["Created", "Running", "Succeeded", "Failed", "EarlyStopped", "Killed"]
"""Katib's words."""


class Parameter(Value):
    """One dimension of a search space; numbers are kept as they are written, so that decimal steps stay exact."""

    name: str
    kind: Literal["int", "double", "discrete", "categorical"]
    low: str = ""
    """Of int and double, inclusive."""
    high: str = ""
    """Of int and double, inclusive."""
    step: str = ""
    """Of int and double; empty: 1 for int, none for double."""
    values: tuple[str, ...] = ()
    """Of discrete (numbers) and categorical."""
    distribution: Literal["uniform", "logUniform", "normal", "logNormal"] = "uniform"
    """Of int and double; normal ones have their mean in the middle and cover the range with six deviations."""


class Objective(Value):
    """What a search is after."""

    metric: str
    direction: Literal["minimize", "maximize"]
    goal: float | None = None
    """The experiment ends when a trial reaches it."""
    additional: tuple[str, ...] = ()
    """Further metrics that are collected."""
    strategies: dict[str, Literal["min", "max", "latest"]] = Field(default_factory=dict)
    """Which of a trial's values counts, by metric; every metric has one."""


class AlgorithmSpec(Value):
    """A search algorithm or a stopping rule, by Katib's name."""

    name: str
    """Katib's."""
    settings: Settings = Field(default_factory=dict)
    """By Katib's names; see the page on tuning."""


class Collector(Value):
    """How a trial's metrics are read."""

    kind: Literal["StdOut", "File", "TensorFlowEvent", "PrometheusMetric", "Push", "Custom", "None"] = "StdOut"
    path: str = ""
    """Of File."""
    format: Literal["TEXT", "JSON"] = "TEXT"
    filters: tuple[str, ...] = ()
    """Regular expressions with a group for the name and one for the value; none: Katib's own."""


class TrialCommand(Value):
    """The program of a trial, `${trialParameters.X}` in it."""

    image: str
    command: tuple[str, ...]
    """Program and arguments (Kubernetes' `command` and `args`); empty where the image alone knows the program."""
    environment: dict[str, str] = Field(default_factory=dict)
    working_dir: str = ""


class Experiment(Value):
    """A search, as one Katib manifest describes it (kubeflow.org/v1beta1)."""

    name: str
    namespace: str = ""
    objective: Objective
    algorithm: AlgorithmSpec
    early_stopping: AlgorithmSpec | None = None
    parameters: tuple[Parameter, ...]
    max_trials: Annotated[int, Field(ge=1)] | None = None
    parallel: Annotated[int, Field(ge=1)] = 3
    max_failed: Annotated[int, Field(ge=0)] | None = None
    resume_policy: Literal["Never", "LongRunning", "FromVolume"] = "Never"
    collector: Collector = Collector()
    references: dict[str, str] = Field(default_factory=dict)
    """What each `${trialParameters.X}` stands for: a parameter's name, or `${trialSpec.Name}` and the like."""
    trial: TrialCommand
    resampled: bool = False
    """Whether a trial's value is a mean over folds or seeds: one that is stopped before the last of them has none."""
    manifest: dict[str, Any] = Field(default_factory=dict)
    """The whole document, nothing left out."""

    def counted(self, value: float | None, status: TrialStatus) -> float | None:
        """A trial's objective, where trials are compared by it."""
        whole = status == "Succeeded" or (status == "EarlyStopped" and not self.resampled)
        return value if whole else None


class Proposal(Value):
    """What an algorithm wants tried next."""

    assignments: Settings
    """Value of each parameter, as it is written into the command."""
    labels: Settings = Field(default_factory=dict)
    """What the algorithm notes for itself: a bracket, a generation, a parent."""


class TrialReport(Value):
    """Metrics that a trial reported at once."""

    step: int
    """Counts the reports of the objective, from 1."""
    metrics: dict[str, float]
    seconds: float
    """Since the trial started."""


class Trial(Value):
    """One proposal, and what came of it."""

    number: int
    """From 0, in the order of proposal."""
    name: str
    assignments: Settings
    """Value of each parameter, as it is written into the command."""
    labels: Settings = Field(default_factory=dict)
    """Those of the proposal."""
    status: TrialStatus = "Created"
    reports: tuple[TrialReport, ...] = ()
    value: float | None = None
    """Of the objective by its strategy; None where there is none, as of a mean over folds that lacks some."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """Of every metric by its strategy."""
    seconds: float = 0.0
    """Of the device: neither waiting nor loading counts, and a pretraining counts in full, whoever made it."""
    pretrained: dict[str, float] = Field(default_factory=dict)
    """Of `seconds`: those of each pretraining that other searches may start from too, by its key."""
    started: float = 0.0
    """Seconds after the experiment began."""
    reason: str = ""
    """Of a failure or an early stop; of a program that failed, its exit code and then what it said last."""
    tail: str = ""
    """The last lines that a failed trial printed."""

    @property
    def public_reason(self) -> str:
        """The reason without what a program said, which may name files and people."""
        code, colon, _ = self.reason.partition(": ")
        return code if colon and code.removeprefix("ended with ").startswith("exit code ") else self.reason

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status not in ("Created", "Running")


def trial_row(columns: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's columns and one a parameter; one that is called like a column goes by `params_NAME`."""
    row = dict(columns)
    for name, value in parameters.items():
        key = name
        while key in columns or (key != name and key in parameters):
            key = f"params_{key}"
        row[key] = value
    return row


class SearchStage(Value):
    """One experiment of a search: a stage of it, or a round of a stage."""

    stage: Literal["pretrain", "finetune", "joint"]
    """What its trials trained: the pretraining, the target task, or both."""
    round: int = 1
    """From coarse (1) to fine."""
    objective: Objective
    algorithm: AlgorithmSpec
    parameters: tuple[Parameter, ...]
    options: dict[str, str]
    """Parameter -> the study's option that it sets, e.g. `finetune.lr`."""
    parallel: int
    trials: tuple[Trial, ...]
    shared_by: int = 1
    """Searches that use it (a pretraining is tuned once for all sample sizes), each charged with an equal part."""
    best: int | None
    """Number of the best trial; None where none succeeded."""
    reason: str
    """Why it ended, by Katib's word."""


class Turn(Value):
    """A search's turn in one round of a race."""

    round: Annotated[int, Field(ge=1)]
    """Counted on where seconds were added after an end."""
    leg: Annotated[int, Field(ge=1)] = 1
    """The first budget of seconds, or one that was added."""
    seconds: float
    """On the clock."""
    trials: int
    """Proposed by its end, those of earlier rounds among them."""
    best: float | None
    """Of the objective, by its end; None where no trial had a value."""
    reason: str
    """Why it ended, by Katib's word."""
    over: bool
    """Whether nothing was left to try."""


class SearchResult(Value):
    """What tuning found for one method, encoder, transfer and sample size."""

    study: Study
    """Of the first seed, options as they were before; without folders."""
    stages: tuple[SearchStage, ...]
    """In order; every round of one."""
    assignments: Settings = Field(default_factory=dict)
    """Option -> value, as chosen; empty where the search failed."""
    pretrain_seconds: float = 0.0
    """Of the fixed pretraining that its trials started from."""
    pretrain_shared_by: int = 1
    """Searches that start from it, each charged with an equal part."""
    reason: str = ""
    """Why there is nothing to retrain; empty otherwise."""
    turns: tuple[Turn, ...] = Field(default=(), exclude_if=lambda turns: not turns)
    """In the race that the search was in."""
    dropped: str = Field(default="", exclude_if=lambda why: not why)
    """Why nothing of it was retrained after the race; empty otherwise."""
    path: str = ""
    """Folder below the workspace; `<path>/<trial>/validation.csv` of the last stage's trials hold their predictions."""

    @property
    def seconds(self) -> float:
        """Device seconds charged: all trials, and its part of the pretraining."""
        trials = sum(sum(trial.seconds for trial in stage.trials) / stage.shared_by for stage in self.stages)
        return trials + self.pretrain_seconds / self.pretrain_shared_by
