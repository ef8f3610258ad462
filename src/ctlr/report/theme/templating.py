"""From a template and values to a page."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ctlr import __version__

__all__ = ["render", "script_source"]


def render(template: str, **context: Any) -> str:
    """Fill in a template, named by its place below `ctlr.report`.

    Text is escaped, and a name that is missing is an error. `script` is the page's own, and `policy` lets a browser
    run that one and no other.
    """
    return _environment().get_template(template).render(version=__version__, **context)


def script_source() -> str:
    """The page's script as a policy's `script-src` names it: by its hash, and no other one."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(_script().encode()).digest()).decode()}'"


@cache
def _script() -> str:
    return (Path(__file__).parent / "page.js").read_text()


@cache
def _environment() -> Environment:
    templates = Environment(
        loader=PackageLoader("ctlr.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {script_source()}"
    templates.globals |= {"script": Markup(_script()), "policy": Markup(policy)}
    return templates
