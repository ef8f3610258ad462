"""The commands."""

from __future__ import annotations

import _thread
import contextlib
import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import rich_click as click

from ctlr import __version__
from ctlr.cli import candidates
from ctlr.cli.automl import automl
from ctlr.cli.check import check
from ctlr.cli.compare import compare
from ctlr.cli.completion import completion
from ctlr.cli.distance import distance
from ctlr.cli.doctor import doctor
from ctlr.cli.drift import drift
from ctlr.cli.explain import explain
from ctlr.cli.export import export
from ctlr.cli.init import init
from ctlr.cli.lr_find import lr_find
from ctlr.cli.ls import ls
from ctlr.cli.options import output_option, workspace_option
from ctlr.cli.plugins import plugins
from ctlr.cli.points import points
from ctlr.cli.predict import predict
from ctlr.cli.remote import cancel, logs, status, submit
from ctlr.cli.serve import serve
from ctlr.cli.show_run import show_run
from ctlr.cli.tensorboard import tensorboard
from ctlr.cli.tile import tile
from ctlr.cli.trial import trial
from ctlr.cli.tuning import suggest, tune
from ctlr.cli.ui import ui
from ctlr.cli.voice import INTERRUPTED, quiet_option, speaks_json, spoken, tell
from ctlr.errors import CtlrError, brief

__all__ = ["main"]

_LIMITS = {
    errno.EMFILE: "Raise `ulimit -n`, and run again.",
    errno.EFBIG: "Raise `ulimit -f`, and run again.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ENOMEM: "Close other programs, or lower --workers.",
}
"""What the operating system refuses whatever the file is called -> the remedy."""

click.rich_click.TEXT_MARKUP = "markdown"
click.rich_click.SHOW_ARGUMENTS = True
click.rich_click.MAX_WIDTH = 110


def main() -> NoReturn:
    """Entry point: run a command, turn every error into one message and an exit code."""
    _open_streams()
    signal.signal(signal.SIGTERM, _as_interrupt)
    sys.unraisablehook = _come_again
    try:
        code = _run_command()
    except KeyboardInterrupt:  # once more, while the first one was told
        code = INTERRUPTED
    sys.exit(code)


def _run_command() -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does, where a terminal knows ASCII alone
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.message = brief(error.message)  # type: ignore[misc]  # final, for a message as click made it
        if speaks_json(sys.argv[1:]):
            tell("error", reason=error.format_message(), exit_code=error.exit_code)
        else:
            error.show()
        code = error.exit_code
    except CtlrError as error:
        click.echo(f"Error: {error}", err=True)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        for number in (signal.SIGINT, signal.SIGTERM):  # nothing is left to save: the next one ends us at once
            signal.signal(number, signal.SIG_DFL)
        click.echo("Interrupted.", err=True)
        code = INTERRUPTED
    except OSError as error:
        code = _tell(error)
    except SystemExit as end:
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        code = 0  # Rich has met what `_tell` knows too
    return int(code or 0)


def _tell(error: OSError) -> int:
    """Say what the operating system refused; returns the exit code."""
    if error.errno in (errno.EPIPE, errno.ENOSPC):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered has nowhere to go
        if error.errno == errno.EPIPE:
            return 0  # whoever read our output has heard enough (`ctlr plan … | head`)
        click.echo("Error: the disk that the output goes to is full. What was computed is safe.", err=True)
        return 1
    place = f"{error.filename!s:.200}: " if error.filename is not None else ""
    remedy = _LIMITS.get(error.errno or 0, "Correct the path, or what may be done there.")
    click.echo(f"Error: {place}{error.strerror or error}. {remedy}", err=True)
    return 1


def _open_streams() -> None:
    """Put something in the place of standard streams that were closed (`ctlr run … >&-`).

    The next file that is opened would take their numbers, and be written to by whoever prints.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115 (stays open)
    if isinstance(sys.stderr, io.TextIOWrapper):
        raw = open(2, "wb", buffering=0, closefd=False)  # noqa: SIM115 (stays open)
        sys.stderr = _Lossy(raw, sys.stderr.encoding, "backslashreplace", write_through=True)


class _Lossy(io.TextIOWrapper):
    """Standard error: what nobody hears any more (a reader that has gone, a full disk) is lost, and the work is not."""

    def write(self, text: str) -> int:
        """As of any stream, but that it never fails."""
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """As `write`."""
        with contextlib.suppress(OSError):
            super().flush()


def _come_again(unraisable: Any) -> None:
    """Let an interrupt that came where nothing can be raised, e.g. while an object is cleared, come once more."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        with contextlib.suppress(RuntimeError):  # at the end of the process, where nothing is left to interrupt
            again = threading.Timer(0.01, _thread.interrupt_main)
            again.daemon = True
            again.start()
    else:
        sys.__unraisablehook__(unraisable)


def _as_interrupt(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt


# ---------------------------------------------------------------- options that commands share

Command = Callable[..., Any]


def _benchmark(command: Command) -> Command:
    for option in reversed(
        (
            click.argument("file", type=click.Path(path_type=Path), shell_complete=candidates.yaml_files),
            click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
                         shell_complete=candidates.benchmark_settings,
                         help="Override one value of the file, e.g. `--set seeds=[0,1]`. Repeatable."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


_workspace = workspace_option("Folder that holds what steps made. Benchmarks may share one.")
_output = output_option()


def _running(command: Command) -> Command:
    for option in reversed(
        (
            click.option("--workers", type=click.IntRange(1), help="Processes at once; by default one a core or GPU."),
            click.option("--device", default="cpu", show_default=True,
                         help="`cpu`, `cuda` (one study a GPU) or one GPU, e.g. `cuda:1`."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


_join = click.option(
    "--join", is_flag=True,
    help="Work beside the run that is under way in the workspace, from another shell or machine that shares it; take "
    "its place where there is none.",
)  # fmt: skip


# ---------------------------------------------------------------- commands


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ctlr")
def cli() -> None:
    """Which transfer-learning method, tuned how, and what does it gain over training from scratch?

    One YAML file describes a benchmark; `ctlr run FILE` ends with a report.
    """


@cli.command()
@_benchmark
@_workspace
@_running
@click.option(
    "--detect",
    type=click.FloatRange(0, min_open=True),
    metavar="GAIN",
    help="Also say what it takes to see this gain in the headline metric, e.g. `1.5` years, by the spread of "
    "studies that are finished in the workspace.",
)
@_output
def plan(
    file: Path,
    overrides: tuple[str, ...],
    workspace: Path,
    workers: int | None,
    device: str,
    detect: float | None,
    output: str,
) -> None:
    """Show what a run would do: studies, shared steps, estimated time; with `--detect`, what it would show."""
    from ctlr.api import load
    from ctlr.cli.preview import show_preview

    found = load(file, overrides=overrides).plan(workspace, workers=workers, device=device)
    show_preview(found, workspace, output, detect=None if detect is None else (detect, file))


@cli.command()
@_benchmark
@_workspace
@_running
@_join
@click.option("--dry-run", is_flag=True, help="Show what would be done and time a few steps of it.")
@quiet_option
@_output
def run(
    file: Path,
    overrides: tuple[str, ...],
    workspace: Path,
    workers: int | None,
    device: str,
    join: bool,
    dry_run: bool,
    quiet: bool,
    output: str,
) -> int:
    """Run a benchmark and write its report. What is finished already is not done again."""
    from ctlr.api import load

    with spoken(output):
        benchmark = load(file, overrides=overrides)
        if dry_run:
            from ctlr.cli.preview import show_preview

            show_preview(benchmark.plan(workspace, workers=workers, device=device, measured=True), workspace, output)
            return 0
        from ctlr.cli.session import run_config

        return run_config(benchmark.config, file.parent, workspace, workers, device, output, join=join, quiet=quiet)


@cli.command()
@_workspace
@_running
@_join
@quiet_option
@_output
def resume(workspace: Path, workers: int | None, device: str, join: bool, quiet: bool, output: str) -> int:
    """Go on with the benchmark that was run last in a workspace."""
    from ctlr.cli.session import run_config
    from ctlr.outcome.remembered import last_run

    with spoken(output):
        last = last_run(workspace)
        return run_config(last.config, last.folder, workspace, workers, device, output, join=join, quiet=quiet)


@cli.command()
@_workspace
@_output
def report(workspace: Path, output: str) -> None:
    """Write the report of the benchmark that was run last, from the studies that are finished."""
    from ctlr import api
    from ctlr.cli.session import show_finished

    benchmark = api.open(workspace)
    show_finished(benchmark.finished, benchmark.report(), output)


@cli.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--kind", type=click.Choice(["mri", "eeg", "tissue"]), default="mri", show_default=True,
              help="T1 images as NIfTI, electroencephalograms as EDF+, or slides of glands with masks.")  # fmt: skip
@click.option("--subjects", type=click.IntRange(1), help="How many; by default 400, or 20 for eeg and tissue.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another seed, other people.")
@click.option("--spacing", type=click.FloatRange(1, 12), help="Voxel edge of mri, mm; by default 4.")
@click.option("--minutes", type=click.IntRange(2), help="Of each recording of eeg, even; by default 10.")
@click.option("--side", type=click.IntRange(256, 32768), help="Pixels a side of a slide of tissue; by default 2048.")
@click.option("--workers", type=click.IntRange(1), help="Subjects at once; by default one a core.")
def cohort(
    out: Path,
    kind: str,
    subjects: int | None,
    seed: int,
    spacing: float | None,
    minutes: int | None,
    side: int | None,
    workers: int | None,
) -> None:
    """Write a synthetic cohort: brain MRI grown from the MNI152 template, or recordings with seizures.

    Or, with `--kind tissue`, two slides a subject of imaginary glands, with masks of their two architectures.
    """
    from ctlr.cli.show import counting
    from ctlr.errors import ConfigError

    own = {"--spacing": ("mri", spacing), "--minutes": ("eeg", minutes), "--side": ("tissue", side)}
    for option, (meant, given) in own.items():
        if given is not None and kind != meant:
            raise ConfigError(f"`{option}` means nothing for `--kind {kind}`. Leave it out.")
    if minutes is not None and minutes % 2:
        raise ConfigError(f"`--minutes` must be even: eyes and seizures go by two minutes; got {minutes}.")
    if kind == "tissue":
        from ctlr.cli.tile import write_tissue

        write_tissue(out, subjects or 20, seed, side or 2048, workers)
        return
    threads = workers or len(os.sched_getaffinity(0))
    with counting("subjects") as progress:
        if kind == "mri":
            from ctlr.data.kinds.cohort.growing import write_cohort
            from ctlr.specs import CohortSpec

            spec = CohortSpec(name=out.name, subjects=subjects or 400, seed=seed, spacing=spacing or 4.0)
            write_cohort(spec, out, workers=threads, progress=progress)
        else:
            from ctlr.data.kinds.eeg.growing import write_patients

            write_patients(
                out, patients=subjects or 20, seed=seed, minutes=minutes or 10, workers=threads, progress=progress
            )
    click.echo(str(out))


@cli.command()
@click.option("--report", "of", flag_value="report", help="Of what `report -o json` and `run -o json` print.")
@click.option("--compare", "of", flag_value="compare", help="Of what `compare -o json` prints.")
def schema(of: str | None) -> None:
    """Print the JSON schema of benchmark files, for editors; or of what commands print, for programs."""
    import json

    if of == "report":
        from ctlr.report.document.values import json_schema
    elif of == "compare":
        from ctlr.report.comparison.document import json_schema
    else:
        from ctlr.config import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


for command in (automl, cancel, check, compare, completion, distance, doctor, drift, explain, export, init, logs,
                lr_find, ls, plugins, points, predict, serve, show_run, status, submit, suggest, tensorboard, tile,
                trial, tune, ui):  # fmt: skip
    cli.add_command(command)
