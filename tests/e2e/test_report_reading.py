"""What a reader does with a report, in a real Chromium: follow, open, sort, filter, copy, point at, print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import CHROMIUM, Chromium
from finished_bench import finished
from synthetic_results import synthetic_results

from ctlr.report.page import build_report

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed (Debian: apt-get install chromium)"),
]
GAINS = "t-gains-age-from-sex-small"
ROWS = f"[...document.querySelectorAll('#{GAINS} tbody tr')].filter(row => !row.hidden)"
NOTE = "cell.querySelector('small')?.textContent ?? ''"
CELL = f"row => (cell => cell.textContent.replace({NOTE}, '').trim())(row.cells[%d])"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    chromium = Chromium(tmp_path_factory.mktemp("profile"))
    chromium.resize(1280, 800)
    chromium.call("Emulation.setFocusEmulationEnabled", enabled=True)
    yield chromium
    chromium.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two transfers, five methods at three sizes."""
    synthetic = synthetic_results()
    root = tmp_path_factory.mktemp("reading")
    both = synthetic.age_benchmark(root, methods=("mean", "scratch", "supervised", "simclr", "vat"))
    both.results += synthetic.digits_benchmark(root).results
    return build_report(finished(both, name="Brain age", seconds=60.0), root / "out")


def shown(browser: Chromium, column: int) -> list[str]:
    """What a column of the table of gains shows."""
    return list(browser.ask(f"{ROWS}.map({CELL % column})"))


def opened(browser: Chromium, anchor: str) -> Any:
    """Whether an element can be seen: every fold around it is open."""
    return browser.ask(f"document.getElementById('{anchor}').checkVisibility()")


def test_the_first_screen_says_question_answer_check_rivals_and_labels(browser: Chromium, report: Path) -> None:
    browser.open(report.as_uri())
    for width, height, parts in (
        (1280, 800, ("h1", ".lede", ".finding", ".check", ".lead svg", ".against", ".facts")),
        (360, 740, ("h1", ".lede", ".finding", ".check", ".lead svg")),
    ):
        browser.resize(width, height)
        for part in parts:
            bottom = browser.ask(f"document.querySelector('{part}').getBoundingClientRect().bottom")
            assert 0 < bottom <= height, f"{part} at {width} pixels"
    browser.resize(1280, 800)
    text = browser.ask("document.querySelector('.hero').innerText")
    for words in (
        "95\u00a0% interval",
        "Probability that this claim is false",
        "From scratch",
        "20 + 20, training + val",
    ):
        assert words in text


def test_a_link_of_the_contents_opens_what_it_names(browser: Chromium, report: Path) -> None:
    browser.open(report.as_uri())
    assert opened(browser, "provenance") is False
    browser.ask("document.querySelector('nav a[href=\"#provenance\"]').click()")
    assert browser.until("document.getElementById('provenance').checkVisibility()")
    browser.ask("document.querySelector('nav a[href=\"#age-from-sex-small-splits\"]').click()")
    assert browser.until("document.getElementById('age-from-sex-small-splits').checkVisibility()")
    now = "document.querySelector('nav a[aria-current]')?.hash"
    assert browser.until(f"{now} === '#age-from-sex-small-splits'")


def test_a_fragment_opens_what_it_names_without_the_script_too(browser: Chromium, report: Path) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open("about:blank")
        browser.open(f"{report.as_uri()}#age-from-sex-small-splits")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.ask("document.documentElement.className") == ""
    assert opened(browser, "age-from-sex-small-splits") is True
    assert browser.ask("document.querySelectorAll('svg .mark > title').length") > 20


def test_a_column_sorts_by_its_numbers_and_the_fragment_keeps_it(browser: Chromium, report: Path) -> None:
    browser.open(report.as_uri())
    before = shown(browser, 2)
    browser.ask(f"document.querySelector('#{GAINS} thead th:nth-child(3) button').click()")
    values = [float(text.replace("−", "-")) for text in shown(browser, 2)]
    assert values == sorted(values, reverse=True)
    assert browser.ask(f"document.querySelector('#{GAINS} th[aria-sort]').ariaSort") == "descending"
    assert browser.ask("location.hash") == f"#{GAINS}?sort=-3"
    browser.ask(f"document.querySelector('#{GAINS} thead th:nth-child(3) button').click()")
    assert [float(text.replace("−", "-")) for text in shown(browser, 2)] == values[::-1]
    browser.ask(f"document.querySelector('#{GAINS} thead th:nth-child(3) button').click()")
    assert shown(browser, 2) == before


def test_a_view_that_was_sent_is_the_view_that_arrives(browser: Chromium, report: Path) -> None:
    browser.open(report.as_uri())
    choose = "select => { select.value = '50 + 50'; select.dispatchEvent(new Event('change')); }"
    browser.ask(
        f"[document.querySelector('#{GAINS}').previousElementSibling.querySelectorAll('select')[1]].map({choose})"
    )
    browser.ask(f"document.querySelector('#{GAINS} thead th:nth-child(3) button').click()")
    rows, fragment = shown(browser, 0), browser.ask("location.hash")
    assert rows == ["supervised", "simclr", "vat"]
    assert "3 of 9 rows" in browser.ask(f"document.querySelector('#{GAINS}').previousElementSibling.textContent")
    browser.open("about:blank")
    browser.open(report.as_uri() + fragment)
    assert shown(browser, 0) == rows
    assert shown(browser, 1) == ["50 + 50"] * 3
    assert opened(browser, GAINS) is True
    assert 0 <= browser.ask(f"document.getElementById('{GAINS}').getBoundingClientRect().top") < 800


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("CSV", "supervised,20 + 20,+2.8,"),
        ("Markdown", "| supervised | 20 + 20 | +2.8 ["),
        ("LaTeX", r"supervised & 20 + 20 & +2.8 {[}"),
        ("YAML", '- "Method": "supervised"\n  "n": "20 + 20"\n  "Gain": "+2.8"'),
    ],
)
def test_a_table_is_copied_in_four_forms(browser: Chromium, report: Path, kind: str, line: str) -> None:
    browser.open(report.as_uri())
    catch = "navigator.clipboard.writeText = text => { window.copied = text; return Promise.resolve(); }"
    browser.ask(catch)
    buttons = f"[...document.querySelector('#{GAINS}').previousElementSibling.querySelectorAll('.copy button')]"
    browser.ask(f"{buttons}.find(button => button.textContent === '{kind}').click()")
    text = browser.until("window.copied")
    assert line in text.replace("\u2212", "-")
    assert text.count("supervised") == 3


def test_a_point_says_its_number_seeds_and_subjects_on_hover_and_on_focus(browser: Chromium, report: Path) -> None:
    browser.open(report.as_uri())
    first = "document.querySelector('.lead svg .mark[tabindex=\"0\"]')"
    browser.ask(f"{first}.focus()")
    for words in ("supervised, n = 20 + 20", "95\u00a0% interval", "3 seeds", "150 test subjects"):
        assert words in browser.ask("document.getElementById('tip').textContent")
    assert browser.ask(f"{first}.getAttribute('aria-describedby')") == "tip"
    browser.press("ArrowDown", 40)
    assert "simclr" in browser.ask("document.getElementById('tip').textContent")
    browser.press("Escape", 27)
    assert browser.ask("document.getElementById('tip').hidden") is True
    box = browser.ask(f"(r => [r.x + r.width / 2, r.y + r.height / 2])({first}.getBoundingClientRect())")
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=box[0], y=box[1])
    assert browser.until("!document.getElementById('tip').hidden")
    lit = json.loads(
        browser.ask("JSON.stringify([...document.querySelectorAll('.lead svg .on')].map(e => e.dataset.of))")
    )
    assert set(lit) == {"simclr"} or set(lit) == {"supervised"}


def test_a_cell_of_the_matrix_leads_to_its_detail(browser: Chromium, report: Path) -> None:
    browser.open(report.as_uri())
    link = "document.querySelector('#t-matrix td.gain a')"
    browser.ask(f"{link}.focus()")
    assert "p = " in browser.ask("document.getElementById('tip').textContent")
    target = browser.ask(f"{link}.hash.slice(1)")
    assert opened(browser, target) is False
    browser.ask(f"{link}.click()")
    assert browser.until(f"document.getElementById('{target}').checkVisibility()")


def test_a_printer_gets_all_that_is_folded(browser: Chromium, report: Path) -> None:
    browser.open(report.as_uri())
    folded = "document.querySelectorAll('details:not([open])').length"
    before = browser.ask(folded)
    assert before > 5
    browser.ask("dispatchEvent(new Event('beforeprint'))")
    assert browser.ask(folded) == 0
    browser.ask("dispatchEvent(new Event('afterprint'))")
    assert browser.ask(folded) == before
