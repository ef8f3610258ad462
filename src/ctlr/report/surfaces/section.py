"""Decision surfaces: what each system says of the plane, and where its points lie."""

from __future__ import annotations

from ctlr.errors import DataError
from ctlr.report.findings import Findings, View
from ctlr.report.numbers.truth import class_densities
from ctlr.report.section import Section
from ctlr.report.surfaces.plot import Boundary, colours, surface_plot, true_boundary
from ctlr.report.surfaces.rows import Surface, drawn_systems, read_surface
from ctlr.report.theme.styles import MethodPanels
from ctlr.report.theme.svg import variable

__all__ = ["surfaces"]

_SIDES = ("train", "validation", "test")


def surfaces(found: Findings, view: View) -> Section | None:
    """None where images are no points in the plane, or no study left its surface."""
    tuning, contest, root = found.finished.config.tuning, view.contest, found.finished.root
    systems = drawn_systems(view, found.finished.searches, tuning.by_hand if tuning is not None else ())
    drawn: list[MethodPanels] = []
    boundaries: dict[str, Boundary | None] = {}
    densities, shown = class_densities(contest), 0
    classes: tuple[str, ...] = ()
    for index, (method, done) in enumerate(systems.items()):
        try:
            surface: Surface | None = read_surface(root / done.result.path)
        except DataError:
            surface = None  # the others are drawn
        if surface is None:
            continue
        classes = done.predictions["test"].classes
        panels = []
        for side in _SIDES:
            if side not in surface.points:
                continue
            if side not in boundaries:
                boundaries[side] = None if densities is None else true_boundary(surface, densities, side)
            right = done.result.scores.get(side, {}).get("accuracy")
            panels.append(
                surface_plot(
                    surface, side, classes=classes, boundary=boundaries[side],
                    error=None if right is None else 1 - right, name=f"{view.slug}-surface-{index}-{side}",
                )
            )  # fmt: skip
            shown = max(shown, len(surface.points[side][0]))
        drawn.append(MethodPanels(method, tuple(panels)))
    if not drawn:
        return None
    return Section(
        anchor=f"{view.slug}-surfaces", heading="Decision surfaces", template="surfaces/surfaces.html.j2",
        shows={
            "view": view, "methods": drawn, "known": densities is not None, "shown": shown,
            "seed": next(iter(systems.values())).result.study.seed,
            "classes": [(name, variable(colour)) for name, colour in zip(classes, colours(len(classes)), strict=True)],
        },
    )  # fmt: skip
