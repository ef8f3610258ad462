"""Options that commands of several modules share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click

__all__ = ["model_options", "output_option", "study_options", "workspace_option"]

Command = Callable[..., Any]


def workspace_option(words: str) -> Callable[[Command], Command]:
    """`--workspace`, with what the folder is for."""
    return click.option(
        "--workspace", "-w", type=click.Path(path_type=Path), default=Path("workspace"), envvar="CTLR_WORKSPACE",
        show_default=True, help=words,
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
        click.argument("model", type=click.Path(file_okay=False, path_type=Path)),
        click.option("--benchmark", default="", metavar="NAME", help="Of a workspace with several reports."),
        click.option("--target", default="", metavar="DATA.TASK", help="Of a benchmark with several."),
        click.option("--source", default="", metavar="DATA.TASK", help="Likewise, of its transfers."),
        click.option("--encoder", default="", metavar="KEY", help="Likewise, of its encoders."),
        click.option("--method", default="", metavar="LABEL", help="Take the best model of this method."),
    )
    for option in reversed(options):
        told = option(told)
    return told


def study_options(example: str) -> Callable[[Command], Command]:
    """The benchmark, which of its studies is meant, and `--set`, which changes its options.

    Args:
        example: Of what `--set` takes.
    """
    options = (
        click.argument("benchmark", type=click.Path(path_type=Path)),
        click.option("--study", required=True, metavar="METHOD",
                     help="Label of a method of the benchmark, or a study's id."),
        click.option("--n", "n_train", type=click.IntRange(1), help="Labelled training subjects; by default the most."),
        click.option("--encoder", help="Label of an encoder, where the benchmark has several."),
        click.option("--seed", type=click.IntRange(0), help="By default the benchmark's first."),
        click.option("--transfer", metavar="SOURCE:TARGET",
                     help="`dataset.task:dataset.task`, where there are several."),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
                     help=f"An option, e.g. {example}. Repeatable."),
    )  # fmt: skip

    def added(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return added
