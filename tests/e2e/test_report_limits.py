"""What a report may weigh, and that everybody can read it: limits that hold, in a real Chromium."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from chromium import CHROMIUM, Chromium, contrast, luminance
from large_reports import like_the_demo, of_560_studies, of_many_methods, of_searches

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed (Debian: apt-get install chromium)"),
]
PAGES = ("demo", "560 studies", "30 methods", "13 tuned methods")
OPEN = "document.querySelectorAll('details').forEach(each => { each.open = true; })"
OVERLAPS = """(() => {
  const found = [];
  for (const drawing of document.querySelectorAll('main svg')) {
    const scale = drawing.getBoundingClientRect().width / drawing.viewBox.baseVal.width;
    const words = [...drawing.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
    words.forEach(([one, a], index) => words.slice(index + 1).forEach(([other, b]) => {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      // Boxes of text have room above and below the letters.
      if (across > 1.5 * scale && down > 4 * scale)
        found.push(`${one} | ${other} | ${drawing.getAttribute('aria-label').slice(0, 60)}`);
    }));
  }
  return JSON.stringify(found);
})()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    chromium = Chromium(tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Build each report once."""
    made: dict[str, Callable[[Path], Path]] = {
        "demo": like_the_demo, "560 studies": of_560_studies, "30 methods": lambda root: of_many_methods(root, 30),
        "13 tuned methods": lambda root: of_searches(root, 13), "a tuned method": lambda root: of_searches(root, 1),
    }  # fmt: skip
    return cache(lambda name: made[name](tmp_path_factory.mktemp("limits")))


@pytest.mark.parametrize(
    ("name", "megabytes"), [("demo", 3), ("560 studies", 10), ("30 methods", 3), ("13 tuned methods", 3)]
)
def test_a_report_can_be_mailed(page: Callable[[str], Path], name: str, megabytes: float) -> None:
    assert page(name).stat().st_size < megabytes * 1e6


def test_the_script_is_small(page: Callable[[str], Path]) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", page("30 methods").read_text(), flags=re.DOTALL)
    assert len(script) < 15_000


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
@pytest.mark.parametrize("name", ["demo", "a tuned method"])
def test_axe_finds_nothing_serious(
    browser: Chromium, page: Callable[[str], Path], name: str, width: int, scheme: str
) -> None:
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.resize(width, 800)
    browser.open(page(name).as_uri())
    browser.ask(OPEN)
    browser.ask(f"{_axe()}; 0")
    told = "axe.run({resultTypes: ['violations']}).then(found => JSON.stringify(found.violations.map("
    told += "each => [each.impact, each.id, each.nodes.slice(0, 3).map(node => node.html)])))"
    answer = browser.call("Runtime.evaluate", expression=told, awaitPromise=True, returnByValue=True)
    found = json.loads(answer["result"]["value"])
    browser.call("Emulation.setEmulatedMedia", features=[])
    assert [each for each in found if each[0] in ("serious", "critical")] == []


def _axe() -> str:
    spec = importlib.util.find_spec("axe_playwright_python")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return (Path(spec.submodule_search_locations[0]) / "axe.min.js").read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["page", "raised"])
@pytest.mark.parametrize("text", ["ink", "muted", "faint", "accent", "gain", "none", "negative"])
def test_every_colour_of_text_stands_out(
    browser: Chromium, page: Callable[[str], Path], text: str, ground: str, scheme: str
) -> None:
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.open(page("30 methods").as_uri())
    ratio = contrast(*(_luminance(browser, name) for name in (text, ground)))
    browser.call("Emulation.setEmulatedMedia", features=[])
    assert ratio >= 4.5


def _luminance(browser: Chromium, name: str) -> float:
    browser.ask(f"document.body.style.outlineColor = 'var(--{name})'")
    return luminance(browser, "getComputedStyle(document.body).outlineColor")


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_the_page_without_scrolling_sideways(
    browser: Chromium, page: Callable[[str], Path], name: str
) -> None:
    browser.resize(360, 740)
    browser.open(page(name).as_uri())
    assert browser.ask("document.documentElement.scrollWidth") == 360
    browser.ask(OPEN)
    assert browser.ask("document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("name", PAGES)
def test_labels_of_drawings_never_overlap(browser: Chromium, page: Callable[[str], Path], name: str) -> None:
    browser.resize(1280, 800)
    browser.open(page(name).as_uri())
    browser.ask(OPEN)
    assert json.loads(browser.ask(OVERLAPS)) == []


def test_the_demo_is_printed_on_sixteen_pages_with_the_file_last(
    browser: Chromium, page: Callable[[str], Path]
) -> None:
    browser.resize(1280, 800)
    browser.open(page("demo").as_uri())
    data = browser.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"]
    pages = len(re.findall(rb"/Type\s*/Page\b", base64.b64decode(data)))
    assert 4 < pages <= 16
    browser.call("Emulation.setEmulatedMedia", media="print")
    top = "each.getBoundingClientRect().top"
    words = f"[...document.querySelectorAll('#provenance > details')].map(each => [{top}, each.textContent])"
    last = max(browser.ask(words))[1]
    browser.call("Emulation.setEmulatedMedia", media="")
    assert "Command and configuration" in last
