"""Recognise folders of pictures: a folder a class, sides above them, classes in names, or a table."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from ctlr.data.glance import Glance, Sighting
from ctlr.data.kinds.image_names import is_picture
from ctlr.data.kinds.tables_seen import labels_of, tables_in
from ctlr.data.listing import SIDES

__all__ = ["sightings"]

_MOST_CLASSES = 200
_USUAL = 0.9
"""Share of the pictures that lie at one depth, where that is the rule."""
_NAMED = re.compile(r"(?P<class>[A-Za-z]+(?:[ _-][A-Za-z]+)*)[ ._-]*\(?\d+\)?")
"""`cat.12`, `dog_7`, `cell (3)`."""
_NAMED_OPTION = r"((?P<class>[A-Za-z]+(?:[ _-][A-Za-z]+)*)[ ._-]*\(?\d+\)?)\.\w+$"


def sightings(seen: Glance) -> Iterator[Sighting]:
    """The pictures below a folder, as one dataset."""
    pictures = [file for file in seen.files if is_picture(PurePosixPath(file).name)]
    if not pictures:
        return
    labels = labels_of(seen.root, tables_in(seen), pictures, folders=False)
    if labels is not None:
        covered = len({file for files in labels.named for file in files})
        options: dict[str, Any] = {"table": labels.table, "file_column": labels.file_column}
        if labels.group_column:
            options["group_column"] = labels.group_column
        told = f"pictures with a table, {labels.table}: {covered} of {len(pictures)} pictures have a line"
        whose = (f"Pictures of one {labels.group_column!r} stay on one side.",) if labels.group_column else ()
        yield Sighting(kind="images", what=told, files=covered, options=options, why=whose)
    place = _common(pictures)
    below = [file[len(place) + 1 :] if place else file for file in pictures]
    yield _by_folders(place, below, seen)


def _common(pictures: Sequence[str]) -> str:
    """The folder that holds all pictures, but for a side of a split that is there alone, or a lone class."""
    parts = [PurePosixPath(file).parts[:-1] for file in pictures]
    shared = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1 or level[0].lower() in SIDES:
            break
        shared.append(level[0])
    return "/".join(shared)


def _by_folders(place: str, pictures: list[str], seen: Glance) -> Sighting:
    """Pictures without a table, by the folders that they lie in."""
    where = place or "the folder"
    paths = [PurePosixPath(file).parts for file in pictures]
    inner = [parts[1:] if len(parts) > 1 and parts[0].lower() in SIDES else parts for parts in paths]
    sides = list(
        dict.fromkeys(SIDES[parts[0].lower()] for parts in paths if len(parts) > 1 and parts[0].lower() in SIDES)
    )
    told = f"pictures in {where}" + (f", with sides {', '.join(sides)}" if sides else "")
    deep = Counter(len(parts) - 1 for parts in inner)
    usual, count = deep.most_common(1)[0]
    if usual == 1 and count > _USUAL * len(inner) and len({parts[0] for parts in inner}) > 1:
        return _classes(place, inner, f"{told}, a folder a class", {})
    if (named := _in_names(pictures)) is not None:
        why = ("The class is the word that a picture's name begins with.",)
        told += f" whose names begin with their class: {named} of {len(pictures)}"
        return Sighting(kind="images", place=place, what=told, files=named, options={"group": _NAMED_OPTION}, why=why)
    if usual >= 2 and count > _USUAL * len(inner):
        return _nested(place, inner, told)
    if usual == 1 and count > _USUAL * len(inner):
        return _classes(place, inner, told, {})
    alone = f"all of them lie in one folder, {place}; " if place else ""
    lacking = (
        f"{alone}pictures need a folder a class, or a CSV or TSV file with a column that holds their names and a "
        "column with what they show. Sort them into folders, or write such a table beside them."
    )
    if seen.endings.get(".csv") or seen.endings.get(".tsv"):
        lacking += " None of the tables there names half of its lines after a picture."
    return Sighting(kind="images", place=place, what=told, files=len(pictures), lacking=lacking)


def _classes(place: str, inner: Sequence[tuple[str, ...]], what: str, options: dict[str, Any]) -> Sighting:
    counts = Counter(parts[0] for parts in inner if len(parts) > 1)
    lacking = ""
    if len(counts) < 2:
        lacking = f"two classes are needed; there is one folder, {next(iter(counts), '')!r}. Add another one."
    elif len(counts) > _MOST_CLASSES:
        lacking = f"{len(counts)} folders are too many to be classes. Name those that are yours by a table."
    told = f"{what}: {len(counts)} classes, {counts.total()} pictures"
    return Sighting(
        kind="images", place=place, what=told, files=counts.total(), options=options, lacking=lacking
    )  # fmt: skip


def _in_names(pictures: Sequence[str]) -> int | None:
    """Pictures whose names begin with a class; None where that is no rule."""
    found: dict[str, int] = defaultdict(int)
    for file in pictures:
        if match := _NAMED.fullmatch(PurePosixPath(file).stem):
            found[match["class"]] += 1
    named = sum(found.values())
    fits = 2 <= len(found) <= min(_MOST_CLASSES, named // 3) and 2 * named > len(pictures)
    return named if fits else None


def _nested(place: str, inner: Sequence[tuple[str, ...]], what: str) -> Sighting:
    """Classes above folders of people, or below folders of something else."""
    above: dict[str, set[str]] = defaultdict(set)
    for parts in inner:
        if len(parts) > 2:
            above[parts[1]].add(parts[0])
    first = {parts[0] for parts in inner}
    shared = [name for name, several in above.items() if len(several) > 1]
    if len(shared) == len(above) <= 20 and len(first) > 1:
        options = {"group": r"((?P<site>[^/]+)/(?P<class>[^/]+)/[^/]+)\.\w+$"}
        swapped = [parts[1:] for parts in inner]
        found = _classes(place, swapped, f"{what}, a folder a class below {len(first)} folders", options)
        why = ("The same classes lie in each folder above; which one it is becomes the column `site`.",)
    else:
        options = {"group": r"(?P<class>[^/]+)/(?P<case>[^/]+)/[^/]+$"}
        found = _classes(place, inner, f"{what}, a folder a class with a folder a case below", options)
        why = ("All pictures of one folder below a class are taken for one person's, and stay on one side.",)
    return Sighting(kind="images", place=place, what=found.what, files=found.files, options=found.options, why=why,
                    lacking=found.lacking)  # fmt: skip
