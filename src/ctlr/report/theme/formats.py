"""A table once computed, written as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ctlr.cells import guarded

__all__ = [
    "Cell",
    "Table",
    "Tone",
    "decimals",
    "duration",
    "listed",
    "markdown",
    "number",
    "records_csv",
    "to_csv",
    "to_latex",
    "to_markdown",
]

Tone = Literal["", "best", "gain", "none", "negative", "muted"]


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table."""

    text: str
    note: str = ""
    """Second line: an interval."""
    tone: Tone = ""
    """How it is to be read; the words alone say the same."""
    share: float | None = None
    """0-1: drawn as a bar behind the text."""
    heat: float | None = None
    """0-1: how strongly the place is coloured in its tone; the words alone say the same."""
    link: str = ""
    """Fragment of the page that tells more."""
    tip: str = ""
    """What a pointer on it tells, in lines."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells to read and records to compute with."""

    name: str
    """Stem of its files."""
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    records: tuple[Mapping[str, object], ...]
    """One record a line of the CSV; numbers at full precision."""
    headers: int = 1
    """Leading columns that name a row; the others are right-aligned."""


def decimals(values: Iterable[float]) -> int:
    """Digits after the point that leave the largest value three in all: 312 -> 0, 31.2 -> 1, 3.12 -> 2, 0.312 -> 3."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return min(max(3 - math.ceil(math.log10(largest)), 0), 6) if largest > 0 else 2


def listed(items: Sequence[object], word: str = "and") -> str:
    """`20, 50 and 100`."""
    *most, last = map(str, items)
    return f"{', '.join(most)} {word} {last}" if most else last


def number(value: float | None, digits: int, *, sign: bool = False) -> str:
    """Format for reading: a true minus sign, no negative zero, a dash where there is no value."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")


def duration(seconds: float) -> str:
    """`0.4 s`, `21 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def records_csv(records: Sequence[Mapping[str, object]]) -> str:
    """Long-form CSV; the columns are all keys in the order in which they first appear."""
    columns = list(dict.fromkeys(key for record in records for key in record))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows([{key: _plain(value) for key, value in record.items()} for record in records])
    return stream.getvalue()


def _plain(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return "" if value is None else guarded(value) if isinstance(value, str) else value


def to_csv(table: Table) -> str:
    """The records, one a line."""
    return records_csv(table.records)


def to_markdown(table: Table) -> str:
    """A pipe table under its caption."""
    lines = [
        f"**{markdown(table.caption)}**", "",
        _pipes(table.columns),
        _pipes(["---" if column < table.headers else "---:" for column in range(len(table.columns))], raw=True),
    ]  # fmt: skip
    lines += [_pipes([_inline(cell) for cell in row]) for row in table.rows]
    return "\n".join(lines) + "\n"


def _inline(cell: Cell) -> str:
    return f"{cell.text} [{cell.note}]" if cell.note else cell.text


def _pipes(cells: Iterable[str], *, raw: bool = False) -> str:
    return "| " + " | ".join(cell if raw else markdown(cell) for cell in cells) + " |"


def markdown(text: str) -> str:
    """Escape what Markdown would take for markup."""
    return re.sub(r"([\\|*_`<>#])", r"\\\1", text).replace("\n", " ")


def to_latex(table: Table) -> str:
    """A floating `table` in booktabs' style, ready for `\\input`."""
    columns = "l" * table.headers + "r" * (len(table.columns) - table.headers)
    body = [" & ".join(_latex(_inline(cell)) for cell in row) + r" \\" for row in table.rows]
    lines = [
        "% Needs \\usepackage{booktabs}.",
        r"\begin{table}", r"\centering", rf"\caption{{{_latex(table.caption)}}}", rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{{columns}}}", r"\toprule", " & ".join(map(_latex, table.columns)) + r" \\", r"\midrule",
        *body, r"\bottomrule", r"\end{tabular}", r"\end{table}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "[": "{[}", "]": "{]}",  # a cell that opens with a bracket would be read as an option of the line break above it
    "−": "$-$", "–": "--", "±": r"$\pm$", "×": r"$\times$", "→": r"$\rightarrow$", "\n": " ",
    "…": r"\ldots{}", "\u00a0": "~", "\u202f": r"\,",
}  # fmt: skip


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
