"""Estimates of the Bayes error as a step: which rows of which sides, kept in the workspace."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ctlr.config import load
from ctlr.data.kinds.points.generating import least_error
from ctlr.engine import collect_least_errors, jobs_left, preprocess_all
from ctlr.plan import make_plan
from ctlr.specs import GeneratedPointsSpec, LeastErrors
from ctlr.steps.least_errors import assess_target
from ctlr.workspace import Workspace

BENCHMARK = """\
name: least
datasets:
  points: DATA
tasks: {kind: {target: class, kind: classification}}
transfers: [{target: {data: points, task: kind}}]
encoders: {ENCODER: {}}
methods: {scratch: {}}
baselines: []
sample_sizes: [30]
seeds: [0, 1]
report: {bayes_error: true}
"""

Assessed = tuple[LeastErrors, Workspace]


@pytest.fixture
def assessed(tmp_path: Path) -> Callable[[str], Assessed]:
    def of(data: str, encoder: str = "mlp") -> Assessed:
        file = tmp_path / "least.yaml"
        file.write_text(BENCHMARK.replace("DATA", data).replace("ENCODER", encoder))
        plan, workspace = make_plan(load(file)), Workspace(tmp_path / "workspace")
        arrays = preprocess_all(plan.datasets, workspace, workers=1, on_event=lambda _: None)
        (spec,) = plan.least_errors
        assert [job.kind for job in jobs_left(plan, arrays, workspace)].count("assess") == 1
        found = assess_target(spec, arrays, workspace)
        assert collect_least_errors(plan, arrays, workspace) == [found]
        assert "assess" not in [job.kind for job in jobs_left(plan, arrays, workspace)]
        return found, workspace

    return of


def test_each_given_side_has_its_own_known_error_found(assessed: Callable[[str], Assessed]) -> None:
    found, _ = assessed("{kind: generated_points, generator: yin_yang, points: [2000, 1500, 1500]}")
    assert found.classes == ("yang", "yin")
    assert {side: each.rows for side, each in found.sides.items()} == {"train": 2000, "validation": 1500, "test": 1500}
    known = least_error(GeneratedPointsSpec(generator="yin_yang"), "test")
    for each in found.sides.values():
        assert each.posterior.value == pytest.approx(known, abs=0.04)
    assert found.components == 0


def test_sides_that_are_drawn_are_one_set(tmp_path: Path, assessed: Callable[[str], Assessed]) -> None:
    rows = "".join(f"{number},{number % 7},{'ab'[number // 2 % 2]},{number // 2}\n" for number in range(160))
    (tmp_path / "points.csv").write_text("x,y,class,id\n" + rows)
    found, workspace = assessed(f"{{kind: points, root: {tmp_path}, table: points.csv, features: [x, y], id: id}}")
    # Two rows of one id are neighbours without knowing anything of each other: the first counts.
    assert {side: each.rows for side, each in found.sides.items()} == {"all": 80}
    (record,) = workspace.root.glob("least_errors/*/result.json")
    assert json.loads(record.read_text())["target"]["data"]["root"] == ""


def test_of_a_subject_with_several_classes_one_of_each_counts(
    tmp_path: Path, assessed: Callable[[str], Assessed]
) -> None:
    """A patient has seizures and what lies between them."""
    rows = "".join(f"{number},{number % 7},{'aab'[number % 3]},{number // 3}\n" for number in range(90))
    (tmp_path / "points.csv").write_text("x,y,class,id\n" + rows)
    found, _ = assessed(f"{{kind: points, root: {tmp_path}, table: points.csv, features: [x, y], id: id}}")
    assert {side: each.rows for side, each in found.sides.items()} == {"all": 60}


def test_images_are_compared_on_principal_components(assessed: Callable[..., Assessed]) -> None:
    found, _ = assessed("{kind: digits, per_class: 40, classes: ['0', '1']}", "small_cnn")
    assert found.components == 20
    (side,) = found.sides.values()
    assert side.rows == 80
    assert side.posterior.value < 0.05


def test_a_side_of_one_class_has_no_estimate(tmp_path: Path, assessed: Callable[[str], Assessed]) -> None:
    rows = [(number, "ab"[number % 2], "train") for number in range(80)] + [(99 + n, "a", "val") for n in range(40)]
    text = "".join(f"{x},{-x},{name},{side}\n" for x, name, side in rows)
    (tmp_path / "points.csv").write_text("x,y,class,split\n" + text)
    found, _ = assessed(f"{{kind: points, root: {tmp_path}, table: points.csv, features: [x, y], split: split}}")
    assert set(found.sides) == {"train"}
    assert found.left_out == {"validation": "It has fewer than 20 subjects, or a single class."}
