"""Experiment manifests whose trials run `ctlr trial`: understood, and checked against their benchmark."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ctlr.cli.trial import read_request
from ctlr.config import BenchmarkConfig, load
from ctlr.errors import ConfigError, nearest
from ctlr.specs import METRICS, Experiment, Study, Trial
from ctlr.tuning.manifest import read_experiment, render
from ctlr.tuning.options import objective_of, sample_assignments
from ctlr.tuning.request import TrialJob, TrialRequest, pick_study, requested_job

__all__ = ["StudyTrials", "check_manifest", "sample_trials", "trial_arguments"]


def trial_arguments(argv: Sequence[str]) -> list[str] | None:
    """What stands after `ctlr trial` in a command; None where it runs another program."""
    if list(argv[1:2]) == ["trial"] and Path(argv[0]).name == "ctlr":
        return list(argv[2:])
    if list(argv[1:4]) == ["-m", "ctlr", "trial"] and Path(argv[0]).name.startswith("python"):
        return list(argv[4:])
    return None


class StudyTrials:
    """The trials of an experiment whose command is `ctlr trial`: which study each of them trains.

    Args:
        experiment: The manifest.
        workspace: What takes the place of CTLR_WORKSPACE.
        benchmark: Read where the file that the command names is not here, as of a search on a cluster; the study may
            then be of another size.

    Raises:
        ConfigError: The command line cannot be read, or no study fits it.
    """

    def __init__(self, experiment: Experiment, workspace: Path, benchmark: Path | None = None) -> None:
        self._experiment = experiment
        self._instead = benchmark
        self._environment = {**os.environ, "CTLR_WORKSPACE": str(workspace)}
        self._configs: dict[str, BenchmarkConfig] = {}
        first = self._request(next(sample_trials(experiment)))
        self.benchmark = Path(first.benchmark)
        self._first = first

    @property
    def config(self) -> BenchmarkConfig:
        """The benchmark that the command names."""
        return self._config(str(self.benchmark))

    @property
    def first_study(self) -> Study:
        """The study of a trial; whose data the others use as well."""
        return pick_study(self._first, self.config)

    def job_of(self, trial: Trial) -> TrialJob:
        """What a trial trains.

        Raises:
            ConfigError: Its command line names no study, or an option that the study has not.
        """
        request = self._request(trial)
        if Path(request.benchmark) != self.benchmark:
            raise ConfigError(f"one search is one benchmark; got {request.benchmark} beside {self.benchmark}.")
        return requested_job(request, self._config(request.benchmark))

    def check(self) -> None:
        """Look whether every option is real, takes the ends of its range, and the objective is printed.

        Raises:
            ConfigError: Names every fault, one a line.
        """
        faults: dict[str, None] = {}
        for trial in sample_trials(self._experiment):
            try:
                job = self.job_of(trial)
            except ConfigError as error:
                faults |= dict.fromkeys(str(error).splitlines())
            else:
                faults |= dict.fromkeys(_objective_faults(self._experiment, job))
        if faults:
            raise ConfigError("\n".join(f"{self._experiment.name}: {fault}" for fault in faults))

    def _request(self, trial: Trial) -> TrialRequest:
        argv, environment, working_dir = render(self._experiment, trial)
        arguments = trial_arguments(argv)
        if arguments is None:
            raise ConfigError(f"a trial of this search runs `ctlr trial`; got {' '.join(argv)!r}.")
        request = read_request(arguments, Path(working_dir), self._environment | environment)
        if self._instead is None or Path(request.benchmark).exists():
            return request
        return request.model_copy(update={"benchmark": str(self._instead), "n_train": None, "seed": None})

    def _config(self, benchmark: str) -> BenchmarkConfig:
        if benchmark not in self._configs:
            self._configs[benchmark] = load(Path(benchmark))
        return self._configs[benchmark]


def check_manifest(file: Path) -> tuple[dict[str, Any], list[str]]:
    """Check a manifest, and the options of a `ctlr trial` command where its benchmark file is at hand.

    Returns:
        The search as it was understood, and what is worth knowing.

    Raises:
        ConfigError: Names every fault.
    """
    experiment, notes = read_experiment(file), []
    if trial_arguments(experiment.trial.command) is not None:
        trials = StudyTrials(experiment, Path("workspace"))
        if trials.benchmark.exists():
            trials.check()
        else:
            notes.append(f"{trials.benchmark} is not here, so that options were not checked against it.")
    return experiment.model_dump(mode="json", exclude={"manifest"}), notes


def sample_trials(experiment: Experiment) -> Iterator[Trial]:
    """Trials that together hold both ends of every range and every value of every list."""
    for number, assignments in enumerate(sample_assignments(experiment.parameters)):
        yield Trial(number=number, name=f"{experiment.name}-{number}", assignments=assignments)


def _objective_faults(experiment: Experiment, job: TrialJob) -> Iterator[str]:
    """Whether the trials print what the manifest wants, and improve in that direction."""
    known = _printed(job)
    for name in (experiment.objective.metric, *experiment.objective.additional):
        if name not in known:
            yield f"spec.objective: `ctlr trial` prints no {name!r} for this study. {nearest(name, known)}"
    objective = experiment.objective
    if job.validation != "holdout" and objective.strategies.get(objective.metric) != "latest":
        yield (
            f"spec.objective.metricStrategies: with `--validation {job.validation}` the objective is a running mean, "
            f"whose last value counts. Write `- {{name: {objective.metric}, value: latest}}`."
        )
    wanted = known.get(experiment.objective.metric)
    if wanted is not None and not experiment.objective.direction.startswith(wanted):
        yield f"spec.objective.type: {experiment.objective.metric} improves by getting {_WORDS[wanted]}imize it."


_WORDS = {"min": "smaller. Min", "max": "larger. Max"}


def _printed(job: TrialJob) -> Mapping[str, str]:
    """Metrics of a study's trials, and the direction in which each improves."""
    headline, direction = objective_of(job.study, job.stage)
    if headline == "train_loss":
        return {headline: direction}
    regression = {"mae", "rmse", "r", "r2", "f1_bins"}
    names = regression if headline.removeprefix("val_") in regression else set(METRICS) - regression
    return {f"val_{name}": METRICS[name] for name in names} | {"train_loss": "min", "val_loss": "min"}
