"""What is printed at the end of a run."""

from __future__ import annotations

import csv
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ctlr.cli.show import show, show_rows
from ctlr.cli.voice import say, tell, watching
from ctlr.config import BenchmarkConfig
from ctlr.errors import CtlrError
from ctlr.outcome.provenance import typed_command
from ctlr.report.finished import Finished
from ctlr.running import run_benchmark
from ctlr.runs import Runs, kept

__all__ = ["SOME_FAILED", "run_and_print", "run_config", "show_finished"]

SOME_FAILED = 3
"""Exit code of a run in which studies failed."""


def run_config(
    config: BenchmarkConfig,
    folder: Path,
    workspace: Path,
    workers: int | None,
    device: str,
    output: str,
    *,
    join: bool = False,
    quiet: bool = False,
) -> int:
    """`run_and_print` as a command: its exit code, and after Ctrl-C what is kept and how to go on."""
    try:
        failed = run_and_print(
            config, folder, workspace, workers=workers, device=device, output=output, join=join, quiet=quiet
        )
    except KeyboardInterrupt:
        words = ["ctlr", "resume", "--workspace", str(workspace), *(["--workers", str(workers)] if workers else [])]
        words += [*(["--device", device] if device != "cpu" else []), *(["--join"] if join else [])]
        _say_what_is_kept(config.name, workspace, shlex.join(words), output)
        raise
    return SOME_FAILED if failed else 0


def _say_what_is_kept(name: str, workspace: Path, command: str, output: str) -> None:
    found = kept(Runs(workspace).read(name), workspace)
    if output == "json":
        places = {step: epoch for step, (epoch, _) in found.checkpoints.items()}
        tell("kept", steps=found.done, of=found.of, trials=found.trials, checkpoints=places, command=command)
    else:
        click.echo(f"{found.words}\nGo on with: {command}", err=True)


def run_and_print(
    config: BenchmarkConfig,
    folder: Path,
    root: Path,
    *,
    workers: int | None,
    device: str,
    output: str,
    join: bool = False,
    quiet: bool = False,
) -> int:
    """Run a benchmark before the eyes of a person, and print the results.

    Args:
        config: The benchmark.
        folder: Of its file.
        root: Workspace.
        workers: Processes at most; None for as many as there is room for.
        device: cpu, cuda or cuda:N.
        output: table, json or yaml.
        join: Work beside the run that is under way.
        quiet: Say nothing but errors and the results.

    Returns:
        Number of studies that failed.

    Raises:
        CtlrError: As `run_benchmark`; or the tracker did not record everything.
    """
    watcher = watching(output, quiet=quiet)
    ran = run_benchmark(
        config, folder, root, workers=workers, device=device, watcher=watcher, join=join,
        command=typed_command(sys.argv[1:]),
    )  # fmt: skip
    if ran is None:
        if not quiet:
            say(f"Nothing is left to do here; the run that leads {root} writes the report.", output)
        return 0
    failed = show_finished(ran.finished, ran.page, output, quiet=quiet)
    if ran.fault is not None:
        raise CtlrError(f"{ran.fault} Results are safe in the workspace; run again to record what is missing.")
    return failed


def show_finished(finished: Finished, page: Path, output: str, *, quiet: bool = False) -> int:
    """Print results to stdout, and where the report is; return how many studies failed.

    Quietly, advice is left out.
    """
    name, trained = finished.config.name, (*finished.results, *finished.at_defaults)
    failed = [result for result in trained if result.status == "failed"]
    if output != "table":
        from ctlr.report.document.values import read_document

        show(read_document(page).model_dump(mode="json", by_alias=True), output)
        return len(failed)
    ranked = sorted((page.parent / "tables").glob("race-*.csv"))
    for path in ranked:
        _show_ranking(name, path)
    for path in [] if ranked else sorted((page.parent / "tables").glob("scores*.csv")):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        show_rows(f"{name}: {rows[0]['metric']} of {rows[0]['target']} on the test set", _by_size(rows))
    advice = dict[str, None]()  # two transfers may share a method
    for path in sorted((page.parent / "tables").glob("training-*.csv")):
        with path.open(newline="") as file:
            advice |= dict.fromkeys(row["advice"] for row in csv.DictReader(file) if row["advice"])
    for sentence in () if quiet else advice:
        click.echo(sentence, err=True)
    for result in failed:
        click.echo(f"{result.study.id} failed: {result.reason}", err=True)
    click.echo(f"Report: {page}")
    return len(failed)


def _show_ranking(name: str, path: Path) -> None:
    """The ranking of a race, and where the winner's model is."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))

    def figure(row: dict[str, str], key: str) -> str:
        return f"{float(row[key]):.4g}" if row[key] else ""

    shown = [
        {
            "": row["place"],
            "search": ", ".join(filter(None, (row["method"], row["encoder"]))),
            "trials": row["trials"],
            "validation": figure(row, "validation"),
            "test": f"{figure(row, 'test')} ({figure(row, 'low')} to {figure(row, 'high')})" if row["test"] else "",
        }
        for row in rows
    ]
    show_rows(f"{name}: {rows[0]['metric']} of {rows[0]['target']}, best on validation first", shown)
    if model := next((row["path"] for row in rows if row["test"] and row["path"]), ""):
        click.echo(f"Model: {path.parent.parent.parent.parent / model}")


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
