"""A run from the benchmark file to the report."""

from __future__ import annotations

import contextlib
import csv
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import click

from ctlr.cli.show import Display, show, show_rows
from ctlr.config import BenchmarkConfig
from ctlr.engine import (
    check_device,
    collect,
    collect_at_defaults,
    collect_transfers,
    default_workers,
    gate,
    jobs_left,
    note_rates,
    preprocess_all,
    run_studies,
)
from ctlr.errors import ConfigError, CtlrError, WorkspaceError
from ctlr.outcome.provenance import environment
from ctlr.outcome.recording import AT_DEFAULTS, Recorder, make_tracker
from ctlr.outcome.reporting import write_report
from ctlr.plan import Plan, make_plan
from ctlr.pool import Event, Job
from ctlr.specs import (
    PretrainSpec,
    SearchResult,
    StoredArrays,
    Study,
    StudyResult,
    TransferScores,
    TransferSpec,
    plugin_of,
)
from ctlr.workspace import Workspace, write_aside

__all__ = ["Remembered", "last_run", "report_again", "run_benchmark"]


class Remembered:
    """The run that a workspace saw last, for `ctlr resume` and `ctlr report`.

    Args:
        config: The benchmark, overrides applied.
        folder: Of its file.
        seconds: That runs of it have taken so far.
        arrays: Fingerprint of each dataset's stored images; empty as long as they are not stored.
        searches: What tuning found; empty as long as it has not ended.
    """

    def __init__(
        self,
        config: BenchmarkConfig,
        folder: Path,
        seconds: float = 0.0,
        arrays: Mapping[str, str] | None = None,
        searches: Sequence[SearchResult] = (),
    ) -> None:
        self.config = config
        self.folder = folder
        self.seconds = seconds
        self.arrays = dict(arrays or {})
        self.searches = list(searches)

    def write(self, workspace: Workspace) -> None:
        """Keep it in the workspace."""
        values = {
            "config": self.config.model_dump(mode="json"), "folder": str(self.folder.absolute()),
            "seconds": self.seconds, "arrays": self.arrays,
            "searches": [search.model_dump(mode="json") for search in self.searches],
            "plugins": {file: plugin_of(Path(file)).sha256 for file in self.config.plugins},
        }  # fmt: skip
        write_aside(workspace.root / "last.json", json.dumps(values, indent=1).encode())


def last_run(root: Path) -> Remembered:
    """The run that a workspace saw last.

    Raises:
        ConfigError: There was none.
        WorkspaceError: Another version wrote it.
    """
    path = root / "last.json"
    if not path.exists():
        raise ConfigError(f"{root} holds no run. Start one with `ctlr run FILE --workspace {root}`.")
    Workspace(root)
    try:
        values = json.loads(path.read_text())
        for file, sha256 in values.get("plugins", {}).items():
            if plugin_of(Path(file)).sha256 != sha256:
                raise ConfigError(
                    f"{Path(file).name} has changed since that run. Go on with `ctlr run FILE --workspace {root}`, "
                    "which does anew what its parts have a share in."
                )
        config = BenchmarkConfig.model_validate_json(json.dumps(values["config"]))
        searches = [SearchResult.model_validate_json(json.dumps(search)) for search in values["searches"]]
        return Remembered(config, Path(values["folder"]), values["seconds"], values["arrays"], searches)
    except (ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(
            f"{path} is damaged, or another version of CTLR wrote it. Go on with `ctlr run FILE --workspace {root}`."
        ) from error


def run_benchmark(
    config: BenchmarkConfig, folder: Path, root: Path, *, workers: int | None, device: str, output: str
) -> int:
    """Run what is not finished yet, track it, write the report, print the results.

    Args:
        config: The benchmark.
        folder: Of its file.
        root: Workspace.
        workers: Processes at most; None for as many as there is room for.
        device: cpu, cuda or cuda:N.
        output: table, json or yaml.

    Returns:
        Number of studies that failed.
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
        click.echo(f"{config.name}: {len(plan.studies)} studies, {crew} workers, workspace {root}", err=True)
        recorder = Recorder(make_tracker(config, workspace), config, workspace, environment(config, folder))
        with Display() as display:
            arrays = preprocess_all(plan.datasets, workspace, workers=crew, on_event=display)
            run.arrays = {name: stored.fingerprint for name, stored in arrays.items()}
            run.write(workspace)
            gate(plan, arrays, workspace)
            with _Clock(run, workspace, began) as clock:
                known, lost = run.searches, list[StudyResult]()
                if config.tuning is not None:
                    from ctlr.searches import run_searches, tuned_plan

                    run.searches = run_searches(
                        config, plan, arrays, workspace, workers=crew, device=device, on_event=display
                    )
                    plan, lost = tuned_plan(plan, run.searches)
                jobs = jobs_left(plan, arrays, workspace)
                clock.idle = not jobs and run.searches == known
                display.expect({job.id: _readable(job) for job in jobs})
                with recorder:
                    _record(collect(plan, arrays, workspace), recorder, "ok")
                    _record(collect_at_defaults(plan, arrays, workspace), recorder, "ok", AT_DEFAULTS)
                    follow = _follower(display, recorder, plan)
                    run_studies(jobs, plan, arrays, workspace, workers=crew, device=device, on_event=follow)
                    results = [*collect(plan, arrays, workspace), *lost]
                    at_defaults = collect_at_defaults(plan, arrays, workspace)
                    _record(results, recorder, "failed")
                    _record(at_defaults, recorder, "failed", AT_DEFAULTS)
        page = _report(run, results, collect_transfers(plan, arrays, workspace), arrays, workspace, at_defaults)
        if jobs:
            took = time.monotonic() - began if run.searches == known else 0.0
            note_rates(plan, arrays, workspace, workers=crew, since=since, seconds=took)
    _print(config, results, page, output, at_defaults)
    if recorder.error is not None:
        raise CtlrError(f"{recorder.error} Results are safe in the workspace; run again to record what is missing.")
    return sum(result.status == "failed" for result in (*results, *at_defaults))


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


def _follower(display: Display, recorder: Recorder, plan: Plan) -> Callable[[Event], None]:
    """Shows what happens, and records each study as it is finished."""
    asked = {study.identity() for study in plan.studies}

    def follow(event: Event) -> None:
        display(event)
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


def report_again(root: Path, *, output: str) -> None:
    """Write the report of the last run from the studies that are finished, also beside a run under way.

    Raises:
        ConfigError: None is.
    """
    run = last_run(root)
    workspace = Workspace(root)
    arrays = {
        name: StoredArrays.model_validate_json((workspace.folder("arrays", identity) / "stored.json").read_bytes())
        for name, identity in run.arrays.items()
        if workspace.has("arrays", identity)
    }
    plan, results, transfers = make_plan(run.config), list[StudyResult](), list[TransferScores]()
    at_defaults = list[StudyResult]()
    if len(arrays) == len(plan.datasets) and len(run.searches) == len(plan.searches):
        lost = list[StudyResult]()
        if plan.searches:
            from ctlr.searches import tuned_plan

            plan, lost = tuned_plan(plan, run.searches)
        results = [*collect(plan, arrays, workspace), *lost]
        at_defaults = collect_at_defaults(plan, arrays, workspace)
        transfers = collect_transfers(plan, arrays, workspace)
    if not results:
        raise ConfigError(f"No study of {run.config.name} is finished in {root}. Go on with `ctlr resume -w {root}`.")
    page = _report(run, results, transfers, arrays, workspace, at_defaults)
    _print(run.config, results, page, output, at_defaults)


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


def _report(
    run: Remembered,
    results: Sequence[StudyResult],
    transfers: Sequence[TransferScores],
    arrays: dict[str, StoredArrays],
    workspace: Workspace,
    at_defaults: Sequence[StudyResult],
) -> Path:
    """Write the report, unless the one that stands there says the same."""
    return write_report(
        run.config, results, arrays, run.searches, workspace, seconds=run.seconds,
        origin=environment(run.config, run.folder), transfers=transfers, at_defaults=at_defaults,
    )  # fmt: skip


def _print(
    config: BenchmarkConfig, results: Sequence[StudyResult], page: Path, output: str, at_defaults: Sequence[StudyResult]
) -> None:
    """Results to stdout, and where the report is."""
    if output != "table":
        summary: dict[str, Any] = {
            "benchmark": config.name,
            "report": str(page),
            "failed": sum(result.status == "failed" for result in (*results, *at_defaults)),
            "results": [result.record() for result in results],
        }
        show(summary, output)
        return
    for path in sorted((page.parent / "tables").glob("scores*.csv")):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        show_rows(f"{config.name}: {rows[0]['metric']} of {rows[0]['target']} on the test set", _by_size(rows))
    advice = dict[str, None]()  # two transfers may share a method
    for path in sorted((page.parent / "tables").glob("training-*.csv")):
        with path.open(newline="") as file:
            advice |= dict.fromkeys(row["advice"] for row in csv.DictReader(file) if row["advice"])
    for sentence in advice:
        click.echo(sentence, err=True)
    for result in (*results, *at_defaults):
        if result.status == "failed":
            click.echo(f"{result.study.id} failed: {result.reason}", err=True)
    click.echo(f"Report: {page}")


def _by_size(rows: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """One row a method, one column a size: mean and interval."""
    sizes = {row["n_train"]: row.get("labelled", row["n_train"]) for row in rows}
    cells = {
        (row["method"], row["n_train"]): "{:.3g} ({:.3g} to {:.3g})".format(
            *(float(row[k]) for k in ("mean", "low", "high"))
        )
        for row in rows
    }
    return [
        {"method": method} | {f"n = {words}": cells.get((method, size), "") for size, words in sizes.items()}
        for method in dict.fromkeys(row["method"] for row in rows)
    ]
