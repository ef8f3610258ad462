"""`ctlr tune` and `ctlr suggest`: searches on this machine or a cluster, and proposals for a cluster's."""

from __future__ import annotations

from pathlib import Path

import rich_click as click
from click.core import ParameterSource

from ctlr.cli import candidates
from ctlr.cli.options import output_option, workspace_option
from ctlr.cli.voice import quiet_option, spoken
from ctlr.errors import ConfigError

__all__ = ["suggest", "tune"]


_NOT_ON_KATIB = {
    "workers": "the manifest's `parallelTrialCount` says how many trials run at once",
    "max_trials": "the manifest's `maxTrialCount` is what Katib reads; it may be raised there between two runs",
    "goal": "the manifest's `goal` is what Katib reads",
    "max_seconds": "Katib has no limit of time; set `activeDeadlineSeconds` of the trials' Job",
    "resume": "the same command takes up the Experiment that is there",
    "device": "the resources of the manifest's trialSpec say what a trial runs on; `--device cpu` takes its GPU away",
}
_NOT_HERE = ("namespace", "context", "wait", "keep")


def _refuse_strangers(invocation: click.Context, place: str, device: str) -> None:
    """Refuse options that were given and mean nothing there, with the reason."""
    reasons = _NOT_ON_KATIB if place == "katib" else dict.fromkeys(_NOT_HERE, "it is about a cluster; add `--on katib`")
    for parameter in invocation.command.params:
        name = parameter.name or ""
        if name == "device" and device == "cpu":
            continue
        if name in reasons and invocation.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = "/".join((*parameter.opts[:1], *parameter.secondary_opts))
            raise ConfigError(f"{option} means nothing with `--on {place}`: {reasons[name]}.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path), shell_complete=candidates.manifest_files)
@click.option(
    "--on",
    "place",
    type=click.Choice(["local", "katib"]),
    default="local",
    show_default=True,
    help="This machine, or a cluster with Katib, which runs the manifest as it is.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Trials at once; by default one a core or GPU, at most the manifest's `parallelTrialCount`.",
)
@click.option("--max-trials", type=click.IntRange(1), help="In place of the manifest's `maxTrialCount`.")
@click.option("--goal", type=float, help="In place of the manifest's `goal`.")
@click.option("--max-seconds", type=click.FloatRange(0, min_open=True), help="End after so long; `--resume` goes on.")
@click.option("--resume", is_flag=True, help="Go on with this search where it was ended.")
@workspace_option("Folder for the journal, and for what trials of `ctlr trial` share.")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Of `ctlr trial`: `auto`, `cpu`, `cuda` (one trial a GPU) or one GPU, e.g. `cuda:1`. On a cluster `cpu` takes "
    "the GPU, its nodes and its image out of the manifest.",
)
@click.option("--namespace", "-n", help="On a cluster: the Experiment's; by default the manifest's or the context's.")
@click.option("--context", help="On a cluster: of the kubeconfig; by default the current one.")
@click.option(
    "--wait/--no-wait", default=True, help="On a cluster: follow the Experiment to its end, or create it only."
)
@click.option("--keep/--delete", default=True, help="On a cluster: what becomes of an Experiment that has ended.")
@click.option(
    "--apply",
    "apply_to",
    type=click.Path(path_type=Path),
    metavar="BENCHMARK",
    help="Write the optimum into this benchmark file and show what changed; a search that has ended is not run again.",
)
@quiet_option
@output_option("Form of what goes to stdout; json and yaml are the Experiment with its status, as Katib has it.")
@click.pass_context
def tune(
    invocation: click.Context,
    file: Path,
    place: str,
    workers: int | None,
    max_trials: int | None,
    goal: float | None,
    max_seconds: float | None,
    resume: bool,
    workspace: Path,
    device: str,
    namespace: str | None,
    context: str | None,
    wait: bool,
    keep: bool,
    apply_to: Path | None,
    quiet: bool,
    output: str,
) -> int:
    """Run a search: a Katib Experiment manifest, on this machine or on a cluster.

    Here trials run the manifest's command; its image is not used. Where the command is `ctlr trial`, warm workers run
    it. On a cluster the same command, repeated, follows the Experiment that is there.
    """
    _refuse_strangers(invocation, place, device)
    if place == "katib":
        from ctlr.cli.katib_search import Cluster, search_on_katib

        cluster = Cluster(namespace=namespace, context=context, wait=wait, keep=keep, gpus=device != "cpu")
        with spoken(output):
            return search_on_katib(file, workspace, cluster, output=output, quiet=quiet, apply=apply_to)
    from ctlr.cli.search import run_search
    from ctlr.tuning.engine import Limits

    limits = Limits(workers=workers, max_trials=max_trials, goal=goal, max_seconds=max_seconds)
    with spoken(output):
        return run_search(
            file, workspace, limits=limits, resume=resume, device=device, output=output, quiet=quiet, apply=apply_to
        )


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=6789, show_default=True, help="To listen at; 0: any.")
@click.option(
    "--checkpoints",
    type=click.Path(path_type=Path),
    default=Path("/opt/katib/data"),
    show_default=True,
    help="Where Katib mounts the claim on which `pbt` hands checkpoints on.",
)
def suggest(port: int, checkpoints: Path) -> None:
    """Serve the search algorithms to a Katib, as one of its suggestion services (gRPC)."""
    from ctlr.tuning.service import serve

    serve(port, checkpoints=checkpoints, on_start=lambda taken: click.echo(f"Answering at port {taken}.", err=True))
