"""Options that commands of several modules share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click

__all__ = ["output_option", "workspace_option"]

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
