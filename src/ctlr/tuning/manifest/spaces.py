"""A search space as a Katib Experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctlr.space import Choice, Range

__all__ = ["space_document"]


def space_document(
    name: str,
    space: Mapping[str, Range | Choice],
    *,
    metric: str,
    direction: str,
    trials: int | None,
    algorithm: str = "tpe",
    seed: int | None = None,
    parallel: int = 1,
) -> dict[str, Any]:
    """The manifest of a space, without what a trial runs.

    Args:
        name: Of the Experiment.
        space: Parameter -> dimension.
        metric: That trials are compared by.
        direction: `minimize` or `maximize`.
        trials: At most; as many of them may fail. None for no end.
        algorithm: By Katib's name.
        seed: Of the algorithm; None leaves it open.
        parallel: Trials at once, each proposed without the results of the others.
    """
    settings = [] if seed is None else [{"name": "random_state", "value": str(seed)}]
    counts = {} if trials is None else {"maxTrialCount": trials, "maxFailedTrialCount": trials}
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": name},
        "spec": {
            "objective": {"type": direction, "objectiveMetricName": metric},
            "algorithm": {"algorithmName": algorithm} | ({"algorithmSettings": settings} if settings else {}),
            "parallelTrialCount": parallel,
            **counts,
            "parameters": [_parameter(name, dimension) for name, dimension in space.items()],
        },
    }


def _parameter(name: str, dimension: Range | Choice) -> dict[str, Any]:
    if isinstance(dimension, Choice):
        kind = "discrete" if dimension.ordered else "categorical"
        feasible: dict[str, Any] = {"list": [str(value) for value in dimension.values]}
    else:
        kind = "int" if dimension.whole else "double"
        feasible = {"min": str(dimension.low), "max": str(dimension.high), "distribution": dimension.distribution}
        if dimension.step is not None:
            feasible["step"] = str(dimension.step)
    return {"name": name, "parameterType": kind, "feasibleSpace": feasible}
