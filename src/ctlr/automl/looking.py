"""What a folder of pictures holds, and what is wrong with it, before anything is searched."""

from __future__ import annotations

import contextlib
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctlr.automl.guidance import Guidance
from ctlr.data.inputs import check_inputs
from ctlr.data.kinds.image_cases import index_cases
from ctlr.data.kinds.images import index
from ctlr.data.listing import IndexedImage, Listing
from ctlr.data.picture import measure_picture
from ctlr.data.preprocess import preprocess
from ctlr.data.reader import Progress
from ctlr.data.splits import given_sides
from ctlr.data.store import read_table
from ctlr.data.strata import is_missing
from ctlr.data.summary import summarise
from ctlr.data.targets import read_targets
from ctlr.data.tsv import number
from ctlr.errors import ConfigError, DataError
from ctlr.specs import DataTask, ImagesSpec, Measured, PreprocessSpec, StoredArrays, TargetSummary, TaskSpec
from ctlr.workspace import Workspace

__all__ = ["Looked", "look"]

_SAMPLED = 64
"""Pictures of which size and colours are read."""
_SIDES = (32, 64)
"""Pixels between which a proposal stays: networks need the one, a laptop's patience the other."""
_FEW = 10
"""Pictures of a class below which nothing can be said of it."""
_UNEQUAL = 5
"""Times that the most frequent class may be as frequent as the rarest before accuracy misleads."""
_VALUE = re.compile(r"; (this has|got) [^.;]*(?=\.)")
"""What a reason says of a single picture."""
_NUMBERS = 20
"""Different values from which a column of numbers is no list of classes."""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A folder that was looked at, its pictures stored.

    Attributes:
        folder: Of the pictures.
        data: How they are read, and brought to one shape.
        task: What is predicted.
        stored: As arrays, with what was left out and why.
        summary: Of the target.
        counts: Subjects (pictures, where nobody has several) that may be tested, validate and train: all of them at
            the first place, those of given sides at the others; -1 where none is given.
        sizes: Median (height, width) of the files.
        warnings: What weakens whatever comes out.
    """

    folder: Path
    data: ImagesSpec
    task: TaskSpec
    stored: StoredArrays
    summary: TargetSummary
    counts: tuple[int, int, int]
    sizes: tuple[int, int]
    warnings: tuple[str, ...]


def look(
    folder: Path, guidance: Guidance, workspace: Workspace, *, workers: int = 1, progress: Progress | None = None
) -> Looked:
    """Read every picture once and store it, look for copies, count what there is of the target.

    Damaged pictures are left out and told; pictures that are copies of one another, or show a part of one another,
    count as one subject.

    Raises:
        ConfigError: The target or the metric does not fit.
        DataError: The folder cannot be used.
        LeakageError: A subject stands on two of the given sides, or a column of `inputs` tells the target.
    """
    name = "pictures"
    told: dict[str, object] = {}
    if guidance.table is not None:
        told = {"table": guidance.table, "file_column": guidance.file_column, "group_column": guidance.group_column}
    base = ImagesSpec.model_validate({"name": name, "root": str(folder.resolve()), **told})
    listing = index_of(base)
    sizes, grey = _sample(listing)
    side = guidance.side or min(max(round(statistics.median(sizes) / 8) * 8, _SIDES[0]), _SIDES[1])
    task = _task(listing.images, guidance)
    data = base.model_copy(
        update={
            "copies": "together",
            "preprocess": PreprocessSpec(
                shape=(side, side), channels=1 if grey else 3, normalise="percentile", on_bad_subject="exclude"
            ),
        }
    )
    stored = preprocess(data, workspace, workers=workers, progress=progress)
    table = read_table(stored, workspace)
    end = DataTask(data=data, task=task)
    summary = summarise(table, end, stored.units)
    if guidance.metric is None and task.kind == "classification" and _unequal(summary):
        task = task.model_copy(update={"metric": "balanced_accuracy"})
    sides = given_sides(table, name)
    targets = read_targets(table, task, name)
    check_inputs(table, task, targets)
    known = targets.known
    subjects = table.subject.codes
    given = [len(np.unique(subjects[known & (sides == each)])) for each in ("test", "val")]
    total = len(np.unique(subjects[known]))
    counts = (total, *(count or -1 for count in given))
    return Looked(
        folder=folder, data=data, task=task, stored=stored, summary=summary, counts=(counts[0], counts[1], counts[2]),
        sizes=sizes, warnings=tuple(_warnings(summary, stored)),
    )  # fmt: skip


def index_of(spec: ImagesSpec) -> Listing:
    """List the pictures.

    Raises:
        DataError: There is none.
    """
    from ctlr.data.listing import FolderReader

    listing = index_cases(spec, FolderReader(Path(spec.root))) if spec.described else index(spec)
    if not listing.images:
        raise DataError("no picture can be used. Name a folder with one folder a class.", place=str(spec.root))
    return listing


def _sample(listing: Listing) -> tuple[tuple[int, int], bool]:
    """Median size, and whether there is no colour."""
    step = max(1, len(listing.images) // _SAMPLED)
    seen: list[Measured] = []
    for image in listing.images[::step]:
        with contextlib.suppress(DataError):
            seen.append(measure_picture(Path(listing.root) / image.file))
    if not seen:
        raise DataError("none of its pictures can be read.", place=str(listing.root))
    height, width = (int(statistics.median(each)) for each in zip(*(picture.shape for picture in seen), strict=True))
    return (height, width), not any(picture.colour for picture in seen)


def _task(images: Sequence[IndexedImage], guidance: Guidance) -> TaskSpec:
    looks = _looks_a_number(images, "target", guidance.target)
    regression = looks if guidance.regression is None else guidance.regression
    return TaskSpec.model_validate(
        {
            "name": "target", "target": guidance.target, "kind": _kind(regression),
            "metric": guidance.metric or ("mae" if regression else "accuracy"), "inputs": list(guidance.inputs),
            "also": tuple(
                {"target": name, "kind": _kind(_looks_a_number(images, "also", name))} for name in guidance.also
            ),
        }
    )  # fmt: skip


def _kind(regression: bool) -> str:
    return "regression" if regression else "classification"


def _looks_a_number(images: Sequence[IndexedImage], option: str, column: str) -> bool:
    cells = [image.columns.get(column) for image in images]
    known = [str(cell) for cell in cells if cell is not None and not is_missing(str(cell))]
    if not known:
        columns = sorted({name for image in images[:1000] for name in image.columns})
        raise ConfigError(f"`{option}: {column}`: no picture has it. There are: {', '.join(columns) or 'no columns'}.")
    return len(set(known)) >= _NUMBERS and all(map(_is_number, known))


def _is_number(cell: str) -> bool:
    try:
        return number(cell) is not None
    except ValueError:
        return False


def _unequal(summary: TargetSummary) -> bool:
    counts = sorted(summary.classes.values())
    return len(counts) > 1 and counts[-1] > _UNEQUAL * max(counts[0], 1)


def _warnings(summary: TargetSummary, stored: StoredArrays) -> Iterator[str]:
    for reason, count in Counter(_VALUE.sub("", each.reason) for each in stored.excluded).most_common():
        yield f"{count} left out: {reason}"
    if stored.joined:
        yield (
            f"{stored.joined} pictures are copies of others, or show a part of them: they count as one subject with "
            "those, and stand on one side."
        )
    if stored.moved:
        yield (
            f"A leak between the given sides: {stored.moved} pictures are copies of others on a side that is tested or "
            "validated on, and were taken to that side."
        )
    if few := [f"{name} {count}" for name, count in summary.classes.items() if count < _FEW]:
        yield f"Fewer than {_FEW} pictures of a class: {', '.join(few)}. Little can be said of them; collect more."
    if _unequal(summary):
        ordered = sorted(summary.classes.items(), key=lambda each: each[1])
        (rare, least), (common, most) = ordered[0], ordered[-1]
        yield f"{common} has {most} pictures and {rare} {least}: balanced accuracy counts every class alike."
    yield from summary.warnings
