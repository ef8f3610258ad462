"""From a matplotlib figure to SVG that lives inside a page and follows its light and dark colours.

Figures are drawn in placeholder colours, which become CSS variables; text stays text, in the page's own font.
Equal figures give equal bytes: identifiers come from the content, and no date is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

__all__ = [
    "FAINT",
    "GRID",
    "INK",
    "MUTED",
    "SERIES",
    "SURFACE",
    "Panel",
    "canvas",
    "inline",
    "mark",
    "panel",
    "sheet",
    "variable",
]

INK, MUTED, FAINT, GRID, SURFACE = "#010101", "#010102", "#010103", "#010104", "#010105"
SERIES = tuple(f"#0102{index:02x}" for index in range(9))
"""One colour a method; the first is the baseline's grey, the others are told apart by colour-blind readers too."""
FEW, LAYERS = 12, 5
"""From so many points on a scatter is written short, in so many paths."""
_MARK = "\ue000"
"""Stands in identifiers that are marks: no label holds it."""
_VARIABLES = {INK: "ink", MUTED: "muted", FAINT: "faint", GRID: "grid", SURFACE: "page"} | {
    colour: f"series-{index}" for index, colour in enumerate(SERIES)
}
_STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "ctlr", "font.size": 12, "axes.edgecolor": GRID, "axes.labelcolor": INK,
    "axes.facecolor": "none", "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "axes.axisbelow": True, "axes.labelsize": 12, "grid.color": GRID, "grid.linewidth": 0.7, "text.color": INK,
    "xtick.color": GRID, "ytick.color": GRID, "xtick.labelcolor": MUTED, "ytick.labelcolor": MUTED,
    "xtick.labelsize": 11, "ytick.labelsize": 11, "xtick.major.size": 3, "ytick.major.size": 0,
    "lines.solid_capstyle": "round", "axes.labelpad": 6, "axes.unicode_minus": True,
    "text.parse_math": False,  # names may hold dollar signs
}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """A drawing for the page."""

    svg: str
    alt: str
    """What a reader who cannot see it has to know."""


@contextlib.contextmanager
def canvas(
    width: int, height: int, *, left: int = 48, top: int = 10, right: int = 10, bottom: int = 42
) -> Iterator[Axes]:
    """Yield the axes of a new figure, in the report's style; sizes and margins in pixels of the page."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width / 72, height / 72), facecolor="none")
        box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height)
        axes = figure.add_axes(box)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        yield axes


@contextlib.contextmanager
def sheet(width: int, height: int) -> Iterator[Figure]:
    """Yield a new figure for several axes, in the report's style; sizes in pixels of the page."""
    with mpl.rc_context(_STYLE):
        yield Figure(figsize=(width / 72, height / 72), facecolor="none")


def panel(axes: Axes, *, name: str, alt: str) -> Panel:
    """Finish a drawing; `name` keeps the identifiers of several drawings on one page apart."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return Panel(inline(figure, name=name, alt=alt), alt)


def mark(artist: Artist, tip: str = "", *, of: str = "") -> None:
    """Let a part of a drawing say what it is.

    Args:
        artist: A line, its points, or a word.
        tip: What a pointer on it tells, in lines: the number with its interval, seeds and subjects.
        of: Whose it is. A pointer on one part brings all parts of the same drawing out that have the same owner.
    """
    artist.set_gid(f"{_MARK}{of}{_MARK}{tip}")


def variable(colour: str) -> str:
    """The CSS variable that a placeholder colour stands for."""
    return f"var(--{_VARIABLES[colour]})"


def inline(figure: Figure, *, name: str, alt: str) -> str:
    """Render as an `<svg role="img">` element without prolog, date, fonts or references to anything outside."""
    stream = io.StringIO()
    with mpl.rc_context(_STYLE):  # ticks are born while drawing
        FigureCanvasSVG(figure).print_svg(stream, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, count=1, flags=re.DOTALL)
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text).groups()  # type: ignore[union-attr]
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    text = f'<svg {size} role="img" aria-label="{_attribute(alt)}">' + text[text.index(">") + 1 :]
    text = re.sub(r" font-family: [^;\"]*;?", "", text)
    text = re.sub(r' transform="rotate\(-?0 [^"]*\)"', "", text)
    text = re.sub(r' (?:d|x|y|transform)="[^"]*"', _rounded, text)
    text = re.sub(r"#010[12][0-9a-f]{2}\b", lambda match: variable(match[0]), text)
    text = re.sub(rf'<g id="{_MARK}([^"]*){_MARK}([^"]*)">', _marked, text)
    return _compact(_dotted(_own_identifiers(text.replace("xlink:href", "href"), name)))


def _marked(group: re.Match[str]) -> str:
    """The title is what a browser shows without the page's script; only what tells or belongs to someone is a mark."""
    owner, tip = group[1], group[2].replace("&quot;", '"').replace("&apos;", "'")
    owned = f' data-of="{owner}"' if owner else ""
    return f'<g class="mark"{owned}>' + (f"<title>{tip}</title>" if tip else "")


_ROUND = r'd="M0 ([\d.]+)C[^"LHVZ]*z"'
_SHAPE = r'<path id="([^"]+)" (d="[^"]*")(?: style="[^"]*")?/>'
_RUN = r'<g( [^>]*)?>((?:<use href="#([^"]+)"[^>]*/>)(?:<use href="#\3"[^>]*/>)+)</g>'


def _dotted(text: str) -> str:
    """Write what a scatter repeats once: the look of its points, and round ones as ends of strokes without length."""
    text = re.sub(r">\s+<", "><", text)
    shapes = dict(re.findall(_SHAPE, text))
    text = re.sub(_RUN, lambda run: _points(run, shapes[run[3]]), text)
    used = set(re.findall(r'href="#([^"]+)"', text))
    return re.sub(_SHAPE, lambda shape: shape[0] if shape[1] in used else "", text)


def _points(run: re.Match[str], shape: str) -> str:
    group, uses = run[1] or "", run[2]
    looks = set(re.findall(r' style="([^"]*)"', uses))
    places = re.findall(r'x="([-\d.]+)" y="([-\d.]+)"', uses)
    if len(places) < FEW or len(looks) != 1 or uses.count(" style=") != len(places) or "style=" in group:
        return run[0]
    look = looks.pop()
    round_ = re.fullmatch(_ROUND, shape)
    if round_ is None or "stroke" in look:
        bare = uses.replace(f' style="{look}"', "")
        return f'<g{group} style="{look}">{bare}</g>'
    wide = f"stroke-width: {2 * float(round_[1]):g}; stroke-linecap: round; fill: none"
    stroke = f"{look.replace('fill', 'stroke')}; {wide}"
    dots = [f"M{float(x):.1f} {float(y):.1f}h0".replace(".0", "") for x, y in places]
    # Where points lie upon each other it is darker: what one path paints is painted once.
    paths = "".join(f'<path d="{"".join(dots[layer::LAYERS])}"/>' for layer in range(LAYERS))
    return f'<g{group} style="{stroke}">{paths}</g>'


def _compact(text: str) -> str:
    """Without indentation, groups that say nothing and paths that show nothing: half of what matplotlib writes."""
    text = re.sub(r">\s+<", "><", text)
    text = re.sub(r'<path d="[^"]*" style="fill: none"/>|<g/>|<defs/>', "", text)
    bare: list[bool] = []

    def group(tag: re.Match[str]) -> str:
        if tag[0] == "</g>":
            return "" if bare.pop() else tag[0]
        bare.append(tag[0] == "<g>")
        return "" if bare[-1] else tag[0]

    return re.sub(r"<g\b[^>]*>|</g>", group, text)


def _rounded(attribute: re.Match[str]) -> str:
    """Hundredths of a pixel; tenths, and no space that says nothing, in paths, which are most of a page."""
    text = attribute[0]
    if not text.startswith(' d="'):
        return re.sub(r"(\d+\.\d\d)\d+", r"\1", text)
    path = re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), text[4:-1])
    path = re.sub(r"\s*([A-Za-z])\s*", r"\1", path).strip()
    return f' d="{path}"'


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def _own_identifiers(text: str, name: str) -> str:
    """Keep identifiers that are referred to, short and under this drawing's name; drop the others."""
    own = "d" + hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    used = dict.fromkeys(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    names = {identifier: f"{own}-{index:x}" for index, identifier in enumerate(used)}
    text = re.sub(r' id="([^"]*)"', lambda match: f' id="{names[match[1]]}"' if match[1] in names else "", text)
    return re.sub(r'(url\(#|href="#)([^")]+)', lambda match: match[1] + names[match[2]], text)
