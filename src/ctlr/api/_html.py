"""What a notebook shows of a value."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

__all__ = ["paragraphs", "table"]


def paragraphs(*texts: str) -> str:
    """Each text that is not empty, as a paragraph."""
    return "".join(f"<p>{html.escape(text)}</p>" for text in texts if text)


def table(caption: str, rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of equal keys; numbers in four digits."""
    if not rows:
        return ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row.values())}</tr>" for row in rows)
    title = f'<caption style="text-align: left">{html.escape(caption)}</caption>' if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    return html.escape(f"{value:.4g}" if isinstance(value, float) else str(value))
