"""`ctlr check` on a benchmark's data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ctlr.config import SECTIONS, BenchmarkConfig, read_document
from ctlr.engine import default_workers
from ctlr.errors import ConfigError, DataError
from ctlr.examination import examine, missing_packages
from ctlr.plan import make_plan

__all__ = ["check_data"]


def check_data(file: Path, overrides: Sequence[str], config: BenchmarkConfig) -> None:
    """Look at the data of a benchmark; what would be left out is said on stderr, and who has several images.

    Args:
        file: Of the benchmark.
        overrides: As after `--set`.
        config: What they say.

    Raises:
        ConfigError: The benchmark asks for what is not there; every fault with the line that asks.
        DataError: The same, where nothing but the data can be blamed.
    """
    document = read_document(file)
    for setting in overrides:
        document.override(setting, SECTIONS)
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
    if faults:
        kind = ConfigError if any(isinstance(error, ConfigError) for _, error in faults) else DataError
        raise kind(document.told())
