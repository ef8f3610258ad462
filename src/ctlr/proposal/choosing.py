"""Choose what is asked of a folder: the target, what may teach it, and how many subjects learn it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ctlr.data.columns import Column
from ctlr.data.people import copied
from ctlr.data.table import Table
from ctlr.data.targets import read_targets
from ctlr.errors import ConfigError, CtlrError, nearest
from ctlr.proposal.looking import Looked, SeenDataset
from ctlr.specs import TaskSpec

__all__ = ["Choice", "Task", "choose"]

_ASKED = re.compile(
    r"class|labels?|targets?|diagnos\w*|dx\w*|group|grade|stage|cdr|status|outcome|disease|categor\w*|condition", re.I
)
_AGE = re.compile(r"age|ages|age[ _].*|.*[ _]age", re.I)
_SEX = re.compile(r"sex|gender|m/f|f/m", re.I)
_OF_PEOPLE = re.compile(r"hand\w*|educ\w*|ses|race|ethnic\w*", re.I)
_KNOWN = 0.6
"""Share of the images of which a target is known at least."""
_EVERYONE = 0.98
"""Share of the images of which a source's column is known."""
_FEW = 10
"""Subjects of a class from which something can be said of it."""
_LEAST = 4
"""Subjects of a class without which it is left out."""
_LADDER = (10, 20, 50, 100, 200, 500, 1000)
"""Sample sizes between which curves are drawn."""
_TEST = 0.25
_MOST_TESTED = 500


@dataclass(frozen=True, kw_only=True)
class Task:
    """A column as a task."""

    column: Column
    kind: str
    """regression or classification."""
    classes: tuple[str, ...] = ()
    """Those that are kept, where some are left out."""

    @property
    def key(self) -> str:
        """Its name in a benchmark."""
        name = re.sub(r"[^A-Za-z0-9]+", "_", self.column.name).strip("_").lower()
        return name[:40] if name[:1].isalpha() else f"column_{name}"[:40].rstrip("_")

    @property
    def options(self) -> dict[str, Any]:
        """As a benchmark file writes it."""
        told: dict[str, Any] = {"target": self.column.name, "kind": self.kind}
        return told | ({"classes": list(self.classes)} if self.classes else {})


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is asked of which dataset.

    Attributes:
        data: That is wanted.
        target: Its column.
        guessed: Whether nobody named the target.
        others: Columns that could be the target as well.
        source: Dataset and task that may help; None where there are none.
        stratify: Columns to balance.
        sizes: Labelled training subjects, ascending.
        test: Share or number of subjects to test.
        sided: Whether the dataset gives the test side.
        why: A sentence for each of these.
    """

    data: SeenDataset
    target: Task
    guessed: bool
    others: tuple[str, ...]
    source: tuple[SeenDataset, Task] | None
    stratify: tuple[str, ...]
    sizes: tuple[int, ...]
    test: float
    sided: bool
    why: Mapping[str, str]


def choose(looked: Looked, target: str | None) -> Choice:
    """Choose.

    Args:
        looked: The folder.
        target: Column that the user has named; None to guess.

    Raises:
        ConfigError: There is no such column, nothing can be a target, or there are too few subjects.
    """
    data = _wanted(looked.datasets, target)
    usable = _usable(data.columns)
    if target is None:
        if not usable:
            told = "; ".join(f"{column.name} ({column.words})" for column in data.columns) or "there is no column"
            raise ConfigError(
                f"nothing in {data.name} can be a target: a column of numbers, or of classes with {_LEAST} subjects "
                f"each, known for {_KNOWN:.0%} of the images. {told}. Add one, or name it with `--target`."
            )
        column = usable[0]
    else:
        named = {column.name: column for column in data.columns}
        if target not in named:
            raise ConfigError(f"`--target`: there is no column {target!r}. {nearest(target, named)}")
        column = named[target]
        if column.holds in ("constant", "text"):
            raise ConfigError(
                f"`--target {target}`: the column holds {column.words}; it cannot be predicted. Name another."
            )
    task = _task(column)
    why = {"target": _why_target(column, guessed=target is None)}
    total = _subjects(data, task)
    sizes, test, sided, why["sizes"] = _sizes(data, task, total)
    source, why["source"] = _source(looked, data, task)
    return Choice(
        data=data, target=task, guessed=target is None, others=tuple(each.name for each in usable if each != column),
        source=source, stratify=_stratify(data, task, min(sizes)), sizes=sizes, test=test, sided=sided, why=why,
    )  # fmt: skip


def _wanted(datasets: Sequence[SeenDataset], target: str | None) -> SeenDataset:
    """The smallest of those that have the target: larger ones teach it."""
    having = [
        each for each in datasets
        if (target in {column.name for column in each.columns} if target is not None else _usable(each.columns))
    ]  # fmt: skip
    enough = [each for each in having if each.listing.subjects >= 2 * _FEW]
    return min(enough or having or datasets, key=lambda each: each.listing.subjects)


# ---------------------------------------------------------------- target and source


def _usable(columns: Sequence[Column]) -> list[Column]:
    """Columns that can be a target, the likeliest first."""
    found = [column for column in columns if _can(column)]
    return sorted(found, key=lambda column: -_worth(column))


def _can(column: Column) -> bool:
    if column.role or column.known < _KNOWN * column.images:
        return False
    if column.holds == "classes":
        return sum(count >= _LEAST for count in column.classes.values()) >= 2
    return column.holds == "number"


def _worth(column: Column) -> float:
    """How likely somebody asks for a column: what is called a label, age, measurements, all else."""
    if _SEX.fullmatch(column.name) or _OF_PEOPLE.fullmatch(column.name):
        return 0.0
    if _ASKED.fullmatch(column.name):
        return 3.0 if column.holds == "number" or column.fewest >= _FEW or column.name == "class" else 1.5
    if _AGE.fullmatch(column.name):
        return 2.0
    return 1.0 if column.holds == "number" else 0.5


def _why_target(column: Column, *, guessed: bool) -> str:
    if not guessed:
        return f"{column.name}, as you named it"
    reason = {3.0: "its name says that it is wanted", 2.0: "of an age something can always be learned"}
    return f"{column.name}, a guess: {reason.get(_worth(column), 'no other column is likelier')}"


def _task(column: Column) -> Task:
    if column.holds == "number":
        return Task(column=column, kind="regression")
    kept = [name for name, count in column.classes.items() if count >= _LEAST]
    return Task(
        column=column, kind="classification", classes=tuple(sorted(kept)) if len(kept) < len(column.classes) else ()
    )


def _source(looked: Looked, data: SeenDataset, target: Task) -> tuple[tuple[SeenDataset, Task] | None, str]:
    """What may teach the target: the same column of another dataset, else a column that is known for everyone."""
    for other in sorted(looked.datasets, key=lambda each: -each.listing.subjects):
        same = next((each for each in other.columns if each.name == target.column.name and _can(each)), None)
        if other is not data and same is not None and same.holds == target.column.holds:
            return (other, target), f"{target.column.name} of {other.name}, another dataset in the folder"
    known = [
        column for column in data.columns
        if column != target.column and _can(column) and column.known >= _EVERYONE * column.images
        and not _repeats(data, target, _task(column))
    ]  # fmt: skip
    if not known:
        return None, "none: no other column is known for everyone, so methods learn from images without labels first"
    best = max(known, key=_cheapness)
    return (data, _task(best)), f"{best.name}: it is known for everyone, so that it can be learned first at no cost"


def _cheapness(column: Column) -> float:
    """How readily a column is known of everyone."""
    return 3.0 if _SEX.fullmatch(column.name) else 2.0 if _AGE.fullmatch(column.name) else _worth(column) / 3


def _repeats(data: SeenDataset, target: Task, other: Task) -> bool:
    """Whether a column tells the target, so that it would teach the labels themselves."""
    table = Table.of(data.listing.images)
    try:
        told, wanted = (read_targets(table, _spec(task), data.name) for task in (other, target))
    except CtlrError:
        return True
    return copied(told, wanted) is not None


def _spec(task: Task) -> TaskSpec:
    return TaskSpec.model_validate({"name": task.key, **task.options})


# ---------------------------------------------------------------- sizes


def _subjects(data: SeenDataset, task: Task) -> int:
    """Of whom the target is known."""
    table = Table.of(data.listing.images)
    known = read_targets(table, _spec(task), data.name).known
    return len(set(table.subject.codes[known].tolist()))


def _sizes(data: SeenDataset, task: Task, total: int) -> tuple[tuple[int, ...], float, bool, str]:
    """Sample sizes, what is tested, whether the folder says that, and why."""
    sides = data.sides
    per = total / max(1, len(data.listing.images))  # subjects an image
    tested = round(per * sides["test"]) if "test" in sides else 0
    share = min(_TEST, _MOST_TESTED / total)
    n_test = tested or max(2, round(share * total))
    left = total - n_test
    most = left - round(per * sides["val"]) if "val" in sides else left // 2
    classes = len(task.classes or task.column.classes) if task.kind == "classification" else 0
    least = max(2, classes)
    if most < least:
        raise ConfigError(
            f"{data.name} has {total} subjects with {task.column.name!r}: {n_test} to test leave {left} to train and "
            f"validate on, too few. {least} + {least} are the least. Add some, or name another `--target`."
        )
    enough = [size for size in _LADDER if max(least, 2 * classes) <= size <= most]
    if not enough:
        sizes = [most // 2, most] if most // 2 >= max(least, 4) else [most]
    elif most < _LADDER[-1] and most >= 1.4 * enough[-1]:
        sizes = [*enough, most if most < 20 else most // 5 * 5]
    else:
        sizes = enough
    tells = "the folder's own test side" if tested else f"a quarter of {total}" if share == _TEST else f"of {total}"
    why = f"{n_test} subjects test ({tells}); each size validates on as many as it trains on"
    if "val" in sides:
        why = f"{n_test} subjects test and {total - n_test - most} validate, as the folder says"
    return tuple(sizes[-3:]), _TEST if share == _TEST else float(_MOST_TESTED), bool(tested), why


def _stratify(data: SeenDataset, target: Task, smallest: int) -> tuple[str, ...]:
    """Sex and site, where each of their classes has enough subjects to be balanced."""
    return tuple(
        column.name
        for column in data.columns
        if column != target.column and column.holds == "classes"
        and (_SEX.fullmatch(column.name) or column.role == "site")
        and column.fewest >= _FEW and len(column.classes) <= smallest
    )  # fmt: skip
