"""What commands say on stderr: words for people, or lines of JSON where results are JSON."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import rich_click as click

from ctlr.errors import CtlrError, brief

if TYPE_CHECKING:
    from ctlr.events import Watcher

__all__ = ["INTERRUPTED", "quiet_option", "say", "speaks_json", "spoken", "tell", "watching"]

INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM."""

quiet_option = click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors and the final result.")


def watching(output: str, *, quiet: bool) -> Watcher:
    """Who tells on stderr how a run goes: nobody, lines of JSON, or what a person reads."""
    from ctlr.display import Display, JsonLines  # rich is slow to load
    from ctlr.events import Silent

    return Silent() if quiet else JsonLines() if output == "json" else Display()


def say(words: str, output: str, kind: str = "note") -> None:
    """A line on stderr for the person who started the command.

    Args:
        words: What is said.
        output: Form of the results; json makes the line JSON too.
        kind: Of `ctlr.events.SAID`.
    """
    if output == "json":
        tell(kind, text=words)
    else:
        click.echo(words, err=True)


def speaks_json(arguments: Sequence[str]) -> bool:
    """Whether a command line that cannot be read asks for results as JSON, of a command that tells events then."""
    words = " ".join(arguments)
    return arguments[:1] in (["run"], ["resume"], ["tune"], ["automl"]) and bool(
        re.search(r"(^| )(-o ?|--output[ =])json( |$)", words)
    )


def tell(kind: str, **facts: Any) -> None:
    """A line of JSON on stderr."""
    line = {"time": round(time.time(), 3), "kind": kind} | facts
    click.echo(json.dumps(line, separators=(",", ":")), err=True)


@contextlib.contextmanager
def spoken(output: str) -> Iterator[None]:
    """Have the error that ends the block, and Ctrl-C, told as a line of JSON where results are JSON.

    Raises:
        SystemExit: In the place of the error, with its exit code.
    """
    if output != "json":
        yield
        return
    try:
        yield
    except CtlrError as error:
        tell("error", reason=str(error), exit_code=error.exit_code)
        raise SystemExit(error.exit_code) from error
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):  # nothing is left to save: the next one ends us at once
            signal.signal(number, signal.SIG_DFL)
        tell("error", reason="Interrupted.", exit_code=INTERRUPTED)
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        tell("error", reason=brief(str(error)), exit_code=1)
        raise SystemExit(1) from error
