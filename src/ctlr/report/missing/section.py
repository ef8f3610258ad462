"""What is in no table: failed studies and excluded images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ctlr.report.findings import Findings
from ctlr.report.section import Section
from ctlr.report.theme.formats import Cell, Table
from ctlr.specs import StudyResult

__all__ = ["excluded", "excluded_table", "failed", "failed_table"]


def failed(found: Findings) -> Iterator[Section]:
    """Always there: that none failed is worth a word."""
    table = failed_table([result for result in found.results if result.status == "failed"])
    yield Section(
        anchor="failed", heading="Failed studies", template="missing/failed.html.j2", shows=table, tables=(table,),
        hint=str(len(table.rows) or "none"),
    )  # fmt: skip


def excluded(found: Findings) -> Iterator[Section]:
    """Always there: that none was left out is worth a word."""
    finished = found.finished
    table, kept = excluded_table(finished.excluded), sum(stored.rows for stored in finished.arrays.values())
    out = len(finished.excluded)
    words = f"{out:,} of {kept + out:,} images" if kept else f"{out:,} {'image' if out == 1 else 'images'}"
    reasons = f"{len(table.rows)} {'reason' if len(table.rows) == 1 else 'reasons'}"
    yield Section(
        anchor="excluded", heading="Excluded images", template="missing/excluded.html.j2",
        hint=f"{words}, {reasons}" if out else "none", shows=table, tables=(table,),
    )  # fmt: skip


def failed_table(failed: Sequence[StudyResult]) -> Table:
    """Studies without a result, and why."""
    records = [
        {key: record[key] for key in ("method", "n_train", "n_validation", "seed")}
        | {"reason": result.reason or "no reason was recorded"}
        | {key: record[key] for key in ("target", "source", "encoder")}
        for result in failed
        for record in (result.record(),)
    ]
    return Table(
        name="failed", caption="Studies that failed; they are in no other table.",
        columns=("Method", "n", "Seed", "Reason", "Target", "Source", "Encoder"), headers=7,
        rows=tuple(
            (Cell(record["method"]), Cell(result.labelled),
             *(Cell(str(value) or "–") for key, value in record.items() if key not in ("method", *_SIZES)))
            for result, record in zip(failed, records, strict=True)
        ),
        records=tuple(records),
    )  # fmt: skip


_SIZES = ("n_train", "n_validation")


def excluded_table(excluded: Sequence[str]) -> Table:
    """Images left out, by reason; which ones they are stays in the workspace."""
    reasons = Counter(excluded).most_common()
    return Table(
        name="excluded", caption="Images left out, by reason. Their names stay in the workspace.",
        columns=("Reason", "Images"), rows=tuple((Cell(reason), Cell(str(count))) for reason, count in reasons),
        records=tuple({"images": count, "reason": reason} for reason, count in reasons),
    )  # fmt: skip
