"""Cells of CSV files that no spreadsheet takes for formulas: a class may be called `=HYPERLINK(...)`."""

from __future__ import annotations

import re

__all__ = ["guarded", "plain"]

_FORMULA = re.compile(r"'*[=+\-@\t\r].", re.DOTALL)
_GUARDED = re.compile(r"'+[=+\-@\t\r].", re.DOTALL)


def guarded(text: str) -> str:
    """The text behind an apostrophe, which spreadsheets drop, where they would compute it; numbers are harmless."""
    if not _FORMULA.match(text):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def plain(cell: str) -> str:
    """The text that `guarded` was given."""
    return cell[1:] if _GUARDED.match(cell) else cell
