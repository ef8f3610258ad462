"""A search from the manifest to its optimum."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from ctlr.cli.manifests import StudyTrials, trial_arguments
from ctlr.cli.search_apply import Application
from ctlr.cli.search_end import follower, show_search
from ctlr.cli.trial import prepare
from ctlr.cli.trial_records import TrialRecord, TrialRecords
from ctlr.cli.voice import say, tell, watching
from ctlr.engine import check_device, default_workers
from ctlr.errors import ConfigError
from ctlr.events import Watcher
from ctlr.interrupts import held
from ctlr.specs import Experiment, Trial, TrialReport
from ctlr.trials import WarmLauncher
from ctlr.tuning.engine import Limits, Outcome, ended_experiment, read_journal, run_experiment, status_document
from ctlr.tuning.launchers import Launcher, ProcessLauncher, metric_names, passed_over
from ctlr.tuning.manifest import filled_elsewhere, read_experiment
from ctlr.workspace import Workspace

__all__ = ["run_search"]

Follow = Callable[[Trial, TrialReport | None], None]


def run_search(
    file: Path,
    root: Path,
    *,
    limits: Limits,
    resume: bool,
    device: str,
    output: str,
    quiet: bool = False,
    apply: Path | None = None,
) -> int:
    """Run a manifest's search, or go on with it, and print its optimum.

    Args:
        file: The manifest.
        root: Workspace; the journal lies in `experiments/NAME` there.
        limits: What narrows the manifest.
        resume: Whether a journal that is there is continued.
        device: auto, cpu, cuda or cuda:N.
        output: table, json or yaml.
        apply: Benchmark file that gets the optimum. A search that has ended is not run again for that.
        quiet: Say nothing but errors and the optimum.

    Returns:
        0 where the experiment succeeded, else 1.

    Raises:
        ConfigError: The manifest breaks a rule, its trials name options that are not there, or the file to apply the
            optimum to does not take them.
    """
    experiment = read_experiment(file)
    application = Application(apply, experiment, file) if apply is not None else None
    if application is not None and not resume and limits == Limits(workers=limits.workers):
        place = root / "experiments" / experiment.name
        if (before := ended_experiment(experiment, place)) is not None:
            return _show(experiment, before, place, output, asked=None, application=application, quiet=quiet)
    _refuse_strangers(file, experiment)
    if device != "auto":
        check_device(device)
    warm = StudyTrials(experiment, root.absolute()) if _runs_ctlr_trial(experiment) else None
    if warm is not None:
        warm.check()
    limits = dataclasses.replace(limits, workers=limits.workers or _room(device, warm))
    workspace = Workspace(root)
    folder = workspace.root / "experiments" / experiment.name
    earlier = _ended(folder)
    told = watching(output, quiet=quiet)
    watcher = follower(experiment, output, quiet=quiet, max_trials=limits.max_trials, earlier=earlier)

    def note(words: str) -> None:
        if not quiet:
            say(words, output)

    try:
        with (
            _workspace_known(root.absolute()),
            _launched(experiment, folder, warm, workspace, limits, device, note, told) as (launcher, record),
            watcher as display,
        ):

            def follow(trial: Trial, report: TrialReport | None) -> None:
                display(trial, report)
                record(trial, report)

            outcome = run_experiment(experiment, folder, launcher, limits=limits, resume=resume, on_event=follow)
    except KeyboardInterrupt:
        again = shlex.join(["ctlr", "tune", str(file), "--resume", "--workspace", str(root)])
        ended = len(_ended(folder))
        if output == "json":
            tell("kept", steps=0, of=None, trials=ended, checkpoints={}, command=again)
        else:
            click.echo(f"Kept: {ended} trials that have ended. Go on with: {again}", err=True)
        raise
    return _show(experiment, outcome, folder, output, asked=limits.max_trials, application=application, quiet=quiet)


def _refuse_strangers(file: Path, experiment: Experiment) -> None:
    """Refuse trials that only a cluster can run."""
    if found := experiment.manifest["spec"]["trialTemplate"].get("configMap"):
        place = f"{found['configMapNamespace']}/{found['configMapName']}"
        raise ConfigError(
            f"{file}: its trial template stands in the ConfigMap {place} of a cluster. Run it there with `--on katib`, "
            "or write the template below `trialSpec`."
        )
    if not experiment.trial.command:
        raise ConfigError(
            f"{file}: only the image {experiment.trial.image} knows what a trial runs, and images are not used here. "
            "Write the container's `command`."
        )
    if place := filled_elsewhere(experiment):
        raise ConfigError(
            f"{file}: its trials run {place}, which only a workflow engine fills in. Run it on a cluster with `--on "
            "katib`, or write a value in its place."
        )


def _show(
    experiment: Experiment, outcome: Outcome, folder: Path, output: str, *, asked: int | None,
    application: Application | None, quiet: bool,
) -> int:  # fmt: skip
    document = status_document(experiment, outcome.trials, started=outcome.started, completion=outcome.completion)
    show_search(experiment, outcome, document, folder, output, asked=asked)
    if application is not None:
        application.write(outcome, output, quiet=quiet)
    return 0 if outcome.succeeded else 1


def _ended(folder: Path) -> list[Trial]:
    """Trials of the journal that a run goes on with, where there is one."""
    history = read_journal(folder)
    return [trial for trial in history.trials if trial.ended] if history is not None else []


@contextlib.contextmanager
def _workspace_known(root: Path) -> Iterator[None]:
    """Let trials that are programs find the workspace; the manifest's own variables come on top."""
    before = os.environ.get("CTLR_WORKSPACE")
    os.environ["CTLR_WORKSPACE"] = str(root)
    try:
        yield
    finally:
        del os.environ["CTLR_WORKSPACE"]
        if before is not None:
            os.environ["CTLR_WORKSPACE"] = before


def _runs_ctlr_trial(experiment: Experiment) -> bool:
    """Whether warm workers can run it: our own command, its metrics read as it prints them."""
    plain = experiment.collector.kind == "StdOut" and experiment.collector.format == "TEXT"
    return plain and not experiment.collector.filters and trial_arguments(experiment.trial.command) is not None


def _room(device: str, warm: StudyTrials | None) -> int:
    """Trials at once: GPUs where there are some, else cores by the threads that each trial uses."""
    if device == "auto":
        device = "cuda" if any(Path("/dev").glob("nvidia[0-9]*")) else "cpu"
    return default_workers(device, warm.config.compute.threads if warm is not None else 1)


@contextlib.contextmanager
def _launched(
    experiment: Experiment,
    folder: Path,
    warm: StudyTrials | None,
    workspace: Workspace,
    limits: Limits,
    device: str,
    note: Callable[[str], object],
    watcher: Watcher,
) -> Iterator[tuple[Launcher, Follow]]:
    """What runs the trials, and what records each that has ended."""
    if warm is None:
        note(
            f"The image {experiment.trial.image} is not used here: trials run `{experiment.trial.command[0]}` of this "
            "machine."
        )
        if left_out := passed_over(experiment):
            note(f"Passed over here, and not on a cluster: {'; '.join(left_out)}.")
        with held(), contextlib.closing(ProcessLauncher(experiment, folder)) as programs:
            yield programs, lambda trial, report: None
        return
    arrays = prepare([warm.first_study], workspace, warm.config.leaks, watcher)
    workers = min(limits.workers or 1, experiment.parallel)
    launcher = WarmLauncher(
        warm.job_of, arrays, workspace, workers=workers, device=device, folder=folder, metrics=metric_names(experiment)
    )
    with TrialRecords(warm.config, workspace, arrays) as records, held(), contextlib.closing(launcher):

        def record(trial: Trial, report: TrialReport | None) -> None:
            done = launcher.done.get(trial.number)
            if report is None and trial.ended and trial.status != "Killed" and done is not None:
                rows, stopped = [dict(row) for row in done.rows], trial.status == "EarlyStopped"
                records.put(TrialRecord(done.job, trial.name, rows, done.result, trial.reason, stopped))

        yield launcher, record
    if records.error is not None:
        note(f"Not recorded: {records.error}")
