"""Options that commands of several modules share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from ctlr.cli import candidates

if TYPE_CHECKING:
    from ctlr.specs import ModelCard

__all__ = [
    "cells_in",
    "model_options",
    "output_option",
    "study_options",
    "table_options",
    "workspace_option",
]

Command = Callable[..., Any]


def workspace_option(words: str) -> Callable[[Command], Command]:
    """`--workspace`, with what the folder is for."""
    return click.option(
        "--workspace", "-w", type=click.Path(path_type=Path), default=Path("workspace"), envvar="CTLR_WORKSPACE",
        show_default=True, help=words, shell_complete=candidates.workspaces,
    )  # fmt: skip


def output_option(words: str = "Form of what goes to stdout.") -> Callable[[Command], Command]:
    """`--output`, a table for people or JSON or YAML for programs."""
    return click.option(
        "--output", "-o", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True, help=words
    )


def model_options(command: Command) -> Command:
    """MODEL, a model's folder or a workspace, and which of the workspace's models is meant; the command gets `model`.

    Its folder is found before the command begins.
    """

    @functools.wraps(command)
    def told(model: Path, benchmark: str, source: str, target: str, encoder: str, method: str, **others: Any) -> Any:
        from ctlr.serving import find_model

        folder = find_model(model, benchmark=benchmark, source=source, target=target, encoder=encoder, method=method)
        return command(model=folder, **others)

    options = (
        click.argument("model", type=click.Path(file_okay=False, path_type=Path), shell_complete=candidates.models),
        _of_model("--benchmark", "NAME", "Of a workspace with several reports."),
        _of_model("--target", "DATA.TASK", "Of a benchmark with several."),
        _of_model("--source", "DATA.TASK", "Likewise, of its transfers."),
        _of_model("--encoder", "KEY", "Likewise, of its encoders."),
        _of_model("--method", "LABEL", "Take the best model of this method."),
    )
    asked: Command = told
    for option in reversed(options):
        asked = option(asked)
    return asked


def _of_model(name: str, metavar: str, words: str) -> Callable[[Command], Command]:
    known = candidates.models_in_reports(name.removeprefix("--"))
    return click.option(name, default="", metavar=metavar, help=words, shell_complete=known)


def table_options(command: Command) -> Command:
    """`--table` and `--file-column`: what a model reads beside the files; `cells_in` reads it."""
    told = click.option("--file-column", default="file", show_default=True, help="Of the table: a file's path or name.")
    words = "CSV or TSV with the columns that the model reads beside the image, a line a file."
    return click.option("--table", type=click.Path(path_type=Path), help=words)(told(command))


def cells_in(table: Path, file_column: str, files: Sequence[Path], card: ModelCard) -> dict[str, list[str | None]]:
    """Cells of the columns that the model reads, by file: named by its path, or by its name alone.

    Raises:
        DataError: A column or a file's line is not there.
    """
    from ctlr.data.tsv import is_missing, read_table
    from ctlr.errors import DataError, nearest

    delimiter = "\t" if table.suffix == ".tsv" else ","
    by_file = read_table(table, name=table.name, key=file_column, delimiter=delimiter, once="Keep one of the lines.")
    wanted = [column.name for column in card.inputs]
    known = next(iter(by_file.values()), {})
    if missing := [name for name in wanted if name not in known]:
        raise DataError(f"a column {missing[0]!r} is needed. {nearest(missing[0], known)}", place=table.name)
    lines = [by_file.get(str(file)) or by_file.get(file.name) or by_file.get(file.stem) for file in files]
    if lacking := [file for file, line in zip(files, lines, strict=True) if line is None]:
        raise DataError(f"there must be a line for {lacking[0]}; {len(lacking)} files have none.", place=str(table))
    return {
        name: [None if is_missing(line[name]) else line[name] for line in lines if line is not None] for name in wanted
    }


def study_options(example: str) -> Callable[[Command], Command]:
    """The benchmark, which of its studies is meant, and `--set`, which changes its options.

    Args:
        example: Of what `--set` takes.
    """
    options = (
        click.argument("benchmark", type=click.Path(path_type=Path), shell_complete=candidates.benchmark_files),
        click.option("--study", required=True, metavar="METHOD", shell_complete=candidates.studies,
                     help="Label of a method of the benchmark, or a study's id."),
        click.option("--n", "n_train", type=click.IntRange(1), shell_complete=candidates.sizes,
                     help="Labelled training subjects; by default the most."),
        click.option("--encoder", shell_complete=candidates.encoders,
                     help="Label of an encoder, where the benchmark has several."),
        click.option("--seed", type=click.IntRange(0), shell_complete=candidates.seeds,
                     help="By default the benchmark's first."),
        click.option("--transfer", metavar="SOURCE:TARGET", shell_complete=candidates.transfers,
                     help="`dataset.task:dataset.task`, where there are several."),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", shell_complete=candidates.study_settings,
                     help=f"An option, e.g. {example}. Repeatable."),
    )  # fmt: skip

    def added(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return added
