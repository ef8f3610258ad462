"""Drawings of each pair's images on their joint components, for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctlr.report.distances.drawings import distance_drawings
from ctlr.report.pairs.rows import Pair, pair_of
from ctlr.report.theme.svg import Panel
from ctlr.specs import TransferScores
from ctlr.transferability.pictures import read_pictures

__all__ = ["PairPictures", "pair_pictures"]

_SHOWN = ("explained-variance", "components-by-class", "tsne-by-class")
"""Of datasets that are not public no eigen-image is drawn: with few subjects it is nearly a picture of one, and a
report travels."""


@dataclass(frozen=True)
class PairPictures:
    """Drawings of one pair."""

    heading: str
    panels: tuple[Panel, ...]


def pair_pictures(
    transfers: Sequence[TransferScores], names: Mapping[Pair, str], root: Path
) -> tuple[PairPictures, ...]:
    """Draw each pair whose distances were measured.

    Args:
        transfers: Scores of the transfers.
        names: Of the pairs.
        root: Of the workspace.

    Raises:
        WorkspaceError: A file with what to draw is missing or damaged.
    """
    return tuple(
        PairPictures(names[pair_of(each.source, each.target)], _drawn(each, root, f"pictures-{number}-"))
        for number, each in enumerate(transfers)
        if each.pictures
    )


def _drawn(scores: TransferScores, root: Path, prefix: str) -> tuple[Panel, ...]:
    ends = (scores.source, scores.target)
    one = scores.source.data.name == scores.target.data.name
    source, target = (end.task.name if one else end.data.name for end in ends)
    found = distance_drawings(read_pictures(root / scores.pictures), source=source, target=target, prefix=prefix)
    public = all(end.data.public for end in ends)
    shown = ("eigen-images", *_SHOWN) if public else _SHOWN
    return tuple(found[name] for name in shown if name in found)
