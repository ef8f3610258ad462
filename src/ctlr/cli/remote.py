"""`ctlr submit|status|logs|cancel`: benchmarks on a cluster with Kubeflow Pipelines."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from ctlr.cli import candidates
from ctlr.cli.options import output_option

if TYPE_CHECKING:
    from ctlr.cluster.kubeflow import Kubeflow, RunState
    from ctlr.cluster.pods import TaskState
    from ctlr.cluster.request import Request
    from ctlr.config import BenchmarkConfig

__all__ = ["cancel", "logs", "status", "submit"]

Command = Callable[..., Any]


def _server(command: Command) -> Command:
    """Options that say which server."""
    for option in reversed(
        (
            click.option("--host", default="", envvar="KF_PIPELINES_ENDPOINT",
                         help="Address of Kubeflow Pipelines; by default that of the pod's cluster or kubectl's."),
            click.option("--namespace", default="", envvar="CTLR_NAMESPACE",
                         help="Yours, where users of the cluster have namespaces of their own."),
            click.option("--context", default="", help="Of kubectl's configuration; by default the current one."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


@click.command()
@click.argument("file", type=click.Path(path_type=Path), shell_complete=candidates.benchmark_files)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", shell_complete=candidates.benchmark_settings,
              help="Override one value of the file, e.g. `--set platform.gpu=nvidia.com/gpu`. Repeatable.")  # fmt: skip
@_server
@click.option("--experiment", default="ctlr", show_default=True, help="Folder of runs in Kubeflow Pipelines.")
@click.option("--workspace", "-w", "volume", metavar="CLAIM",
              help="PersistentVolumeClaim of the workspace, in place of `platform.volume`.")  # fmt: skip
@click.option("--study", default="", metavar="ID", shell_complete=candidates.study_ids,
              help="Run this study alone; `ctlr plan FILE -o json` lists the ids.")  # fmt: skip
@click.option("--wait", is_flag=True, help="Wait for the end; exit code 1 unless the run succeeds.")
@click.option("--dry-run", is_flag=True, help="Print what would be submitted; needs no cluster.")
@output_option()
def submit(
    file: Path,
    overrides: tuple[str, ...],
    host: str,
    namespace: str,
    context: str,
    experiment: str,
    volume: str | None,
    study: str,
    wait: bool,
    dry_run: bool,
    output: str,
) -> int:
    """Run a benchmark on a cluster with Kubeflow Pipelines. What its workspace holds already is not done again."""
    from ctlr.cluster.request import request_of
    from ctlr.config import load

    config = load(file, [*overrides, *([f"platform.volume={volume}"] if volume else [])])
    _check_tuning(config)
    request = request_of(config, study=study)
    for notice in request.notices:
        click.echo(notice, err=True)
    if dry_run:
        _show_pods(config, request, output)
        return 0
    server = _connect(host, namespace, context)
    run_id = server.submit(request, config.platform, name=study or config.name, experiment=experiment)
    click.echo(f"Submitted to {server.host}. Follow it with: ctlr status {run_id}", err=True)
    if not wait:
        _show_run_id(run_id, output)
        return 0
    told: set[str] = set()

    def tell(state: RunState) -> None:
        line = _line(state)
        if line not in told:  # times change more often than what there is to say
            told.add(line)
            click.echo(line, err=True)

    state = _with_pods(server.wait(run_id, tell), namespace, context)
    _show_run(state, output)
    return 0 if state.state == "SUCCEEDED" else 1


@click.command()
@click.argument("run")
@_server
@output_option()
def status(run: str, host: str, namespace: str, context: str, output: str) -> None:
    """Show a run on the cluster and its tasks: how each fares, and why one does not go on."""
    state = _connect(host, namespace, context).run(run)
    _show_run(_with_pods(state, namespace, context), output)


@click.command()
@click.argument("run")
@click.option("--namespace", default="kubeflow", envvar="CTLR_NAMESPACE", show_default=True, help="Of its pods.")
@click.option("--context", default="", help="Of kubectl's configuration; by default the current one.")
@click.option("--lines", type=click.IntRange(1), help="The last ones of each pod; by default all.")
def logs(run: str, namespace: str, context: str, lines: int | None) -> None:
    """Print what CTLR has said in the pods of a run, the oldest pod first."""
    from ctlr.cluster.pods import pod_logs

    for log in pod_logs(run, namespace=namespace, context=context, lines=lines):
        click.echo(f"==> {log.task} ({log.phase.lower()}, pod {log.pod})")
        click.echo(log.text)


@click.command()
@click.argument("run")
@_server
def cancel(run: str, host: str, namespace: str, context: str) -> None:
    """End a run on the cluster. What its steps have finished stays in the workspace."""
    _connect(host, namespace, context).cancel(run)
    click.echo(f"{run} is being ended. Submit the same file again to go on.", err=True)


def _connect(host: str, namespace: str, context: str) -> Kubeflow:
    from ctlr.cluster.kubeflow import Kubeflow

    # Secrets come by the environment: a command line is there for all to read.
    token, cookies = os.environ.get("CTLR_KFP_TOKEN", ""), os.environ.get("CTLR_KFP_COOKIES", "")
    return Kubeflow(host, namespace=namespace, context=context, token=token, cookies=cookies)


def _check_tuning(config: BenchmarkConfig) -> None:
    if config.tuning is not None:
        from ctlr.errors import ConfigError
        from ctlr.plan import make_plan
        from ctlr.searches import check_manifests

        for (label, _), manifests in check_manifests(config, make_plan(config)).items():
            if config.platform.trials == "katib" and any(each.algorithm.name == "pbt" for each in manifests):
                raise ConfigError(
                    f"`platform.trials: katib`: pbt, which searches {label}, hands weights on from trial to trial, and "
                    "pods of a benchmark's trials do not. Write `trials: local`, or take another algorithm."
                )


def _show_pods(config: BenchmarkConfig, request: Request, output: str) -> None:
    from ctlr.cli.show import show, show_rows

    total = sum(request.pods.values())
    if output != "table":
        found = {"benchmark": config.name, "pods": dict(request.pods), "total": total}
        show(found | {"arguments": dict(request.arguments)}, output)
        return
    show_rows(f"{config.name}: pods", [{"of": key, "pods": n} for key, n in request.pods.items()])
    click.echo(
        f"{total} pods: two a task, of which Kubeflow's driver ends at once, and two for the pipeline. Workers share "
        "what is to do, however many studies there are; `--set platform.workers=N` changes their number."
    )


def _with_pods(state: RunState, namespace: str, context: str) -> RunState:
    """The run with what Kubernetes knows of its tasks; as it is, with a word, where that cannot be asked."""
    from ctlr.cluster.pods import pod_tasks
    from ctlr.errors import ClusterError

    try:
        ended = state.ended is not None
        tasks = pod_tasks(state.id, namespace=namespace or "kubeflow", context=context, ended=ended)
    except ClusterError as error:
        click.echo(f"Only Kubeflow Pipelines says how tasks fare, without reasons: {error}", err=True)
        return state
    # An hour after a run's end its pods are gone.
    return dataclasses.replace(state, tasks=tuple(tasks)) if tasks else state


def _show_run_id(run_id: str, output: str) -> None:
    from ctlr.cli.show import show

    show(run_id if output == "table" else {"run": run_id}, output)


def _show_run(state: RunState, output: str) -> None:
    from ctlr.cli.show import show, show_rows

    if output != "table":
        show(_plain(state), output)
        return
    rows = [{"task": task.name, "state": task.state.lower(), "minutes": _minutes(task)} for task in state.tasks]
    show_rows(_line(state), rows)
    for task in state.tasks:
        if task.reason:
            click.echo(f"{task.name}: {task.reason}", err=True)
    if state.reason:
        click.echo(state.reason, err=True)


def _line(state: RunState) -> str:
    counts = {word: sum(task.state == word for task in state.tasks) for word in ("SUCCEEDED", "RUNNING", "FAILED")}
    tasks = ", ".join(f"{number} {word.lower()}" for word, number in counts.items() if number)
    return f"{state.name} ({state.id}): {state.state.lower()}" + (f"; tasks: {tasks}" if tasks else "")


def _minutes(task: TaskState) -> str:
    if task.began is None or task.ended is None:
        return ""
    return f"{(task.ended - task.began).total_seconds() / 60:.1f}"


def _plain(state: RunState) -> dict[str, Any]:
    """The run as JSON has it."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [plain(each) for each in value]
        return value.isoformat() if hasattr(value, "isoformat") else value

    found = plain(dataclasses.asdict(state))
    assert isinstance(found, dict)
    return found
