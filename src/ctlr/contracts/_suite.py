"""Runs the promises of a part, and says of each whether it is kept."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ctlr.config import json_schema, options_of, parts, schema_parts
from ctlr.contracts import data, encoders, families, methods
from ctlr.specs import PART_TABLES, EncoderPart, place_of

__all__ = ["Finding", "check_part", "has_words", "loads_quickly", "promised"]

Promise = Callable[[Any], None]
"""Tries one thing on a case of its kind; raises AssertionError with a sentence where it is not kept."""


@dataclass(frozen=True)
class Finding:
    """What became of a promise.

    Attributes:
        promise: In words.
        fault: What is wrong; empty where it is kept.
        place: File and line, where they are known.
    """

    promise: str
    fault: str = ""
    place: str = ""


def promised(promise: Callable[..., None]) -> str:
    """A promise in words: the first line of what it says of itself."""
    return next(iter((promise.__doc__ or promise.__name__).strip().splitlines())).rstrip(".")


def check_part(what: str, name: str, folder: Path) -> Iterator[Finding]:
    """Try all promises on one part.

    Args:
        what: What it is, a key of `PART_TABLES`.
        name: Its name in that table.
        folder: An empty folder for what is written on the way.
    """
    part = PART_TABLES[what][name]
    made = part.build if isinstance(part, EncoderPart) else part
    made = pkgutil.resolve_name(made) if isinstance(made, str) else made
    place = place_of(made)
    home = inspect.getsourcefile(made) or ""
    for first in (has_words, loads_quickly):
        yield _tried(promised(first), partial(first, what, name), place, home)
    for promise, cases in _promises(what, name, folder):
        for case in cases:
            found = _tried(promised(promise), partial(promise, case), place, home)
            if found.fault:
                break
        else:
            found = Finding(promised(promise))
        yield found
        if found.fault and promise is data.there_is_an_example:
            return  # all others need it


def _promises(what: str, name: str, folder: Path) -> Iterator[tuple[Promise, list[Any]]]:
    """What a part promises, and the cases on which each is tried."""
    suite = {"method": methods, "encoder": encoders, "kind of data": data}[what]
    cases = list(suite.cases_of(name, folder))
    yield from ((promise, cases[:1] if promise in methods.ONCE else cases) for promise in suite.PROMISES)
    if what == "method" and families.is_family(name):
        found = list(families.cases_of(name, folder))
        pictures = [case for case in found if case.ndim == 2]
        for promise in families.PROMISES:
            yield promise, pictures if promise in families.ON_PICTURES else found


def _tried(words: str, attempt: Callable[[], None], place: str, home: str) -> Finding:
    try:
        attempt()
    except AssertionError as error:
        return Finding(words, str(error) or "it does not.", _line(error, home) or place)
    except Exception as error:  # noqa: BLE001 - whatever the code of others raises is what we came for
        first = next(iter(str(error).splitlines()), "")
        return Finding(words, f"{type(error).__name__}: {first}", _line(error, home) or place)
    return Finding(words)


def _line(error: BaseException, home: str) -> str:
    """Where the part's own code, its file or a neighbour, was when it went wrong; empty where it had no share in it."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if home and Path(frame.filename).parent == Path(home).parent
    ]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""


def has_words(what: str, name: str) -> None:
    """It says what it is, and what each of its options means."""
    part, schema = PART_TABLES[what][name], json_schema()
    words = part.about if isinstance(part, EncoderPart) else part.about()
    assert words, "it needs a docstring whose first line says what it is. Add one."
    for option in options_of(schema_parts(schema)[what, name], parts(schema), section=str):
        assert option.meaning, f"its option `{option.name}` has no words. Write a docstring below it, with the unit."


def loads_quickly(what: str, name: str) -> None:
    """It loads neither torch nor numpy before they are needed."""
    code = (
        f"import sys; from ctlr.specs import PART_TABLES; part = PART_TABLES[{what!r}][{name!r}]\n"
        "import pkgutil; reader = getattr(part, 'reader', None)\n"
        "_ = pkgutil.resolve_name(reader) if isinstance(reader, str) else reader\n"
        "print(*[name for name in ('torch', 'numpy', 'PIL', 'sklearn', 'nibabel') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, next(iter(reversed(done.stderr.strip().splitlines())), "it does not load")
    loaded = done.stdout.strip()
    assert not loaded, (
        f"it loads {', '.join(loaded.split())}, for which `ctlr check` and `ctlr plan` would wait. Import it where it "
        "is used; `from ctlr.methods.lazily import torch` does that by itself."
    )
