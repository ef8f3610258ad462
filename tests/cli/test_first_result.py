"""From a folder as public data comes to a report, in two commands."""

import os
import subprocess
from pathlib import Path

import pytest
from layouts import LAYOUTS

from ctlr.config import load

ASKED = {
    "openneuro": ("age", "sex"), "fmriprep": ("age", "sex"), "cat12": ("age", "gender"), "oasis": ("Age", "M/F"),
    "adni": ("Age", "Sex"), "kaggle_classes": ("class", ""), "kaggle_split": ("class", ""),
    "kaggle_table": ("diagnosis", ""), "kaggle_named": ("class", ""), "kaggle_nested": ("class", ""),
    "medmnist": ("class", ""),
}  # fmt: skip
"""What is proposed as target and source."""


def ctlr(warm: Path, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{warm}:{os.environ['PATH']}", "COLUMNS": "160"}
    return subprocess.run(["ctlr", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_public_layout_gives_a_report_in_two_commands(name: str, warm: Path, tmp_path: Path) -> None:
    data = LAYOUTS[name](tmp_path / "data", 0)
    first = ctlr(warm, "init", "--data", str(data), "own.yaml", "--minutes", "0.1", "--workers", "1", folder=tmp_path)
    assert first.returncode == 0, first.stderr
    assert (tmp_path / "own.yaml").read_text().startswith("# yaml-language-server: $schema=ctlr.schema.json\n")
    config = load(tmp_path / "own.yaml")
    target, source = ASKED[name]
    (transfer,) = config.transfers
    assert config.tasks[transfer.target.task].target == target
    assert (config.tasks[transfer.source.task].target if transfer.source else "") == source
    second = ctlr(warm, "run", "own.yaml", "--workers", "1", folder=tmp_path)
    assert second.returncode == 0, second.stderr
    assert (tmp_path / "workspace/reports/own/report.html").stat().st_size > 100_000
