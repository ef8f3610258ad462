"""Katib's requests for suggestions, as values and back.

A request holds all that its answer depends on, so any instance of the service answers it, also after a restart. Of a
proposal Katib 0.19 returns two things: the name of its trial, which the reply chooses, and the settings that the reply
returned, which it stores with the Suggestion. So a trial's number stands in its name, and one setting holds the rest:
labels, which Katib puts onto the trial and does not send back, and proposals whose trials have not ended: Katib hides
trials that end without metrics, and those not yet created.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field

from ctlr.errors import ConfigError
from ctlr.specs import Experiment, Proposal, Trial, TrialStatus, Value
from ctlr.tuning.manifest import parse_experiment

__all__ = [
    "LABEL",
    "NUMBER",
    "STATE",
    "State",
    "fill_reply",
    "number_proposals",
    "read_request",
    "read_state",
    "read_trials",
]

STATE = "ctlr_state"
"""The setting of the algorithm in which a service's notes travel."""
LABEL = "ctlr.suggestion.katib.kubeflow.org/"
"""Opens the names of the labels that a proposal's trial bears on the cluster. Katib does not send them back."""
NUMBER = f"{LABEL}number"
"""The label that holds a proposal's number."""

_HIDDEN = "no metrics"
_DIRECTIONS = ("", "minimize", "maximize")
_KINDS = ("unknown", "double", "int", "discrete", "categorical")
_DISTRIBUTIONS = ("", "uniform", "logUniform", "normal", "logNormal")
_STATUSES: tuple[TrialStatus, ...] = (
    "Created", "Running", "Succeeded", "Killed", "Failed", "Failed", "EarlyStopped", "Created",
)  # fmt: skip
"""By the numbers of `TrialConditionType`; metrics that are unavailable are a failure."""


def read_request(experiment: Any) -> Experiment:
    """The search that a message `Experiment` describes, checked by the rules of manifests.

    Raises:
        ConfigError: It breaks rules; one line a fault.
    """
    spec = experiment.spec
    settings = [{"name": each.name, "value": each.value} for each in spec.algorithm.algorithm_settings]
    document = {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": experiment.name},
        "spec": {
            "objective": {
                "type": _word(_DIRECTIONS, spec.objective.type),
                "objectiveMetricName": spec.objective.objective_metric_name,
                "additionalMetricNames": list(spec.objective.additional_metric_names),
            },
            "algorithm": {
                "algorithmName": spec.algorithm.algorithm_name,
                "algorithmSettings": [each for each in settings if each["name"] != STATE],
            },
            "parameters": [_parameter(each) for each in spec.parameter_specs.parameters],
            "parallelTrialCount": spec.parallel_trial_count or None,
            "maxTrialCount": spec.max_trial_count or None,
            # How metrics are read is not in a request: their names are then free.
            "metricsCollectorSpec": {"collector": {"kind": "Push"}},
        },
    }
    return parse_experiment(document, template=False)


def _word(words: Sequence[str], number: int) -> str:
    return words[number] if number < len(words) else ""


def _parameter(message: Any) -> dict[str, Any]:
    space = message.feasible_space
    return {
        "name": message.name,
        "parameterType": _word(_KINDS, message.parameter_type),
        "feasibleSpace": {
            "min": space.min,
            "max": space.max,
            "step": space.step,
            "list": list(space.list),
            "distribution": _word(_DISTRIBUTIONS, space.distribution),
        },
    }


class State(Value):
    """What a service notes for the next request."""

    tag: str
    """Part of the names of this experiment's trials: an earlier one of its name had other trials."""
    open: dict[int, Proposal] = Field(default_factory=dict)
    """By number, proposals whose trials no request has shown at their end."""
    labels: dict[int, dict[str, str]] = Field(default_factory=dict)
    """By number, those of the others that have some."""

    def name(self, experiment: str, number: int) -> str:
        """Of a proposal's trial."""
        return f"{experiment}-{self.tag}-{number:04x}"


def read_state(experiment: Any) -> State | None:
    """What an earlier reply noted; None before the first.

    Raises:
        ConfigError: Another wrote the setting.
    """
    for setting in experiment.spec.algorithm.algorithm_settings:
        if setting.name == STATE:
            try:
                return State.model_validate_json(setting.value)
            except ValueError as error:
                rule = f"the setting {STATE} is written by this service alone"
                raise ConfigError(f"{rule}; got {setting.value[:60]!r}. Remove it.") from error
    return None


def read_trials(messages: Iterable[Any], experiment: Experiment, state: State) -> list[Trial]:
    """Every trial of an experiment, by number.

    A proposal without a trial is pending while no later trial has been seen. Once one has, Katib has hidden its trial
    for want of metrics, and it counts as failed. Trials that another service proposed come behind, by their start.

    Args:
        messages: Katib's trials, in any order.
        experiment: What they belong to.
        state: What earlier replies noted.
    """
    found: dict[int, Trial] = {}
    strangers: list[Any] = []
    for message in sorted(messages, key=lambda each: (each.status.start_time or "~", each.name)):
        number = _number(message.name, experiment.name, state)
        if number is None:
            strangers.append(message)
        else:
            found[number] = _trial(message, number, experiment, state)
    latest = max(found, default=-1)
    for number, proposal in state.open.items():
        if number not in found:
            found[number] = Trial(
                number=number, name=state.name(experiment.name, number), assignments=proposal.assignments,
                labels=proposal.labels, status="Failed" if number < latest else "Created",
                reason=_HIDDEN if number < latest else "",
            )  # fmt: skip
    free = (number for number in itertools.count() if number not in found)
    for message, number in zip(strangers, free, strict=False):
        found[number] = _trial(message, number, experiment, state)
    return [found[number] for number in sorted(found)]


def _number(name: str, experiment: str, state: State) -> int | None:
    start, _, digits = name.rpartition("-")
    with contextlib.suppress(ValueError):
        if start == f"{experiment}-{state.tag}":
            return int(digits, 16)
    return None


def _assignments(message: Any) -> dict[str, str]:
    return {each.name: each.value for each in message.spec.parameter_assignments.assignments}


def _trial(message: Any, number: int, experiment: Experiment, state: State) -> Trial:
    metrics = {
        each.name: value for each in message.status.observation.metrics if (value := _finite(each.value)) is not None
    }
    known = state.open.get(number)
    return Trial(
        number=number,
        name=message.name,
        assignments=_assignments(message),
        labels=known.labels if known is not None else state.labels.get(number, {}),
        status=_STATUSES[message.status.condition] if message.status.condition < len(_STATUSES) else "Created",
        value=metrics.get(experiment.objective.metric),
        metrics=metrics,
    )


def _finite(text: str) -> float | None:
    """Katib writes `unavailable` where a trial has printed no number."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def number_proposals(proposals: Sequence[Proposal], trials: Sequence[Trial]) -> dict[int, Proposal]:
    """Proposals by number, behind all trials."""
    return dict(enumerate(proposals, start=max((trial.number for trial in trials), default=-1) + 1))


def fill_reply(reply: Any, numbered: Mapping[int, Proposal], trials: Sequence[Trial], name: str, state: State) -> None:
    """Write proposals into a message `GetSuggestionsReply`, and what the next request must bring back.

    Args:
        reply: An empty message.
        numbered: The answer, by number.
        trials: All trials, by number.
        name: Of the experiment.
        state: What earlier replies noted.
    """
    for number, proposal in numbered.items():
        entry = reply.parameter_assignments.add(trial_name=state.name(name, number))
        for parameter, value in proposal.assignments.items():
            entry.assignments.add(name=parameter, value=value)
        for key, value in {**proposal.labels, "number": str(number)}.items():
            entry.labels[f"{LABEL}{key}"] = value
    hidden = {trial.number for trial in trials if trial.number in state.open and trial.reason == _HIDDEN}
    ended = {trial.number: trial for trial in trials if trial.ended and trial.number not in hidden}
    noted = State(
        tag=state.tag,
        open={number: each for number, each in state.open.items() if number not in ended} | dict(numbered),
        labels=state.labels | {number: trial.labels for number, trial in ended.items() if trial.labels},
    )
    reply.algorithm.algorithm_settings.add(name=STATE, value=noted.model_dump_json(exclude_defaults=True))
