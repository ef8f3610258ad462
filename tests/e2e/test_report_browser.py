"""The report in a real Chromium, driven through its debugging pipe (JSON messages that end in a zero byte)."""

from __future__ import annotations

import importlib.util
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from finished_bench import finished

from ctlr.report.page import build_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe")  # fmt: skip

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed (Debian: apt-get install chromium)"),
]


class Chromium:
    """One page of a headless browser."""

    def __init__(self, profile: Path) -> None:
        (their_in, self._out), (self._in, their_out) = os.pipe(), os.pipe()
        # Chromium reads commands from descriptor 3 and answers on 4.
        script = f'exec "$0" "$@" 3<&{their_in} 4>&{their_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(their_in, their_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(their_in)
        os.close(their_out)
        self._buffer, self._count = b"", 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events on the way are kept."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive(30)
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def _receive(self, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "Chromium does not answer"
            self._buffer += os.read(self._in, 1 << 16)
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))

    def open(self, file: Path) -> None:
        """Load a page and wait until it is complete."""
        self.events.clear()
        self.call("Page.navigate", url=file.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive(30))

    def resize(self, width: int, height: int) -> None:
        """Give the page a viewport."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )

    def ask(self, expression: str) -> Any:
        """Value of a JavaScript expression."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def close(self) -> None:
        """End the browser."""
        self._session = None
        os.write(self._out, json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    chromium = Chromium(tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on age and on digits, from the synthetic results that the report's own tests use."""
    spec = importlib.util.spec_from_file_location(
        "synthetic_results", Path(__file__).parents[1] / "report" / "conftest.py"
    )
    assert spec is not None
    assert spec.loader is not None
    synthetic = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = synthetic
    spec.loader.exec_module(synthetic)
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
    browser.open(report)
    browser.ask("document.querySelectorAll('details').forEach(element => element.open = true)")
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask("[...document.querySelectorAll('main h1, main h2, main h3, main p, main svg')].every("
                       "e => e.closest('.panels') || e.getBoundingClientRect().right <= innerWidth)")  # fmt: skip


def test_the_answer_is_visible_without_scrolling(browser: Chromium, report: Path) -> None:
    browser.resize(1440, 900)
    browser.open(report)
    assert "‘supervised’ lowers MAE by 2.8" in browser.ask("document.querySelector('.finding').innerText")
    box = browser.ask("(r => [r.top, r.bottom])(document.querySelector('.finding').getBoundingClientRect())")
    assert 0 < box[0] < box[1] < 900


def test_the_page_asks_for_nothing_and_complains_about_nothing(browser: Chromium, report: Path) -> None:
    browser.open(report)
    asked = [
        event["params"]["request"]["url"] for event in browser.events if event["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    complaints = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
    assert [event for event in browser.events if event["method"] in complaints] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_lines_stand_out_in_light_and_dark(browser: Chromium, report: Path, scheme: str) -> None:
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.open(report)
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


def luminance(browser: Chromium, expression: str) -> float:
    """Relative luminance of a CSS colour `rgb(r, g, b)` (WCAG 2.2)."""
    text = browser.ask(expression)
    channels = [int(part) / 255 for part in text[text.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: float, second: float) -> float:
    """Contrast ratio of two luminances, 1..21 (WCAG 2.2)."""
    return (max(first, second) + 0.05) / (min(first, second) + 0.05)
