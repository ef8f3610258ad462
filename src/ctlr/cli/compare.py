"""`ctlr compare`: what differs in runs, and what their studies gain over each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from ctlr.cli.options import output_option
from ctlr.errors import ConfigError

if TYPE_CHECKING:
    from ctlr.report.comparison.document import Compared
    from ctlr.report.comparison.sides import Side
    from ctlr.report.theme.formats import Cell

__all__ = ["compare"]

_LONGEST = 60
"""Letters of a folder's name before it is cut."""
_RUN = re.compile(r"(?P<workspace>.*?)(?::(?P<name>[a-z][a-z0-9-]*))?(?:~(?P<back>\d+))?")


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="A B [C...]")
@click.option("--out", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Where the page goes; by default `compare/A-B` of A's workspace.")  # fmt: skip
@output_option()
def compare(runs: tuple[str, ...], out: Path | None, output: str) -> None:
    """Hold runs against the first one: what differs in file, data and versions, and in the results.

    A run is a workspace (its last run), `WORKSPACE:BENCHMARK`, `WORKSPACE~1` or `WORKSPACE:BENCHMARK~1` (the one before
    it with other options, `~2` before that), or the folder of a report.
    """
    from ctlr.cli.show import show

    if len(runs) < 2:
        raise ConfigError("`ctlr compare` takes two runs or more, e.g. `ctlr compare workspace~1 workspace`.")
    if again := next((run for run in runs if runs.count(run) > 1), None):
        raise ConfigError(f"each run is named once; {again!r} stands there twice. Name another one.")
    found, place = _compared(runs)
    from ctlr.report.comparison.document import to_document
    from ctlr.report.comparison.page import build_comparison

    page = build_comparison(found, out or place / _folder_name("-".join(side.name for side in found.sides)))
    if output != "table":
        show(to_document(found).model_copy(update={"page": str(page)}).model_dump(mode="json", by_alias=True), output)
        return
    _show_table(found)
    click.echo(f"Comparison: {page}")


def _folder_name(names: str) -> str:
    """Short, and another one for other names."""
    from ctlr.specs import dns_name, fingerprint

    plain = dns_name(names, 1000)
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST].rstrip('-')}-{fingerprint(names)[:8]}"


def _compared(runs: tuple[str, ...]) -> tuple[Compared, Path]:
    """What came of the comparison, and the folder that its pages lie in."""
    from dataclasses import replace

    from ctlr.report.comparison.document import compare as compared

    sides, places = zip(*(_side(run) for run in runs), strict=True)
    names = [side.name for side in sides]  # two home folders may be hidden by the same words
    told = [
        replace(side, name=f"{side.name} ({index + 1})") if names.count(side.name) > 1 else side
        for index, side in enumerate(sides)
    ]
    return compared(told), places[0]


def _side(run: str) -> tuple[Side, Path]:
    """A run, and where pages about it go."""
    from ctlr.config import homeless
    from ctlr.outcome.remembered import names_of_runs
    from ctlr.report.comparison.sides import Side
    from ctlr.report.document.making import document
    from ctlr.report.document.values import FILE, read_document

    folder = Path(run)
    folder = folder.parent if folder.name == "report.html" else folder
    above = folder.parent.parent
    here = folder.parent.name == "reports" and (above / "workspace.json").is_file()
    if (folder / FILE).is_file() and not (here and folder.name in names_of_runs(above)):
        side = Side(name=homeless(run), report=read_document(folder / "report.html"))
        return side, above / "compare" if here else Path("compare")
    if (folder / "report.html").is_file() and not here:
        raise ConfigError(
            f"{run!r} is a report without {FILE}, which an earlier CTLR has written. Name its workspace, or write it "
            "anew there with `ctlr report`."
        )
    root, name, back = (above, folder.name, 0) if here else _place(run)
    from ctlr.outcome.people import people_of
    from ctlr.report.findings import findings
    from ctlr.running import read_benchmark

    finished = read_benchmark(root, name, back)
    found = findings(finished)
    side = Side(name=homeless(run), report=document(found), found=found, people=people_of(finished))
    return side, root / "compare"


def _place(run: str) -> tuple[Path, str, int]:
    """(workspace, benchmark or nothing, runs back) of what was typed.

    Raises:
        ConfigError: No workspace is there.
    """
    for root, name, back in ((run, "", "0"), *_split(run)):
        if (Path(root) / "workspace.json").is_file():
            return Path(root), name, int(back)
    raise ConfigError(
        f"{run!r} is neither a workspace nor the folder of a report. Name a run as WORKSPACE, WORKSPACE:BENCHMARK, "
        "WORKSPACE~1 (the one before) or WORKSPACE/reports/BENCHMARK."
    )


def _split(run: str) -> list[tuple[str, str, str]]:
    parts = _RUN.fullmatch(run)
    return [(parts["workspace"] or "workspace", parts["name"] or "", parts["back"] or "0")] if parts else []


def _show_table(found: Compared) -> None:
    from ctlr.cli.show import show_rows
    from ctlr.report.comparison.page import cells_table

    for what, differing in (("file", found.file), ("data", found.data), ("versions", found.versions),
                            ("precision", found.precision)):  # fmt: skip
        if differing:
            names = [side.name for side in found.sides]
            rows = [{"": each.key} | dict(zip(names, map(_short, each.values), strict=True)) for each in differing]
            show_rows(f"What differs: {what}", rows)
    for name, each in found.held.items():
        for held in each:
            if held.cells:
                table = cells_table(held, found.reference.name, name, found.reference.report.confidence, "")
                title = f"{held.title}: {held.metric} ({held.better} is better), and what {name} gains"
                show_rows(title, [_shown(table.columns, row) for row in table.rows])
            for whose, cells in zip((found.reference.name, name), held.only, strict=True):
                if cells:
                    click.echo(f"Only {whose} has {', '.join(cells)}.")
    click.echo(found.answer)


def _shown(columns: Sequence[str], row: Sequence[Cell]) -> dict[str, Any]:
    return {
        column: f"{cell.text} ({cell.note})" if cell.note else cell.text
        for column, cell in zip(columns, row, strict=True)
        if column not in ("p", "False")
    }


def _short(value: str, limit: int = 60) -> str:
    return value if len(value) <= limit else f"{value[: limit - 1]}…"
