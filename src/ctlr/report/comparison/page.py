"""The page of a comparison, in the form of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ctlr.report.comparison.document import Compared, to_document
from ctlr.report.comparison.pairing import Held, PairedCell
from ctlr.report.comparison.sides import Difference
from ctlr.report.comparison.words import digits_of
from ctlr.report.document.values import Score
from ctlr.report.findings import method_styles
from ctlr.report.gains.forest import forest
from ctlr.report.numbers.rows import Direction, GainRow
from ctlr.report.section import Section
from ctlr.report.theme.formats import Cell, Table, number, to_csv, to_latex, to_markdown
from ctlr.report.theme.styles import Style, styles
from ctlr.report.theme.templating import render
from ctlr.report.wording import (
    capital,
    false_cell,
    interval,
    interval_words,
    metric_words,
    n_tested,
    p_words,
    verdict_cell,
)
from ctlr.specs import dns_name
from ctlr.workspace import disk_faults_named, write_aside

__all__ = ["build_comparison", "cells_table"]

_VERDICTS: dict[Direction, str] = {
    "gain": "better", "none": "no difference shown", "negative": "worse", "untested": "not tested",
}  # fmt: skip


def build_comparison(found: Compared, out: Path) -> Path:
    """Write `compare.html`, which stands alone, `compare.json` and `tables/*` into a folder.

    Equal runs give equal bytes. Subjects stand in none of it.

    Args:
        found: What was compared.
        out: Folder to write to; made when it does not exist.

    Returns:
        Path of `compare.html`.

    Raises:
        WorkspaceError: The folder cannot be written.
    """
    sections = list(_sections(found))
    files = {
        f"tables/{table.name}.{suffix}": write(table)
        for section in sections
        for table in section.tables
        for suffix, write in (("csv", to_csv), ("md", to_markdown), ("tex", to_latex))
    }
    files["compare.json"] = to_document(found).model_dump_json(by_alias=True, indent=1)
    title = " and ".join(side.name for side in found.sides)
    files["compare.html"] = render(
        "theme/page.html.j2", title=title, description="", keys=_looks(found), sections=sections
    )
    with disk_faults_named(out):
        (out / "tables").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_aside(out / name, text.encode())
    return out / "compare.html"


def _looks(found: Compared) -> dict[str, Style]:
    """One look a method, as in the reference's report."""
    known = method_styles(found.reference.found.contests) if found.reference.found is not None else {}
    others = [cell.method for each in found.held.values() for held in each for cell in held.cells]
    return known | styles([label for label in dict.fromkeys(others) if label not in known], [], [])


def _sections(found: Compared) -> Iterator[Section]:
    names = [side.name for side in found.sides]
    yield Section(
        anchor="answer", heading="Answer", template="comparison/answer.html.j2", folded=False,
        shows={"answer": found.answer, "runs": _runs_table(found)},
    )  # fmt: skip
    looks = _looks(found)
    for name, each in found.held.items():
        for number_, held in enumerate(each):
            yield _held_section(found, name, held, looks, f"{dns_name(name)}-{number_ + 1}")
    for anchor, heading, what, differing in (
        ("file", "The file", "options of the benchmark file", found.file),
        ("data", "Data", "facts about images, subjects, targets and splits", found.data),
        ("versions", "Versions and machine", "packages, commit, code, machine and command", found.versions),
        ("precision", "Precision", "precisions of stages", found.precision),
    ):
        table = _differences_table(anchor, f"{what[0].upper()}{what[1:]} that are not the same.", names, differing)
        yield Section(
            anchor=anchor, heading=heading, template="comparison/differences.html.j2",
            folded=not table.rows, hint=str(len(table.rows) or "the same"),
            shows={"table": table, "what": what}, tables=(table,) if table.rows else (),
        )  # fmt: skip


def _runs_table(found: Compared) -> Table:
    records = [
        {"run": side.name, "benchmark": side.report.benchmark, "studies": side.report.studies,
         "failed": side.report.failed, "ctlr": side.report.ctlr,
         "predictions": "yes" if side.found is not None else "no: its report alone"}
        for side in found.sides
    ]  # fmt: skip
    return Table(
        name="runs", caption="The runs; the others are held against the first.",
        columns=("Run", "Benchmark", "Studies", "Failed", "CTLR", "Predictions"), headers=2,
        rows=tuple(tuple(Cell(str(value)) for value in record.values()) for record in records),
        records=tuple(records),
    )  # fmt: skip


def _held_section(found: Compared, name: str, held: Held, looks: dict[str, Style], anchor: str) -> Section:
    reference = found.reference
    table = cells_table(held, reference.name, name, reference.report.confidence, anchor)
    same = bool(held.cells) and all(cell.same for cell in held.cells) and not any(held.only)
    drawing = None
    if held.rows:
        labels = {cell.n_train: cell.labelled for cell in held.cells}
        drawing = forest(
            held.rows, style=looks, label=metric_words(held.metric, held.unit), baseline=reference.name,
            name=f"{anchor}-forest", labelled=labels.__getitem__,
        )  # fmt: skip
    return Section(
        anchor=anchor, heading=f"{held.title}: {name}", template="comparison/held.html.j2",
        folded=same, hint="the same predictions" if same else "",
        shows={"held": held, "table": table, "forest": drawing, "name": name, "reference": reference.name},
        tables=(table,) if table.rows else (),
    )  # fmt: skip


def cells_table(held: Held, reference: str, name: str, level: float, anchor: str) -> Table:
    """Cells that both have: scores of both, and the paired difference with its interval and verdict."""
    digits, fine = digits_of(held)
    rows = held.rows
    by = dict.fromkeys(map(_by, held.cells))
    everywhere = f": {next(iter(by))}" if len(by) == 1 and rows else ""
    metric = capital(metric_words(held.metric, held.unit))

    def score(each: Score | None) -> Cell:
        if each is None:
            return Cell("–", tone="muted")
        ends = "" if each.low is None else f"{number(each.low, digits)} to {number(each.high, digits)}"
        return Cell(number(each.mean, digits), ends)

    def judged(cell: PairedCell) -> tuple[Cell, ...]:
        row = cell.row
        if row is None:
            why = "the same predictions" if cell.same else "not paired"
            return (
                Cell(number(0.0, digits) if cell.same else "–", tone="muted"),
                Cell(why, tone="muted"),
                Cell("–"),
                Cell("–"),
            )
        return (
            Cell(number(row.gain.mean, fine, sign=True), interval(row.gain, fine, sign=True)),
            verdict_cell(row.gain, stands=row.stands, words=_VERDICTS), Cell(p_words(row.p_holm)), false_cell(row),
        )  # fmt: skip

    ordered = sorted(held.cells, key=lambda cell: cell.n_train)
    return Table(
        name=f"difference-{anchor}",
        caption=f"{metric} on the test set, {held.better} is better, and what {name} gains over {reference} with its "
        f"{interval_words([row.gain for row in rows], level) if rows else 'interval'}, paired by seed and test subject"
        f"{everywhere}; positive is better. p is adjusted for {n_tested(rows)} comparisons (Holm). False: probability "
        "that the claim is false.",
        columns=(
            "Method", "n", reference, name, "Difference", "Verdict", "p", "False",
            *([] if everywhere else ["Paired by"]),
        ),
        rows=tuple(
            (Cell(cell.method), Cell(cell.labelled), *map(score, cell.scores), *judged(cell),
             *([] if everywhere else [Cell(_by(cell))]))
            for cell in ordered
        ),
        records=tuple(_record(held, cell, reference, name) for cell in ordered),
    )  # fmt: skip


def _by(cell: PairedCell) -> str:
    seeds = (
        f"{len(cell.seeds)} seed{'s' if len(cell.seeds) != 1 else ''}, " if cell.row is not None or cell.same else ""
    )
    return f"{seeds}{cell.words}"


def _record(held: Held, cell: PairedCell, reference: str, name: str) -> dict[str, object]:
    target, source, encoder = held.key
    row: GainRow | None = cell.row
    ours, theirs = cell.scores
    known: dict[str, object] = {} if row is None else {
        "gain": row.gain.mean, "low": row.gain.low, "high": row.gain.high, "se": row.gain.se, "p": row.gain.p,
        "p_holm": row.p_holm, "verdict": _VERDICTS[row.direction], "stands": "yes" if row.stands else "no",
        "n_seeds": row.gain.n_seeds, "n_subjects": row.gain.n_subjects,
    }  # fmt: skip
    return {
        "reference": reference, "run": name, "target": target, "source": source, "encoder": encoder,
        "method": cell.method, "n_train": cell.n_train, "metric": held.metric,
        "mean_reference": ours.mean if ours else None, "mean_run": theirs.mean if theirs else None,
        "same": "yes" if cell.same else "no", "paired_by": cell.words,
    } | known  # fmt: skip


def _differences_table(name: str, caption: str, names: Sequence[str], found: Sequence[Difference]) -> Table:
    return Table(
        name=name, caption=caption, columns=("What", *names), headers=1 + len(names),
        rows=tuple(
            (Cell(each.key), *(Cell(value or "–", tone="" if value else "muted") for value in each.values))
            for each in found
        ),
        records=tuple({"what": each.key} | dict(zip(names, each.values, strict=True)) for each in found),
    )  # fmt: skip
