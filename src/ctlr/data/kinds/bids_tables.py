"""Tables of a BIDS folder: participants.tsv, the sessions of a subject, and the units that JSON files beside them say.

A derivative at <raw>/derivatives/<pipeline> may leave each of them to <raw>, or to the <raw>/rawdata beside it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

from ctlr.data.listing import FolderReader
from ctlr.data.sources import open_regular
from ctlr.data.tsv import read_table
from ctlr.errors import DataError

__all__ = ["read_participants", "read_sessions", "read_units", "sessions_name"]

_UNITS = re.compile(r"[\w ./^%*°()\[\]-]{1,20}")
_NO_UNITS = {"n/a", "na", "none", "-"}
Rows = dict[str, dict[str, str]]


def read_participants(root: Path, folder: FolderReader) -> Rows:
    """Subject (with `sub-`) -> cells.

    Raises:
        DataError: There is no such table, or it cannot be used.
    """
    name = "participants.tsv"
    path = _files_of(root, name)[0]
    if path.parent == root and not folder.entries("", lambda entry: entry == name):
        if folder.faults:
            raise DataError(folder.faults[-1].reason, place=folder.faults[-1].place)
        raise DataError(
            f"{name}: a BIDS folder needs this table of its subjects.",
            told=f"{name}: a BIDS folder needs this table of its subjects, and {root.name!r} has none. "
            "Add it (participant_id and a column a target, separated by tabs), or correct `root`.",
        )
    if not os.path.lexists(path):
        raise DataError(
            f"{name}: neither it nor the raw dataset above it has this table. Add it.", place=repr(root.name)
        )
    return _by_label(path, name, key="participant_id", prefix="sub-")


def read_sessions(root: Path, subject: str) -> Rows:
    """Session (with `ses-`) -> cells; none where there is no such table.

    What a derivative's table says of a session adds to the raw dataset's, and overrides it.

    Raises:
        DataError: It cannot be used.
    """
    name = sessions_name(subject)
    visits: Rows = {}
    for path in reversed(_files_of(root, name)):
        if os.path.lexists(path):
            for visit, cells in _by_label(path, name, key="session_id", prefix="ses-").items():
                visits[visit] = visits.get(visit, {}) | cells
    return visits


def sessions_name(subject: str) -> str:
    """Where the table of a subject's sessions lies in its dataset."""
    return f"{subject}/{subject}_sessions.tsv"


def read_units(root: Path, subjects: Iterable[str], folder: FolderReader) -> dict[str, str]:
    """Column -> units, as the files beside the tables say them; what they do not say well is not known.

    A file that cannot be read is noted as left out.

    Raises:
        DataError: Two of them say different units of one column.
    """
    names = ["participants.json", "sessions.json"]
    names += [sessions_name(subject).replace(".tsv", ".json") for subject in subjects]
    units: dict[str, str] = {}
    for name in names:
        told = _units_in(_files_of(root, name)[0])
        if told is None:
            folder.leave_out(name, "it is no JSON file of columns: the units that it says are not known. Correct it.")
        for column, unit in (told or {}).items():
            if _spelled(units.setdefault(column, unit)) != _spelled(unit):
                raise DataError(
                    f"a column needs one unit in all tables; {column!r} has {units[column]!r} and {unit!r}. "
                    "Convert one.",
                    place=name,
                )
    return units


def _by_label(path: Path, name: str, *, key: str, prefix: str) -> Rows:
    """Rows of a table whose key may stand with or without its prefix."""
    rows = read_table(path, name=name, key=key)
    labelled = {prefix + label.removeprefix(prefix): cells for label, cells in rows.items()}
    if len(labelled) < len(rows):
        what = key.removesuffix("_id").replace("participant", "subject")
        twice = next(label for label in rows if f"{prefix}{label}" in rows)
        raise DataError(
            f"two lines are the same {what}, with and without `{prefix}`. Keep one.",
            place=name,
            told=f"{name}: {twice!r} and '{prefix}{twice}' are the same {what}. Keep one line.",
        )
    return labelled


def _units_in(path: Path) -> dict[str, str] | None:
    """None where the file is there, and cannot be read."""
    if not os.path.lexists(path):
        return {}
    try:
        with open_regular(path) as file:
            columns = json.loads(file.read().decode("utf-8-sig"))
        units = {
            str(name): about["Units"] for name, about in columns.items() if isinstance(about, dict) and "Units" in about
        }
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    told = {name: text.strip() for name, text in units.items() if isinstance(text, str)}
    return {name: text for name, text in told.items() if _UNITS.fullmatch(text) and text.lower() not in _NO_UNITS}


def _spelled(unit: str) -> str:
    """Year, years and Years are one unit; mg and Mg, m and ms are not."""
    return unit.casefold().removesuffix("s") if len(unit) > 3 else unit


def _files_of(root: Path, name: str) -> list[Path]:
    """A file of the dataset and of the raw datasets above it, the nearest first; one at least, there or not."""
    parents = [*Path(os.path.abspath(root)).parents, *root.resolve().parents]
    above = [folder.parent for folder in parents if folder.name == "derivatives"]
    places = [root, *(raw for parent in above for raw in (parent, parent / "rawdata"))]
    found = dict.fromkeys(place / name for place in places if os.path.lexists(place / name))
    return list(found) or [(above[0] if above else root) / name]
