"""The example package as its readers use it: installed, checked, run on a laptop and as a pipeline, its own tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cloud import Cloud, label
from terminal import Finished, ctlr

from ctlr.cluster.request import request_of
from ctlr.config import load
from ctlr.specs import PLUGINS

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"

OWN = '''\
"""A method in a file, beside those of the package."""

from typing import Literal

from ctlr_example.align_uniform import AlignUniformSpec


class Narrow(AlignUniformSpec):
    """As `align_uniform`, under a name of its own."""

    method: Literal["narrow"] = "narrow"
'''


class Place:
    """A folder with the example's benchmark and data, and an environment that has its package."""

    def __init__(self, root: Path) -> None:
        self.root, self.site, source = root / "desk", root / "site", root / "source"
        self.root.mkdir()
        shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
        words = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
        self.python("-m", "pip", *words, "--target", str(self.site), str(source))
        shutil.copy(EXAMPLE / "benchmark.yaml", self.root)
        self.python("-m", "ctlr_example.made", str(self.root / "data"))

    @property
    def path(self) -> str:
        return os.pathsep.join(filter(None, [str(self.site), os.environ.get("PYTHONPATH", "")]))

    def python(self, *words: str, folder: Path | None = None) -> None:
        environment = {**os.environ, "PYTHONPATH": self.path}
        done = subprocess.run(
            [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def ctlr(self, *words: str) -> Finished:
        return ctlr(*words, folder=self.root, environment={"PYTHONPATH": self.path})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("example"))
    (place.root / "narrow.py").write_text(OWN)
    text = (place.root / "benchmark.yaml").read_text()
    text = text.replace("name: example", "name: both\nplugins: [narrow.py]").replace("  supervised", "  narrow")
    (place.root / "both.yaml").write_text(text + "platform: {roots: {rings: data}, trials: local}\n")
    return place


def test_its_parts_are_listed_and_keep_their_promises(place: Place) -> None:
    assert place.ctlr("explain").out.count("[plug-in ctlr-example 0.1.0]") == 3
    checked = place.ctlr("plugins", "check", "ctlr-example")
    assert checked.code == 0, checked.out
    assert checked.out.endswith("All promises are kept.\n")


def test_its_benchmark_runs_with_two_workers(place: Place) -> None:
    done = place.ctlr("run", "benchmark.yaml", "--workers", "2", "--workspace", "own")
    assert done.code == 0, done.err
    page = (place.root / "own" / "reports" / "example" / "report.html").read_text()
    assert "plug-in ctlr-example 0.1.0" in page
    assert "align_uniform" in page


def test_its_own_tests_pass(place: Place, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    place.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", folder=tmp_path)


def test_a_pipeline_gives_the_scores_of_the_laptop_with_a_file_beside_the_package(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = place.ctlr("run", "both.yaml", "--workers", "2")
    assert done.code == 0, done.err
    monkeypatch.setenv(PLUGINS, "")
    monkeypatch.setenv("PYTHONPATH", place.path)
    monkeypatch.syspath_prepend(place.site)
    cloud = Cloud(tmp_path / "volume", tmp_path / "store")
    for folder in (cloud.volume, cloud.store):
        folder.mkdir()
    shutil.copytree(place.root / "data", cloud.volume / "data")
    request = request_of(load(place.root / "both.yaml"))
    assert list(request.arguments["manifests"]) == ["narrow.py"]
    monkeypatch.setenv(PLUGINS, "")  # pods know nothing of this desk
    cloud.run(request)
    there, here = cloud.results(), Cloud(place.root / "workspace", place.root).results()
    assert here.keys() == there.keys() == {
        f"{name} n8 s0" for name in ("mean", "linear", "scratch", "align_uniform", "narrow")
    }  # fmt: skip
    for name, result in here.items():
        assert there[name]["status"] == "ok", there[name]["reason"]
        assert there[name]["scores"] == result["scores"], name
        assert label(result) == name
    assert json.dumps(here["narrow n8 s0"]["study"]["method"]["plugin"])
