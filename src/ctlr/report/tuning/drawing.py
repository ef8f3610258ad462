"""Small drawings written by hand: a hundred trials in two kilobytes, where a plotting library takes eight and more.

Colours are the page's variables, set by the classes of `tuning.css`; matplotlib's locators choose the ticks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Literal

from matplotlib.ticker import LogLocator, MaxNLocator

from ctlr.report.theme.svg import Panel

__all__ = ["Axis", "Drawing", "Frame", "dots", "marks", "plain", "px", "steps"]

MARKERS = {
    "o": "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "s": "m-3.5-3.5h7v7h-7z",
    "D": "m0-5l5 5l-5 5l-5-5z",
    "^": "m0-4.5l4.7 8.2h-9.4z",
    "v": "m0 4.5l4.7-8.2h-9.4z",
    "P": "m-1.7-4.7h3.4v3h3v3.4h-3v3h-3.4v-3h-3v-3.4h3z",
    "*": "m0-5.4l1.5 3.4l3.7.4l-2.8 2.5l.8 3.6l-3.2-1.9l-3.2 1.9l.8-3.6l-2.8-2.5l3.7-.4z",
    "X": "m-4.4-2.6l1.8-1.8l2.6 2.6l2.6-2.6l1.8 1.8l-2.6 2.6l2.6 2.6l-1.8 1.8l-2.6-2.6l-2.6 2.6l-1.8-1.8l2.6-2.6z",
}
"""Outlines about their middle, by the name that styles give a mark."""


def px(value: float) -> str:
    """A place to a tenth of a pixel."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def plain(value: float) -> str:
    """`0.01`, `1e−5`, for ticks."""
    text = f"{value:.3g}"
    mantissa, exponent, power = text.partition("e")
    return (f"{mantissa}e{int(power)}" if exponent else text).replace("-", "−")


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Numbers along a line, from `low` to `high`."""

    low: float
    high: float
    logarithmic: bool = False
    ticks: tuple[tuple[float, str], ...] = ()

    @classmethod
    def of(cls, low: float, high: float, *, logarithmic: bool = False, whole: bool = False, count: int = 4) -> Axis:
        """With round ticks, about `count` of them, all inside."""
        if logarithmic:
            wide = high / low >= 100
            found: Iterable[float] = LogLocator(
                10, subs=(1.0,) if wide else (1.0, 2.0, 5.0), numticks=count + 1
            ).tick_values(low, high)
        else:
            found = MaxNLocator(count, steps=[1, 2, 2.5, 5, 10], integer=whole).tick_values(low, high)
        room = 1e-9 * (high - low)
        ticks = tuple((float(each), plain(float(each))) for each in found if low - room <= each <= high + room)
        return cls(low=low, high=high, logarithmic=logarithmic, ticks=ticks)

    def share(self, value: float) -> float:
        """0-1 along the line; what lies beyond its ends stands at them."""
        low, high, value = (math.log(each) if self.logarithmic else each for each in (self.low, self.high, value))
        return min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.5


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The rectangle of a drawing in which values stand."""

    left: float
    top: float
    right: float
    bottom: float
    x: Axis
    y: Axis

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a value; the larger, the higher."""
        wide, high = self.right - self.left, self.bottom - self.top
        return self.left + self.x.share(x) * wide, self.bottom - self.y.share(y) * high


Anchor = Literal["start", "middle", "end"]


class Drawing:
    """Collects the parts of an SVG.

    Args:
        width: In pixels of the page, as `height`.
        name: Class of the whole, for the style sheet.
    """

    def __init__(self, width: int, height: int, *, name: str = "") -> None:
        self._size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        self._name = f"drawn {name}".strip()
        self._parts: list[str] = []

    def text(self, x: float, y: float, words: str, *, anchor: Anchor = "start", kind: str = "") -> None:
        """Words at a place; `kind` is a class, muted without one."""
        end = f' text-anchor="{anchor}"' if anchor != "start" else ""
        self._parts.append(f'<text x="{px(x)}" y="{px(y)}"{end}{_class(kind)}>{escape(words, quote=False)}</text>')

    def path(self, data: str, kind: str = "", *, colour: str = "", dash: Sequence[float] = ()) -> None:
        """A line or an outline; a CSS colour, where the class sets none, fills `currentColor`. Nothing where empty."""
        if data:
            looks = [f"color: {colour}"] * bool(colour)
            looks += [f"stroke-dasharray: {' '.join(f'{each:g}' for each in dash)}"] * bool(dash)
            style = f' style="{"; ".join(looks)}"' if looks else ""
            self._parts.append(f'<path{_class(kind)}{style} d="{data}"/>')

    @contextmanager
    def mark(self, tip: str, *, of: str) -> Iterator[None]:
        """What is drawn meanwhile tells `tip` to a pointer on it, which brings all marks of one owner out."""
        self._parts.append(
            f'<g class="mark" data-of="{escape(of)}">' + (f"<title>{escape(tip, False)}</title>" * bool(tip))
        )
        yield
        self._parts.append("</g>")

    def frame(self, frame: Frame, *, across: str, up: str) -> None:
        """Grid lines, ticks, and what the axes are; the vertical one's words stand on top, to be read upright."""
        grid = ""
        for value, words in frame.y.ticks:
            _, y = frame.at(frame.x.low, value)
            grid += f"M{px(frame.left)} {px(y)}H{px(frame.right)}"
            self.text(frame.left - 6, y + 4, words, anchor="end")
        for value, words in frame.x.ticks:
            x, _ = frame.at(value, frame.y.low)
            grid += f"M{px(x)} {px(frame.top)}V{px(frame.bottom)}"
            self.text(x, frame.bottom + 15, words, anchor="middle")
        self.path(grid, "grid")
        self.text((frame.left + frame.right) / 2, frame.bottom + 32, across, anchor="middle", kind="ink")
        if up:
            self.text(2, frame.top - 9, up, kind="ink")

    def panel(self, alt: str) -> Panel:
        """The drawing, with what a reader who cannot see it has to know."""
        label = escape(alt)
        return Panel(
            f'<svg {self._size} class="{self._name}" role="img" aria-label="{label}">{"".join(self._parts)}</svg>', alt
        )


def dots(places: Sequence[tuple[float, float]]) -> str:
    """Lines without a length, which a round cap makes points."""
    return "".join(f"M{px(x)} {px(y)}h0" for x, y in places)


def marks(places: Sequence[tuple[float, float]], marker: str) -> str:
    """An outline at each place."""
    return "".join(f"M{px(x)} {px(y)}{MARKERS[marker]}" for x, y in places)


def steps(places: Sequence[tuple[float, float]]) -> str:
    """A line that goes on level and then turns; places that change nothing are left out."""
    (x, y), *rest = places
    data, level, last = f"M{px(x)} {px(y)}", y, x
    for x, y in rest:
        last = x
        if px(y) != px(level):
            data += f"H{px(x)}V{px(y)}"
            level = y
    return f"{data}H{px(last)}" if rest else data


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
