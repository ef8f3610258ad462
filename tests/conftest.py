"""What tests share: a small cohort, grown and preprocessed once a session."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_bench import TINY, Bench
from warm import warm_programs

from ctlr.config import load
from ctlr.data.preprocess import preprocess
from ctlr.plan import make_plan
from ctlr.workspace import Workspace

os.environ.setdefault("OMP_NUM_THREADS", "1")
# What a shell starts in the background ignores Ctrl-C, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONG = ("test_docs.py", "pipelines/", "test_searches.py", "e2e/", "test_", "cli/", "cluster/")
"""What begins so runs whole commands. It comes first, so that no process is left alone with it at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        path = item.nodeid.removeprefix("tests/")
        return next((place for place, start in enumerate(LONG) if path.startswith(start)), len(LONG))

    items.sort(key=rank)


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a `ctlr` and a `warm-python` lie that need not load anything."""
    with warm_programs(tmp_path_factory.mktemp("warm")) as folder:
        yield folder


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark file of 48 synthetic subjects, four methods, two sizes and one seed."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def bench(tiny_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The small benchmark with its images stored; tests that write take a workspace of their own."""
    config = load(tiny_file)
    plan = make_plan(config)
    workspace = Workspace(tmp_path_factory.mktemp("bench") / "workspace")
    arrays = {data.name: preprocess(data, workspace, workers=2) for data in plan.datasets}
    return Bench(tiny_file, config, plan, workspace, arrays)


@pytest.fixture
def own_bench(bench: Bench, tmp_path: Path) -> Bench:
    """The small benchmark in a workspace of the test's own, which shares the stored images."""
    workspace = Workspace(tmp_path / "workspace")
    for kind in ("arrays", "cohorts"):
        (workspace.root / kind).symlink_to(bench.workspace.root / kind)
    return Bench(bench.file, bench.config, bench.plan, workspace, bench.arrays)
