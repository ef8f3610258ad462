"""CTLR beside an expert's scripts, on the same images and splits: `python -m bench expert [SEEDS]`.

CTLR runs benchmarks/expert.yaml. The images that it stored and the splits that it drew are given to the scripts of this
folder, which are plain PyTorch and use nothing else of CTLR. Both score the same test subjects. What is printed are the
tables of docs/by-hand.md; everything lies in bench/out/expert, and what is there already is not done again by CTLR.
"""

from __future__ import annotations

import ast
import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

from ctlr.config import load
from ctlr.data.development import open_development, open_source
from ctlr.data.preprocess import preprocess
from ctlr.data.splits import rows_of
from ctlr.plan import make_plan
from ctlr.report.statistics.estimates import holm
from ctlr.specs import DataTask, StoredArrays, Study, StudyResult
from ctlr.steps.assembly import seed_for
from ctlr.steps.keys import study_key
from ctlr.workspace import Workspace

__all__ = ["METRICS", "Cell", "Row", "count_lines", "export", "line_table", "main", "scores_of", "table"]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FILE = ROOT / "benchmarks" / "expert.yaml"
OUT = ROOT / "bench" / "out" / "expert"
METRICS = {"mae": "MAE, years", "accuracy": "accuracy", "precision": "precision", "f1": "F1"}
METHODS = ("scratch", "supervised", "simclr", "vat")
SHARED = ("data", "network", "views", "training", "__main__")


class Cell(NamedTuple):
    """What is scored, seed by seed."""

    target: str
    metric: str
    method: str
    n_train: int


Scores = Mapping[Cell, Mapping[int, float]]
"""Seed -> score on the test set."""


class Row(NamedTuple):
    """One line of the table; the difference is the expert's score minus CTLR's, its interval at 95 %."""

    cell: Cell
    ours: float
    theirs: float
    difference: float
    half_width: float
    p: float

    @property
    def agrees(self) -> bool:
        """Whether the interval holds 0."""
        return abs(self.difference) <= self.half_width


def main(arguments: Sequence[str] = ()) -> int:
    """Run both sides and print the tables.

    Returns:
        1 where a difference is real, that is, survives Holm's correction for the comparisons of the table.
    """
    seeds = list(range(int(arguments[0]))) if arguments else load(FILE).seeds
    changed = [f"seeds={json.dumps(list(seeds))}"]
    run = [sys.executable, "-m", "ctlr", "run", str(FILE), "--workers=1", f"--workspace={OUT}"]
    subprocess.run([*run, *(f"--set={change}" for change in changed)], check=True, stdout=sys.stderr)
    splits, found = OUT / "splits", OUT / "expert.csv"
    export(FILE, OUT, splits, changed)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bench.expert", str(splits), str(found)]
    subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=sys.stderr)
    rows = table(scores_of(FILE, OUT, splits, changed), _read(found))
    _print(rows, len(seeds))
    print()
    print("\n".join(line_table()))
    return int(any(p < 0.05 for p in holm([row.p for row in rows])))


# ---------------------------------------------------------------- what both sides are given


def export(file: Path, root: Path, folder: Path, changed: Sequence[str] = ()) -> None:
    """Write who trains, validates and tests: TARGET-N-SEED.json for each pair of source and target.

    Args:
        file: The benchmark.
        root: Workspace in which it was run.
        folder: Where the files go; earlier ones are removed.
        changed: KEY=VALUE as for `ctlr run --set`.
    """
    workspace = Workspace(root)
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    for study, arrays in _studies(file, workspace, changed):
        if study.source is not None and study.method.label == "supervised":
            (folder / f"{_name(study)}.json").write_text(json.dumps(_sides(study, arrays, workspace)))


def _name(study: Study) -> str:
    return f"{study.target.task.name}-{study.n_train}-{study.seed}"


def _sides(study: Study, arrays: Mapping[str, StoredArrays], workspace: Workspace) -> dict[str, object]:
    assert study.source is not None
    known = open_development(
        study.target, arrays[study.target.data.name], workspace, split=study.split, n_train=study.n_train,
        n_reserved=study.n_reserved, seed=study.seed,
    )  # fmt: skip
    source = open_source(
        study.source, arrays[study.source.data.name], workspace, among=None, seed=seed_for(study.seed, "watch"),
        validation=study.split.source_validation,
    )  # fmt: skip
    test = rows_of(known.store.table, known.split.test)
    sides = {"train": known.train, "validation": known.validation, "test": test, "pool": known.pool}
    return {
        "source": _task(study.source, arrays, workspace, {"train": source.train, "validation": source.validation}),
        "target": _task(study.target, arrays, workspace, sides),
        "identity": known.split.identity(),
    }


def _task(
    end: DataTask, arrays: Mapping[str, StoredArrays], workspace: Workspace, sides: Mapping[str, np.ndarray]
) -> dict[str, object]:
    folder = (workspace.root / arrays[end.data.name].path).resolve()
    rows = {side: rows.tolist() for side, rows in sides.items()}
    return {"folder": str(folder), "column": end.task.target, "sides": rows}


def _studies(
    file: Path, workspace: Workspace, changed: Sequence[str]
) -> Iterator[tuple[Study, Mapping[str, StoredArrays]]]:
    plan = make_plan(load(file, changed))
    arrays = {data.name: preprocess(data, workspace) for data in plan.datasets}
    for study in plan.studies:
        yield study, arrays


# ---------------------------------------------------------------- scores


def scores_of(file: Path, root: Path, splits: Path, changed: Sequence[str] = ()) -> Scores:
    """CTLR's scores on the test set, from the results in a workspace; arguments as for `export`.

    Raises:
        ValueError: A study was split in another way than what was exported.
    """
    workspace = Workspace(root)
    scores: dict[Cell, dict[int, float]] = {}
    for study, arrays in _studies(file, workspace, changed):
        if study.method.label not in METHODS:
            continue
        folder = workspace.folder("studies", study_key(study, arrays))
        result = StudyResult.model_validate_json((folder / "result.json").read_text())
        if result.split != json.loads((splits / f"{_name(study)}.json").read_text())["identity"]:
            raise ValueError(f"{_name(study)} of {study.method.label} was split in another way than what was exported")
        for metric, value in result.scores["test"].items():
            cell = Cell(study.target.task.name, metric, study.method.label, study.n_train)
            scores.setdefault(cell, {})[study.seed] = value
    return scores


def _read(file: Path) -> Scores:
    scores: dict[Cell, dict[int, float]] = {}
    with file.open(newline="") as text:
        rows = list(csv.reader(text))
    for split, method, metric, value in rows:
        target, n_train, seed = split.rsplit("-", 2)
        scores.setdefault(Cell(target, metric, method, int(n_train)), {})[int(seed)] = float(value)
    return scores


def table(ours: Scores, theirs: Scores) -> list[Row]:
    """One row for each cell of the expert's whose metric is in `METRICS`; differences are paired by seed."""
    order = {name: place for place, name in enumerate((*METRICS, *METHODS))}
    cells = [cell for cell in theirs if cell.metric in METRICS]
    return [
        _row(cell, ours[cell], theirs[cell])
        for cell in sorted(cells, key=lambda cell: (cell.target, order[cell.metric], order[cell.method], cell.n_train))
    ]


def _row(cell: Cell, ours: Mapping[int, float], theirs: Mapping[int, float]) -> Row:
    seeds = sorted(theirs)
    mine, other = np.array([ours[seed] for seed in seeds]), np.array([theirs[seed] for seed in seeds])
    apart = other - mine
    error = apart.std(ddof=1) / len(seeds) ** 0.5 if len(seeds) > 1 else np.inf
    t = abs(apart.mean()) / error if error else np.inf * abs(apart.mean() or 0.0)
    freedom = max(1, len(seeds) - 1)
    p = 1.0 if np.isnan(t) else 2 * stats.t.sf(t, freedom)
    return Row(cell, mine.mean(), other.mean(), apart.mean(), stats.t.ppf(0.975, freedom) * error, float(p))


def _print(rows: Sequence[Row], n_seeds: int) -> None:
    print("| Target | Metric | Method | n | CTLR | By hand | Difference, 95 % interval | Agree |")
    print("|---|---|---|---:|---:|---:|---:|---|")
    for row in rows:
        cell, digits = row.cell, 2 if row.cell.metric == "mae" else 3
        low, high = row.difference - row.half_width, row.difference + row.half_width
        print(
            f"| {cell.target} | {METRICS[cell.metric]} | {cell.method} | {cell.n_train} | {row.ours:.{digits}f} | "
            f"{row.theirs:.{digits}f} | {row.difference:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f}) | "
            f"{'yes' if row.agrees else 'no'} |"
        )
    agreeing, least = sum(row.agrees for row in rows), min(holm([row.p for row in rows]))
    print(f"\n{agreeing} of {len(rows)} agree over {n_seeds} seeds; by chance alone {0.05 * len(rows):.1f} would not. "
          f"Least p after Holm's correction: {least:.2g}.")  # fmt: skip


# ---------------------------------------------------------------- lines


def line_table() -> list[str]:
    """Lines of code of each file, comments, docstrings and blank lines apart."""
    shared = {name: count_lines(HERE / f"{name}.py") for name in SHARED}
    own = {name: count_lines(HERE / f"{name}.py") for name in METHODS}
    rows = [f"| shared: `bench/expert/{name}.py` | {lines} |" for name, lines in shared.items()]
    rows += [f"| `bench/expert/{name}.py` | {lines} |" for name, lines in own.items()]
    total = sum(shared.values()) + sum(own.values())
    return [
        "| File | Lines |", "|---|---:|", *rows, f"| by hand, together | {total} |",
        f"| `benchmarks/expert.yaml` | {count_lines(FILE)} |",
    ]  # fmt: skip


def count_lines(file: Path) -> int:
    """Lines that are neither blank nor a comment alone nor part of a docstring."""
    text = file.read_text()
    skipped = _docstring_lines(text) if file.suffix == ".py" else set()
    lines = enumerate(text.splitlines(), start=1)
    return sum(bool(line.strip()) and line.lstrip()[0] != "#" and at not in skipped for at, line in lines)


def _docstring_lines(text: str) -> set[int]:
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, holders) and ast.get_docstring(node) is not None:
            found |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return found
