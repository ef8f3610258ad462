"""The table of sections, and what the page makes of a new line in it."""

import base64
import hashlib
import re
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


def test_a_section_says_whether_it_is_folded_and_why_a_reader_would_open_it(
    monkeypatch: pytest.MonkeyPatch, new_benchmark: Any, tmp_path: Path
) -> None:
    def two(found: Findings) -> Iterator[Section]:
        table = Table(name="t", caption="T.", columns=("A",), rows=((Cell("1"),),), records=({"a": 1},))
        yield Section(
            anchor="folded", heading="Folded", template="missing/excluded.html.j2", shows=table, hint="three <b>",
            title="Folded, in full",
        )  # fmt: skip
        yield Section(
            anchor="open", heading="Open", template="missing/excluded.html.j2", folded=False,
            shows=Table(name="u", caption="U.", columns=("A",), rows=((Cell("1"),),), records=()),
        )  # fmt: skip

    monkeypatch.setattr(sections, "SECTIONS", (two,))
    text = build_report(finished(new_benchmark(methods=())), tmp_path).read_text()
    heading = '<summary><h2>Folded, in full</h2> <span class="hint">three &lt;b&gt;</span></summary>\n<div id="folded">'
    assert heading in text
    assert '<li><a href="#folded">Folded</a></li>' in text
    assert '<section id="open">\n<h2>Open</h2>' in text


def test_a_browser_may_run_the_pages_own_script_and_no_other(new_benchmark: Any, tmp_path: Path) -> None:
    text = build_report(finished(new_benchmark(methods=())), tmp_path).read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    own = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{own}'" in text
