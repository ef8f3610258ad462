"""What was seen and what is proposed, for a terminal."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ctlr.data.columns import Column
from ctlr.proposal.looking import Looked, SeenDataset
from ctlr.proposal.timing import Fitted

__all__ = ["proposed", "seen"]

_COLUMNS = 16
_REASONS = 4


def seen(looked: Looked) -> Iterator[str]:
    """What lies in the folder, a line each."""
    for data in looked.datasets:
        yield from _dataset(data)
    yield from (f"Not taken: {other.what}." for other in looked.passed[:3])


def _dataset(data: SeenDataset) -> Iterator[str]:
    listing = data.listing
    yield f"{data.name}: {data.sighting.what} (kind: {data.spec.kind})"
    several = f" of {listing.subjects} subjects" if listing.subjects != len(listing.images) else ""
    yield f"  {len(listing.images)} images{several}{_told_sizes(data)}"
    if data.sessions:
        yield f"  sessions: {', '.join(f'{name or chr(45)} {count}' for name, count in data.sessions.items())}"
    if sides := data.sides:
        yield f"  sides that it gives: {', '.join(f'{side} {count}' for side, count in sides.items())}"
    for told, reasons in (("unusable", listing.faults), ("not read", listing.left_out)):
        for reason, count in Counter(each.reason for each in reasons).most_common(_REASONS):
            yield f"  {told}: {count}, {reason}"
    yield from (f"  {why}" for why in data.sighting.why)
    yield "  columns:"
    width = max((len(column.name) for column in data.columns), default=0)
    for column in data.columns[:_COLUMNS]:
        yield f"    {column.name:{width}}  {_column(column)}"
    if len(data.columns) > _COLUMNS:
        yield f"    and {len(data.columns) - _COLUMNS} more"


def _column(column: Column) -> str:
    missing = f"; {column.missing} of {column.images} missing" if column.missing else ""
    role = f" ({column.role})" if column.role else ""
    kind = {"number": "numbers", "classes": f"{len(column.classes)} classes"}.get(column.holds, column.holds)
    return f"{kind}{role}: {column.words}{missing}" if column.holds != "text" else f"{column.words}{role}{missing}"


def _told_sizes(data: SeenDataset) -> str:
    """`, 192 x 256 x 256 voxels of 1 x 1 x 1 mm, values 0 to 812`."""
    if not data.measured:
        return ""
    shapes = [each.shape for each in data.measured]
    unit = "voxels" if len(shapes[0]) == 3 else "pixels"
    low, middle, high = (
        " x ".join(f"{pick(each):.4g}" for each in zip(*shapes, strict=True)) for pick in (min, statistics.median, max)
    )
    told = f", {middle} {unit}" if low == high else f", {low} to {high} {unit}, usually {middle}"
    if spacings := [each.spacing for each in data.measured if each.spacing]:
        told += f" of {' x '.join(f'{statistics.median(each):.3g}' for each in zip(*spacings, strict=True))} mm"
    if unit == "pixels":
        told += ", in colour" if sum(each.colour for each in data.measured) > len(data.measured) / 20 else ", grey"
    if data.intensities is not None:
        told += f"; values {data.intensities[0]:.4g} to {data.intensities[2]:.4g}, middle {data.intensities[1]:.4g}"
    return told


def proposed(fitted: Fitted, minutes: float) -> Iterator[str]:
    """What is proposed, and why, a line each."""
    draft, choice = fitted.draft, fitted.draft.choice
    yield "Proposed"
    others = f" (others: {', '.join(choice.others[:8])}; `--target NAME`)" if choice.others else ""
    yield f"  target: {choice.why['target']}{others}"
    yield f"  source: {choice.why['source']}"
    yield f"  methods: {', '.join(draft.methods)}; self-supervised ones need no source"
    sizes = ", ".join(map(str, draft.sizes))
    yield f"  labelled subjects: {sizes}; {choice.why['sizes']}; {draft.seeds} seed{'s' * (draft.seeds > 1)}"
    if shape := draft.preprocess.get("shape"):
        spacing = f" of {draft.preprocess['spacing']:g} mm" if "spacing" in draft.preprocess else ""
        yield f"  images: {' x '.join(map(str, shape))}{spacing}"
    yield f"  training: {'; '.join(f'{stage} {_stage(told)}' for stage, told in draft.training.items())}"
    if choice.stratify:
        yield f"  sides balanced over: {', '.join(choice.stratify)}"
    over = fitted.seconds > 60 * minutes
    yield f"  time: at most some {_time(fitted.seconds)} on this machine, report included" + (
        f", more than {minutes:g} min: a smaller one would say nothing" if over else f", of {minutes:g} min"
    )
    if fitted.cut and not over:
        yield f"  cut for the time: {'; '.join(dict.fromkeys(fitted.cut))}"


def _stage(options: Mapping[str, Any]) -> str:
    """`16 epochs of 8 batches of 16`."""
    steps = f" of {options['steps_per_epoch']}" if "steps_per_epoch" in options else ""
    return f"{options['epochs']} epochs{steps}, batches of {options['batch_size']}"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
