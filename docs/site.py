"""What makes a site of pages that are written for a forge (a hook of MkDocs, see `mkdocs.yml`).

The README is the first page. What pages link to outside of `docs/` comes along: a file as it is, a folder as a page
that lists its files.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<=\]\()(?P<place>[^)\s#]+)(?P<anchor>#[^)\s]*)?(?=\))")
BESIDE = "repository"
"""Folder of the site for what lies outside of `docs/`."""
MARK = re.compile(r"<!--.*?-->\n?", re.DOTALL)


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Add the first page, and what pages link to outside of `docs/`."""
    pages = {file.src_uri: Path(file.abs_src_path or "").read_text() for file in files.documentation_pages()}
    pages["index.md"] = _moved((ROOT / "README.md").read_text(), "README.md", "docs/index.md")
    files.append(File.generated(config, "index.md", content=pages["index.md"]))
    wanted = {place for uri, text in pages.items() for place in _outside(text, uri)}
    for place in sorted(wanted):
        _bring(place, files, config)
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead links out of `docs/` to where those files lie in the site; leave out comments, which are for the tests."""
    here = posixpath.dirname(page.file.src_uri)

    def lead(match: re.Match[str]) -> str:
        place = _repository(match["place"], page.file.src_uri)
        if place is None:
            return match[0]
        target = f"{BESIDE}/{place}/index.md" if (ROOT / place).is_dir() else f"{BESIDE}/{place}"
        return posixpath.relpath(target, here or ".")

    return LINK.sub(lead, MARK.sub("", markdown))


def _outside(text: str, uri: str) -> set[str]:
    found = (_repository(match["place"], uri) for match in LINK.finditer(text))
    return {place for place in found if place is not None}


def _repository(place: str, uri: str) -> str | None:
    """Path in the repository of what a page links to, where that lies outside of `docs/`."""
    if "://" in place or place.startswith(("mailto:", BESIDE)):
        return None
    target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(uri), place))
    outside = not target.startswith(("docs/", ".."))
    return target if outside and (ROOT / target).exists() else None


def _moved(text: str, before: str, after: str) -> str:
    """A page's text with its links as they are from another place."""

    def lead(match: re.Match[str]) -> str:
        if "://" in match["place"]:
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(before), match["place"]))
        return posixpath.relpath(target, posixpath.dirname(after)) + (match["anchor"] or "")

    return LINK.sub(lead, text)


def _bring(place: str, files: Files, config: MkDocsConfig) -> None:
    """Add a file, or the files of a folder and a page that lists them."""
    source = ROOT / place
    if source.is_file():
        if files.get_file_from_path(f"{BESIDE}/{place}") is None:
            files.append(_file(f"{BESIDE}/{place}", source, config))
        return
    inside = [path for path in sorted(source.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    lines = [f"# {place}", ""]
    for path in inside:
        name = path.relative_to(source).as_posix()
        lines.append(f"- [{name}]({name})")
        _bring(f"{place}/{name}", files, config)
    files.append(File.generated(config, f"{BESIDE}/{place}/index.md", content="\n".join(lines)))


def _file(uri: str, source: Path, config: MkDocsConfig) -> File:
    if source.suffix == ".md":
        return File.generated(config, uri, content=source.read_text())
    return File.generated(config, uri, abs_src_path=str(source))
