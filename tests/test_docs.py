"""README and guide: commands run, benchmark files pass, tables repeat the code, names exist, links lead somewhere.

A comment before a block says what it is, where that is not plain:

    <!-- test: file NAME -->      the block is a file of the page's commands
    <!-- test: exit N -->         the commands end with this status
    <!-- test: skip, REASON -->   the commands are not run; each is listed as a skipped test

A `yaml` block without a `name` is part of a benchmark file and is checked on top of a whole one. A `text` block after
commands is what they print: each of its lines is looked for, in order; `…` stands for anything.
"""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from ctlr.cli.app import cli
from ctlr.config import load, template
from ctlr.specs import PLUGINS
from ctlr.tuning.manifest import read_experiment

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TABLES = runpy.run_path(str(ROOT / "docs" / "tables.py"))

_BLOCK = re.compile(
    r"(?:<!-- test: (?P<mark>.+?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_LINK = re.compile(r"\[[^\]]*\]\((?P<place>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    place: str
    language: str
    text: str
    mark: str

    @property
    def name(self) -> str:
        """File that the block is; empty for others."""
        return self.mark.removeprefix("file ") if self.mark.startswith("file ") else ""

    @property
    def skipped(self) -> str:
        """Why its commands are not run; empty where they are."""
        return self.mark.removeprefix("skip, ") if self.mark.startswith("skip, ") else ""

    @property
    def status(self) -> int:
        """Exit status that is expected of its commands."""
        return int(self.mark.removeprefix("exit ")) if self.mark.startswith("exit ") else 0


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text()
    return [
        Block(
            place=f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, match.start('text'))}",
            language=match["language"],
            text=match["text"],
            mark=match["mark"] or "",
        )
        for match in _BLOCK.finditer(text)
    ]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text())


def inline_code() -> list[tuple[str, str]]:
    """(page, words) of everything between backticks."""
    return [(page.name, words) for page in PAGES for words in re.findall(r"`([^`\n]+)`", prose(page))]


EVERY_BLOCK = [block for page in PAGES for block in blocks(page)]
SKIPPED = [block for block in EVERY_BLOCK if block.skipped]
YAML_BLOCKS = [block for block in EVERY_BLOCK if block.language == "yaml" and not block.skipped]


# ---------------------------------------------------------------- commands


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_do_what_it_says(page: Path, warm: Path, tmp_path: Path) -> None:
    programs = Path(sys.executable).parent if page.stem == "README" else warm
    for folder in ("benchmarks", "katib"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=lambda _, names: _not_files_of_ours(names))
    printed = None
    for block in blocks(page):
        if block.name:
            (tmp_path / block.name).write_text(block.text)
        elif block.language in ("sh", "python") and not block.skipped:
            printed = run(block, tmp_path, programs)
        elif block.language == "text":
            assert printed is not None, f"{block.place}: no commands stand before this"
            assert_printed(block, printed)


def _not_files_of_ours(names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith((".py", ".yaml"))]


def run(block: Block, folder: Path, programs: Path) -> str:
    """Run commands as a reader would, with a folder of programs before all others; what they print to both streams."""
    warm = programs / "warm-python"
    python = str(warm) if warm.exists() else sys.executable
    words = ["bash", "-euo", "pipefail", "-c"] if block.language == "sh" else [python, "-c"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CTLR_", "COV_", "PYTEST_"))}
    places = (programs, Path(sys.executable).parent, os.environ["PATH"])
    environment |= {"PATH": ":".join(map(str, places)), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*words, block.text], cwd=folder, env=environment, timeout=300, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == block.status, f"{block.place} ended with {done.returncode}:\n{block.text}\n{done.stdout}"
    return done.stdout


def assert_printed(block: Block, printed: str) -> None:
    """Every line of a block stands in what was printed, in order."""
    lines = iter([" ".join(line.split()) for line in printed.splitlines()])
    for wanted in filter(None, (" ".join(line.split()) for line in block.text.splitlines())):
        pattern = ".*".join(map(re.escape, wanted.split("…")))
        assert any(re.search(pattern, line) for line in lines), f"{block.place}: {wanted!r} is not in\n{printed}"


@pytest.mark.parametrize("block", SKIPPED, ids=lambda block: block.place)
def test_commands_that_are_not_run_have_a_reason(block: Block) -> None:
    pytest.skip(f"{block.text.splitlines()[0]}: {block.skipped}")


def test_no_command_is_left_out_silently() -> None:
    for block in EVERY_BLOCK:
        ours = any(line.startswith(("ctlr ", "python ")) for line in block.text.splitlines())
        assert block.language != "sh" or ours or block.skipped, f"{block.place}: neither run nor marked as skipped"


# ---------------------------------------------------------------- benchmark files


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=lambda block: block.place)
def test_a_file_passes_the_check(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLUGINS, "")
    for other in blocks(ROOT / block.place.rpartition(":")[0]):
        if other.name.endswith(".py"):
            (tmp_path / other.name).write_text(other.text)
    data, file = YAML(typ="safe").load(block.text), tmp_path / "benchmark.yaml"
    (tmp_path / "katib").symlink_to(ROOT / "katib")
    if data.get("kind") == "Experiment":
        file.write_text(block.text)
        assert read_experiment(file).name == data["metadata"]["name"]
        return
    if "name" in data:
        file.write_text(block.text)
    else:
        data = merged(YAML(typ="safe").load(template("cohort", "base")), data)
        YAML(typ="safe").dump(data, file)
    for dataset in data["datasets"].values():
        if "root" in dataset:
            (tmp_path / dataset["root"]).mkdir(parents=True, exist_ok=True)
    assert load(file).name == data["name"]


def merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Two benchmark files laid over each other."""
    both = dict(under)
    for key, value in over.items():
        inner = isinstance(value, dict) and isinstance(both.get(key), dict)
        both[key] = merged(both[key], value) if inner else value
    return both


# ---------------------------------------------------------------- tables and names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tables_say_what_the_code_says(page: Path) -> None:
    text = page.read_text()
    assert TABLES["refreshed"](text) == text, "out of date: run `python docs/tables.py`"


def test_every_option_of_a_benchmark_file_stands_in_a_table() -> None:
    there = [
        name.split(" beyond ")[0] for name in TABLES["tables_in"]((ROOT / "docs" / "benchmark-file.md").read_text())
    ]
    assert sorted(there) == sorted(TABLES["parts"]())


def test_options_that_the_text_names_exist() -> None:
    parts = TABLES["parts"]()
    known = {key for part in parts.values() for key in part["properties"]}
    known |= {"datasets", "tasks", "transfers", "encoders", "methods", "training"}
    for page, words in inline_code():
        if found := re.match(r"([a-z_]+): ", words):
            assert found[1] in known, f"{page}: {words}"
        if found := re.fullmatch(
            r"(?:split|compute|tracking|report|training|preprocess)\.(?!html$|json$)([a-z_.]+)", words
        ):
            assert set(found[1].split(".")) <= known, f"{page}: {words}"


def test_command_line_options_that_the_text_names_exist() -> None:
    known = {
        name
        for command in cli.commands.values()
        for option in command.params
        for name in (*option.opts, *option.secondary_opts, "--help")
    } | {"--version"}
    for page, words in inline_code():
        for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", words) if words.startswith(("-", "ctlr ")) else ():
            assert option in known, f"{page}: {words}"


def test_every_command_stands_in_the_guide() -> None:
    text = (ROOT / "docs" / "running.md").read_text()
    assert [name for name in cli.commands if f"`ctlr {name}" not in text] == []
    assert isinstance(cli, click.Group)


# ---------------------------------------------------------------- links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for match in _LINK.finditer(prose(page)):
        place, _, anchor = match["place"].partition("#")
        if place.startswith(("http://", "https://")):
            continue
        target = page.parent / place if place else page
        assert target.exists(), f"{page.name}: {match['place']}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {match['place']}"


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
