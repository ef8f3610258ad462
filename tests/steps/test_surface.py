"""Decision surfaces: a grid that is predicted as rows are, and points of each side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctlr.config import load
from ctlr.data.store import ArrayStore
from ctlr.engine import preprocess_all
from ctlr.plan import make_plan
from ctlr.report.surfaces.rows import Surface, read_surface
from ctlr.specs import StoredArrays
from ctlr.steps.evaluate import evaluate
from ctlr.steps.finetune import finetune
from ctlr.workspace import Workspace

BENCHMARK = """\
name: plane
datasets:
  points: {kind: generated_points, generator: toroid, points: [1500, 200, 200]}
  far: {kind: points, root: ., table: far.csv, features: [x, y, z]}
tasks: {kind: {target: class, kind: classification}}
transfers: [{target: {data: points, task: kind}}, {target: {data: far, task: kind}}]
encoders: {mlp: {}}
methods: {scratch: {}}
baselines: [nearest, random_forest]
sample_sizes: [200]
seeds: [0]
training: {finetune: {epochs: 2, batch_size: 8}}
"""


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """(dataset, method) -> folder of its study."""
    folder = tmp_path_factory.mktemp("plane")
    rows = "".join(f"{n},{-n},{n % 5},{'ab'[n % 2]}\n" for n in range(800))
    (folder / "far.csv").write_text("x,y,z,class\n" + rows)
    (folder / "plane.yaml").write_text(BENCHMARK)
    plan, workspace = make_plan(load(folder / "plane.yaml")), Workspace(folder / "workspace")
    arrays = preprocess_all(plan.datasets, workspace, workers=1, on_event=lambda _: None)
    found = {}
    for study in plan.studies:
        if study.method.trains_network:
            finetune(study, arrays, workspace)
        result = evaluate(study, arrays, workspace)
        found[study.target.data.name, study.method.label] = workspace.root / result.path
    return found


@pytest.mark.parametrize("method", ["scratch", "nearest", "random_forest"])
def test_a_study_on_the_plane_leaves_its_surface(studies: dict[tuple[str, str], Path], method: str) -> None:
    found = read_surface(studies["points", method])
    assert isinstance(found, Surface)
    assert found.codes.shape == (len(found.y), len(found.x))
    assert set(np.unique(found.codes)) == {0, 1}
    assert {side: len(points) for side, (points, _) in found.points.items()} == {
        "train": 200, "validation": 200, "test": 200,
    }  # fmt: skip
    assert np.ptp(found.x) == pytest.approx(np.ptp(found.y))  # one scale


def test_a_forest_says_on_the_grid_what_it_says_of_rows(studies: dict[tuple[str, str], Path]) -> None:
    folder = studies["points", "random_forest"]
    found = read_surface(folder)
    assert found is not None
    points, _ = found.points["test"]
    lines = (folder / "predictions.csv").read_text().splitlines()[1:]
    said = [line.split(",")[3] for line in lines if line.split(",")[1] == "test"]
    column, row = (np.abs(axis[:, None] - points[:, i]).argmin(axis=0) for i, axis in enumerate((found.x, found.y)))
    near = np.array(["core", "ring"])[found.codes[row, column]]
    assert (near == np.array(said)).mean() > 0.9


def test_the_mean_and_three_features_leave_none(studies: dict[tuple[str, str], Path]) -> None:
    assert read_surface(studies["points", "mean"]) is None
    assert read_surface(studies["far", "scratch"]) is None
    assert read_surface(studies["far", "nearest"]) is None


def test_a_large_side_shows_a_thousand_points(tmp_path: Path) -> None:
    from ctlr.data.targets import read_targets
    from ctlr.steps.surface import write_surface

    (tmp_path / "plane.yaml").write_text(BENCHMARK.split("  far:")[0] + BENCHMARK.split("features: [x, y, z]}\n")[1])
    file = tmp_path / "plane.yaml"
    file.write_text(file.read_text().replace(", {target: {data: far, task: kind}}", ""))
    plan, workspace = make_plan(load(file)), Workspace(tmp_path / "workspace")
    arrays: dict[str, StoredArrays] = preprocess_all(plan.datasets, workspace, workers=1, on_event=lambda _: None)
    store, end = ArrayStore(arrays["points"], workspace), plan.studies[0].target
    targets = read_targets(store.table, end.task, "points")
    rows = {"train": np.arange(1500), "test": np.empty(0, np.int64)}
    write_surface(tmp_path / "surface.npz", store, targets, rows, lambda _, asked: np.eye(2)[asked % 2])
    found = read_surface(tmp_path)
    assert found is not None
    assert {side: len(codes) for side, (_, codes) in found.points.items()} == {"train": 1000}
    assert found.codes[0, :4].tolist() == [0, 1, 0, 1]
