"""The table of sections, and what the page makes of a new line in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from finished_bench import finished

from ctlr.report import sections
from ctlr.report.findings import Findings
from ctlr.report.page import build_report
from ctlr.report.section import Section
from ctlr.report.theme.formats import Cell, Table


def test_every_folder_with_a_section_stands_in_a_table() -> None:
    listed = {say.__module__ for say in (*sections.SECTIONS, *sections.OF_A_TRANSFER)}
    folders = Path(sections.__file__).parent.glob("*/section.py")
    assert listed == {f"ctlr.report.{file.parent.name}.section" for file in folders}


def test_a_new_section_is_one_line_in_the_table(
    monkeypatch: pytest.MonkeyPatch, new_benchmark: Any, tmp_path: Path
) -> None:
    def scanners(found: Findings) -> Iterator[Section]:
        table = Table(
            name="scanners", caption="Scanners.", columns=("Reason", "Images"), rows=((Cell("A"), Cell("3")),),
            records=({"scanner": "A"},),
        )  # fmt: skip
        yield Section(
            anchor="scanners", heading="Scanners", template="missing/excluded.html.j2", shows=table, tables=(table,),
            summary=(f"{len(found.results)} studies, one scanner.",), files={"scanners.txt": "A"},
        )  # fmt: skip

    def silent(found: Findings) -> Iterator[Section]:
        yield from ()

    monkeypatch.setattr(sections, "SECTIONS", (*sections.SECTIONS, scanners, silent))
    benchmark = new_benchmark(methods=("scratch",), sizes=(20,), seeds=(0,))
    text = build_report(finished(benchmark), tmp_path).read_text()
    assert '<li><a href="#scanners">Scanners</a></li>\n</ol>' in text
    assert "<h3>Over all transfers</h3>\n<ul>\n<li>1 studies, one scanner.</li>" in text
    assert "<caption>Scanners.</caption>" in text
    assert (tmp_path / "tables" / "scanners.csv").read_text() == "scanner\nA\n"
    assert (tmp_path / "scanners.txt").read_text() == "A"
