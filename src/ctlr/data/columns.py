"""What the columns of a dataset's tables hold, for somebody who has not written a task yet."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ctlr.data.listing import IndexedImage
from ctlr.data.strata import is_missing
from ctlr.data.table import Table
from ctlr.data.tsv import number

__all__ = ["Column", "columns_of"]

_NUMBERS = 10
"""Different whole numbers from which a column measures something; fewer are codes of classes."""
_MOST_CLASSES = 50
_LABEL = re.compile(r"class(es)?|labels?|categor(y|ies)", re.I)
"""Columns whose whole numbers are codes, however many there are."""
_SITE = re.compile(
    r"(site|scanner|cent(er|re)|hospital|institut\w*|station|manufacturer\w*|model|location)(_?(id|name))?", re.I
)
_IDENTIFIER = re.compile(
    r"(.*[ _-])?(id|ids|uid|guid|index|name|file|filename|path|code|ptid|rid|date|time|visit)|.*(date|time|path)", re.I
)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column, counted over the images that are listed.

    Attributes:
        name: Of the column.
        holds: number, classes, text (names, free text, dates), constant (one value at most).
        known: Images with a cell that is not missing.
        images: All.
        low, median, high: Of numbers.
        classes: Subjects of each class, the most frequent first.
        role: site, identifier (of a person, a file or a day), or nothing of it.
        unit: As the dataset says it.
    """

    name: str
    holds: Literal["number", "classes", "text", "constant"]
    known: int
    images: int
    low: float = 0.0
    median: float = 0.0
    high: float = 0.0
    distinct: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    role: Literal["site", "identifier", ""] = ""
    unit: str = ""

    @property
    def missing(self) -> int:
        """Images of which it says nothing."""
        return self.images - self.known

    @property
    def fewest(self) -> int:
        """Subjects of the rarest class; of numbers all images that are known."""
        return min(self.classes.values(), default=self.known)

    @property
    def words(self) -> str:
        """`18 to 90, median 54 years`; `F 12, M 12`."""
        unit = f" {self.unit}" if self.unit else ""
        if self.holds == "number":
            return f"{self.low:g} to {self.high:g}, median {self.median:g}{unit}"
        if self.holds == "classes":
            shown = [f"{name} {count}" for name, count in list(self.classes.items())[:8]]
            more = len(self.classes) - len(shown)
            return ", ".join(shown) + (f" and {more} more classes" if more else "")
        if self.holds == "constant":
            return f"{next(iter(self.classes))} throughout" if self.classes else "nothing"
        return f"text, {self.distinct} different"


def columns_of(images: Sequence[IndexedImage], units: dict[str, str]) -> list[Column]:
    """Every column, in the order of the tables; `split`, which says sides, is left out.

    Args:
        images: As they are listed.
        units: By column, where the dataset says them.
    """
    table = Table.of(images)
    owners = table.subject.codes
    return [_column(name, table.cells(name), owners, units.get(name, "")) for name in table.columns if name != "split"]


def _column(name: str, cells: Sequence[str], owners: np.ndarray, unit: str) -> Column:
    told = [(cell, owner) for cell, owner in zip(cells, owners.tolist(), strict=True) if not is_missing(cell)]
    met = Counter(cell for cell, _ in told)
    people = Counter(cell for cell, _ in set(told))
    counts = dict(sorted(people.items(), key=lambda each: (-each[1], each[0])))
    numbers = _numbers(met)
    named = name == "class" or (bool(_LABEL.fullmatch(name)) and len(met) <= _MOST_CLASSES)
    few = named or (numbers is not None and len(numbers) < _NUMBERS)
    codes = few and (numbers is None or all(value == int(value) for value in numbers))
    role: Literal["site", "identifier", ""] = (
        "site" if _SITE.fullmatch(name) else "identifier" if _IDENTIFIER.fullmatch(name) else ""
    )
    if len(met) < 2:
        return Column(name=name, holds="constant", known=len(told), images=len(cells), classes=counts, role=role)
    if numbers is not None and not codes and len(numbers) > 2:
        values = np.array([number(cell) for cell, _ in told])
        low, median, high = (float(value) for value in np.quantile(values, [0, 0.5, 1]))
        return Column(
            name=name, holds="number", known=len(told), images=len(cells), low=low, median=median, high=high,
            distinct=len(met), role=role, unit=unit,
        )  # fmt: skip
    if codes or len(met) <= min(_MOST_CLASSES, max(2, sum(people.values()) // 2)):
        return Column(
            name=name, holds="classes", known=len(told), images=len(cells), distinct=len(met), classes=counts, role=role
        )
    return Column(name=name, holds="text", known=len(told), images=len(cells), distinct=len(met), role=role)


def _numbers(met: Counter[str]) -> set[float] | None:
    """The different numbers of a column; None where a cell is none."""
    with contextlib.suppress(ValueError):
        return {number(cell) for cell in met}
    return None
