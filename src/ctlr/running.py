"""A run from the benchmark to its report, and what stands of one in a workspace.

Whoever watches a run is told; nothing is printed here.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

from ctlr.config import BenchmarkConfig
from ctlr.engine import (
    check_device,
    collect,
    collect_at_defaults,
    default_workers,
    gate,
    jobs_left,
    note_rates,
    preprocess_all,
    run_studies,
)
from ctlr.errors import ConfigError, CtlrError, WorkspaceError
from ctlr.outcome.finished import read_finished
from ctlr.outcome.provenance import environment
from ctlr.outcome.recording import AT_DEFAULTS, Recorder, make_tracker
from ctlr.outcome.remembered import Remembered, last_run
from ctlr.outcome.reporting import write_report
from ctlr.plan import Plan, make_plan
from ctlr.pool import Event, Job
from ctlr.report.finished import Finished
from ctlr.specs import PretrainSpec, StoredArrays, Study, StudyResult, TransferSpec
from ctlr.workspace import Workspace

__all__ = ["Ran", "Watcher", "read_benchmark", "run_benchmark"]


class Watcher(Protocol):
    """Told what happens in a run, in the process and the thread that called it."""

    def begin(self, benchmark: str, studies: int, workers: int, workspace: Path) -> None:
        """The run begins: its workspace is locked, and nothing is done yet."""

    def __enter__(self) -> Any:
        """Steps begin."""

    def __exit__(self, *error: Any) -> None:
        """They have ended, or were interrupted."""

    def expect(self, names: Mapping[str, str]) -> None:
        """These jobs are left to do, by id with a readable name; those of preprocessing and tuning are not counted."""

    def __call__(self, event: Event) -> None:
        """Something happened to a job."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a run leaves."""

    finished: Finished
    page: Path
    """Of its report."""
    fault: CtlrError | None = None
    """Why the tracker did not record everything; results are safe in the workspace."""


def run_benchmark(
    config: BenchmarkConfig, folder: Path, root: Path, *, workers: int | None, device: str, watcher: Watcher
) -> Ran:
    """Run what is not finished yet, track it, write the report.

    Args:
        config: The benchmark.
        folder: Of its file.
        root: Workspace.
        workers: Processes at most; None for as many as there is room for.
        device: cpu, cuda or cuda:N.
        watcher: Told what happens.

    Raises:
        ConfigError: There is no such device, or a manifest or a dataset does not fit the benchmark.
        DataError: A dataset cannot be used.
        LeakageError: Two sides of a split share a subject or an image.
        WorkspaceError: The workspace is in use, foreign or full.
        KeyboardInterrupt: Passed on once every worker has ended; finished steps are safe.
    """
    began, since = time.monotonic(), time.time()
    check_device(device)
    plan = make_plan(config)
    if config.tuning is not None:
        from ctlr.searches import check_manifests  # brings the samplers, which are slow to load

        check_manifests(config, plan)
    workspace = Workspace(root)
    crew = workers or default_workers(device, config.compute.threads)
    with workspace.locked():
        run = _remember(config, folder, workspace)
        watcher.begin(config.name, len(plan.studies), crew, root)
        recorder = Recorder(make_tracker(config, workspace), config, workspace, environment(config, folder))
        with watcher:
            arrays = preprocess_all(plan.datasets, workspace, workers=crew, on_event=watcher)
            run.arrays = {name: stored.fingerprint for name, stored in arrays.items()}
            run.write(workspace)
            gate(plan, arrays, workspace)
            with _Clock(run, workspace, began) as clock:
                known = run.searches
                if config.tuning is not None:
                    from ctlr.searches import run_searches, tuned_plan

                    run.searches = run_searches(
                        config, plan, arrays, workspace, workers=crew, device=device, on_event=watcher
                    )
                    plan, _ = tuned_plan(plan, run.searches)
                jobs = jobs_left(plan, arrays, workspace)
                clock.idle = not jobs and run.searches == known
                watcher.expect({job.id: _readable(job) for job in jobs})
                with recorder:
                    _record(collect(plan, arrays, workspace), recorder, "ok")
                    _record(collect_at_defaults(plan, arrays, workspace), recorder, "ok", AT_DEFAULTS)
                    follow = _follower(watcher, recorder, plan)
                    run_studies(jobs, plan, arrays, workspace, workers=crew, device=device, on_event=follow)
                    finished = _finished(run, arrays, workspace)
                    _record(finished.results, recorder, "failed")
                    _record(finished.at_defaults, recorder, "failed", AT_DEFAULTS)
        finished = replace(finished, seconds=run.seconds)
        page = write_report(finished)
        if jobs:
            took = time.monotonic() - began if run.searches == known else 0.0
            note_rates(plan, arrays, workspace, workers=crew, since=since, seconds=took)
    return Ran(finished=finished, page=page, fault=recorder.error)


def read_benchmark(root: Path) -> Finished:
    """The benchmark that a workspace saw last, as far as it has been run; also beside a run under way.

    Raises:
        ConfigError: None was run there, or none of its studies is finished.
        WorkspaceError: Another version wrote it.
    """
    run = last_run(root)
    workspace = Workspace(root)
    arrays = {
        name: StoredArrays.model_validate_json((workspace.folder("arrays", identity) / "stored.json").read_bytes())
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
            self._run.seconds += time.monotonic() - self._began
            self._run.write(self._workspace)


def _follower(watcher: Watcher, recorder: Recorder, plan: Plan) -> Callable[[Event], None]:
    """Tells what happens, and records each study as it is finished."""
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
    return read_finished(
        run.config,
        workspace,
        arrays,
        run.searches,
        environment=environment(run.config, run.folder),
        seconds=run.seconds,
    )


def _remember(config: BenchmarkConfig, folder: Path, workspace: Workspace) -> Remembered:
    run = Remembered(config, folder)
    with contextlib.suppress(ConfigError, WorkspaceError):  # none, or one that cannot be read: this one takes its place
        last = last_run(workspace.root)
        if last.config.identity() == config.identity():
            run.seconds, run.arrays, run.searches = last.seconds, last.arrays, last.searches
    run.write(workspace)
    return run


def _readable(job: Job) -> str:
    """Name of a job for people."""
    if job.kind == "study":
        return Study.model_validate_json(job.payload).id
    if job.kind == "score":
        return _scored(TransferSpec.model_validate_json(job.payload))
    spec = PretrainSpec.model_validate_json(job.payload)
    return f"pretrain {spec.method.method} {spec.encoder.name} s{spec.seed}"


def _scored(spec: TransferSpec) -> str:
    source, target = (f"{end.data.name}.{end.task.name}" for end in (spec.source, spec.target))
    made = f"{spec.pretraining.encoder.name} s{spec.seed}" if spec.pretraining else "distances"
    return f"score {source} to {target} {made}"
