"""One section a transfer, made of parts; before them, of several, the curves of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ctlr.report.findings import Findings, View
from ctlr.report.pairs.matrix import transfer_names
from ctlr.report.scores.curves import small_curves
from ctlr.report.scores.section import curves_of
from ctlr.report.section import Part, Saying, Section

__all__ = ["transfers"]


def transfers(parts: Sequence[Part]) -> Saying:
    """Sections whose parts say what they have to say of each transfer; folded where there are several."""

    def say(found: Findings) -> Iterator[Section]:
        shown = [view for view in found.views if view.rows.scores]
        names = transfer_names(found.views)
        if len(shown) > 1:
            yield _curves(found, shown)
        for view in found.views:
            said = [part for ask in parts if (part := ask(found, view)) is not None]
            yield Section(
                anchor=view.slug, title=view.heading,
                heading=names[view.slug] if len(shown) > 1 else view.heading,
                template="transfer/transfer.html.j2" if view.rows.scores else "", shows=said,
                folded=len(shown) > 1, hint=_hint(view),
                contents=tuple((part.anchor, part.heading) for part in said if part.template),
                tables=tuple(table for part in said for table in part.tables),
            )  # fmt: skip

    return say


def _curves(found: Findings, views: Sequence[View]) -> Section:
    """Every transfer's learning curves, small and side by side."""
    drawn = [curves_of(found, view, name=f"{view.slug}-small") for view in views]
    used = {method for curves in drawn for method in curves.methods}
    floors = [view.contest.floor for view in views if view.contest.floor]
    names = transfer_names(found.views)
    words = "Thin grey lines are baselines, which train no network on the target." if any(
        view.contest.references for view in views
    ) else ""  # fmt: skip
    if floors:
        words += f" The dashed line, ‘{floors[0]}’, sees no image."
    panels = [(view, names[view.slug], small_curves(curves)) for view, curves in zip(views, drawn, strict=True)]
    return Section(
        anchor="curves", heading="Learning curves", template="transfer/curves.html.j2", folded=False,
        shows={
            "panels": panels, "labels": [label for label in found.styles if label in used], "words": words.strip(),
        },
    )  # fmt: skip


def _hint(view: View) -> str:
    """Gains and losses that stand, counted."""
    counts = [
        (sum(row.stands and row.direction == way for row in view.rows.gains), word)
        for way, word in (("gain", "gain"), ("negative", "loss"))
    ]
    plural = {"gain": "gains", "loss": "losses"}
    said = [f"{count} {word if count == 1 else plural[word]}" for count, word in counts if count]
    return f"{' and '.join(said) or 'no difference'} shown" if view.rows.gains else ""
