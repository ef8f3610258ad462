"""The report in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from chromium import CHROMIUM, Chromium, contrast, luminance
from finished_bench import finished
from synthetic_results import synthetic_results

from ctlr.report.page import build_report

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    chromium = Chromium(tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on age and on digits, from the synthetic results that the report's own tests use."""
    synthetic = synthetic_results()
    root = tmp_path_factory.mktemp("browser")
    both = synthetic.age_benchmark(root, methods=synthetic.METHODS, sizes=(20, 100))
    both.results += synthetic.digits_benchmark(root).results
    whole = finished(
        both, name="Brain age from few scans", environment={"ctlr": "0.1.0"}, seconds=283.0,
        excluded=("cohort: the file is truncated",),
    )  # fmt: skip
    wide = whole.config.model_copy(update={"datasets": {"x" * 300: whole.config.datasets["cohort"]}})
    return build_report(replace(whole, config=wide), root / "out")


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_the_page_fits_its_window(browser: Chromium, report: Path, width: int) -> None:
    browser.resize(width, 900)
    browser.open(report.as_uri())
    browser.ask("document.querySelectorAll('details').forEach(element => element.open = true)")
    assert browser.ask("document.documentElement.scrollWidth") <= width
    apart = "e.closest('.panels, .table, .broad')"  # scrolled by themselves
    assert browser.ask("[...document.querySelectorAll('main h1, main h2, main h3, main p, main svg')].every("
                       f"e => {apart} || e.getBoundingClientRect().right <= innerWidth)")  # fmt: skip


def test_the_answer_is_visible_without_scrolling(browser: Chromium, report: Path) -> None:
    browser.resize(1440, 900)
    browser.open(report.as_uri())
    assert "‘supervised’ raises balanced accuracy by 0.200" in browser.ask(
        "document.querySelector('.finding').innerText"
    )
    box = browser.ask("(r => [r.top, r.bottom])(document.querySelector('.finding').getBoundingClientRect())")
    assert 0 < box[0] < box[1] < 900


def test_the_page_asks_for_nothing_and_complains_about_nothing(browser: Chromium, report: Path) -> None:
    browser.open(report.as_uri())
    asked = [
        event["params"]["request"]["url"] for event in browser.events if event["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    complaints = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
    assert [event for event in browser.events if event["method"] in complaints] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_lines_stand_out_in_light_and_dark(browser: Chromium, report: Path, scheme: str) -> None:
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.open(report.as_uri())
    page = luminance(browser, "getComputedStyle(document.body).backgroundColor")
    assert (page > 0.5) == (scheme == "light")
    text = luminance(browser, "getComputedStyle(document.querySelector('.finding')).color")
    label = luminance(browser, "getComputedStyle(document.querySelector('svg text')).fill")
    assert contrast(page, text) > 12
    assert contrast(page, label) > 5.5
    for series in range(9):
        probe = f"getComputedStyle(document.body).getPropertyValue('--series-{series}')"
        browser.ask(f"document.body.style.outlineColor = {probe}")
        line = luminance(browser, "getComputedStyle(document.body).outlineColor")
        assert contrast(page, line) > 3, f"series {series} fades into the page"
