"""From a template and values to a page."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ctlr import __version__

__all__ = ["render"]


def render(template: str, **context: Any) -> str:
    """Fill in a template, named by its place below `ctlr.report`.

    Text is escaped, and a name that is missing is an error.
    """
    templates = Environment(
        loader=PackageLoader("ctlr.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return templates.get_template(template).render(version=__version__, **context)
