"""Electrodes by one name each, and montages: which differences between them are looked at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ctlr.data.kinds.signals.edf import Channel
from ctlr.errors import DataError, nearest
from ctlr.specs import MONTAGES

__all__ = ["Derivation", "derivations", "name_of", "used"]

_OLDER = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
"""Names of the 10-20 system that the 10-10 system changed."""
_REFERENCES = {"REF", "LE", "AR", "AVG", "AV", "CAR", "CE", "X"}
"""What stands behind the name of an electrode for the reference that all have in common."""


class Derivation(NamedTuple):
    """A row of a montage: the weighted sum of some channels."""

    name: str
    weights: dict[int, float]
    """By the place of the channel."""


def name_of(label: str) -> str:
    """The name under which a channel is found: `EEG FP1-REF`, `Fp1` and `FP1-LE` are FP1; T3 is T7; FP1-F7 stays so."""
    text = re.sub(r"^(EEG|POL)[ _:.]+", "", label.strip().upper())
    parts = [part.strip() for part in re.split(r"\s*[-–]\s*", text)]
    if len(parts) > 1 and parts[-1] in _REFERENCES:
        parts.pop()
    return "-".join(_OLDER.get(part, part) for part in parts)


def derivations(montage: str | Sequence[str], channels: Sequence[Channel]) -> list[Derivation]:
    """How a montage is made of a recording's channels.

    Args:
        montage: Name of one in `MONTAGES`, or its rows: electrodes as they were recorded, or differences `A-B`.
        channels: Of the recording, annotations left out.

    Returns:
        One a row of the montage, which weighs places in `channels`.

    Raises:
        DataError: Electrodes are missing, or one is there twice.
    """
    found: dict[str, int] = {}
    twice: set[str] = set()
    for place, channel in enumerate(channels):
        name = name_of(channel.label)
        if found.setdefault(name, place) != place:
            twice.add(name)
    rows = MONTAGES[montage] if isinstance(montage, str) else montage
    made, missing = list[Derivation](), dict[str, None]()
    for row in rows:
        name = name_of(row)
        ends = [name] if name in found else name.split("-")
        missing.update(dict.fromkeys(end for end in ends if end not in found))
        if both := twice.intersection(ends):
            raise DataError(
                f"an electrode must be there once; {min(both)} is there twice. Rename a channel, or choose others with "
                "`montage`."
            )
        signs = zip(ends, (1.0, -1.0), strict=False)
        made.append(Derivation(row, {found[end]: sign for end, sign in signs if end in found}))
    if missing:
        raise DataError(
            f"channels of the montage are missing: {', '.join(missing)}. "
            f"{nearest(next(iter(missing)), found)} Choose another `montage`."
        )
    if montage == "average":
        share = {place: 1 / len(made) for row in made for place in row.weights}
        made = [
            Derivation(row.name, {place: row.weights.get(place, 0.0) - part for place, part in share.items()})
            for row in made
        ]
    return made


def used(rows: Sequence[Derivation]) -> list[int]:
    """Places of the channels that a montage looks at, ascending."""
    return sorted({place for row in rows for place in row.weights})
