"""A drawing of the page as an SVG file of its own, in the page's light colours."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from ctlr.report.theme.svg import Panel

__all__ = ["standalone"]

_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif"


def standalone(panel: Panel) -> str:
    """The drawing with colours, fonts and a white ground in place; equal panels give equal text."""
    colours = _light_colours()
    drawn = re.sub(r"var\(--([\w-]+)\)", lambda found: colours[found[1]], panel.svg)
    opening = re.match(r'<svg(?: [\w-]+="[^"]*")*>', drawn)  # an attribute may hold a ">"
    assert opening is not None
    end = opening.end()
    head = drawn[:end].replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" font-family="{_FONTS}" ', 1)
    ground = f'<rect width="100%" height="100%" fill="{colours["page"]}"/>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}{ground}{drawn[end:]}'


@cache
def _light_colours() -> dict[str, str]:
    """Colours by variable, as the page's style sheet sets them first."""
    style = (Path(__file__).parent / "style.css").read_text()
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", style[: style.index("}")]))
