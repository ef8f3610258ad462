"""What to say of a folder that nothing recognises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ctlr.data.glance import Glance, Sighting
from ctlr.specs import DATASETS, DatasetSpec

__all__ = ["refusal"]

_SHOWN = 6
_LAYOUTS = 3


def refusal(folder: Path, seen: Glance, sightings: Sequence[Sighting]) -> str:
    """What is there, what it is nearest to, what to change, and three layouts that are known.

    Args:
        folder: As the user named it.
        seen: What lies there.
        sightings: What it might be, but for what it lacks; the nearest first.
    """
    return "\n".join(_lines(folder, seen, sightings))


def _lines(folder: Path, seen: Glance, sightings: Sequence[Sighting]) -> Iterator[str]:
    yield f"{folder} is not a folder that CTLR can read as it is."
    yield f"What is there: {_told(seen)}."
    nearest = sightings[0] if sightings else None
    if nearest is not None:
        place = f"{nearest.place}: " if nearest.place else ""
        yield f"Nearest to it is `kind: {nearest.kind}` ({nearest.what})."
        yield f"What to change: {place}{nearest.lacking}"
    else:
        yield "What to change: bring images into one of the layouts below, or name the folder that holds them."
    yield "Layouts that are known:"
    for kind in _known(nearest):
        yield f"  {kind.about()}"
        yield from (f"    {line}" for line in kind.layout.splitlines())


def _told(seen: Glance) -> str:
    """`12 files, 3 folders deep: 8 .dcm, 4 .txt; e.g. a/b/1.dcm`."""
    if not seen.files:
        return "no file"
    count = f"more than {len(seen.files)}" if seen.more else f"{len(seen.files)}"
    endings = [f"{number} {ending or 'without an ending'}" for ending, number in seen.endings.items()]
    more = f" and {len(endings) - _SHOWN} more endings" if len(endings) > _SHOWN else ""
    deep = f", {seen.depth} folder{'s' * (seen.depth != 1)} deep" if seen.depth else ""
    step = max(1, len(seen.files) // 3)
    files = f"{count} file{'s' * (len(seen.files) != 1)}"
    return f"{files}{deep}: {', '.join(endings[:_SHOWN])}{more}; e.g. {', '.join(seen.files[::step][:3])}"


def _known(nearest: Sighting | None) -> list[type[DatasetSpec]]:
    """Three kinds that have a layout, the nearest first."""
    kinds = [kind for kind in DATASETS.values() if kind.layout]
    first = [kind for kind in kinds if nearest is not None and DATASETS[nearest.kind] is kind]
    return [*first, *(kind for kind in kinds if kind not in first)][:_LAYOUTS]
