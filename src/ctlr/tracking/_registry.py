"""The model registry: a benchmark's best model under its name and an alias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctlr.tracking._port import BestModel
from ctlr.tracking._stores import SUPERSEDED

__all__ = ["BEST", "forget_versions", "register"]

BEST = "best"
"""Alias of the version that the last outcome names: `models:/NAME@best`."""

_BENCHMARK = "ctlr.name"
"""Tag of a registered model: the benchmark that it is of."""


def register(
    client: Any, experiment: str, benchmark: str, best: Mapping[str, BestModel], runs: Mapping[str, str]
) -> None:
    """Have the alias of each name point at the best model, and nowhere where that has none.

    Versions that were the best before stay, with the number of the one that took their place as a tag.

    Args:
        client: An `MlflowClient`.
        experiment: Id of the experiment that holds the models.
        benchmark: Name.
        best: By the name that the model is registered by.
        runs: Id of its run by a study's id.
    """
    known = {model.name: model for model in client.search_registered_models(f"tags.`{_BENCHMARK}` = '{benchmark}'")}
    for name in known.keys() | best.keys():
        model = _logged_model(client, experiment, runs.get(best[name].study, "")) if name in best else None
        if model is None:
            if name in known and BEST in known[name].aliases:
                client.delete_registered_model_alias(name, BEST)
            continue
        if name not in known and not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name, tags={_BENCHMARK: benchmark})
        _point_at(client, name, model, best[name])


def forget_versions(client: Any, run_id: str) -> None:
    """Delete the versions that came of a run, with the aliases that point at them."""
    for version in client.search_model_versions(f"run_id = '{run_id}'"):
        client.delete_model_version(version.name, version.version)


def _logged_model(client: Any, experiment: str, run_id: str) -> Any:
    """The model that came of a run; None without one."""
    if not run_id:
        return None
    found = client.search_logged_models([experiment], filter_string=f"source_run_id = '{run_id}'")
    return next((model for model in found if model.status == "READY"), None)


def _point_at(client: Any, name: str, model: Any, best: BestModel) -> None:
    versions = list(client.search_model_versions(f"name = '{name}'"))
    ours = next((version for version in versions if version.run_id == model.source_run_id), None)
    if ours is None:
        ours = client.create_model_version(
            name, model.artifact_location, run_id=model.source_run_id, model_id=model.model_id,
            description=best.words,
        )  # fmt: skip
    elif SUPERSEDED in ours.tags:
        client.delete_model_version_tag(name, ours.version, SUPERSEDED)
    client.set_registered_model_alias(name, BEST, ours.version)
    for version in versions:
        if version.version != ours.version:
            client.set_model_version_tag(name, version.version, SUPERSEDED, str(ours.version))
