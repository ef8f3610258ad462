"""Runs on sets of points: the file that the app writes, and what is seen of networks while they learn."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from browsing import form_of
from fastapi.testclient import TestClient

from ctlr.config import load
from ctlr.errors import ConfigError, DataError, WorkspaceError
from ctlr.events import events_path, read_events
from ctlr.runs import Run, Runs, Step
from ctlr.specs import GeneratedPointsSpec
from ctlr.ui import learning
from ctlr.ui.learning import MODELS, learned, learners, write_points_benchmark
from ctlr.ui.points import PointSet, PointSets

Client = Callable[..., TestClient]


def generated(root: Path, dev: int = 100) -> tuple[PointSets, PointSet]:
    sets = PointSets(root)
    spec = GeneratedPointsSpec(name="p", generator="toroid", points=(200, dev, 200))
    return sets, sets.generated("g", spec)


def test_the_file_says_what_was_chosen_and_lies_with_a_copy_of_the_points(tmp_path: Path) -> None:
    sets, found = generated(tmp_path)
    form = {"name": "r", "scratch": "yes", "svm": "yes", "layers": "2", "lr": "0.1", "epochs": "500", "seconds": "30"}
    assert write_points_benchmark(tmp_path, sets.table("g"), found, form) == "r"
    assert (tmp_path / "runs/r/points.csv").read_bytes() == sets.table("g").read_bytes()
    config = load(tmp_path / "runs/r/r.yaml")
    assert sorted(config.methods) == ["scratch", "svm"]
    assert config.methods["scratch"].finetune.epochs == 500
    assert config.compute.surfaces == 10
    assert config.split.n_validation(200) == 100
    assert config.tuning is not None
    assert config.tuning.seconds == 30
    with pytest.raises(WorkspaceError, match="there already"):
        write_points_benchmark(tmp_path, sets.table("g"), found, form)


@pytest.mark.parametrize(
    ("form", "words"),
    [({"name": "../r", "scratch": "yes"}, "the name"), ({"name": "r"}, "needs a model"),
     ({"name": "r", "scratch": "yes", "layers": "99"}, "layers"),
     ({"name": "r", "knn": "yes", "epochs": "x"}, "epochs"),
     ({"name": "r", "knn": "yes", "seconds": "nan"}, "seconds"), ({"name": "r", "supervised": "yes"}, "needs a model"),
     ({"name": "r", "knn": "yes", "trials": "0"}, "trials"),
     ({"name": "r", "knn": "yes", "labelled": "201"}, "labelled"),
     ({"name": "r", "knn": "yes", "trials": "3", "algorithm": "magic"}, "no 'magic'"),
     ({"name": "r", "knn": "yes", "trials": "3", "algorithm": "hyperband"}, "r_l")],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_and_leaves_nothing(tmp_path: Path, form: dict[str, str], words: str) -> None:
    sets, found = generated(tmp_path)
    with pytest.raises(ConfigError, match=words):
        write_points_benchmark(tmp_path, sets.table("g"), found, form)
    assert not list(tmp_path.glob("runs/*"))


def test_every_method_that_needs_no_source_can_learn_points_and_every_algorithm_search_them(tmp_path: Path) -> None:
    assert {"scratch", "vat", "mae", "svm", "boosting"} <= set(MODELS)
    assert not {"supervised", "pooled", "maml", "pretrained", "y_aware"} & set(MODELS)
    sets, found = generated(tmp_path)
    form = {"name": "all", **dict.fromkeys(MODELS, "yes"), "labelled": "50"}
    write_points_benchmark(tmp_path, sets.table("g"), found, form)
    config = load(tmp_path / "runs/all/all.yaml")
    assert set(config.methods) == set(MODELS)
    assert config.sample_sizes == (50,)
    for algorithm in ("random", "tpe", "cmaes", "bayesianoptimization", "sobol", "evolutionary"):
        form = {"name": algorithm, "scratch": "yes", "trials": "4", "algorithm": algorithm}
        write_points_benchmark(tmp_path, sets.table("g"), found, form)
        tuning = load(tmp_path / f"runs/{algorithm}/{algorithm}.yaml").tuning
        assert tuning is not None
        assert (tuning.trials, tuning.algorithm) == (4, algorithm)


def test_without_the_network_it_is_there_all_the_same_but_in_a_race(tmp_path: Path) -> None:
    sets, found = generated(tmp_path)
    for name, more in (("plain", {}), ("race", {"seconds": "5"})):
        write_points_benchmark(tmp_path, sets.table("g"), found, {"name": name, "knn": "yes", **more})
        assert ("scratch" in load(tmp_path / f"runs/{name}/{name}.yaml").methods) == (name == "plain")


def test_the_best_trial_of_a_search_and_those_under_way_are_seen(client: Client, tmp_path: Path) -> None:
    root, browser = tmp_path / "workspace", client()
    _, found = generated(root, dev=50)
    form = {
        "form": form_of(browser, "/points"),
        "name": "r",
        "scratch": "yes",
        "knn": "yes",
        "trials": "2",
        "epochs": "4",
    }
    assert browser.post("/points/g/start", data=form).headers["location"] == "/points/g/runs/r"
    deadline = time.monotonic() + 240
    while 'id="life">finished' not in (text := browser.get("/points/g/runs/r").text):
        assert time.monotonic() < deadline, text
        time.sleep(0.3)
    # As the page had it when the searches were over, and nothing was trained with what they had found.
    run = Run("r")
    for event in read_events(events_path(root, "r")):
        run.take(event)
        if run.studies:
            break
    run.steps = {name: step for name, step in run.steps.items() if step.of != "study"}
    (best,) = learners(run)
    search = max(run.searches.values(), key=lambda each: each.best.value if each.best and each.best.value else 0)
    assert best.name == f"Best so far: {search.step.name}, trial {search.best.number if search.best else None}"
    seen = learned(root, best, found)
    assert seen is not None
    (row,) = seen.rows  # what it kept in the end
    assert search.best is not None
    assert row["dev"] == pytest.approx(1 - (search.best.value or 0), abs=0.041)  # of 50 points, read off a grid
    drawn = {file.parent.parent.name for file in root.glob("searches/*/*/surfaces/*.npz")}
    assert drawn == {trial.name for trial in run.trials}
    # Studies without epochs are drawn once they have ended; the mean alone says nothing of places.
    assert text.count('class="card study"') == text.count('class="plane still"') + 1 == 3


def test_a_side_without_points_is_named(tmp_path: Path) -> None:
    sets, found = generated(tmp_path)
    found = found.with_rows([row for row in found.rows() if row[3] != 1])
    with pytest.raises(DataError, match="dev has fewer"):
        write_points_benchmark(tmp_path, sets.table("g"), found, {"name": "r", "scratch": "yes"})


def test_a_network_is_seen_to_learn_and_ends_as_its_study_says(client: Client, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    browser = client()
    _, found = generated(root, dev=50)
    form = {"form": form_of(browser, "/points"), "name": "r", "scratch": "yes", "epochs": "20", "units": "16"}
    assert browser.post("/points/g/start", data=form).headers["location"] == "/points/g/runs/r"
    deadline = time.monotonic() + 120
    while 'id="life">finished' not in (text := browser.get("/points/g/runs/r").text):
        assert time.monotonic() < deadline, text
        time.sleep(0.3)
    assert "After epoch 20, train error" in text
    assert "(least 9.2 %)" in text
    assert re.search('aria-label="Curve up to epoch 20: train [0-9.]+, dev [0-9.]+, eval [0-9.]+"', text)
    assert 'class="truth"' in text
    (folder,) = root.glob("finetuned/*/surfaces")
    assert sorted(file.stem for file in folder.iterdir()) == [f"{epoch:06d}" for epoch in range(1, 21)]
    with Runs(root).reading("r") as run:
        (learner,) = [each for each in learners(run) if each.name.startswith("scratch")]
    seen = learned(root, learner, found)
    assert seen is not None
    assert [row["epoch"] for row in seen.rows] == list(range(1, 21))
    # So few points validate that the last epoch is kept: the study's own drawing, and errors, are those of its weights.
    (surface,) = root.glob(f"studies/{folder.parent.name}/surface.npz")
    with np.load(surface) as held:
        places = np.stack(np.meshgrid(held["x"], held["y"]), axis=-1).reshape(-1, 2)
        inside = (np.abs(places) < 1.2).all(axis=1)
        grid = learning._read(folder / "000020.npz")
        assert grid is not None
        assert (grid.at(places).argmax(axis=1) == held["codes"].ravel())[
            inside
        ].mean() > 0.97  # but for cells on the boundary
    (result,) = root.glob(f"studies/{folder.parent.name}/result.json")
    accuracy = re.search(r'"test":\s*{[^}]*"accuracy":\s*([\d.]+)', result.read_text())
    assert accuracy is not None
    assert seen.rows[-1]["eval"] == pytest.approx(1 - float(accuracy[1]), abs=0.011)


def test_shares_between_lines_are_linear_and_beyond_them_those_of_the_edge() -> None:
    x = np.array([0.0, 1.0])
    shares = np.array([[[0.0], [1.0]], [[2.0], [3.0]]], np.float32)
    grid = learning._Grid(x, x, shares, 1)
    points = np.array([[0.5, 0.5], [0.25, 0.0], [9.0, -9.0]])
    assert grid.at(points)[:, 0].tolist() == [1.5, 0.25, 1.0]


def study(name: str) -> Run:
    run = Run("r")
    run.steps[name] = Step(name, name, "study", {})
    return run


def test_damaged_drawings_and_strange_steps_show_nothing(tmp_path: Path) -> None:
    _, found = generated(tmp_path)
    folder = tmp_path / "finetuned" / "abc" / "surfaces"
    folder.mkdir(parents=True)
    (learner,) = learners(study("study abc"))
    assert learned(tmp_path, learner, found) is None
    (folder / "000001.npz").write_bytes(b"PK\x03\x04broken")
    assert learned(tmp_path, learner, found) is None
    (strange,) = learners(study("study ../../abc"))
    assert strange.place == ()
    assert learned(tmp_path, strange, found) is None
