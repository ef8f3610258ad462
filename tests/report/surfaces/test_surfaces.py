"""Decision surfaces: whose are drawn, where the true boundary is, what lies in a drawing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished_bench import finished

from ctlr.config import TuningSpec
from ctlr.errors import DataError
from ctlr.methods.scratch import ScratchSpec
from ctlr.report.findings import Findings, findings
from ctlr.report.surfaces.plot import surface_plot, true_boundary
from ctlr.report.surfaces.rows import Surface, drawn_systems, read_surface
from ctlr.report.surfaces.section import surfaces
from ctlr.shallow.baselines import NearestSpec
from ctlr.specs import StudyResult

AXIS = np.linspace(-2, 2, 21)


def surface() -> Surface:
    """Class 1 right of x = 0."""
    codes = np.repeat((AXIS > 0)[None], 21, axis=0).astype(np.uint8)
    points = np.array([[-1, 0], [1, 0], [1, 1], [9, 9]], np.float32)
    return Surface(x=AXIS, y=AXIS, codes=codes, points={"test": (points, np.array([0, 1, 1, 0], np.uint8))})


def write(folder: Path) -> None:
    kept = surface()
    points, codes = kept.points["test"]
    np.savez(folder / "surface.npz", x=kept.x, y=kept.y, codes=kept.codes, test_points=points, test_codes=codes)


def gaussians(side: str, points: Any) -> Any:
    """Two classes about x = -1 and x = 1."""
    return np.exp(-((points[:, :1] - [-1, 1]) ** 2 + points[:, 1:] ** 2))


def test_the_true_boundary_is_where_densities_are_equal_and_somebody_lies() -> None:
    x, y, (lead, other) = true_boundary(surface(), gaussians, "test")
    assert np.isnan(other).all()  # the line is the first class's
    middle = lead[len(y) // 2]
    assert (middle[x < -0.05] > 0).all()
    assert (middle[x > 0.05] < 0).all()
    far = true_boundary(Surface(**vars(surface()) | {"x": AXIS * 10, "y": AXIS * 10}), gaussians, "test")[2][0]
    assert np.isnan(far[0]).all()


def test_three_classes_have_each_line_once() -> None:
    def three(side: str, points: Any) -> Any:
        return np.exp(-((points[:, :1] - [-1.5, 0, 1.5]) ** 2 + points[:, 1:] ** 2))

    x, y, lead = true_boundary(surface(), three, "test")
    middle = [each[len(y) // 2] for each in lead]
    changes = [np.count_nonzero(np.diff(np.sign(row[~np.isnan(row)])) != 0) for row in middle]
    assert changes == [1, 1, 0]
    assert x[~np.isnan(middle[1])].min() > 0


def test_a_drawing_holds_regions_points_inside_and_the_error() -> None:
    drawn = surface_plot(
        surface(), "test", classes=("left", "right"), boundary=true_boundary(surface(), gaussians, "test"),
        error=0.25, name="s",
    )  # fmt: skip
    assert drawn.alt == (
        "test, 25.0 % errors: 4 points on the regions of the plane with the true boundary: left 52 %, right 48 %."
    )
    dots = [start for start, end in re.findall(r"M\s*([\d.]+ [\d.]+)\s*L\s*([\d.]+ [\d.]+)", drawn.svg) if start == end]
    assert len(dots) == 3  # the fourth lies outside
    assert "var(--series-1)" in drawn.svg
    assert "stroke-linecap: round" in drawn.svg


def test_a_damaged_surface_is_named(tmp_path: Path) -> None:
    assert read_surface(tmp_path) is None
    write(tmp_path)
    found = read_surface(tmp_path)
    assert found is not None
    assert found.points["test"][1].tolist() == [0, 1, 1, 0]
    (tmp_path / "surface.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"surface.npz is damaged.*`ctlr resume`"):
        read_surface(tmp_path)


@pytest.fixture
def seen(tmp_path: Path, digits_of: Any, searching: Any) -> Findings:
    """An expert, KNN and two searches, of which `gp` did better on validation subjects; all left surfaces but KNN."""
    shares = {"manual": 0.8, "tpe": 0.7, "gp": 0.9}
    methods = [(ScratchSpec(label=label), share) for label, share in shares.items()]
    benchmark = digits_of(tmp_path, [(NearestSpec(label="nearest"), 0.6), *methods])
    for result in benchmark.results:
        if result.study.method.label != "nearest":
            write(tmp_path / result.path)
    studies: dict[str, StudyResult] = {result.study.method.label: result for result in reversed(benchmark.results)}
    searches = tuple(
        searching.search(studies[label].study, searching.stage([searching.trial(0, 0.3)])) for label in ("tpe", "gp")
    )
    done = finished(benchmark, searches=searches)
    tuning = TuningSpec(experiments={}, trials=2, by_hand=("manual",))
    return findings(type(done)(**vars(done) | {"config": done.config.model_copy(update={"tuning": tuning})}))


def test_the_expert_stands_beside_the_search_that_validation_chose(seen: Findings) -> None:
    view, searches = seen.views[0], seen.finished.searches
    assert list(drawn_systems(view, searches, ["manual"])) == ["nearest", "manual", "gp"]
    assert list(drawn_systems(view, searches, [])) == ["nearest", "manual", "tpe", "gp"]
    assert {done.result.study.seed for done in drawn_systems(view, searches, []).values()} == {0}


def test_the_section_draws_who_left_a_surface(seen: Findings) -> None:
    section = surfaces(seen, seen.views[0])
    assert section is not None
    shows: Any = section.shows
    assert [each.label for each in shows["methods"]] == ["manual", "gp"]
    assert not shows["known"]
    assert shows["shown"] == 4


def test_without_surfaces_there_is_no_section(digits: Any) -> None:
    seen = findings(finished(digits))
    assert surfaces(seen, seen.views[0]) is None
