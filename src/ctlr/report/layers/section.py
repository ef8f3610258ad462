"""Which layers of a network serve another task."""

from __future__ import annotations

from ctlr.report.findings import Findings, View
from ctlr.report.layers.curves import layer_table, layer_view
from ctlr.report.section import Section

__all__ = ["layers"]


def layers(found: Findings, view: View) -> Section | None:
    """None without a layer transfer; with one, its networks stand here, and in no other drawing of scores."""
    layers = layer_view(view.contest, view.rows)
    if layers is None:
        return None
    return Section(
        anchor=f"{view.slug}-layers", heading="Layer transfer", template="layers/layers.html.j2",
        shows={"layers": layers, "view": view}, tables=(layer_table(view.contest, view.rows),),
    )  # fmt: skip
