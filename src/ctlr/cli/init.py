"""`ctlr init`: a benchmark file to start from, or one that fits a folder of one's own."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import rich_click as click

from ctlr.cli import candidates
from ctlr.cli.options import workspace_option
from ctlr.errors import ConfigError

__all__ = ["init"]

_MINUTES = 2.5
"""With the time that looking takes, a first result then comes within three."""
_SCHEMA = "ctlr.schema.json"


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Look at a folder of your own (BIDS, pictures, volumes with a table, …) and propose what fits.",
)
@click.option("--target", help="With `--data`: the column to predict; by default the likeliest one.")
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    help=f"With `--data`: that the whole run may take on this machine; by default {_MINUTES:g}.",
)
@click.option(
    "--kind",
    shell_complete=candidates.kinds_of_data,
    help="Without `--data`, what it has: `bids` (by default), `images`, `volumes`, `signals`, "
    "`series`, `points`, `cohort`, or a kind of yours.",
)
@click.option(
    "--template",
    shell_complete=candidates.templates,
    help="A benchmark that comes with CTLR: `demo`, `tuned` (every method searched first), "
    "`katib` (with its searches, for this machine and a cluster).",
)
@workspace_option("With `--data`: the run's, where it is kept what an image costs here.")
@click.option("--workers", type=click.IntRange(1), help="With `--data`: processes of the run; by default one a core.")
@click.option("--device", default="cpu", show_default=True, help="With `--data`: `cpu` or `cuda`.")
def init(
    file: Path | None, folder: Path | None, target: str | None, minutes: float | None, kind: str | None,
    template: str | None, workspace: Path, workers: int | None, device: str,
) -> None:  # fmt: skip
    """Write a commented benchmark file to start from.

    With `--data FOLDER` it is one that `ctlr run` takes at once: what lies there is looked at and told, and target,
    source, sizes, images and epochs are chosen so that the run ends within `--minutes`.
    """
    from ctlr.specs import dns_name

    _refuse_together(folder, kind, template, target, minutes)
    if file is None:
        if folder is None:
            raise click.UsageError("Missing argument 'FILE'. With `--data FOLDER` it is called like the folder.")
        file = Path(f"{dns_name(folder.resolve().name, 40)}.yaml")
    _refuse_place(file)
    if folder is not None:
        text = _proposal(file, folder, target, minutes or _MINUTES, workspace, workers, device)
        _write({file: text}, file)
        click.echo(f"{file} written. Run it: ctlr run {file}", err=True)
        return
    if template is not None:
        from ctlr.config import shipped

        files = shipped(template, file)
        for other in files:
            if other.exists():
                raise ConfigError(f"{other} exists already and is left as it is. Write into another folder.")
        _write(files, file)
        beside = f", and {len(files) - 1} searches in {file.parent / 'katib'}" if len(files) > 1 else ""
        click.echo(f"{file} written{beside}. Run it: ctlr run {file}", err=True)
        return
    from ctlr.config import template as starter

    _write({file: starter(kind or "bids", dns_name(file.stem, 40))}, file)
    click.echo(f"{file} written. Edit it, then: ctlr check {file} && ctlr run {file}", err=True)


def _refuse_together(
    folder: Path | None, kind: str | None, template: str | None, target: str | None, minutes: float | None
) -> None:
    """Refuse options that contradict each other, or mean nothing."""
    given = [name for name, value in (("--data", folder), ("--kind", kind), ("--template", template)) if value]
    if len(given) > 1:
        raise ConfigError(f"`{given[0]}` and `{given[1]}` are two ways to begin. Leave one out.")
    for name, value in (("--target", target), ("--minutes", minutes)):
        if folder is None and value is not None:
            raise ConfigError(f"`{name}` means nothing without `--data FOLDER`. Name one, or leave it out.")


def _refuse_place(file: Path) -> None:
    if file.exists():
        raise ConfigError(f"{file} exists already and is left as it is. Name another file.")
    if not file.parent.is_dir():
        raise ConfigError(f"{file.parent} is no folder. Make it first, or name a file elsewhere.")


def _proposal(
    file: Path, folder: Path, target: str | None, minutes: float, workspace: Path, workers: int | None, device: str
) -> str:
    """Look, tell what is seen, choose, fit, tell what is proposed; keeps what an image costs in the workspace."""
    from ctlr.engine import check_device, default_workers, keep_rates
    from ctlr.proposal import choose, fit, look, proposed, seen, text_of
    from ctlr.specs import dns_name
    from ctlr.workspace import Workspace

    check_device(device)
    looked = look(folder)
    for line in seen(looked):
        _tell(line)
    choice = choose(looked, target)
    click.echo("Timing a few steps on this machine …", err=True)
    began = time.perf_counter()
    fitted = fit(
        dns_name(file.stem, 40), choice, minutes=minutes, folder=file.parent, workspace=workspace,
        workers=workers or default_workers(device, 1), device=device,
    )  # fmt: skip
    keep_rates(Workspace(workspace), fitted.rates)
    click.echo(f"… {time.perf_counter() - began:.0f} s", err=True)
    for line in proposed(fitted, minutes):
        _tell(line)
    return text_of(fitted, file, folder=folder, minutes=minutes)


def _tell(line: str) -> None:
    """A line, broken between words where a terminal would break it anywhere."""
    if sys.stdout.isatty():
        indent = len(line) - len(line.lstrip())
        line = textwrap.fill(
            line, shutil.get_terminal_size().columns, subsequent_indent=" " * (indent + 2), break_on_hyphens=False,
            replace_whitespace=False, drop_whitespace=True,
        )  # fmt: skip
    click.echo(line)


def _write(files: dict[Path, str], benchmark: Path) -> None:
    """Write files aside and rename them; the benchmark's first line names the schema that lies beside it."""
    from ctlr.workspace import write_aside

    _write_schema(benchmark.parent)
    for file, text in files.items():
        file.parent.mkdir(exist_ok=True)
        line = f"# yaml-language-server: $schema={_SCHEMA}\n" if file == benchmark else ""
        write_aside(file, (line + text).encode())


def _write_schema(folder: Path) -> None:
    """The schema of this version, with the plug-ins that are installed; another file of that name is left."""
    import json

    from ctlr import __version__
    from ctlr.config import json_schema
    from ctlr.workspace import write_aside

    place, mark = folder / _SCHEMA, {"$comment": f"Written by ctlr {__version__} for editors; `ctlr schema` prints it."}
    known: Any = None
    if place.exists():
        try:
            known = json.loads(place.read_bytes())
        except (OSError, ValueError):
            return
        if not str(known.get("$comment", "")).startswith("Written by ctlr "):
            return
    write_aside(place, json.dumps(mark | json_schema(), indent=1).encode())
