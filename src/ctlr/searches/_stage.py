"""One stage of a search: its experiments, run or read."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ctlr import wishes
from ctlr.config import TuningSpec
from ctlr.crew import Event, Job, TrialNews
from ctlr.data.identity import read_stored
from ctlr.durable import is_whole, read_file
from ctlr.errors import WorkspaceError
from ctlr.interrupts import held
from ctlr.specs import (
    AlgorithmSpec,
    Experiment,
    Objective,
    Parameter,
    PretrainSpec,
    SearchStage,
    StoredArrays,
    Study,
    Trial,
    TrialReport,
    dns_name,
    fingerprint,
)
from ctlr.steps.keys import RECIPE
from ctlr.trials import WarmLauncher
from ctlr.tuning.engine import BUDGET, GOAL, Limits, Outcome, narrowed, read_journal, run_experiment, within
from ctlr.tuning.options import Stage, objective_of
from ctlr.tuning.request import TrialJob
from ctlr.tuning.samplers import elsewhere
from ctlr.workspace import Workspace, write_aside

_STAGES = TypeAdapter(list[SearchStage])

__all__ = ["Bench", "LocalBench", "StageSearch", "best_of", "read_rounds", "why_none"]


class Bench(ABC):
    """Where the trials of a benchmark's searches are run, one experiment after the other.

    Args:
        tuning: How the benchmark is tuned.
        arrays: Stored arrays by the dataset's name.
        workspace: Where results go.
        on_event: Told what happens.
    """

    def __init__(
        self,
        tuning: TuningSpec,
        arrays: Mapping[str, StoredArrays],
        workspace: Workspace,
        *,
        on_event: Callable[[Event], None],
    ) -> None:
        self.tuning, self.arrays, self.workspace, self.on_event = tuning, arrays, workspace, on_event

    @abstractmethod
    def run(
        self,
        experiment: Experiment,
        place: Path,
        job_of: Callable[[Trial], TrialJob],
        *,
        limits: Limits,
        earlier: Sequence[Trial],
        on_event: Callable[[Trial, TrialReport | None], None],
    ) -> Outcome:
        """Run an experiment, or what is left of it.

        Args:
            experiment: Its `manifest` is the one that the space was taken from, with its own objective and counts.
            place: Folder for its journal.
            job_of: What a trial trains.
            limits: Of this run; workers are the bench's own.
            earlier: Trials of the same space to start from.
            on_event: Told each trial that starts, has reported or has ended.
        """

    @abstractmethod
    def found(self, place: Path) -> tuple[Trial, ...]:
        """Trials of the experiment whose folder it is, those of earlier runs among them; none before the first run."""

    def close(self) -> None:  # noqa: B027 (a bench may hold nothing)
        """Give back what it holds."""


class LocalBench(Bench):
    """Warm workers of this machine, which stay while one experiment follows the other.

    Args:
        tuning, arrays, workspace, on_event: As of any bench.
        workers: Processes at most.
        device: cpu, cuda or cuda:N.
    """

    def __init__(
        self,
        tuning: TuningSpec,
        arrays: Mapping[str, StoredArrays],
        workspace: Workspace,
        *,
        workers: int,
        device: str,
        on_event: Callable[[Event], None],
    ) -> None:
        super().__init__(tuning, arrays, workspace, on_event=on_event)
        self._held = contextlib.ExitStack()  # until the workers are gone, signals act where they are listened to
        self._held.enter_context(held())
        self._launcher = WarmLauncher(
            self._job, arrays, workspace, workers=min(workers, tuning.parallel), device=device
        )
        self._job_of: Callable[[Trial], TrialJob] | None = None
        self._workers = workers
        self._hands_on = False
        """Whether trials begin from the weights of others."""
        self._place: Path | None = None

    def run(
        self,
        experiment: Experiment,
        place: Path,
        job_of: Callable[[Trial], TrialJob],
        *,
        limits: Limits,
        earlier: Sequence[Trial],
        on_event: Callable[[Trial, TrialReport | None], None],
    ) -> Outcome:
        """Run an experiment in the workers, or go on with its journal."""
        self._job_of, self._hands_on = job_of, experiment.algorithm.name == "pbt"
        self._launcher.folder = place
        if place.parent != self._place:  # else it is the next round
            self._launcher.begin()
            self._place = place.parent
        outcome = run_experiment(
            experiment, place, self._launcher, limits=replace(limits, workers=self._workers),
            earlier=earlier, resume=(place / "journal.jsonl").exists(), on_event=on_event,
        )  # fmt: skip
        shutil.rmtree(place / "trials", ignore_errors=True)  # weights: what is chosen is trained anew
        return outcome

    def found(self, place: Path) -> tuple[Trial, ...]:
        """As its journal has them."""
        history = read_journal(place)
        return () if history is None else tuple(history.trials)

    def close(self) -> None:
        """End the workers."""
        with self._held:
            self._launcher.close()

    def _job(self, trial: Trial) -> TrialJob:
        assert self._job_of is not None
        job = self._job_of(trial)
        return job.model_copy(update={"checkpoint": "of the trial"}) if self._hands_on else job


@dataclass(frozen=True, kw_only=True)
class StageSearch:
    """A stage of a search: all that decides its trials.

    Attributes:
        study: Whose options are tuned, of the first seed.
        stage: pretrain, finetune or joint.
        manifest: Its space, and the algorithm that searches it.
        options: Parameter -> option.
        tuning: How the benchmark is tuned.
        trials, seconds: Budget of all rounds: trials, or device seconds.
    """

    study: Study
    stage: Stage
    manifest: Experiment
    options: Mapping[str, str]
    tuning: TuningSpec
    trials: int | None
    seconds: float | None

    @property
    def title(self) -> str:
        """For people; no two stages of a run share it."""
        ends = [end.task.name for end in (self.study.source, self.study.target) if end]
        encoder = f" {self.study.encoder.label}" if self.study.method.has_encoder else ""
        size = "" if self.stage == "pretrain" else f" n{self.study.n_train}"
        stage = f" ({self.stage})" if self.study.method.trains_network else ""
        return f"tune {self.study.method.label} {' to '.join(ends)}{encoder}{size}{stage}"

    def identity(self, arrays: Mapping[str, StoredArrays], earlier: Sequence[Trial]) -> str:
        """Equal where the trials would be."""
        subject = PretrainSpec.of(self.study) if self.stage == "pretrain" else self.study
        assert subject is not None
        search = {
            "stage": self.stage, "parameters": [each.model_dump(mode="json") for each in self.manifest.parameters],
            "options": dict(self.options), "algorithm": self._algorithm().model_dump(mode="json"),
            "stopping": self.manifest.early_stopping and self.manifest.early_stopping.model_dump(mode="json"),
            "trials": self.trials, "seconds": self.seconds, "rounds": self.tuning.rounds,
            "parallel": self.tuning.parallel, "validation": self.tuning.validation,
            "earlier": [[trial.name, trial.value] for trial in earlier],
        }  # fmt: skip
        if self.tuning.race is not None:
            search["race"] = self.tuning.race.model_dump(
                mode="json", exclude={"finalists"}
            )  # more seconds go on with it
        if earlier or self.tuning.rounds > 1 or self._stops_amid_folds:
            search["revision"] = 2  # what these find has changed once
        if self.stage != "pretrain" and self.study.target.task.kind == "classification":
            search["one class"] = "fails"  # it did not always
        ends = [arrays[end.data.name].fingerprint for end in (self.study.target, self.study.source) if end]
        return fingerprint(str(RECIPE), subject.identity(), json.dumps(search, sort_keys=True), *ends)

    @property
    def _stops_amid_folds(self) -> bool:
        """Whether a trial may end before all of its folds or seeds have been judged."""
        return self.manifest.early_stopping is not None and self._validation != "holdout"

    @property
    def _validation(self) -> str:
        return "holdout" if self.stage == "pretrain" else self.tuning.validation

    def find(self, bench: Bench, since: float) -> tuple[list[SearchStage], str] | None:
        """The stage's rounds, run where they are not finished, and their folder below the workspace.

        None where another run is at it.

        Args:
            bench: Where trials are run.
            since: When the run began: what found nothing before is searched again.
        """
        earlier = self.earlier(bench.arrays, bench.workspace)
        identity = self.identity(bench.arrays, earlier)
        if not _has_ended(bench.workspace, identity, since):
            with bench.workspace.claimed("searches", identity) as free:
                if not free:
                    return None
                if not _has_ended(bench.workspace, identity, since):
                    bench.workspace.discard("searches", identity)
                    self._run(identity, earlier, bench)
        return read_rounds(bench.workspace.folder("searches", identity)), f"searches/{identity}"

    def _run(self, identity: str, earlier: Sequence[Trial], bench: Bench) -> None:
        job = Job(self.title, "tune", "")
        self.tell_begin(bench, job)
        with bench.workspace.publish("searches", identity, resumable=True, shared=True) as folder:
            stages = self._rounds(folder, identity, earlier, bench, job)
            self.write(folder, stages, bench.arrays)
        self.tell_end(bench, job, stages, earlier)

    def write(self, folder: Path, stages: Sequence[SearchStage], arrays: Mapping[str, StoredArrays]) -> None:
        """Write what was found, and what it may be compared with."""
        of_data = arrays[self.study.target.data.name].fingerprint
        marks = self._marks() | {"warm": self.tuning.warm_start is not None, "part": self._part(), "arrays": of_data}
        write_aside(folder / "search.json", json.dumps(marks).encode())
        values = [stage.model_dump(mode="json") for stage in stages]
        write_aside(folder / "stages.json", json.dumps(values, indent=1).encode())

    def tell_begin(self, bench: Bench, job: Job) -> None:
        """Tell the bench what is searched for, and with what budget; in a race that of all."""
        metric, best = objective_of(self.study, self.stage)
        budget = "budget_seconds" if self.tuning.race is None else "race_seconds"
        seconds = self.seconds if self.tuning.race is None else self.tuning.seconds
        facts = {"metric": metric, "direction": best, "trials": self.trials, budget: seconds}
        bench.on_event(Event(job, "started", facts=facts))

    def tell_end(
        self, bench: Bench, job: Job, stages: Sequence[SearchStage], earlier: Sequence[Trial], *, why: str = ""
    ) -> None:
        """Tell the bench what came of it; `why` there is nothing, where that is no failure."""
        found = best_of(stages)
        told = f"{stages[0].objective.metric} {found[1].value:.4g}" if found else why or why_none(stages)
        if self.tuning.warm_start is not None and not earlier:
            told += f"; no warm start: {self.tuning.warm_start} holds no finished search of this method and space"
        bench.on_event(Event(job, "finished" if found or why else "failed", text=told))

    def ended(self, arrays: Mapping[str, StoredArrays], workspace: Workspace) -> tuple[list[SearchStage], str] | None:
        """As `find`, where all rounds are finished; None where one is not, or where they found nothing."""
        identity = self.identity(arrays, self.earlier(arrays, workspace))
        if not _has_ended(workspace, identity, math.inf):
            return None
        return read_rounds(workspace.folder("searches", identity)), f"searches/{identity}"

    def _rounds(
        self, folder: Path, identity: str, earlier: Sequence[Trial], bench: Bench, job: Job
    ) -> list[SearchStage]:
        """Run the rounds, each around the best of those before and with draws of its own."""
        rounds, total = self.tuning.rounds, self.trials
        stages: list[SearchStage] = []
        known, parameters = list(earlier), self.manifest.parameters
        for number in range(1, rounds + 1):
            trials = None if total is None else total // rounds + (number <= total % rounds)
            experiment = self.experiment(identity, parameters, number, trials)
            outcome = bench.run(
                experiment, folder / f"round-{number}", partial(self.job, folder),
                limits=Limits(device_seconds=None if self.seconds is None else self.seconds / rounds,
                              asked_goal=lambda: wishes.now().goal),
                earlier=[trial for trial in known if within(trial, parameters)],
                on_event=partial(self.tell, bench, job, number, sum(len(stage.trials) for stage in stages)),
            )  # fmt: skip
            best_number = outcome.optimum.number if outcome.optimum is not None else None
            stages.append(self.stage_of(experiment, number, outcome.trials, best_number, outcome.reason))
            if outcome.reason == GOAL:
                break
            known += outcome.trials
            best = best_of(stages)
            if best is not None:
                parameters = narrowed(self.manifest.parameters, best[1].assignments, share=0.5**number)
        return stages

    def tell(self, bench: Bench, job: Job, number: int, before: int, trial: Trial, report: TrialReport | None) -> None:
        """Tell the bench of a trial that starts, has reported or has ended.

        Args:
            bench: Who is told.
            job: Of the search.
            number: Of the round.
            before: Trials of earlier rounds.
            trial: The trial.
            report: What it has just reported; None where it starts or ends.
        """
        news = TrialNews(number, trial, report)
        if report is None and trial.ended:
            value = trial.reason if trial.value is None else f"{trial.value:.4g}"
            text = f"trial {trial.number} {trial.status.lower()} {value}"
            bench.on_event(Event(job, "progress", before + trial.number + 1, self.trials or 0, text, trial=news))
        else:
            bench.on_event(Event(job, "trial", trial=news))

    def job(self, folder: Path, trial: Trial) -> TrialJob:
        """What a trial trains, and where it leaves its predictions."""
        judged_by_target, race = self.stage != "pretrain", self.tuning.race
        return TrialJob(
            study=self.study, assignments={self.options[name]: value for name, value in trial.assignments.items()},
            stage=self.stage, validation=self._validation,
            folder=str(folder / trial.name) if judged_by_target else None,
            most_megabytes=race.most_megabytes if race is not None else None,
            most_milliseconds=race.most_milliseconds if race is not None else None,
        )  # fmt: skip

    def _algorithm(self, number: int = 1) -> AlgorithmSpec:
        """Of a round, with a seed: the search repeats exactly, however many workers there are."""
        chosen = self.manifest.algorithm
        seed = chosen.settings.get("random_state", str(self.study.seed))
        if number > 1:
            seed = str((int(seed) + number - 1) % 2**31)
        return chosen.model_copy(update={"settings": chosen.settings | {"random_state": seed}})

    def experiment(
        self, identity: str, parameters: tuple[Parameter, ...], number: int, trials: int | None
    ) -> Experiment:
        """The manifest's space, judged by what the study is judged by; neither goal nor failures end it early."""
        metric, best = objective_of(self.study, self.stage)
        return Experiment(
            name=f"{dns_name(self.study.method.label, 13)}-n{self.study.n_train}-{identity[:8]}-r{number}",
            objective=Objective(
                metric=metric, direction="minimize" if best == "min" else "maximize", strategies={metric: "latest"}
            ),
            algorithm=self._algorithm(number), early_stopping=self.manifest.early_stopping, parameters=parameters,
            max_trials=trials, parallel=min(self.tuning.parallel, trials or self.tuning.parallel),
            trial=self.manifest.trial, resampled=self._validation != "holdout", manifest=self.manifest.manifest,
        )  # fmt: skip

    def stage_of(
        self, experiment: Experiment, number: int, trials: tuple[Trial, ...], best: int | None, reason: str
    ) -> SearchStage:
        """A round of it, as a record."""
        return SearchStage(
            stage=self.stage, round=number, objective=experiment.objective, algorithm=experiment.algorithm,
            parameters=experiment.parameters, options=dict(self.options), parallel=experiment.parallel, trials=trials,
            best=best, reason=reason,
        )  # fmt: skip

    def _marks(self) -> dict[str, str]:
        """What searches must have alike for one to start the other: all but the size, the seed and the options."""
        ends = [end.identity() if end else "" for end in (self.study.target, self.study.source)]
        return {
            "space": fingerprint(*(parameter.model_dump_json() for parameter in self.manifest.parameters)),
            "study": fingerprint(*ends, self.study.method.method, self.study.encoder.name, self.stage),
        }

    def _part(self) -> str:
        """What searches of different data must have alike for one to start the other, beside their space."""
        return fingerprint(self.study.method.method, self.study.encoder.name, self.stage)

    def earlier(self, arrays: Mapping[str, StoredArrays], workspace: Workspace) -> list[Trial]:
        """Trials of finished searches of the same space for the same method, in the workspace to start from.

        In a race, where there is none of these data, the best trial of the data that are most like them. In this
        workspace itself only those count that started from nothing: else what a run has found would start it anew.
        """
        if self.tuning.warm_start is None:
            return []
        place, own = Path(self.tuning.warm_start), self._marks()
        itself = place.resolve() == workspace.root.resolve()
        known = [
            (folder, marks)
            for folder in sorted((place / "searches").glob("*"))
            if (marks := _marks_in(folder))
            and marks.get("space") == own["space"]
            and not (itself and marks.get("warm"))
        ]
        same = [folder for folder, marks in known if marks.get("study") == own["study"]]
        if same or self.tuning.race is None:
            return [trial for folder in same for trial in self._usable(folder)]
        alike = [each for each in known if each[1].get("part") == self._part()]
        near = self._nearest(arrays, workspace, alike)
        best = [found[1] for folder in near if (found := best_of(read_rounds(folder))) is not None]
        return [elsewhere(trial) for trial in best if within(trial, self.manifest.parameters)]

    def _usable(self, folder: Path) -> Iterator[Trial]:
        """Trials that another search may start from."""
        for stage in read_rounds(folder):
            # Hyperband goes beyond the range of its resource, which another algorithm may not.
            kept = [each for each in stage.trials if each.value is not None and within(each, self.manifest.parameters)]
            yield from map(elsewhere, kept)

    def _nearest(
        self, arrays: Mapping[str, StoredArrays], workspace: Workspace, known: Sequence[tuple[Path, Mapping[str, Any]]]
    ) -> list[Path]:
        """Searches of the data that are most like the study's."""
        from ctlr.searches._similar import nearest

        stored = arrays[self.study.target.data.name]
        there = Workspace(self.tuning.warm_start or "")
        identities = sorted({str(marks.get("arrays")) for _, marks in known} - {stored.fingerprint})
        others = [read_stored(identity, there) for identity in identities if there.has("arrays", identity)]
        place = nearest(stored, workspace, [(other, there) for other in others])
        return [] if place is None else [f for f, marks in known if marks.get("arrays") == others[place].fingerprint]


def _marks_in(folder: Path) -> dict[str, Any]:
    """What a finished search says of itself; nothing where it is not finished, or damaged."""
    if folder.suffix == ".partial" or not (folder / "search.json").exists() or not is_whole(folder):
        return {}
    try:
        return dict(json.loads(read_file(folder / "search.json")))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}  # what is damaged begins nothing


def _has_ended(workspace: Workspace, identity: str, since: float) -> bool:
    """Whether a search is finished; one that found nothing only if it was since a point of time."""
    if not workspace.has("searches", identity):
        return False
    folder = workspace.folder("searches", identity)
    return best_of(read_rounds(folder)) is not None or (folder / "stages.json").stat().st_mtime >= since


def read_rounds(folder: Path) -> list[SearchStage]:
    """What `StageSearch.write` has written.

    Raises:
        WorkspaceError: It is missing or damaged.
    """
    try:
        return _STAGES.validate_json((folder / "stages.json").read_bytes())
    except (OSError, ValueError) as error:
        raise WorkspaceError(
            f"{folder}/stages.json is missing or damaged. Remove that folder and run again: it is made anew."
        ) from error


def best_of(stages: Sequence[SearchStage]) -> tuple[SearchStage, Trial] | None:
    """The best trial of all rounds, the first of equal ones; None where none succeeded."""
    found = [(stage, stage.trials[stage.best]) for stage in stages if stage.best is not None]
    if not found:
        return None
    sign = 1 if stages[0].objective.direction == "minimize" else -1
    return min(found, key=lambda each: sign * (each[1].value or 0.0))


def why_none(stages: Sequence[SearchStage]) -> str:
    """Why no trial succeeded, in a line."""
    trials = [trial for stage in stages for trial in stage.trials if trial.status != "Killed"]
    reasons = [trial.public_reason for trial in trials if trial.reason]
    if reasons:
        return f"every trial failed, the last one because {reasons[-1]}"
    if any(stage.reason == BUDGET for stage in stages):
        return "no trial ended before its budget was spent; raise `tuning.seconds`"
    if stages and not stages[0].reason:
        return "the race ended before its turn"
    return "no trial ended"
