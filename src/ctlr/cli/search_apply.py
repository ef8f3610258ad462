"""`ctlr tune --apply FILE`: the optimum of a search, written into a benchmark's file."""

from __future__ import annotations

from pathlib import Path

import click

from ctlr.cli.manifests import StudyTrials, sample_trials, trial_arguments
from ctlr.cli.voice import say
from ctlr.config import KeyPath, scalar_text
from ctlr.errors import ConfigError
from ctlr.specs import Experiment, Trial
from ctlr.tuning.applying import applied, check_fit, options_yaml, places
from ctlr.tuning.engine import Outcome
from ctlr.workspace import write_aside

__all__ = ["Application", "optimum_yaml"]


def optimum_yaml(experiment: Experiment, optimum: Trial) -> str:
    """The optimum as YAML to copy: as it stands in a benchmark's file, where its trials run `ctlr trial` of one."""
    plain: dict[KeyPath, str] = {(name,): _as_written(text) for name, text in optimum.assignments.items()}
    if trial_arguments(experiment.trial.command) is None:
        return options_yaml(plain)
    trials = StudyTrials(experiment, Path("workspace"))
    if not trials.benchmark.exists():
        return options_yaml(plain)
    return options_yaml(places(trials.first_study, trials.job_of(optimum).assignments))


def _as_written(text: str) -> str:
    """A number with its own digits; anything else as a text."""
    try:
        return scalar_text(float(text), text)
    except ValueError:
        return scalar_text(text)


class Application:
    """A benchmark's file that waits for the optimum of a search whose trials run `ctlr trial`.

    Args:
        file: The benchmark.
        experiment: The manifest.
        manifest: Its file, for messages.

    Raises:
        ConfigError: Trials run another program, or the file does not take what the search may choose.
    """

    def __init__(self, file: Path, experiment: Experiment, manifest: Path) -> None:
        if trial_arguments(experiment.trial.command) is None:
            raise ConfigError(
                f"{manifest}: its trials do not run `ctlr trial`, so that no benchmark has their options. Leave "
                "`--apply` out, and write the optimum where the program reads it."
            )
        self._file = file
        self._trials = StudyTrials(experiment, Path("workspace"), benchmark=file)
        self._searched = self._trials.first_study
        check_fit(file, self._searched, map(self._assignments, sample_trials(experiment)))

    def _assignments(self, trial: Trial) -> dict[str, str]:
        """Every option that a trial set: those that were searched, and those that its command fixes."""
        return self._trials.job_of(trial).assignments

    def write(self, outcome: Outcome, output: str, *, quiet: bool) -> None:
        """Put the optimum into the file, and show what changed: on stderr where stdout holds a document.

        Raises:
            ConfigError: The file has changed meanwhile, and the options do not fit any more.
            WorkspaceError: It cannot be written.
        """
        show = click.echo if output == "table" else lambda words: say(words, output)
        if outcome.optimum is None or not outcome.succeeded:
            say(f"{self._file}: left as it is, since the search has not succeeded.", output)
            return
        change = applied(self._file, self._searched, self._assignments(outcome.optimum))
        if not change.diff:
            show(f"{self._file}: has these options already.")
            return
        place = self._file.resolve()  # a link stays one
        mode = place.stat().st_mode
        mark = "\ufeff" if place.read_bytes().startswith(b"\xef\xbb\xbf") else ""
        write_aside(place, f"{mark}{change.after}".encode())
        place.chmod(mode)
        searched = self._searched
        where = f"at n = {searched.labelled}" + (f", with {searched.encoder.label}" * searched.method.has_encoder)
        show(change.diff.rstrip("\n"))
        show(f"{self._file}: written, methods.{searched.method.label} as tuned {where}.")
        for note in () if quiet else change.notes:
            say(note, output)
