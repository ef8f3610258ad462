"""What a comparison found, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ctlr.report.comparison.pairing import Held, PairedCell
from ctlr.report.comparison.sides import Difference
from ctlr.report.theme.formats import decimals, listed, number
from ctlr.report.wording import METRIC_WORDS

__all__ = ["answer_words", "differ_words", "digits_of", "held_words"]

NAMED = 3
"""Differences that are named; of more, these first ones."""


def answer_words(
    reference: str,
    held: Mapping[str, Sequence[Held]],
    file: Sequence[Difference],
    data: Sequence[Difference],
    versions: Sequence[Difference],
    precision: Sequence[Difference],
) -> str:
    """What came of each run, then what differs in them."""
    found = [held_words(name, reference, each) for name, each in held.items()]
    return " ".join([*found, differ_words(file, data, versions, precision)])


def held_words(name: str, reference: str, held: Sequence[Held]) -> str:
    """Of one run beside the reference."""
    cells = [(each, cell) for each in held for cell in each.cells]
    if not cells:
        return f"‘{name}’ and ‘{reference}’ have no study cell in common, so nothing can be compared."
    compared = [(each, cell) for each, cell in cells if cell.row is not None]
    same = sum(cell.same for _, cell in cells)
    apart = len(cells) - len(compared) - same
    words = [f"‘{name}’ and ‘{reference}’ have {_cells(len(cells))} in common."]
    if same == len(cells):
        return f"{words[0]} Every prediction is the same in both."
    if compared:
        words.append(_verdicts(name, reference, compared))
    if same:
        words.append(f"In {same} every prediction is the same.")
    if apart:
        reasons = dict.fromkeys(cell.words for _, cell in cells if cell.row is None and not cell.same)
        words.append(
            f"{_cells(apart)[0].upper()}{_cells(apart)[1:]} cannot be paired ({'; '.join(list(reasons)[:NAMED])}): "
            "their scores stand side by side, and no difference is claimed."
        )
    return " ".join(words)


def _cells(count: int) -> str:
    return "one study cell" if count == 1 else f"{count} study cells"


def _verdicts(name: str, reference: str, compared: Sequence[tuple[Held, PairedCell]]) -> str:
    rows = [cell.row for _, cell in compared if cell.row is not None]
    if not any(row.gain.tested for row in rows):
        return f"With one seed nothing is tested: no difference of the {len(rows)} compared is called one."
    clauses = [
        f"‘{name}’ is {word} in {_named(found)}"
        for word, direction in (("better", "gain"), ("worse", "negative"))
        if (found := [(h, c) for h, c in compared if c.row and c.row.stands and c.row.direction == direction])
    ]
    rest = sum(not row.stands for row in rows)
    if not clauses:
        return f"‘{name}’ is measurably different from ‘{reference}’ in none of the {len(rows)} that can be compared."
    return f"{' and '.join(clauses)}{f'; in {rest} no difference stands' if rest else ''}."


def _named(found: Sequence[tuple[Held, PairedCell]]) -> str:
    """`2 (scratch at 20 + 20 by 1.2 years, 0.3 to 2.1; …)`."""
    parts = []
    for held, cell in found[:NAMED]:
        assert cell.row is not None
        gain, (_, digits) = cell.row.gain, digits_of(held)
        low, high = sorted((abs(gain.low), abs(gain.high)))
        unit = f" {held.unit}" if held.unit else f" in {METRIC_WORDS[held.metric]}"
        parts.append(
            f"‘{cell.method}’ at {cell.labelled} by {number(abs(gain.mean), digits)}{unit}, "
            f"{number(low, digits)} to {number(high, digits)}"
        )
    more = f"; {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"{len(found)} ({'; '.join(parts)}{more})"


def digits_of(held: Held) -> tuple[int, int]:
    """After the point, of scores and of differences: one more where an interval's end would otherwise read as zero."""
    digits = decimals(score.mean for cell in held.cells for score in cell.scores if score is not None)
    ends = [end for row in held.rows for end in (row.gain.low, row.gain.high)]
    return digits, digits + any(round(end, digits) == 0 for end in ends)


def differ_words(
    file: Sequence[Difference],
    data: Sequence[Difference],
    versions: Sequence[Difference],
    precision: Sequence[Difference],
) -> str:
    """What is not alike, counted, and of the file named."""
    versions = [each for each in versions if each.key != "command"]
    options = [each for each in file if each.key not in ("name", "description")]
    parts = []
    if options:
        named = [f"{each.key} ({_between(each.values)})" for each in options[:NAMED]]
        more = f" and {len(options) - NAMED} more" if len(options) > NAMED else ""
        parts.append(
            f"{_count(len(options), 'option')} of the file: {listed(named) if not more else ', '.join(named)}{more}"
        )
    if data:
        parts.append(f"{_count(len(data), 'fact')} about the data: {_keys(data)}")
    if versions:
        parts.append(f"{_count(len(versions), 'version')} or machine: {_keys(versions)}")
    if precision:
        parts.append(f"the precision of {_count(len(precision), 'stage')}")
    if not parts:
        return "Nothing differs in their options, data, versions and precision."
    return f"What differs: {'; '.join(parts)}."


def _count(count: int, what: str) -> str:
    return f"one {what}" if count == 1 else f"{count} {what}s"


def _keys(found: Sequence[Difference]) -> str:
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"{', '.join(each.key for each in found[:NAMED])}{more}"


def _between(values: Sequence[str]) -> str:
    return (" → " if len(values) == 2 else " / ").join(map(_short, values))


def _short(value: str, limit: int = 40) -> str:
    return "–" if not value else value if len(value) <= limit else f"{value[: limit - 1]}…"
