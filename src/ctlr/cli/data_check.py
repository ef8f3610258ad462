"""`ctlr check` on a benchmark's manifests and data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ctlr.config import SECTIONS, BenchmarkConfig, Document, read_document
from ctlr.errors import ConfigError, DataError
from ctlr.plan import make_plan

__all__ = ["check_benchmark"]


def check_benchmark(file: Path, overrides: Sequence[str], config: BenchmarkConfig, *, data: bool) -> None:
    """Look at what a benchmark names beside itself.

    What would be left out of its data is said on stderr, and who has several images.

    Args:
        file: Of the benchmark.
        overrides: As after `--set`.
        config: What they say.
        data: Look at its data, not at its manifests alone.

    Raises:
        ConfigError: The benchmark asks for what is not there; every fault with the line that asks.
        DataError: The same, where nothing but the data can be blamed.
    """
    document = read_document(file)
    for setting in overrides:
        document.override(setting, SECTIONS)
    wrong = _manifests(document, config)
    if data:
        wrong += _data(document, config)
    if wrong:
        raise (ConfigError if ConfigError in wrong else DataError)(document.told())


def _manifests(document: Document, config: BenchmarkConfig) -> list[type[Exception]]:
    """Note the faults of manifests; their kinds."""
    if config.tuning is None:
        return []
    from ctlr.searches import manifest_faults  # brings the samplers, which are slow to load

    faults = manifest_faults(config, make_plan(config))
    for where, fault in faults:
        document.fault(where, fault)
    return [ConfigError] * len(faults)


def _data(document: Document, config: BenchmarkConfig) -> list[type[Exception]]:
    """Note the faults of data; their kinds."""
    from ctlr.engine import default_workers
    from ctlr.examination import examine, missing_packages

    found = examine(config, make_plan(config), workers=default_workers("cpu", 1))
    faults = [*missing_packages(config), *found.faults]
    for where, error in faults:
        document.fault(where, str(error))
    for name in found.elsewhere:
        click.echo(f"datasets.{name} lies on the cluster's volume and was not looked at.", err=True)
    for name, excluded in found.excluded.items():
        for exclusion in excluded:
            click.echo(f"datasets.{name}: left out: {exclusion}", err=True)
    for note in found.notes:
        click.echo(note, err=True)
    return [ConfigError if isinstance(error, ConfigError) else DataError for _, error in faults]
