"""A run from the benchmark file to the report."""

from __future__ import annotations

import time
from pathlib import Path

import click

from ctlr.cli.show import Display
from ctlr.config import BenchmarkConfig
from ctlr.engine import collect, default_workers, gate, jobs_left, note_rates, preprocess_all, run_studies
from ctlr.errors import ConfigError
from ctlr.plan import make_plan
from ctlr.workspace import Workspace, write_aside

__all__ = ["last_config", "report_again", "run_benchmark"]


def run_benchmark(config: BenchmarkConfig, root: Path, *, workers: int | None, device: str, output: str) -> int:
    """Run what is not finished yet, track it, write the report, print the results.

    Returns:
        Number of studies that failed.
    """
    began = time.monotonic()
    plan = make_plan(config)
    workspace = Workspace(root)
    crew = workers or default_workers(device, config.compute.threads)
    with workspace.locked():
        write_aside(workspace.root / "last.json", config.model_dump_json(indent=1).encode())
        click.echo(f"{config.name}: {len(plan.studies)} studies, {crew} workers, workspace {root}", err=True)
        with Display() as display:
            arrays = preprocess_all(plan.datasets, workspace, workers=crew, on_event=display)
            gate(plan, arrays, workspace)
            jobs = jobs_left(plan, arrays, workspace)
            display.expect({job.id: _readable(job) for job in jobs})
            run_studies(jobs, plan, arrays, workspace, workers=crew, device=device, on_event=display)
        note_rates(plan, arrays, workspace)
        results = collect(plan, arrays, workspace)
        page = _write_report(config, results, arrays, workspace, time.monotonic() - began)
    _print(config, results, page, output)
    return sum(result.status == "failed" for result in results)


def last_config(root: Path) -> BenchmarkConfig:
    """The benchmark that was run last in a workspace.

    Raises:
        ConfigError: There is none.
    """
    path = root / "last.json"
    if not path.exists():
        raise ConfigError(f"{root} holds no run. Start one with `ctlr run FILE --workspace {root}`.")
    return BenchmarkConfig.model_validate_json(path.read_text())


def report_again(config: BenchmarkConfig, root: Path, *, output: str) -> None:
    """Write the report from the studies that are finished.

    Raises:
        ConfigError: Nothing is finished.
    """
    plan = make_plan(config)
    workspace = Workspace(root)
    with Display() as display:
        arrays = preprocess_all(plan.datasets, workspace, workers=1, on_event=display)
    results = collect(plan, arrays, workspace)
    if not results:
        raise ConfigError(f"No study of {config.name} is finished in {root}. Go on with `ctlr resume -w {root}`.")
    page = _write_report(config, results, arrays, workspace, 0.0)
    _print(config, results, page, output)


def _readable(job: Job) -> str:
    """Name of a job for people."""
    if job.kind == "study":
        return Study.model_validate_json(job.payload).id
    spec = PretrainSpec.model_validate_json(job.payload)
    return f"pretrain {spec.method.method} {spec.encoder.label} s{spec.seed}"
