"""Katib's requests for suggestions, as values and back.

A request holds all that its answer depends on, so any instance of the service answers it, also after a restart. What
Katib leaves out is kept where Katib returns it: a proposal's number and labels go into labels of its trial; proposals
whose trials have not ended go into a setting of the algorithm, which Katib stores with the Suggestion and sends along:
Katib hides trials that end without metrics, and those not yet created.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ctlr.errors import ConfigError
from ctlr.specs import Experiment, Proposal, Trial, TrialStatus, fingerprint
from ctlr.tuning.manifest import parse_experiment

__all__ = ["LABEL", "NUMBER", "fill_reply", "read_open", "read_request", "read_trials", "seed_of"]

OPEN = "ctlr_open_proposals"
"""The setting of the algorithm in which proposals travel whose trials Katib hides or may come to hide."""
LABEL = "ctlr.suggestion.katib.kubeflow.org/"
"""Opens the names of the labels that a proposal's trial bears on the cluster."""
NUMBER = f"{LABEL}number"
"""The label that holds a proposal's number."""

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
                "algorithmSettings": [each for each in settings if each["name"] != OPEN],
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


def seed_of(experiment: Experiment) -> int:
    """`random_state`, or a number that stays the same for an experiment's name."""
    written = experiment.algorithm.settings.get("random_state")
    return int(fingerprint(experiment.name), 16) % 2**31 if written is None else int(written)


def read_open(experiment: Any) -> dict[int, Proposal]:
    """Proposals of earlier replies whose trials no request has shown at their end, by number.

    Raises:
        ConfigError: Another wrote the setting.
    """
    for setting in experiment.spec.algorithm.algorithm_settings:
        if setting.name == OPEN:
            try:
                found = json.loads(setting.value)
                return {int(number): Proposal.model_validate(entry) for number, entry in found.items()}
            except (ValueError, AttributeError) as error:
                rule = f"the setting {OPEN} is written by this service alone"
                raise ConfigError(f"{rule}; got {setting.value[:60]!r}. Remove it.") from error
    return {}


def read_trials(
    messages: Iterable[Any], experiment: Experiment, opened: Mapping[int, Proposal]
) -> tuple[list[Trial], dict[int, Proposal]]:
    """Every trial of an experiment, by number, and the proposals that are still open.

    A proposal without a trial is pending while no later trial has been seen. Once one has, Katib has hidden its trial
    for want of metrics, and it counts as failed.

    Args:
        messages: Katib's trials, in any order.
        experiment: What they belong to.
        opened: Proposals that no request has shown at their end, by number.
    """
    found: dict[int, Trial] = {}
    loose: list[Any] = []
    for message in sorted(messages, key=lambda each: (each.status.start_time or "~", each.name)):
        number = _number(message, {number: each for number, each in opened.items() if number not in found})
        if number is None or number in found:
            loose.append(message)
        else:
            found[number] = _trial(message, number, experiment)
    free = (number for number in itertools.count() if number not in found and number not in opened)
    for message, number in zip(loose, free, strict=False):
        found[number] = _trial(message, number, experiment)
    latest = max(found, default=-1)
    still = {number: each for number, each in opened.items() if number not in found or not found[number].ended}
    for number, proposal in still.items():
        if number not in found:
            found[number] = Trial(
                number=number, name=f"hidden-{number}", assignments=proposal.assignments, labels=proposal.labels,
                status="Failed" if number < latest else "Created", reason="no metrics" if number < latest else "",
            )  # fmt: skip
    return [found[number] for number in sorted(found)], still


def _number(message: Any, opened: Mapping[int, Proposal]) -> int | None:
    written = message.spec.labels.get(NUMBER, "")
    if written.isdecimal():
        return int(written)
    assignments = _assignments(message)
    return next((number for number, each in opened.items() if each.assignments == assignments), None)


def _assignments(message: Any) -> dict[str, str]:
    return {each.name: each.value for each in message.spec.parameter_assignments.assignments}


def _trial(message: Any, number: int, experiment: Experiment) -> Trial:
    metrics = {
        each.name: value for each in message.status.observation.metrics if (value := _finite(each.value)) is not None
    }
    labels = dict(message.spec.labels)
    return Trial(
        number=number,
        name=message.name,
        assignments=_assignments(message),
        labels={key.removeprefix(LABEL): value for key, value in labels.items() if key != NUMBER},
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


def fill_reply(
    reply: Any, proposals: Sequence[Proposal], trials: Sequence[Trial], opened: Mapping[int, Proposal]
) -> None:
    """Write proposals into a message `GetSuggestionsReply`, and what the next request must bring back.

    Args:
        reply: An empty message.
        proposals: The answer.
        trials: All trials, by number.
        opened: Proposals that are still open, by number.
    """
    first = max((trial.number for trial in trials), default=-1) + 1
    numbered = dict(enumerate(proposals, start=first))
    for number, proposal in numbered.items():
        entry = reply.parameter_assignments.add()
        for name, value in proposal.assignments.items():
            entry.assignments.add(name=name, value=value)
        entry.labels[NUMBER] = str(number)
        for key, value in proposal.labels.items():
            entry.labels[key if "/" in key else f"{LABEL}{key}"] = value
    kept = {number: proposal.model_dump(mode="json") for number, proposal in {**opened, **numbered}.items()}
    reply.algorithm.algorithm_settings.add(name=OPEN, value=json.dumps(kept, separators=(",", ":")))
