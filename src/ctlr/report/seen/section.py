"""What the networks saw: each dataset after preprocessing, and through random views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ctlr.errors import CtlrError
from ctlr.report.findings import Findings
from ctlr.report.images import Stock
from ctlr.report.section import Section
from ctlr.report.seen.groups import grouped
from ctlr.report.seen.looks import Look, look
from ctlr.report.seen.traces import traces
from ctlr.report.seen.views import Views, read_views
from ctlr.report.theme.svg import Panel
from ctlr.specs import DataTask

__all__ = ["seen"]

_MOST = 8
"""Datasets that are drawn; of more, those that come first in the benchmark."""


@dataclass(frozen=True, kw_only=True)
class _Dataset:
    name: str
    words: str
    look: Look
    panels: tuple[Panel, ...]
    views: tuple[Views, ...]


def seen(found: Findings) -> Iterator[Section]:
    """Nothing where no images are left in the workspace, or where there is nothing to be seen of them: points."""
    known = [(name, stock) for name, stock in found.stocks.items() if stock.data.shown_as]
    shown = [each for number, (name, stock) in enumerate(known[:_MOST]) if (each := _shown(found, name, stock, number))]
    if shown:
        strict = found.finished.config.report.privacy == "strict" and not all(stock.data.public for _, stock in known)
        yield Section(
            anchor="seen", heading="What the networks saw", template="seen/seen.html.j2", hint=_hint(shown),
            shows={
                "datasets": shown, "heads": any(stock.data.shown_as == "slices" for _, stock in known),
                "strict": strict, "travels": not strict and not all(stock.data.public for _, stock in known),
                "more": [name for name, _ in known[_MOST:]],
            },
        )  # fmt: skip


def _hint(shown: Sequence[_Dataset]) -> str:
    """What a reader would open it for."""
    there = {
        "mean images": any(each.look.lines for each in shown), "signals": any(each.panels for each in shown),
        "random views": any(each.views for each in shown),
    }  # fmt: skip
    return ", ".join(what for what, known in there.items() if known)


def _shown(found: Findings, name: str, stock: Stock, number: int) -> _Dataset | None:
    """None where a file is damaged: the rest of the report does without."""
    groups = grouped(stock, _ends(found, stock))
    anchor = f"seen-{number}"
    try:
        curves = traces(stock, groups, name=anchor) if stock.data.shown_as == "traces" else []
        pictures = look(stock, groups) if stock.data.shown_as != "traces" else Look()
        views = [
            found_views
            for place, drawn in enumerate(found.finished.views)
            if drawn.data == name
            if (found_views := read_views(drawn, found.finished.root, name=f"{anchor}-views-{place}")) is not None
        ]
    except CtlrError:
        return None
    sides = " × ".join(map(str, stock.arrays.shape[1:]))
    voxels = {"slices": "voxels", "pictures": "pixels"}.get(stock.data.shown_as, "samples")
    spacing = f" of {stock.data.voxel:g} mm" if stock.data.voxel else ""
    what = "signals" if stock.data.shown_as == "traces" else "images"
    words = f"{stock.arrays.rows:,} {what} of {stock.arrays.subjects:,} subjects, {sides} {voxels}{spacing}."
    return _Dataset(name=name, words=words, look=pictures, panels=tuple(curves), views=tuple(views))


def _ends(found: Findings, stock: Stock) -> list[DataTask]:
    """What is learned of the dataset; classes first where pictures are sorted by them."""
    own = [end for end in found.ends if end.data.name == stock.data.name]
    return own if stock.data.shown_as == "slices" else sorted(own, key=lambda end: end.task.kind != "classification")
