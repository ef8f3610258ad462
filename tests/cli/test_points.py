"""Generated points from the command to the report, as tables and by themselves, and what stops a run of points."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from terminal import ctlr

from ctlr.data.kinds.points.generating import draw

TABLES = "points: {kind: points, root: data, train: train.csv, validation: dev.csv, test: eval.csv, features: [x, y]}"
DRAWN = "points: {kind: generated_points, generator: toroid, points: [400, 200, 300], seed: 5}"
BENCHMARK = """\
name: rings
datasets:
  DATASET
tasks:
  kind: {target: class, kind: classification, metric: accuracy}
transfers:
  - {target: {data: points, task: kind}}
encoders: {mlp: {}}
methods: {scratch: {}}
sample_sizes: [400]
seeds: [0]
baselines: [nearest, random_forest]
split: {validation: 0.5}
training:
  finetune: {epochs: 10, batch_size: 32, lr: 1.0e-2}
"""


@pytest.fixture(scope="module")
def folder(warm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("points")
    wrote = ctlr("points", "data", "--points", "400", "200", "300", "--seed", "5", folder=made, warm=warm)
    assert wrote.code == 0, wrote.err
    assert wrote.out == "".join(f"data/{name}.csv  9.23% least error\n" for name in ("train", "dev", "eval"))
    return made


def scores(folder: Path, warm: Path, dataset: str, workspace: str) -> dict[str, dict[str, float]]:
    (folder / f"{workspace}.yaml").write_text(BENCHMARK.replace("DATASET", dataset))
    ran = ctlr("run", f"{workspace}.yaml", "-w", workspace, "--workers", "1", folder=folder, warm=warm)
    assert ran.code == 0, ran.err
    with (folder / workspace / "reports" / "rings" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    named = ("train_accuracy", "validation_accuracy", "test_accuracy")
    return {row["method"]: {name: float(row[name] or "nan") for name in named} for row in rows}


def test_what_is_written_is_what_is_drawn(folder: Path, warm: Path) -> None:
    with (folder / "data" / "dev.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    points, codes = draw("toroid", "val", 200, 5)
    assert np.array_equal(np.array([(row["x"], row["y"]) for row in rows], np.float32), points)
    assert [row["class"] for row in rows] == [("core", "ring")[code] for code in codes]
    again = ctlr("points", "data", folder=folder, warm=warm)
    assert again.code == 1
    assert "data/train.csv exists already and is left as it is" in again.err
    other = ctlr("points", "other", "--generator", "torus", folder=folder, warm=warm)
    assert other.code == 2
    assert "there is no 'torus'" in other.err


def test_tables_and_drawn_points_give_the_same_scores_near_the_least_error(folder: Path, warm: Path) -> None:
    found = scores(folder, warm, TABLES, "tables")
    assert found == scores(folder, warm, DRAWN, "drawn")
    for method in ("nearest", "random_forest", "scratch"):
        assert found[method]["test_accuracy"] > 0.85, method
        assert found[method]["validation_accuracy"] > 0.85, method


def test_rows_on_two_sides_and_text_for_a_number_stop_the_run(folder: Path, warm: Path) -> None:
    data = folder / "data"
    train, dev = (data / "train.csv").read_text(), (data / "dev.csv").read_text()
    (folder / "b.yaml").write_text(BENCHMARK.replace("DATASET", TABLES))
    try:
        (data / "dev.csv").write_text(dev + train.splitlines()[1] + "\n")
        leaked = ctlr("run", "b.yaml", "-w", "leaked", "--workers", "1", folder=folder, warm=warm)
        assert leaked.code == 1
        assert "1 pairs of subjects stand on two sides" in leaked.err
        assert "dev.csv:202" in (folder / "leaked" / "leaks.tsv").read_text()
        (data / "dev.csv").write_text(dev.replace(dev.splitlines()[3].split(",")[0], "left", 1))
        checked = ctlr("check", "b.yaml", folder=folder, warm=warm)
        assert checked.code == 1
        told = " ".join(checked.err.split())
        assert "dev.csv, line 4, column 'x': a feature must be a number, and the cell holds text" in told
    finally:
        (data / "dev.csv").write_text(dev)
