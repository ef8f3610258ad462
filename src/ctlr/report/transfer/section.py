"""One section a transfer, made of parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ctlr.report.findings import Findings
from ctlr.report.section import Part, Saying, Section

__all__ = ["transfers"]


def transfers(parts: Sequence[Part]) -> Saying:
    """Sections whose parts say what they have to say of each transfer."""

    def say(found: Findings) -> Iterator[Section]:
        for view in found.views:
            said = [part for ask in parts if (part := ask(found, view)) is not None]
            yield Section(
                anchor=view.slug, heading=view.heading,
                template="transfer/transfer.html.j2" if view.rows.scores else "", shows=said,
                contents=tuple((part.anchor, part.heading) for part in said if part.template),
                tables=tuple(table for part in said for table in part.tables),
            )  # fmt: skip

    return say
