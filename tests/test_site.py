"""The site of guide and API reference: it builds without a warning, and needs no network."""

import importlib.util
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import ctlr

ROOT = Path(__file__).parents[1]
MISSING = [name for name in ("mkdocs", "material", "mkdocstrings") if importlib.util.find_spec(name) is None]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (pip install 'ctlr[docs]')")

LOADING = {
    "script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src", "object": "data",
}  # fmt: skip
"""What a browser fetches by itself, by tag."""


class Loads(HTMLParser):
    """Collects what a page fetches, and its anchors."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids.add(given.get("id") or "")
        link = tag == "link" and given.get("rel") in ("canonical", "next", "prev")
        if (place := given.get(LOADING.get(tag, ""))) and not link:
            self.fetched.append(place)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_of_the_guide_is_there(site: Path) -> None:
    wanted = {path.stem for path in (ROOT / "docs").glob("*.md")} | {"index"}
    assert wanted <= {path.stem for path in site.glob("*.html")}
    assert "<!-- test:" not in (site / "running.html").read_text()


def test_no_page_fetches_anything_from_a_network(site: Path) -> None:
    pages = [*site.glob("*.html"), *site.glob("reference/*.html")]
    assert len(pages) > 10
    for page in pages:
        for place in Loads(page).fetched:
            assert not re.match(r"(https?:)?//", place), f"{page.name} loads {place}"
            if not place.startswith(("data:", "/")):  # a server alone shows 404.html, by the site's root
                assert (page.parent / place.partition("?")[0].partition("#")[0]).exists(), f"{page.name}: {place}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", style.read_text()), style


def test_the_reference_has_everything_that_is_public(site: Path) -> None:
    ids = Loads(site / "reference" / "api.html").ids
    for name in ctlr.__all__:
        if name == "__version__":
            continue
        home = "errors" if name.endswith("Error") else "api"
        wanted = f"ctlr.{name}" if name in ("blocks", "serving", "space") else f"ctlr.{home}.{name}"
        assert wanted in ids or any(each.startswith(f"{wanted}.") for each in ids), name
    assert {"ctlr.api.Benchmark.gains", "ctlr.api.Best.predict", "ctlr.space.loguniform"} <= ids


def test_what_pages_link_to_outside_of_the_guide_comes_along(site: Path) -> None:
    assert (site / "repository" / "benchmarks" / "demo.yaml").read_text() == (
        ROOT / "benchmarks" / "demo.yaml"
    ).read_text()
    assert 'href="repository/benchmarks/demo.yaml"' in (site / "index.html").read_text()
    assert (site / "repository" / "katib" / "index.html").exists()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed (Debian: apt-get install chromium)")
def test_the_search_works_from_a_folder(site: Path, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    shown = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
         "--virtual-time-budget=20000", "--dump-dom", f"{(site / 'index.html').as_uri()}?q=loguniform"],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    assert re.search(r'md-search-result__meta">\d+ matching document', shown.stdout)
    assert "reference/api.html?h=loguniform#ctlr.space.loguniform" in shown.stdout
