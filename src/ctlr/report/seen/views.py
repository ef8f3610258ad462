"""Views side by side: an image as it is, then what training makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctlr.errors import DataError
from ctlr.report.seen.looks import Line
from ctlr.report.theme.raster import strip, window
from ctlr.report.theme.svg import MUTED, SERIES, Panel, canvas, panel
from ctlr.specs import DrawnViews

__all__ = ["Views", "read_views"]

Floats = NDArray[np.float32]
_CURVES = 1
_POINTS = 160


@dataclass(frozen=True, kw_only=True)
class Views:
    """One kind of views of a dataset."""

    words: str
    seen_by: str
    more: int
    """Kinds of views that come after it and are not drawn."""
    lines: tuple[Line, ...] = ()
    panels: tuple[Panel, ...] = ()


def read_views(drawn: DrawnViews, root: Path, *, name: str) -> Views | None:
    """Lay out what lies in the workspace; None where it is no longer there.

    Raises:
        DataError: The file is damaged.
    """
    file = root / drawn.path / "views.npz"
    if not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as found:
            images, views = found["images"].astype(np.float32), found["views"].astype(np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{drawn.path}/views.npz is damaged: {error}. Delete that folder: it is drawn anew.") from error
    seen_by = ", ".join(drawn.seen_by)
    if images.ndim == 3:
        pairs = enumerate(zip(images[:, 0], views[:, :_CURVES, 0], strict=True))
        panels = [_curves(signal, own, f"{name}-{number}") for number, (signal, own) in pairs]
        return Views(words=drawn.words, seen_by=seen_by, more=drawn.more, panels=tuple(panels))
    limits = window(images)
    alt = f"An image as it is stored, then {views.shape[1]} views of it: {drawn.words}."
    lines = [Line("", strip([image, *own], limits, alt)) for image, own in zip(images, views, strict=True)]
    return Views(words=drawn.words, seen_by=seen_by, more=drawn.more, lines=tuple(lines))


def _curves(signal: Floats, views: Floats, name: str) -> Panel:
    step = max(1, len(signal) // _POINTS)
    with canvas(300, 170, left=40, right=8, top=8, bottom=40) as axes:
        axes.plot(np.arange(0, len(signal), step), signal[::step], color=MUTED, linewidth=2)
        for number, view in enumerate(views):
            axes.plot(np.arange(0, len(signal), step), view[::step], color=SERIES[1 + number], linewidth=1.1)
        axes.set_xlabel("Sample (channel 1)")
        return panel(axes, name=name, alt="A signal as it is stored (grey), and a view of it (in colour).")
