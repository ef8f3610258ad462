"""Curves as inline SVG, with colours from the page's style sheet: rows first, then shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

__all__ = ["Point", "best_so_far", "curve", "history", "scatter", "thinned"]

_WIDTH, _HEIGHT = 640, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 10, 26
_MOST = 1500
"""Points of a drawing."""

Point = tuple[float, float]


def best_so_far(values: Sequence[float], *, maximises: bool) -> list[Point]:
    """(position from 1, value) of every value that is better than all before, and of the last one."""
    found: list[Point] = []
    for place, value in enumerate(values, 1):
        if not found or (value > found[-1][1] if maximises else value < found[-1][1]):
            found.append((place, value))
    if found and found[-1][0] != len(values):
        found.append((len(values), found[-1][1]))
    return found


def thinned(points: Sequence[Point], most: int = _MOST) -> list[Point]:
    """As many points as a drawing shows, evenly, the last one among them."""
    step = max(1, math.ceil(len(points) / most))
    return [*points[::step], *([points[-1]] if points and (len(points) - 1) % step else [])]


@dataclass(frozen=True)
class _Frame:
    """Where numbers lie on a drawing."""

    low: Point
    high: Point

    @classmethod
    def around(cls, points: Sequence[Point]) -> _Frame:
        xs, ys = zip(*points, strict=True)
        low, high = min(ys), max(ys)
        room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
        return cls((min(xs), low - room), (max(max(xs), min(xs) + 1), high + room))

    def place(self, point: Point) -> tuple[float, float]:
        x = (point[0] - self.low[0]) / (self.high[0] - self.low[0])
        y = (point[1] - self.low[1]) / (self.high[1] - self.low[1])
        return (_LEFT + x * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - y * (_HEIGHT - _TOP - _BOTTOM))


def history(values: Sequence[float], *, metric: str, maximises: bool) -> Markup:
    """The values of trials in the order in which they ended, and the best so far as a stair."""
    if not values:
        return Markup("")
    points = [(float(place), value) for place, value in enumerate(values, 1)]
    shown, best = _calm(points), best_so_far(values, maximises=maximises)
    frame = _Frame.around([*shown, *best])
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2"/>' for x, y in map(frame.place, thinned(shown)))
    stair: list[Point] = []
    for point in best:
        stair += [(point[0], stair[-1][1])] if stair else []
        stair.append(point)
    return _drawing(
        frame, f'<g class="dots">{dots}</g>{_line(frame, stair, "best")}', metric, "trials ended",
        f"{metric} of {len(values)} trials, best {best[-1][1]:.4g}",
    )  # fmt: skip


def _calm(points: Sequence[Point]) -> list[Point]:
    """Without the worst tenth where it would press all others into a line."""
    ys = sorted(y for _, y in points)
    low, middle, high = (ys[int(share * (len(ys) - 1))] for share in (0.05, 0.5, 0.95))
    reach = 3 * (high - low) or abs(middle) or 1.0
    return [point for point in points if low - reach <= point[1] <= high + reach]


def curve(rows: Sequence[dict[str, float]], names: Sequence[str]) -> Markup:
    """Numbers of epochs, a line each; rows without a number are passed over."""
    lines = {name: [(row["epoch"], row[name]) for row in rows if name in row] for name in names}
    lines = {name: thinned(points) for name, points in lines.items() if points}
    if not lines:
        return Markup("")
    frame = _Frame.around([point for points in lines.values() for point in points])
    drawn = "".join(_line(frame, points, f"line{place}") for place, points in enumerate(lines.values()))
    legend = "".join(
        f'<text class="line{place}" x="{_LEFT + 8 + 150 * place}" y="{_TOP + 12}">{escape(name)}</text>'
        for place, name in enumerate(lines)
    )
    last = ", ".join(f"{name} {points[-1][1]:.4g}" for name, points in lines.items())
    return _drawing(frame, drawn + legend, "", "epoch", f"Curve up to epoch {rows[-1]['epoch']:g}: {last}")


def scatter(truth: Sequence[float], said: Sequence[float], unit: str = "") -> Markup:
    """Predictions against true values, with the line on which they are equal."""
    points = list(zip(truth, said, strict=True))
    if not points:
        return Markup("")
    low, high = max(min(truth), min(said)), min(max(truth), max(said))
    frame = _Frame.around(points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2"/>' for x, y in map(frame.place, thinned(points)))
    equal = _line(frame, [(low, low), (high, high)], "best") if low < high else ""
    of = f" ({unit})" if unit else ""
    return _drawing(
        frame, f'<g class="dots">{dots}</g>{equal}', f"predicted{of}", f"true{of}",
        f"Predictions of {len(points)} images against their true values",
    )  # fmt: skip


def _line(frame: _Frame, points: Sequence[Point], style: str) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(frame.place, points))
    if len(points) == 1:
        x, y = frame.place(points[0])
        return f'<circle class="{style} dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
    return f'<polyline class="{style}" points="{places}"/>'


def _drawing(frame: _Frame, inside: str, vertical: str, horizontal: str, words: str) -> Markup:
    parts = []
    for share in (0.0, 0.5, 1.0):
        value = frame.low[1] + share * (frame.high[1] - frame.low[1])
        _, y = frame.place((frame.low[0], value))
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    bottom = _HEIGHT - 6
    parts.append(f'<text x="{_LEFT}" y="{bottom}">{frame.low[0]:g}</text>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{bottom}" text-anchor="end">{frame.high[0]:g} {horizontal}</text>')
    title = f'<text x="{_LEFT + 8}" y="{_TOP + 12}">{escape(vertical)}</text>' if vertical else ""
    return Markup(
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(words)}">'
        f"<title>{escape(words)}</title>{''.join(parts)}{inside}{title}</svg>"
    )
