"""`ctlr trial`: one trial of a search, as Katib's pods and the laptop's workers run it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.exceptions import Exit

from ctlr.cli import candidates
from ctlr.cli.options import study_options
from ctlr.errors import ConfigError

if TYPE_CHECKING:
    from ctlr.events import Watcher
    from ctlr.specs import LeakSpec, StoredArrays, Study
    from ctlr.tuning.request import TrialJob, TrialRequest
    from ctlr.workspace import Workspace

__all__ = ["option_values", "prepare", "read_request", "trial"]


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@study_options("`--set lr=1e-3`, `pretrain.lr=…`, `method.temperature=…`")
@click.option(
    "--stage",
    type=click.Choice(["finetune", "pretrain", "joint"]),
    default="finetune",
    help="What is trained: the target on a fixed pretraining, the pretraining alone, or both.",
)
@click.option(
    "--validation",
    default="holdout",
    metavar="SCHEME",
    help="`holdout`, `kfold:K` (over train and validation subjects) or `repeats:R` (seeds).",
)
@click.option(
    "--workspace",
    "-w",
    type=click.Path(path_type=Path),
    shell_complete=candidates.workspaces,
    help="Folder that holds what steps made; by default CTLR_WORKSPACE or ./workspace.",
)
@click.option("--device", default="auto", help="`auto`, `cpu`, `cuda` or one GPU, e.g. `cuda:1`.")
@click.option(
    "--checkpoint-dir",
    type=click.Path(path_type=Path),
    help="Begin from the weights there, if any, and leave the trial's: for population-based training.",
)
def trial(**params: Any) -> None:
    """Train a benchmark's study with other options and print its validation metrics, an epoch a line.

    The test set stays sealed. Metrics go to stdout as Katib's collector reads them, everything else to stderr.
    """
    run_request(_request(params, Path(), os.environ))


def read_request(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> TrialRequest:
    """What a command line after `ctlr trial` asks for.

    Args:
        arguments: Of the command.
        folder: Where relative paths start.
        environment: Of the trial.

    Raises:
        ConfigError: It is no such command line.
    """
    try:
        with trial.make_context("ctlr trial", list(arguments)) as context:
            return _request(context.params, folder, environment)
    except Exit as error:
        raise ConfigError("`ctlr trial --help` is no trial. Remove `--help`.") from error
    except click.ClickException as error:
        raise ConfigError(f"`ctlr trial`: {error.format_message()}") from error


def _request(params: Mapping[str, Any], folder: Path, environment: Mapping[str, str]) -> TrialRequest:
    from ctlr.tuning.launchers import TRIAL_NAME
    from ctlr.tuning.request import TrialRequest

    checkpoint = params["checkpoint_dir"]
    return TrialRequest(
        benchmark=str(folder / params["benchmark"]),
        study=params["study"],
        n_train=params["n_train"],
        encoder=params["encoder"],
        seed=params["seed"],
        transfer=params["transfer"],
        assignments=option_values(params["settings"]),
        stage=params["stage"],
        validation=params["validation"],
        workspace=str(folder / (params["workspace"] or environment.get("CTLR_WORKSPACE") or "workspace")),
        device=params["device"],
        checkpoint=str(folder / checkpoint) if checkpoint else None,
        name=environment.get(TRIAL_NAME) or environment.get("KATIB_TRIAL_NAME") or "",
    )


def option_values(settings: Sequence[str]) -> dict[str, str]:
    """Value by option's name, as `--set KEY=VALUE` gives them.

    Raises:
        ConfigError: One is no such pair, or a key comes twice.
    """
    found: dict[str, str] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"`--set {setting}` must be KEY=VALUE, e.g. --set lr=1e-3.")
        if name.strip() in found:
            raise ConfigError(f"`--set {setting}`: `{name.strip()}` is set already. Remove one of them.")
        found[name.strip()] = text.strip()
    return found


def run_request(request: TrialRequest) -> None:
    """Run a trial and print its metric lines.

    Raises:
        ConfigError: The request does not fit its benchmark.
        TrainingError, DataError: The trial failed.
    """
    from ctlr.cli.trial_records import TrialRecords
    from ctlr.config import load
    from ctlr.engine import check_device
    from ctlr.trials import placed
    from ctlr.tuning.request import metric_line, requested_job
    from ctlr.workspace import Workspace

    config = load(Path(request.benchmark))
    job = requested_job(request, config)
    if request.device != "auto":
        check_device(request.device)
    workspace = Workspace(request.workspace)
    arrays = prepare([job.study], workspace, config.leaks)
    records = TrialRecords(config, workspace, arrays)
    with records.following(job, request.name) as record:

        def report(metrics: Mapping[str, float]) -> None:
            record.rows.append(dict(metrics))
            click.echo(metric_line(metrics, datetime.now(UTC)))

        record.result = _train(job, arrays, workspace, placed(request.device), report)
    if records.error is not None:
        click.echo(f"Not recorded: {records.error}", err=True)


def _train(job: TrialJob, arrays: Mapping[str, StoredArrays], workspace: Workspace, device: str, report: Any) -> Any:
    from ctlr.steps.trial import run_trial

    return run_trial(job, arrays, workspace, report=report, device=device)


def prepare(
    studies: Sequence[Study], workspace: Workspace, leaks: LeakSpec, watcher: Watcher | None = None
) -> dict[str, StoredArrays]:
    """Preprocess what studies need and is not stored yet, and refuse splits that leak; other processes wait meanwhile.

    Who watches is shown it: by default a person.

    Raises:
        DataError, ConfigError, LeakageError: The data cannot be used so.
    """
    from ctlr.display import Display, following
    from ctlr.engine import default_workers, gate, preprocess_all
    from ctlr.plan import Plan

    ends = [end for study in studies for end in (study.target, study.source) if end is not None]
    datasets = {end.data.name: end.data for end in ends}
    with following(watcher or Display()) as told:
        arrays = preprocess_all(tuple(datasets.values()), workspace, workers=default_workers("cpu", 1), on_event=told)
    plan = Plan(datasets=tuple(datasets.values()), pretrainings=(), studies=tuple(studies), leaks=leaks)
    gate(plan, arrays, workspace)
    return arrays
