"""The scripts of bench/expert run, owe nothing to CTLR's training code, and are compared as docs/by-hand.md says."""

from __future__ import annotations

import ast
import csv
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
EXPERT = ROOT / "bench" / "expert"
SCRIPTS = sorted(path for path in EXPERT.glob("*.py") if path.name != "compare.py")
PAGE = (ROOT / "docs" / "by-hand.md").read_text()

SMALL = (
    "datasets.biobank.subjects=20", "datasets.biobank.spacing=12", "datasets.clinic.subjects=36",
    "datasets.clinic.spacing=12", "sample_sizes=[8]", "seeds=[3]", "split.test=12",
)  # fmt: skip

FEW_EPOCHS = """
from bench.expert import training

fit = training.fit
training.fit = lambda *given, epochs, **options: fit(*given, epochs=2, **options)
from bench.expert.__main__ import main

main()
"""
"""`python -m bench.expert` in seconds."""


@pytest.fixture(scope="module")
def compare() -> dict[str, Any]:
    return runpy.run_path(str(EXPERT / "compare.py"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_imports_nothing_of_ctlr(path: Path) -> None:
    allowed = {"torch", "numpy", "sklearn", *sys.stdlib_module_names} - {"importlib", "runpy", "subprocess"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for module in modules:
            ours = module.startswith("bench.expert.") and not module.startswith("bench.expert.compare")
            assert ours or module.partition(".")[0] in allowed, module


def test_the_scripts_score_the_splits_that_ctlr_draws(compare: dict[str, Any], tmp_path: Path) -> None:
    splits = tmp_path / "splits"
    compare["export"](ROOT / "benchmarks" / "expert.yaml", tmp_path / "workspace", splits, SMALL)
    assert sorted(path.name for path in splits.iterdir()) == ["age-8-3.json", "sex-8-3.json"]
    split = json.loads((splits / "age-8-3.json").read_text())
    sides = split["target"]["sides"]
    assert {name: len(rows) for name, rows in sides.items()} == {
        "train": 8, "validation": 8, "test": 12, "pool": 36 - 12 - 8
    }  # fmt: skip
    assert not set(sides["test"]) & {*sides["train"], *sides["validation"], *sides["pool"]}
    assert split["source"]["column"] == "sex"

    found = tmp_path / "scores.csv"
    subprocess.run(
        [sys.executable, "-c", FEW_EPOCHS, str(splits), str(found)], check=True, cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}, capture_output=True,
    )  # fmt: skip
    with found.open(newline="") as file:
        rows = list(csv.reader(file))
    assert {(row[0], row[1]) for row in rows} == {
        (name, method) for name in ("age-8-3", "sex-8-3") for method in ("scratch", "supervised", "simclr", "vat")
    }
    for _, _, metric, value in rows:
        assert 2 < float(value) < 40 if metric == "mae" else 0 <= float(value) <= 1


def test_a_difference_is_paired_by_seed_and_has_students_interval(compare: dict[str, Any]) -> None:
    cells = [compare["Cell"]("age", "mae", method, 50) for method in ("vat", "scratch")]
    ours = {cell: {0: 10.0, 1: 12.0, 2: 14.0} for cell in cells}
    theirs = {cells[0]: {2: 15.0, 0: 11.0, 1: 13.0}, cells[1]: {0: 9.0, 1: 12.0, 2: 15.0}}
    scratch, vat = compare["table"](ours, theirs)
    assert (scratch.cell.method, scratch.ours, scratch.theirs, scratch.difference) == ("scratch", 12, 12, 0)
    # A deviation of 1 over three seeds, and t = 4.303 at two degrees of freedom.
    assert scratch.half_width == pytest.approx(4.3027 / np.sqrt(3), rel=1e-4)
    assert scratch.p == pytest.approx(1)
    assert scratch.agrees
    # Always one year more: no doubt about it.
    assert (vat.difference, vat.half_width, vat.p, vat.agrees) == (1, 0, 0, False)


def test_lines_are_counted_without_comments_docstrings_and_blanks(compare: dict[str, Any], tmp_path: Path) -> None:
    code, data = tmp_path / "code.py", tmp_path / "data.yaml"
    code.write_text('"""Two\nlines."""\n\n# a comment\ndef f():  # counts\n    """One."""\n    return """a\nb"""\n')
    data.write_text("# a comment\n\nname: x # counts\nseeds: [0]\n")
    assert (compare["count_lines"](code), compare["count_lines"](data)) == (3, 2)


# ---------------------------------------------------------------- the page


def test_the_page_counts_the_lines_that_there_are(compare: dict[str, Any]) -> None:
    assert "\n".join(compare["line_table"]()) in PAGE


@pytest.mark.parametrize(
    ("language", "file"), [("yaml", ROOT / "benchmarks" / "expert.yaml"), ("python", EXPERT / "simclr.py")]
)
def test_the_page_shows_the_files_that_there_are(language: str, file: Path) -> None:
    shown = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert shown is not None
    assert shown[1] == file.read_text()
