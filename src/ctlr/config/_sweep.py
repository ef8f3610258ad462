"""Methods written once with several values of their options: one method for each combination.

    methods:
      supervised:
        sweep: {finetune: {w: [0.3, 1.0], lr: [1e-3, 1e-4]}}

stands for supervised-w0_3-lr0_001, supervised-w0_3-lr0_0001, supervised-w1_0-lr0_001 and supervised-w1_0-lr0_0001.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

from ctlr.config._document import KeyPath

__all__ = ["Option", "combinations", "listed_options"]

MAX_METHODS = 500
"""Far above what one wants to wait for; more is a slip of the pen."""

Fault = tuple[KeyPath, str]
Option = tuple[KeyPath, list[Any]]
"""Where an option stands in a method's entry, and the values that it takes in turn."""


def listed_options(sweep: Any) -> tuple[list[Option], list[Fault]]:
    """Options and their values from a `sweep`, in the order of the file, with what is wrong (places below `sweep`)."""
    options: list[Option] = []
    faults: list[Fault] = []
    for where, value in _leaves(sweep, ()):
        if not isinstance(value, list) or not value:
            faults.append((where, f"must be a list of values to try, e.g. [0.3, 1.0]; got {value!r}."))
        elif any(isinstance(item, list | dict) for item in value):
            faults.append((where, "must list single values: numbers, texts, true, false or null. Write them out."))
        elif len(set(map(_word, value))) < len(value):
            faults.append((where, f"must list each value once; got {value!r}. Remove what stands there twice."))
        else:
            options.append((where, value))
    total = 1
    for _, values in options:
        total *= len(values)
    if total > MAX_METHODS:
        faults.append(((), f"makes {total} methods, and {MAX_METHODS} are the most. Name fewer values."))
    return options, faults


def _leaves(value: Any, where: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """(place, value) of all that is no mapping with entries."""
    if not isinstance(value, dict) or not value:
        yield where, value
        return
    for key, item in value.items():
        yield from _leaves(item, (*where, key))


def combinations(key: str, options: list[Option]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(label, options as a nested mapping) of each method; the last option varies fastest.

    The label is the key with each option's last name and value; a point becomes an underscore, and a text stands alone.
    """
    for values in itertools.product(*(values for _, values in options)):
        entry: dict[str, Any] = {}
        words = [key]
        for (where, _), value in zip(options, values, strict=True):
            _set(entry, where, value)
            words.append(_word(value) if isinstance(value, str) else f"{where[-1]}{_word(value)}")
        yield "-".join(words), entry


def _set(entry: dict[str, Any], where: KeyPath, value: Any) -> None:
    for part in where[:-1]:
        entry = entry.setdefault(str(part), {})
    entry[str(where[-1])] = value


def _word(value: Any) -> str:
    """A value as a part of a name: 0_25, 5e-5, gradual, -true."""
    if isinstance(value, bool) or value is None:
        return f"-{'none' if value is None else str(value).lower()}"
    text = re.sub(r"e([-+])0*(\d)", lambda found: f"e{found[1].strip('+')}{found[2]}", str(value))
    return re.sub(r"[^A-Za-z0-9_-]", "-", text.replace(".", "_"))
