"""Recognise BIDS folders, raw and derivative, by the names in them."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from ctlr.data.glance import Glance, Sighting
from ctlr.data.kinds.bids_tables import read_participants
from ctlr.data.kinds.scans import ENDINGS, scan_of
from ctlr.data.listing import FolderReader
from ctlr.data.sources import open_regular
from ctlr.errors import DataError

__all__ = ["sightings"]

_FOLDER = re.compile(r"sub-[A-Za-z0-9]+")
_IMAGE = re.compile(r"(?P<prefix>[^/._-]*)(?P<rest>sub-[A-Za-z0-9]+(_.*)?_T1w)", re.DOTALL)
_VERSION = ("space", "desc", "res", "den", "cohort")
"""Entities in which the versions of one scan differ that a pipeline makes."""
_REGISTERED = "MNI"
_GREY = "mwp1"
"""What CAT12 puts before the names of modulated grey matter in MNI space."""

Version = tuple[str, tuple[tuple[str, str], ...]]
"""What stands before `sub-`, and the entities of `_VERSION`."""


@dataclass
class _Found:
    """Images of one BIDS folder."""

    subjects: dict[Version, set[str]]
    files: Counter[Version]


def sightings(seen: Glance) -> Iterator[Sighting]:
    """Each folder with images of `sub-*` in it; what lies in one that can be read is told with it."""
    tops = sorted({place for folder in seen.folders if (place := _top(folder)) is not None}, key=_rank)
    found = {top: images for top in tops if (images := _images(seen.below(top))).files}
    readable: list[str] = []
    for top, images in found.items():
        inside = [other for other in found if other != top and other.startswith(f"{top}/" if top else "")]
        within = [other for other in readable if top.startswith(f"{other}/" if other else "")]
        sighting = _sighted(seen, top, images)
        if within and not sighting.lacking:  # a version of the same people: for who names it
            continue
        others = (f"{each} holds versions of the same scans: name that folder to read them." for each in inside)
        yield replace(sighting, why=(*sighting.why, *others))
        if not sighting.lacking:
            readable.append(top)


def _rank(top: str) -> tuple[int, str]:
    return top.count("/") + bool(top), top


def _top(folder: str) -> str | None:
    """The folder that holds `sub-*`, above or at a path; None where nothing of it is so called."""
    parts = folder.split("/")
    at = next((number for number, part in enumerate(parts) if _FOLDER.fullmatch(part)), None)
    return None if at is None else "/".join(parts[:at])


def _sighted(seen: Glance, top: str, found: _Found) -> Sighting:
    """What one folder with `sub-*` in it is."""
    what, named = _named(seen, top), top or "the folder"
    version, why = _chosen(found)
    people = len(found.subjects[version])
    lacking = ""
    try:
        listed = read_participants(seen.root / top, FolderReader(seen.root / top))
        known = len(found.subjects[version] & set(listed))
        if not known:
            lacking = (
                "participants.tsv names none of the subjects that have an image. Write their ids as the folders are "
                "called (0012 is not 12)."
            )
    except DataError as error:
        lacking = f"{error} It has participant_id and a column a target."
    told = f"{what} in {named}: {people} subjects with T1-weighted images"
    return Sighting(
        kind="bids", place=top, what=told, files=found.files[version], options=_filters(found, version),
        why=tuple(why), lacking=lacking, near=0.9,
    )  # fmt: skip


def _images(below: Glance) -> _Found:
    """T1-weighted images at their places, by version."""
    found = _Found(defaultdict(set), Counter())
    for file in below.files:
        path = PurePosixPath(file)
        folders = path.parts[:-1]
        in_session = len(folders) == 3 and folders[1].startswith("ses-")
        if not (len(folders) == 2 or in_session) or folders[-1] != "anat" or not path.name.lower().endswith(ENDINGS):
            continue
        match = _IMAGE.match(path.name.partition(".")[0])
        if match is None or not _FOLDER.fullmatch(folders[0]):
            continue
        scan = scan_of(path.name.removeprefix(match["prefix"]), file, "")
        entities = tuple((key, scan.entities[key]) for key in _VERSION if key in scan.entities)
        version = (match["prefix"], entities)
        found.subjects[version].add(folders[0])
        found.files[version] += 1
    return found


def _chosen(found: _Found) -> tuple[Version, list[str]]:
    """The version that is read, with the reason where there are several."""
    most = max(map(len, found.subjects.values()))
    full = [version for version, subjects in found.subjects.items() if 2 * len(subjects) > most]

    def rank(version: Version) -> tuple[bool, bool, bool, int]:
        prefix, entities = version
        registered = prefix == _GREY or dict(entities).get("space", "").startswith(_REGISTERED)
        return (not registered, bool(prefix) and prefix != _GREY, dict(entities).get("desc") != "preproc",
                len(entities))  # fmt: skip

    best = min(full, key=rank)
    if len(found.files) == 1:
        return best, []
    others = ", ".join(_spelled(version) for version in found.files if version != best)
    reason = (
        "it is registered to a template, so that every voxel shows the same place"
        if not rank(best)[0]
        else "it is the plainest"
    )
    return best, [f"Of several versions of a scan {_spelled(best)} is read, since {reason}; there are also {others}."]


def _spelled(version: Version) -> str:
    prefix, entities = version
    parts = ([prefix] if prefix else []) + [f"{key}-{value}" for key, value in entities]
    return " ".join(parts) or "the plain one"


def _filters(found: _Found, version: Version) -> dict[str, Any]:
    """Options that choose a version, no more than are needed."""
    prefix, entities = version
    filters: dict[str, Any] = {"prefix": prefix} if prefix else {}
    others = [dict(other) for before, other in found.files if before == prefix and other != entities]
    for key, value in entities:
        if any(other.get(key) != value for other in others):
            others = [other for other in others if other.get(key) == value]
            if key in ("space", "desc"):
                filters[key] = value
            else:
                filters.setdefault("entities", {})[key] = value
    return filters


def _named(seen: Glance, top: str) -> str:
    """`a BIDS dataset`, or what its description says made it."""
    try:
        with open_regular(seen.root / top / "dataset_description.json") as file:
            about = json.loads(file.read().decode("utf-8-sig"))
        made = about.get("GeneratedBy") or []
        name = f"{made[0]['Name']} {made[0].get('Version', '')}".strip() if made else ""
        derived = about.get("DatasetType") == "derivative"
    except (OSError, ValueError, AttributeError, LookupError, TypeError, RecursionError):
        name, derived = "", False
    derived = derived or "derivatives" in (seen.root.absolute() / top).parts
    if name and derived and name.isprintable():
        return f"a BIDS derivative by {name[:60]}"
    return "a BIDS derivative" if derived else "a BIDS dataset"
