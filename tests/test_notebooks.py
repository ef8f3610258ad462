"""The notebooks run from their first cell to their last, in the order in which a reader takes them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbclient", reason="not installed: nbclient (pip install nbclient ipykernel)")
pytest.importorskip("ipykernel", reason="not installed: ipykernel (pip install nbclient ipykernel)")

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOKS = ("benchmark_from_zero", "reading_results")

RUN = """
import sys, nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the cells of each notebook show, as text and HTML."""
    folder = tmp_path_factory.mktemp("notebooks")
    found = {}
    environment = os.environ | {"OMP_NUM_THREADS": "1", "IPYTHONDIR": str(folder / "ipython")}
    for name in NOTEBOOKS:
        out = folder / f"{name}.ipynb"
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(EXAMPLES / f"{name}.ipynb"), str(out)],
            cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=900,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found[name] = "\n".join(map(text_of, json.loads(out.read_text())["cells"]))
    return found


def text_of(cell: dict[str, Any]) -> str:
    texts = []
    for output in cell.get("outputs", []):
        texts.append("".join(output.get("text", [])))
        texts += ["".join(value) for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(texts)


def test_every_notebook_is_run() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.ipynb")} == set(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_output_is_committed(name: str) -> None:
    for cell in json.loads((EXAMPLES / f"{name}.ipynb").read_text())["cells"]:
        assert cell["cell_type"] == "markdown" or (cell["outputs"], cell["execution_count"]) == ([], None)


def test_a_benchmark_from_zero(shown: dict[str, str]) -> None:
    text = shown["benchmark_from_zero"]
    for words in ("Did you mean 'supervised'?", "24 studies share 3 pretrainings", "24 of 24 studies finished",
                  "workspace/reports/first/report.html", "gain over scratch"):  # fmt: skip
        assert words in text, words
    assert "Traceback" not in text


def test_reading_results(shown: dict[str, str]) -> None:
    text = shown["reading_results"]
    for words in ("<ctlr.Benchmark 'first': 24 studies, 0 failed, in workspace>", "verdict", "The best of 15 trials",
                  "labelled subjects (training + validation): 24 + 24"):  # fmt: skip
        assert words in text, words
