"""Everything that CTLR raises on purpose.

CtlrError                 exit code 1
├── ConfigError           what the user wrote breaks a rule             (exit code 2)
├── DataError             a file, subject or table cannot be used
│   └── LeakageError      two sides of a split share a subject or image
├── WorkspaceError        the workspace is locked, foreign or full
│   └── TakenOver         another worker has gone on with this one's step
├── TrainingError         a study cannot go on (NaN loss, constant predictions)
├── MissingExtraError     an optional package is not installed          (exit code 2)
└── ClusterError          a cluster cannot be reached, or refuses       (exit code 4)

A message names the place (file, line, key or subject), the rule, the value and the remedy. Place and reason are two
values where the place may name a person: the terminal of the user shows both, a report only the reason.
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType

__all__ = [
    "ClusterError",
    "ConfigError",
    "CtlrError",
    "DataError",
    "Fault",
    "LeakageError",
    "MissingExtraError",
    "TakenOver",
    "TrainingError",
    "WorkspaceError",
    "brief",
    "nearest",
    "require",
]


_LONG_WORD = re.compile(r"\S{241,}")
_LONGEST_LINE = 2000


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One broken rule and its place, for programs; people read the same in an error's text."""

    message: str
    """Rule, value and remedy."""
    kind: str = "config"
    """`syntax` (no YAML), `config`, `tuning` (a manifest that a benchmark names, or a space of options that its method
    has not), `data`, `leak`, `package`, `disk` or `memory`."""
    file: str = ""
    """That the user named."""
    line: int | None = None
    """In that file, from 1."""
    column: int | None = None
    """In that line, from 1."""
    key: str = ""
    """`methods.simclr.temperature`; empty where the file as a whole is meant."""
    place: str = ""
    """What is meant beside the file: `--set KEY=VALUE`, or a file, line or subject of the data."""


class CtlrError(Exception):
    """Base of every error that the command line shows without a traceback.

    Args:
        reason: Rule, value and remedy; what travels into reports and records. It names no subject, no file of a
            dataset, and no cell of its tables.
        place: Where: file, line, subject, cell; for the user's own terminal.
        told: What the terminal shows, where that is not place and reason.
        faults: Each by itself, where it is known which they are.
        others: What else is wrong with the same file, where one look found it all.
    """

    exit_code = 1

    def __init__(
        self,
        reason: str = "",
        *,
        place: str = "",
        told: str = "",
        faults: Sequence[Fault] = (),
        others: Sequence[CtlrError] = (),
    ) -> None:
        super().__init__(brief(told or (f"{place}: {reason}" if place else reason)))
        self.reason = brief(reason)
        self.place = place
        self.faults = tuple(faults)
        self.others = tuple(others)


class ConfigError(CtlrError):
    """What the user wrote breaks a rule."""

    exit_code = 2


class DataError(CtlrError):
    """A file, a subject or a table cannot be used."""


class LeakageError(DataError):
    """Two sides of a split share a subject or an image."""


class WorkspaceError(CtlrError):
    """The workspace is locked by another run, written by another version, or full."""


class TakenOver(WorkspaceError):
    """Another worker has gone on with this one's step: it was silent for too long, and its result is dropped."""


class TrainingError(CtlrError):
    """A study cannot go on: NaN loss, or a predictor that came out constant."""


class MissingExtraError(CtlrError):
    """An optional package is needed and not installed."""

    exit_code = 2


class ClusterError(CtlrError):
    """A cluster cannot be reached, takes too long, refuses what is asked, or lost what was asked for."""

    exit_code = 4


def brief(text: str) -> str:
    """A message that repeats neither a word nor a line of thousands of characters: what was written is known."""
    words = _LONG_WORD.sub(lambda found: f"{found[0][:100]}…{found[0][-60:]}", text)
    return "\n".join(line if len(line) <= _LONGEST_LINE else _ends(line) for line in words.split("\n"))


def _ends(line: str) -> str:
    """The place, and the rule with its remedy, without what stands between."""
    return f"{line[: _LONGEST_LINE // 2]}…{line[-_LONGEST_LINE // 2 :]}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known names there are, and which one was probably meant."""
    known = sorted(known)
    spelled = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(name, known, n=1) or difflib.get_close_matches(name.casefold(), spelled, n=1)
    hint = f"Did you mean {spelled.get(close[0], close[0])!r}? " if close else ""
    return f"{hint}Known: {', '.join(known) or 'none'}."


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional package: the one door through which they enter.

    Raises:
        MissingExtraError: The package is not installed; names the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtraError(
            f"This needs the package {error.name!r}, which is not installed. Install it: pip install 'ctlr[{extra}]'"
        ) from error
