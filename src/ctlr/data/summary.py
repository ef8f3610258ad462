"""What a dataset holds of a target, and what in it may not be meant: codes for unknown, classes spelled twice."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from ctlr.data.inputs import nearly_tells
from ctlr.data.strata import is_missing
from ctlr.data.table import ImageRecord, Table
from ctlr.data.targets import read_targets
from ctlr.data.tsv import number
from ctlr.specs import DataTask, TargetSummary

__all__ = ["summarise"]

_CODE = re.compile(r"-?(9+(\.9+)?|8+|7+|32767|32768|65535|2147483647|2147483648)|-[1-6]|0")
"""Numbers that stand for unknown in many tables."""
_FEW_CODES = 3
_UNKNOWN = {
    "unknown", "u", "unk", "unkn", "notknown", "missing", "notavailable", "notapplicable", "notreported", "null", "#na",
    "#null!", "na", "<na>", "n\\a", "nd", "tbd", "undefined", "unspecified", "undisclosed", "refused", "declined",
    "prefernottosay", "prefernottoanswer", "nodata",
}  # fmt: skip
_OLDEST = {
    "year": 120.0, "yr": 120.0, "y": 120.0, "month": 1440.0, "mo": 1440.0, "week": 6240.0, "day": 43800.0,
}  # fmt: skip
_FAR = 5.0
"""Distances between the quartiles by which a number lies beyond them."""
_FEW = 0.02
"""Share of the images up to which far numbers are odd, not the shape of the distribution."""
_SHORTENED = {("n", "no"), ("ctl", "control"), ("ctrl", "control"), ("ctrl", "controls"), ("pt", "patient")}
_ABBREVIATED = 10
"""Classes up to which one that begins another may be its abbreviation."""


def summarise(table: Sequence[ImageRecord], end: DataTask, units: Mapping[str, str]) -> TargetSummary:
    """Count what is known of a target, and name what looks wrong.

    Args:
        table: One record an image.
        end: The dataset and the task.
        units: Of its columns.

    Raises:
        ConfigError, DataError: As of `ctlr.data.targets.read_targets`, and for `inputs` as of
            `ctlr.data.inputs.check_inputs`.
    """
    task = end.task
    targets = read_targets(table, task, end.data.name)
    cells = Table.of(table).cells(task.target)
    unit = units.get(task.target, "")
    counted = partial(
        TargetSummary, data=end.data.name, task=task.name, column=task.target, images=len(cells),
        known=int(targets.known.sum()),
    )  # fmt: skip
    close = nearly_tells(Table.of(table), task, targets)
    if not targets.classes:
        values = targets.values[targets.known]
        low, middle, high = (float(value) for value in np.quantile(values, [0, 0.5, 1]))
        told = (*_odd_numbers(values, _oldest(task.target, unit)), *_commas(cells), *close)
        return counted(unit=unit, low=low, median=middle, high=high, warnings=told)
    met = Counter(cell for cell in cells if not is_missing(cell))
    kept = {name: met[name] for name in targets.classes}
    unknown = _unknown(met)
    warnings = [
        f"{_images(met[name])} class {name!r}, which may mean unknown. Write n/a if it does." for name in unknown
    ]
    meant = [name for name in met if name not in unknown]
    warnings += [*_spellings(meant), *_codings(meant)]
    return counted(
        classes=kept,
        others=met.total() - sum(kept.values()),
        warnings=(*(() if end.data.known_classes else warnings), *close),
    )


def _odd_numbers(values: npt.NDArray[np.float64], oldest: float | None) -> Iterator[str]:
    """Codes beyond the other numbers, impossible ages, then a few numbers that lie far from all others.

    Args:
        values: (N,) known ones.
        oldest: What an age can be at most; None where they are no ages.
    """
    met = Counter(values.tolist())
    codes = {value for value in met if _CODE.fullmatch(f"{value:.15g}")}
    if oldest is not None or sum(value < 0 for value in met) > _FEW_CODES:  # the latter is a scale that begins below 0
        codes -= {value for value in codes if -7 < value < -1}
    found = [code for code in sorted(codes) if _beyond(code, [value for value in met if value not in codes])]
    for code in found:
        yield f"{_images(met[code])} {code:.15g}, which may be a code for unknown. Write n/a if it is."
    rest = values[~np.isin(values, found)]
    if oldest is not None and (count := int(((rest < 0) | (rest > oldest)).sum())):
        yield f"{_images(count)} an age below 0 or above {oldest:g}. Check the table, and the units in its sidecar."
    low, high = np.quantile(rest, [0.25, 0.75]) if len(rest) else (0.0, 0.0)
    reach = _FAR * (high - low)
    far = sorted(value for value in set(rest.tolist()) if not low - reach <= value <= high + reach)
    count = sum(met[value] for value in far)
    if reach and 0 < count <= max(2, _FEW * len(values)):
        listed = ", ".join(f"{value:g}" for value in far)
        near = rest[~np.isin(rest, far)]
        yield f"{_images(count)} {listed}, far from all others ({near.min():g} to {near.max():g}). Check the table."


def _oldest(column: str, unit: str) -> float | None:
    """The highest age in a unit, in any where it is not known; None for another column than an age."""
    words = [word.lower() for word in re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", column)]
    return _OLDEST.get(unit.lower().removesuffix("s"), max(_OLDEST.values())) if "age" in words else None


def _commas(cells: Sequence[str]) -> Iterator[str]:
    count = sum("," in cell for cell in cells)
    if count:
        held = "cell holds" if count == 1 else "cells hold"
        yield (
            f"{count} {held} a comma, which is read as a decimal point: 42,43 is 42.43. Correct those that mean two "
            "numbers, or thousands."
        )


def _unknown(met: Mapping[str, int]) -> list[str]:
    """Classes that are names for unknown, or numbers that are codes for it."""
    try:
        numbers = {name: number(name) for name in met}
    except ValueError:
        numbers = {}
    codes = {name for name, value in numbers.items() if value and _CODE.fullmatch(f"{value:.15g}")}
    rest = [value for name, value in numbers.items() if name not in codes]
    coded = {name for name in codes if len(rest) > 1 and _beyond(numbers[name], rest)}
    signs = {"?", ".", "-"} if any(name[0].isalnum() for name in met) else set()
    return [name for name in met if _plain(name) in _UNKNOWN or name in coded | signs]


def _spellings(names: Sequence[str]) -> Iterator[str]:
    """Groups of names that differ by case, signs or abbreviation."""
    group = {name: {name} for name in names}
    for one, other in itertools.combinations(names, 2):
        if group[one] is not group[other] and _alike(one, other, few=len(names) <= _ABBREVIATED):
            merged = group[one] | group[other]
            group |= dict.fromkeys(merged, merged)
    for alike in {id(found): found for found in group.values() if len(found) > 1}.values():
        yield f"{', '.join(map(repr, sorted(alike)))} may be one class, spelled in several ways. Write it in one."


def _codings(names: Sequence[str]) -> Iterator[str]:
    """Numbers beside words: 1 and 2 beside F and M."""
    numbers = sorted(name for name in names if _is_number(name))
    words = sorted(name for name in names if not re.search(r"\d", name))
    if numbers and words and len(names) <= _ABBREVIATED:
        yield (
            f"{', '.join(map(repr, numbers))} beside {', '.join(map(repr, words))} may be codes and words for the same "
            "classes. Write them in one way."
        )


def _is_number(name: str) -> bool:
    with contextlib.suppress(ValueError):
        return not math.isnan(number(name))
    return False


def _alike(one: str, other: str, *, few: bool) -> bool:
    with contextlib.suppress(ValueError):
        return number(one) == number(other)
    short, long = sorted((_plain(one), _plain(other)), key=len)
    if short == long or (short, long) in _SHORTENED:
        return True
    rest = long.removeprefix(short)
    begins = rest != long and rest.isalpha() and len(long) > 2 and len(short) != 2
    numbered = re.fullmatch("[ivx]+", rest)  # of grades: I, II
    return few and ((begins and not numbered) or short in map(_initials, (one, other)))


def _beyond(code: float, rest: Sequence[float]) -> bool:
    """Whether a number is farther from the others than they are from each other, or alone below zero."""
    if not rest:
        return False
    low, high = min(rest), max(rest)
    return (code < 0 <= low) or not low - (high - low) <= code <= high + (high - low)


def _plain(name: str) -> str:
    """Without case, spaces and the signs that join words."""
    return re.sub(r"[\s_./-]+", "", unicodedata.normalize("NFKC", name).casefold()) or name


def _initials(name: str) -> str:
    words = re.findall(r"[^\W_]+", re.sub("['’]s\\b", "", name.casefold()))
    return "".join(word[0] for word in words) if len(words) > 1 else ""


def _images(count: int) -> str:
    return f"{count} image has" if count == 1 else f"{count} images have"
