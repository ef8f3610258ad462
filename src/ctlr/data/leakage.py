"""The gate before anything trains: nothing that is tested on may have been learned from."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ctlr.cells import guarded
from ctlr.data.store import ImageRecord
from ctlr.data.strata import is_missing
from ctlr.errors import LeakageError
from ctlr.specs import LeakSpec
from ctlr.workspace import Workspace, write_aside

__all__ = ["LEARNED", "Leak", "Placed", "find_leaks", "refuse", "refuse_of_tables"]

LEARNED = "training and pretraining pool"
"""The side of all that is learned from."""

_SHOWN = 10
_TABLE = "leaks.tsv"


@dataclass(frozen=True)
class Placed:
    """An image on its side."""

    side: str
    dataset: str
    record: ImageRecord


@dataclass(frozen=True)
class Leak:
    """Two images on two sides that must not be there."""

    what: str
    """That they share."""
    first: Placed
    second: Placed


_Name = Callable[[str], str]
"""What messages call a subject."""

_Rule = tuple[str, Callable[[Placed], Hashable | None]]
"""What images may share, and its value: one that they share they must share their side for; None is nothing."""


def find_leaks(
    images: Iterable[Placed], *, people: Mapping[str, str], group: str | None = None, groups: Mapping[str, str]
) -> list[Leak]:
    """Find images on two sides that share a subject, their content, what is stored of them, or a group.

    Content counts across datasets. Subjects and groups do where datasets have the same word. Within a side anything
    may occur twice. O(N) for N images.

    Args:
        images: Of all sides.
        people: Dataset's name -> a word that those in which equal ids are one subject share.
        group: Column whose values must stay on one side; images without a value, and datasets without the column, are
            free of it.
        groups: Dataset's name -> a word that those in which equal values are one group share.

    Returns:
        One leak for each image that meets another side, rule by rule.
    """
    rules: list[_Rule] = [
        ("one subject", lambda placed: (people[placed.dataset], placed.record.subject)),
        ("the same image", lambda placed: placed.record.sha256 or None),
        ("images that are stored alike, bit for bit", lambda placed: placed.record.stored or None),
    ]
    if group is not None:
        rules.append((f"one value of column {group!r}", lambda placed: _cell(placed, group, groups)))
    listed = list(images)
    return [leak for rule in rules for leak in _broken(listed, rule)]


def refuse(leaks: Sequence[Leak], spec: LeakSpec, workspace: Workspace) -> None:
    """Stop for leaks that are not accepted; a pair of subjects is named once, for the first thing that it shares.

    The message says pseudonyms; who they are stands in `leaks.tsv` of the workspace, which is private.

    Raises:
        LeakageError: Names the pairs, their sides, and the remedies.
    """
    found = _pairs(leaks, spec, workspace.pseudonym)
    if found:
        write_aside(workspace.root / _TABLE, _table(found, workspace).encode())
        where = f"Their names and files are in {_TABLE} of the workspace. "
        raise LeakageError(_told(found, workspace.pseudonym, where))


def refuse_of_tables(leaks: Sequence[Leak], spec: LeakSpec) -> None:
    """Stop as `refuse` does before there is a workspace; nothing is said where pseudonyms of one are accepted.

    Raises:
        LeakageError: Names the pairs, for the user's own terminal.
    """
    found = _pairs(leaks, spec, str)
    placed = [each for leak in leaks for each in (leak.first, leak.second)]
    words = {word for each in placed for word in (each.dataset, each.record.subject)}
    if found and words.issuperset(word for pair in spec.accept for word in pair):
        raise LeakageError(told=_told(found, str))


def _pairs(leaks: Sequence[Leak], spec: LeakSpec, name: _Name) -> list[Leak]:
    """One leak for each pair of subjects that is not accepted."""
    pairs: dict[frozenset[tuple[str, str]], Leak] = {}
    for leak in leaks:
        if not _accepted(leak, spec.accept, name):
            key = frozenset((each.dataset, each.record.subject) for each in (leak.first, leak.second))
            pairs.setdefault(key, leak)
    return list(pairs.values())


def _told(found: Sequence[Leak], name: _Name, where: str = "") -> str:
    shown = "".join(f"\n  {_line(leak, name)}" for leak in found[:_SHOWN])
    more = f"\n  and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    accept = ", ".join(f'"{name(each.record.subject)}"' for each in (found[0].first, found[0].second))
    return (
        f"{len(found)} pairs of subjects stand on two sides that must share nothing:{shown}{more}\n"
        f"{where}Give both the same subject id, remove one, or keep a "
        f"group together with `split.group`. What is no leak is accepted with `leaks: {{accept: [[{accept}]]}}`; "
        "a pair of datasets there says that their equal ids are different people."
    )


def _broken(images: Sequence[Placed], rule: _Rule) -> Iterator[Leak]:
    what, value = rule
    first_met: dict[Hashable, Placed] = {}
    for placed in images:
        shared = value(placed)
        if shared is None:
            continue
        other = first_met.setdefault(shared, placed)
        if other.side != placed.side:
            yield Leak(what, other, placed)


def _cell(placed: Placed, group: str, groups: Mapping[str, str]) -> Hashable | None:
    cell = placed.record.columns.get(group, "").strip()
    return None if is_missing(cell) else (groups[placed.dataset], cell)


def _accepted(leak: Leak, accept: Sequence[Sequence[str]], name: _Name) -> bool:
    one, other = ({each.record.subject, name(each.record.subject)} for each in (leak.first, leak.second))
    return any((a in one and b in other) or (b in one and a in other) for a, b in accept)


def _line(leak: Leak, name: _Name) -> str:
    first, second = (f"{each.dataset} {name(each.record.subject)} ({each.side})" for each in (leak.first, leak.second))
    return f"{first} and {second}: {leak.what}"


def _table(leaks: Sequence[Leak], workspace: Workspace) -> str:
    text = io.StringIO()
    writer = csv.writer(text, "excel-tab", lineterminator="\n")
    place = ("dataset", "side", "pseudonym", "subject", "file")
    writer.writerow(["share", *place, *(f"other_{name}" for name in place)])
    for leak in leaks:
        cells = [
            (each.dataset, each.side, workspace.pseudonym(each.record.subject), each.record.subject, each.record.file)
            for each in (leak.first, leak.second)
        ]
        writer.writerow(map(guarded, [leak.what, *cells[0], *cells[1]]))
    return text.getvalue()
