"""A search on a cluster with Katib, from the manifest to its optimum."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from ctlr.cli.manifests import check_manifest
from ctlr.cli.search_apply import Application
from ctlr.cli.search_end import follower, show_search
from ctlr.cli.show import show
from ctlr.cli.voice import say
from ctlr.errors import ConfigError
from ctlr.specs import Experiment
from ctlr.tuning.engine import RemoteOutcome
from ctlr.tuning.katib import run_on_katib, submit_to_katib
from ctlr.tuning.manifest import read_experiment, without_gpus
from ctlr.workspace import Workspace

__all__ = ["Cluster", "search_on_katib"]


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where a search runs, and what is left of it."""

    namespace: str | None = None
    """None: the manifest's, or the context's."""
    context: str | None = None
    """Of the kubeconfig; None: the current one."""
    wait: bool = True
    """Follow it to its end."""
    keep: bool = True
    """Leave the Experiment and its pods on the cluster once it has ended."""
    gpus: bool = True
    """Ask for those that the manifest asks for."""


def search_on_katib(
    file: Path, root: Path, cluster: Cluster, *, output: str, quiet: bool = False, apply: Path | None = None
) -> int:
    """Create a manifest's Experiment, or take it up, and print its optimum.

    Args:
        file: The manifest.
        root: Workspace; the report goes to `experiments/NAME` there.
        cluster: Where it runs.
        output: table, json or yaml.
        apply: Benchmark file that gets the optimum.
        quiet: Say nothing but errors and the optimum.

    Returns:
        0 where the experiment succeeded or is not waited for, else 1.

    Raises:
        ConfigError: The manifest breaks a rule, another Experiment has its name, or the file to apply the optimum to
            does not take its options.
        ClusterError: The cluster cannot be reached or refuses, or the Experiment was deleted.
    """
    check_manifest(file)
    experiment = read_experiment(file)
    if not cluster.gpus:
        experiment = without_gpus(experiment)
    application = Application(apply, experiment, file) if apply is not None else None
    if not cluster.wait:
        if application is not None:
            raise ConfigError(
                "`--apply` needs the search's end. Remove `--no-wait`, or apply later by the same command."
            )
        return _submit(experiment, cluster, output)
    try:
        with follower(experiment, output, quiet=quiet) as display:
            outcome = run_on_katib(
                experiment, namespace=cluster.namespace, context=cluster.context,
                policy="keep" if cluster.keep else "delete", on_event=display,
                on_notice=lambda message: None if quiet else say(message, output),
            )  # fmt: skip
    except KeyboardInterrupt:
        _say_how_to_go_on(file, cluster, output)
        raise
    folder = Workspace(root).root / "experiments" / experiment.name
    _show_tails(outcome, output)
    show_search(experiment, outcome, outcome.document, folder, output)
    if application is not None:
        application.write(outcome, output, quiet=quiet)
    return 0 if outcome.succeeded else 1


def _submit(experiment: Experiment, cluster: Cluster, output: str) -> int:
    known, place = submit_to_katib(experiment, namespace=cluster.namespace, context=cluster.context)
    found = {"experiment": experiment.name, "place": place, "created": not known}
    words = "is there already" if known else "was created"
    show(found if output != "table" else f"{experiment.name} {words}: {place}", output)
    return 0


def _show_tails(outcome: RemoteOutcome, output: str) -> None:
    """What failed trials printed last, where a search failed for them."""
    if outcome.succeeded:
        return
    for trial in outcome.trials:
        if trial.status == "Failed" and trial.tail:
            say(f"--- the last lines of {trial.name}\n{trial.tail}", output)


def _say_how_to_go_on(file: Path, cluster: Cluster, output: str) -> None:
    words = ["ctlr", "tune", str(file), "--on", "katib"]
    for option in ("namespace", "context"):
        value = getattr(cluster, option)
        words += [f"--{option}", value] if value else []
    say(f"The Experiment goes on, on its cluster. Follow it again with: {shlex.join(words)}", output)
