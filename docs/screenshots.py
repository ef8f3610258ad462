"""Make the pictures of the app's page from a real run: `python docs/screenshots.py` (needs a Chromium; six minutes).

scikit-learn's handwritten digits are uploaded, and a model is searched for them; a network learns generated points.
`python docs/screenshots.py points` makes the pictures of points alone.
"""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "tests" / "support"))

from chromium import Chromium  # noqa: E402 (it lies with the tests)


def main() -> None:
    """Serve a workspace of its own, use it as a person would, and take pictures of it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        words = [sys.executable, "-m", "ctlr", "ui", "-w", str(folder / "workspace"), "--port", "0"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
            browser = Chromium(folder / "profile")
            try:
                assert server.stdout is not None
                address = server.stdout.readline().split()[1]
                browser.resize(1100, 1180)
                _use_points(browser, address)
                if sys.argv[1:] != ["points"]:
                    runpy.run_path(str(DOCS.parent / "benchmarks" / "digits.py"))["write_digits"](folder / "digits")
                    archive = Path(shutil.make_archive(str(folder / "digits"), "zip", folder, "digits"))
                    _use(browser, address, archive)
            finally:
                browser.close()
                server.terminate()


def _use_points(browser: Chromium, address: str) -> None:
    """The run that the page of generated points suggests, and a search."""
    browser.open(f"{address}points")
    browser.follow("document.querySelector('#generate').click()")
    browser.until("document.querySelector('.errors .best') !== null")
    points = browser.ask("location.href")
    browser.follow("document.querySelector('#start').click()")
    browser.until("document.querySelector('#life').innerText == 'finished'", 300)
    browser.picture(DOCS / "app-points.png")
    browser.open(points)
    browser.until("document.querySelector('.errors .best') !== null")
    for name, value in (("name", "search"), ("seconds", "40")):
        browser.ask(f"document.querySelector('form[action$=start] [name={name}]').value = '{value}'")
    browser.ask("for (const name of ['knn', 'forest']) document.querySelector(`[name=${name}]`).checked = true")
    browser.follow("document.querySelector('#start').click()")
    browser.until("document.querySelectorAll('.study .regions').length > 1", 300)
    browser.picture(DOCS / "app-points-search.png")
    browser.until("document.querySelector('#life').innerText == 'finished'", 300)


def _use(browser: Chromium, address: str, archive: Path) -> None:
    browser.resize(1100, 900)
    browser.open(f"{address}new")
    browser.choose("#zip", archive)
    browser.follow("document.querySelector('form[enctype] button').click()")
    browser.until("document.querySelector('#start') !== null")
    browser.ask("document.querySelector('#minutes').value = 3")
    browser.until("[...document.images].slice(0, 12).every(image => image.naturalWidth > 0)")
    time.sleep(1)
    browser.picture(DOCS / "app-start.png")
    browser.follow("document.querySelector('#search').click()")
    browser.until("document.querySelectorAll('.card .best').length > 5", 600)
    browser.until("document.querySelector('.card .line0') !== null", 600)
    browser.picture(DOCS / "app-live.png")
    browser.ask("document.querySelector('#trials').scrollIntoView()")
    browser.picture(DOCS / "app-trials.png")
    browser.resize(390, 800)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    browser.follow("location.reload()")
    browser.ask("scrollTo(0, 0)")
    browser.picture(DOCS / "app-phone.png")
    browser.call("Emulation.setEmulatedMedia", features=[])
    browser.resize(1100, 900)
    browser.until("document.querySelector('#life').innerText == 'finished'", 900)
    page = browser.ask("location.href")
    browser.follow("document.querySelector('#report').click()")
    time.sleep(2)
    browser.picture(DOCS / "app-report.png")
    _use_what_won(browser, page)


def _use_what_won(browser: Chromium, page: str) -> None:
    browser.open(page)
    browser.follow("document.querySelector('#models').click()")
    browser.picture(DOCS / "app-models.png")
    browser.follow("document.querySelector('#ranking tr.best a').click()")
    browser.ask("document.querySelector('#matrix').scrollIntoView()")
    browser.until("[...document.querySelectorAll('.gallery img')].slice(0, 8).every(image => image.naturalWidth > 0)")
    browser.picture(DOCS / "app-mistakes.png")
    browser.follow("document.querySelector('.gallery a').click()")
    browser.follow("document.querySelector('#occlusion').click()")
    browser.until("document.querySelector('#saliency').naturalWidth > 0", 300)
    browser.picture(DOCS / "app-saliency.png")


if __name__ == "__main__":
    main()
