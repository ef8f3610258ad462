"""A run from the benchmark to its report, and what stands of one in a workspace.

Whoever watches a run is told; nothing is printed here.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ctlr.config import BenchmarkConfig
from ctlr.crew import prepare
from ctlr.data.identity import read_stored
from ctlr.engine import (
    check_device,
    collect,
    collect_at_defaults,
    default_workers,
    gate,
    jobs_left,
    known_rates,
    note_rates,
    preprocess_all,
    run_jobs_left,
    works,
)
from ctlr.errors import ConfigError, CtlrError, WorkspaceError
from ctlr.events import Recorded, Watcher, readable, recorded
from ctlr.outcome.provenance import environment
from ctlr.outcome.remembered import Remembered, last_run, like_run, run_before
from ctlr.plan import Plan, make_plan
from ctlr.pool import LOOK_SECONDS, Event, Job
from ctlr.report.finished import Finished
from ctlr.specs import SearchResult, StoredArrays, StudyResult
from ctlr.wishes import clock
from ctlr.workspace import Workspace

if TYPE_CHECKING:
    from ctlr.outcome.recording import Recorder

__all__ = ["Ran", "Watcher", "read_benchmark", "run_benchmark"]

_PATIENCE = 5
"""Looks at the run that is to be joined."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a run leaves."""

    finished: Finished
    page: Path
    """Of its report."""
    fault: CtlrError | None = None
    """Why the tracker did not record everything; results are safe in the workspace."""


def run_benchmark(
    config: BenchmarkConfig,
    folder: Path,
    root: Path,
    *,
    workers: int | None,
    device: str,
    watcher: Watcher,
    join: bool = False,
    command: str = "",
) -> Ran | None:
    """Run what is not finished yet, track it, write the report.

    Args:
        config: The benchmark.
        folder: Of its file.
        root: Workspace.
        workers: Processes at most; None for as many as there is room for.
        device: cpu, cuda or cuda:N.
        watcher: Told what happens.
        join: Work beside the run that is under way in the workspace, perhaps on another machine. Where there is none,
            or it ends before its work is done, this run takes its place.
        command: As it was typed, for the report (`ctlr.outcome.provenance.typed_command`).

    Returns:
        None where the run that was joined writes the report.

    Raises:
        ConfigError: There is no such device, a manifest or a dataset does not fit the benchmark, or the run that is to
            be joined is another benchmark's.
        DataError: A dataset cannot be used.
        LeakageError: Two sides of a split share a subject or an image.
        WorkspaceError: The workspace is in use, foreign or full.
        KeyboardInterrupt: Passed on once every worker has ended; finished steps are safe.
    """
    check_device(device)
    plan = make_plan(config)
    if config.tuning is not None:
        from ctlr.searches import check_manifests  # brings the samplers, which are slow to load

        check_manifests(config, plan)
    workspace = Workspace(root)
    if not (workspace.root / "studies").exists():  # there is work, whatever it is: workers load while images are stored
        prepare()
    workers = workers or default_workers(device, config.compute.threads)
    run = _Run(config, folder, workspace, plan, workers, device, command)
    while True:
        with workspace.working(join=join) as leads:
            if leads:
                return run.lead(watcher)
            done = run.help(watcher)
        if done:
            return None


@dataclass(frozen=True)
class _Run:
    """A benchmark on its way."""

    config: BenchmarkConfig
    folder: Path
    workspace: Workspace
    plan: Plan
    workers: int
    device: str
    command: str = ""

    def lead(self, watcher: Watcher) -> Ran:
        """Do what is left, beside those who join; track it all, write the report, and what happens as events."""
        with recorded(watcher, self.workspace.root, self.config.name, self.config.identity()) as told:
            return self._lead(told)

    def _lead(self, watcher: Recorded) -> Ran:
        config, workspace, began = self.config, self.workspace, clock()
        run, since = _remember(config, self.folder, workspace, self.command), workspace.began()
        watcher.begin(config.name, len(self.plan.studies), self.workers, workspace.root)
        with watcher:
            arrays = self._stored(watcher)
            run.arrays = {name: stored.fingerprint for name, stored in arrays.items()}
            run.write(workspace)
            gate(self.plan, arrays, workspace)
            # Slow to load: the first line is out.
            from ctlr.outcome.recording import AT_DEFAULTS, Recorder, make_tracker
            from ctlr.outcome.reporting import write_report

            origin = environment(config, self.folder)
            recorder = Recorder(make_tracker(config, workspace), config, workspace, origin, arrays)
            with _Clock(run, workspace, began) as counted:
                known = run.searches
                plan, run.searches = self._tuned(arrays, since, watcher)
                jobs = jobs_left(plan, arrays, workspace)
                counted.idle = not jobs and run.searches == known
                if not counted.idle:
                    run.environment = origin
                self._expect(plan, jobs, arrays, watcher)
                with recorder:
                    _record(collect(plan, arrays, workspace), recorder, "ok")
                    _record(collect_at_defaults(plan, arrays, workspace), recorder, "ok", AT_DEFAULTS)
                    self._do(jobs, arrays, since, _follower(watcher, recorder, plan))
                    finished = _finished(run, arrays, workspace)
                    _record(finished.results, recorder, "failed")
                    _record(finished.at_defaults, recorder, "failed", AT_DEFAULTS)
            finished = replace(finished, seconds=run.seconds)
            page = write_report(finished)
        recorder.conclude(finished, page)
        if jobs:
            took = clock() - began if run.searches == known else 0.0
            note_rates(plan, arrays, workspace, workers=self.workers, since=since, seconds=took)
        return Ran(finished=finished, page=page, fault=recorder.error)

    def help(self, watcher: Watcher) -> bool:
        """Do what nobody else is at, until nothing is left; says whether the run that leads is there to report it."""
        _check_joins(self.config, self.workspace)
        with recorded(watcher, self.workspace.root, self.config.name, self.config.identity(), leads=False) as told:
            return self._help(told)

    def _help(self, watcher: Recorded) -> bool:
        config, workspace = self.config, self.workspace
        since = workspace.began()
        watcher.begin(config.name, len(self.plan.studies), self.workers, workspace.root)
        with watcher:
            arrays = self._stored(watcher)
            gate(self.plan, arrays, workspace)
            plan, _ = self._tuned(arrays, since, watcher)
            jobs = jobs_left(plan, arrays, workspace)
            self._expect(plan, jobs, arrays, watcher)
            self._do(jobs, arrays, since, watcher)
        return workspace.is_led()

    def _expect(self, plan: Plan, jobs: Sequence[Job], arrays: Mapping[str, StoredArrays], watcher: Recorded) -> None:
        """Tell what is to come, and what each step of it costs."""
        own = {study.identity() for study in plan.studies}
        work = works(jobs, arrays, known_rates(self.workspace.root), own=own)
        watcher.expect({job.id: readable(job) for job in jobs}, work)

    def _stored(self, watcher: Recorded) -> dict[str, StoredArrays]:
        return preprocess_all(self.plan.datasets, self.workspace, workers=self.workers, on_event=watcher)

    def _tuned(
        self, arrays: Mapping[str, StoredArrays], since: float, watcher: Recorded
    ) -> tuple[Plan, list[SearchResult]]:
        if self.config.tuning is None:
            return self.plan, []
        from ctlr.searches import run_searches, tuned_plan

        found = run_searches(
            self.config, self.plan, arrays, self.workspace, workers=self.workers, device=self.device, since=since,
            on_event=watcher,
        )  # fmt: skip
        return tuned_plan(self.plan, found)[0], found

    def _do(
        self, jobs: Sequence[Job], arrays: Mapping[str, StoredArrays], since: float, on_event: Callable[[Event], None]
    ) -> None:
        run_jobs_left(
            jobs, arrays, self.workspace, workers=self.workers, device=self.device, since=since, on_event=on_event
        )


def read_benchmark(root: Path, name: str = "", back: int = 0) -> Finished:
    """The benchmark that a workspace saw last, as far as it has been run; also beside a run under way.

    Args:
        root: Of the workspace.
        name: Of the benchmark, where it is not the one that was run last.
        back: How many runs with other options came after the one that is meant.

    Raises:
        ConfigError: None was run there, or none of its studies is finished.
        WorkspaceError: Another version wrote it.
    """
    run = run_before(root, name, back)
    workspace = Workspace(root)
    arrays = {
        name: read_stored(identity, workspace)
        for name, identity in run.arrays.items()
        if workspace.has("arrays", identity)
    }
    finished = _finished(run, arrays, workspace)
    if not finished.results:
        raise ConfigError(f"No study of {run.config.name} is finished in {root}. Go on with `ctlr resume -w {root}`.")
    return finished


class _Clock:
    """Counts the time since `began` to the run, also when it is interrupted; a run that finds all done is idle."""

    def __init__(self, run: Remembered, workspace: Workspace, began: float) -> None:
        self.idle = False
        self._run, self._workspace, self._began = run, workspace, began

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if not self.idle:
            self._run.seconds += clock() - self._began
            self._run.write(self._workspace)


def _follower(watcher: Recorded, recorder: Recorder, plan: Plan) -> Callable[[Event], None]:
    """Tells what happens, and records each study as it is finished."""
    from ctlr.outcome.recording import AT_DEFAULTS

    asked = {study.identity() for study in plan.studies}

    def follow(event: Event) -> None:
        watcher(event)
        if event.job.kind == "study" and event.state == "finished":
            result = StudyResult.model_validate_json(event.text)
            recorder.put(result, {} if result.study.identity() in asked else AT_DEFAULTS)

    return follow


def _record(
    results: Sequence[StudyResult], recorder: Recorder, status: str, tags: Mapping[str, str] | None = None
) -> None:
    for result in results:
        if result.status == status:
            recorder.put(result, tags)


def _finished(run: Remembered, arrays: Mapping[str, StoredArrays], workspace: Workspace) -> Finished:
    from ctlr.outcome.finished import read_finished  # as above

    return read_finished(
        run.config,
        workspace,
        arrays,
        run.searches,
        environment=run.environment or environment(run.config, run.folder),
        seconds=run.seconds,
        folder=run.folder,
        typed=run.command,
    )


def _check_joins(config: BenchmarkConfig, workspace: Workspace) -> None:
    """Refuse to join the run of another benchmark; one that has just begun may not have said yet whose it is."""
    name = "another benchmark"
    for _ in range(_PATIENCE):
        with contextlib.suppress(ConfigError, WorkspaceError):
            last = last_run(workspace.root).config
            if last.identity() == config.identity():
                return
            name = repr(last.name)
        time.sleep(LOOK_SECONDS)
    raise ConfigError(
        f"{workspace.root} is in use by a run of {name}, which has other work than {config.name!r}. Join it with its "
        "own file and the same `--set`, or name another --workspace."
    )


def _remember(config: BenchmarkConfig, folder: Path, workspace: Workspace, command: str) -> Remembered:
    """The run, with what is known of it already; its command is the one that began it, unless its file has changed."""
    run = Remembered(config, folder, command=command)
    last = like_run(workspace.root, config)
    if last is not None:
        run.seconds, run.arrays, run.searches = last.seconds, last.arrays, last.searches
        run.environment = last.environment
        if last.command and last.config == config:
            run.command = last.command
    run.write(workspace)
    return run
