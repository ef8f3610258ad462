"""The claim check made readable: cells that stand beside a verdict."""

from __future__ import annotations

from ctlr.report.formats import Cell, number
from ctlr.report.tables import GainRow

__all__ = ["chance", "check_record", "detectable_cell", "false_cell"]


def false_cell(row: GainRow) -> Cell:
    """How likely a claim is false; a dash where nothing is claimed."""
    if row.check is None or not row.gain.shown:
        return Cell("–", tone="muted")
    return Cell(chance(row.check.false))


def detectable_cell(row: GainRow, digits: int) -> Cell:
    """The gain that would have been seen where none was, and were it the only comparison; a dash beside what stands."""
    if row.check is None or row.stands:
        return Cell("–", tone="muted")
    return Cell(number(row.check.detectable, digits), f"{number(row.check.detectable_alone, digits)} alone")


def check_record(row: GainRow) -> dict[str, object]:
    """What a table's file says of a claim and of what would have been seen."""
    check, claimed = row.check, row.gain.shown
    return {
        "false_claim": check.false if check and claimed else None,
        "false_claim_alone": check.false_alone if check and claimed else None,
        "detectable": check.detectable if check else None,
        "detectable_alone": check.detectable_alone if check else None,
    }


def chance(value: float) -> str:
    """A probability in per cent: one digit after the point below 10 %."""
    if value < 0.001:
        return "< 0.1\u00a0%"
    return f"{100 * value:.{1 if value < 0.1 else 0}f}\u00a0%"
