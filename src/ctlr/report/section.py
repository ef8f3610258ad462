"""What a section of a report has to say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ctlr.report.findings import Findings, View
from ctlr.report.theme.formats import Table

__all__ = ["Part", "Saying", "Section"]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section of the page with the files beside it."""

    anchor: str = ""
    heading: str = ""
    """In the list of contents, and above the section."""
    title: str = ""
    """Above the section, where that says more than the list of contents has room for."""
    template: str = ""
    """By its place below `ctlr.report`; empty where nothing stands on the page. It holds no heading of its own: the
    page writes that, and folds what lies below it."""
    folded: bool = True
    """Whether the page shows its heading alone until a reader, a link, a search or a printer opens it."""
    hint: str = ""
    """A few words beside the heading of a folded section: what a reader would open it for."""
    shows: object = None
    """What the template fills in, as `section.shows`."""
    contents: tuple[tuple[str, str], ...] = ()
    """(anchor, heading) of what stands below it in the list of contents."""
    summary: tuple[str, ...] = ()
    """Sentences over all transfers, which the answer at the top repeats."""
    style: str = ""
    """Template of CSS that the page needs for it."""
    tables: tuple[Table, ...] = ()
    """They become files in `tables/`."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Name -> text of other files beside the page."""


Saying: TypeAlias = Callable[[Findings], Iterator[Section]]
"""A section is asked for what it has to say: it yields nothing, or itself, or one section a transfer."""
Part: TypeAlias = Callable[[Findings, View], Section | None]
"""A part of a transfer's section; None where it has nothing."""
