"""Recognise volumes beside a table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from ctlr.data.glance import Glance, Sighting, ending_of
from ctlr.data.kinds.scans import ENDINGS
from ctlr.data.kinds.tables_seen import Labels, labels_of, tables_in, visits

__all__ = ["sightings"]

_OTHERS = (".img", ".hdr", ".mgz", ".mgh", ".mnc", ".nrrd", ".mha", ".dcm")
_NO_MASK = re.compile(r"mask(?!ed)|seg|label|lesion|fseg", re.I)
"""In the names of what is drawn over images."""


def sightings(seen: Glance) -> Iterator[Sighting]:
    """The volumes below a folder that a table there tells of."""
    volumes = [file for file in seen.files if file.lower().endswith(ENDINGS)]
    others = Counter(ending_of(file) for file in seen.files if ending_of(file) in _OTHERS)
    tables = tables_in(seen)
    if not volumes:
        if others:
            ending, count = others.most_common(1)[0]
            yield Sighting(
                kind="volumes", what=f"{count} volumes ending in {ending}", files=count,
                lacking=f"files ending in {ending} are not read. Convert them to .nii.gz, with nibabel or dcm2niix.",
            )  # fmt: skip
        return
    labels = labels_of(seen.root, tables, volumes, folders=True)
    if labels is None:
        lacking = "a CSV or TSV file is needed with a line a volume: a column that names it, and what is known of it."
        if tables:
            lacking = f"none of {len(tables)} tables names half of its lines after a volume or its folder. {lacking}"
        yield Sighting(kind="volumes", what=f"{len(volumes)} volumes", files=len(volumes), lacking=lacking)
        return
    yield _described(labels, volumes)


def _described(labels: Labels, volumes: Sequence[str]) -> Sighting:
    options: dict[str, Any] = {"table": labels.table, "file_column": labels.file_column}
    why = []
    lines = {row[labels.file_column]: files for row, files in zip(labels.rows, labels.named, strict=True) if files}
    if any(len(files) > 1 for files in lines.values()):
        pattern, others = _pattern(lines)
        options["files"] = pattern
        why.append(f"Of several volumes a line {pattern} is read; there are also {', '.join(others)}.")
    people = ""
    if labels.group_column:
        options["group_column"] = labels.group_column
        people = labels.group_column
    elif expression := visits(list(lines)):
        options["group"] = expression
        people = "what stands before the number of the visit"
    if people:
        why.append(f"All scans of one person stay on one side: {people} says whose they are.")
    named = f"{len(lines)} of {len(labels.rows)} lines name one by {labels.file_column!r}"
    what = f"volumes with a table, {labels.table}: {named}"
    return Sighting(kind="volumes", what=what, files=len(lines), options=options, why=tuple(why))


def _pattern(lines: dict[str, list[str]]) -> tuple[str, list[str]]:
    """Ending that chooses one volume of each line, as far as one does, and the others."""
    endings: Counter[str] = Counter()
    for name, files in lines.items():
        endings.update({_ending(name, file) for file in files})
    single = {
        ending: sum(sum(_ending(name, file) == ending for file in files) == 1 for name, files in lines.items())
        for ending in endings
    }
    best = min(endings, key=lambda ending: (-single[ending], bool(_NO_MASK.search(ending)), len(ending), ending))
    return best, [ending for ending in endings if ending != best][:5]


def _ending(name: str, file: str) -> str:
    """`*_gfc.nii.gz`: what follows the line's name in that of the file."""
    own = PurePosixPath(file).name
    return f"*{own.partition(name)[2]}" if name in own else own
