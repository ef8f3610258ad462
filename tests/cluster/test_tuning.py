"""Searches of a submitted benchmark: in the task's own pod, and as Katib's Experiments."""

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from katib_double import KatibDouble
from kube_api import KubeApi, Node, serving
from tiny_bench import TINY, Bench, search_of

from ctlr.cluster import trial
from ctlr.cluster.request import Request, request_of
from ctlr.cluster.steps import plan_benchmark, preprocess_dataset, schedule_training
from ctlr.cluster.submission import Submission
from ctlr.cluster.tuning import search_groups, tune_searches
from ctlr.config import BenchmarkConfig, load
from ctlr.errors import ConfigError
from ctlr.plan import make_plan
from ctlr.searches import run_searches
from ctlr.specs import PlatformSpec, SearchResult
from ctlr.tuning.katib import connect
from ctlr.tuning.manifest import parse_experiment
from ctlr.workspace import Workspace

TUNING = """\
tuning:
  experiments: {scratch: rate.yaml, supervised: rate.yaml}
  trials: 2
  parallel: 1
"""
SPACE = "lab"
Choices = dict[str, tuple[dict[str, str], list[float]]]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkConfig:
    folder = tmp_path_factory.mktemp("tuned")
    text = TINY.replace("simclr: {}, vat: {}}", "}").replace("n_frozen: 1}}, }", "n_frozen: 1}}}")
    (folder / "tiny.yaml").write_text(text.replace("sample_sizes: [6, 10]", "sample_sizes: [6]") + TUNING)
    (folder / "rate.yaml").write_text(search_of("lr"))
    return load(folder / "tiny.yaml")


@pytest.fixture(scope="module")
def laptop(config: BenchmarkConfig, bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Choices:
    """What the laptop finds, in a workspace of its own."""
    workspace = Workspace(tmp_path_factory.mktemp("laptop") / "workspace")
    for kind in ("arrays", "cohorts"):
        (workspace.root / kind).symlink_to(bench.workspace.root / kind)
    found = run_searches(
        config, make_plan(config), bench.arrays, workspace, workers=1, device="cpu", on_event=lambda event: None
    )
    return choices(found)


def planned(request: Request, workspace: Workspace) -> tuple[str, list[str]]:
    """The submission's id and its groups of searches, the images stored."""
    root = str(workspace.root)
    submission, names = plan_benchmark(root, request.arguments["benchmark"], request.arguments["manifests"])
    for dataset in names["datasets"]:
        assert preprocess_dataset(root, submission, dataset, workers=1)["status"] == "ok"
    return submission, names["searches"]


def test_what_trials_start_from_is_made_before_them(own_bench: Bench, config: BenchmarkConfig) -> None:
    request = request_of(config)
    _, names = plan_benchmark(
        str(own_bench.workspace.root), request.arguments["benchmark"], request.arguments["manifests"]
    )
    assert [name.rpartition("-")[0] for name in names["pretrainings"]] == ["supervised-small_cnn-s0"]


def tuned(request: Request, workspace: Workspace, platform: PlatformSpec) -> Submission:
    submission, groups = planned(request, workspace)
    for group in groups:
        facts = tune_searches(str(workspace.root), submission, group, platform=platform)
        assert facts["trials"] == 2
    return Submission(workspace, submission)


def choices(searches: list[SearchResult]) -> Choices:
    """By method: what was chosen, and each trial's value to five digits (a metric line has six)."""
    return {
        search.study.method.label: (
            search.assignments, [float(f"{trial.value:.5g}") for stage in search.stages for trial in stage.trials]
        )
        for search in searches
    }  # fmt: skip


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeApi]:
    """A cluster with Katib whose node runs a trial's command in this process."""
    api = KubeApi()
    with serving(api, tmp_path):
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        Node(api, play)
        with KatibDouble(connect().api, SPACE):
            yield api


def play(node: Node, job: dict[str, Any]) -> None:
    words = job["spec"]["template"]["spec"]["containers"][0]["command"]
    assert words[:3] == ["python", "-m", "ctlr.cluster.trial"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = trial.main(words[3:])
    (node.succeed if code == 0 else node.fail)(job, printed.getvalue())


def test_a_group_of_searches_finds_in_its_own_pod_what_the_laptop_finds(
    own_bench: Bench, config: BenchmarkConfig, laptop: Choices
) -> None:
    submission, groups = planned(request_of(config), own_bench.workspace)
    root = str(own_bench.workspace.root)
    (group,) = [name for name in groups if name.startswith("scratch")]
    tune_searches(root, submission, group, platform=PlatformSpec(trials="local", cpu="1"))
    assert choices(Submission(own_bench.workspace, submission).searches()) == {"scratch": laptop["scratch"]}


def test_katib_finds_what_the_laptop_finds_by_the_same_algorithm(
    own_bench: Bench, config: BenchmarkConfig, laptop: Choices, lab: KubeApi
) -> None:
    run = tuned(request_of(config), own_bench.workspace, PlatformSpec(image="registry/ctlr:1.2"))
    assert len(lab.objects["experiments", SPACE]) == 2
    assert choices(run.searches()) == laptop
    work = schedule_training(str(run.workspace.root), run.name)
    assert {kind: len(names) for kind, names in work.items()} == {
        "pretrainings": 0, "scores": 0, "studies": 4, "floors": 1
    }  # fmt: skip
    for search in run.searches():
        for each in search.stages[-1].trials:
            assert (run.workspace.root / search.path / each.name / "validation.csv").exists()
    for made in lab.objects["experiments", SPACE].values():
        document = json.loads(json.dumps(made))
        del document["status"]
        experiment = parse_experiment(document)
        assert (experiment.trial.image, experiment.max_trials, experiment.objective.metric) == (
            "registry/ctlr:1.2", 2, "val_mae"
        )  # fmt: skip


def test_experiments_that_have_ended_are_deleted_where_the_platform_says_so(
    own_bench: Bench, config: BenchmarkConfig, laptop: Choices, lab: KubeApi
) -> None:
    run = tuned(request_of(config), own_bench.workspace, PlatformSpec(experiments="delete"))
    assert not lab.objects["experiments", SPACE]
    assert choices(run.searches()) == laptop


def test_searches_that_share_a_pretraining_stay_together(tmp_path: Path) -> None:
    text = TINY.replace("simclr: {}, vat: {}}", "}").replace("n_frozen: 1}}, }", "n_frozen: 1}}}")
    (tmp_path / "tiny.yaml").write_text(text + TUNING)
    (tmp_path / "rate.yaml").write_text(search_of("lr"))
    groups = search_groups(make_plan(load(tmp_path / "tiny.yaml")))
    found = {name.rpartition("-")[0]: [study.n_train for study in studies] for name, studies in groups.items()}
    assert found == {
        "scratch-age-small-cnn-n6": [6], "scratch-age-small-cnn-n10": [10], "supervised-age-small-cnn": [6, 10]
    }  # fmt: skip


def test_a_budget_in_seconds_is_none_of_katib(config: BenchmarkConfig) -> None:
    assert config.tuning is not None
    in_seconds = config.tuning.model_copy(update={"trials": None, "seconds": 60.0})
    with pytest.raises(ConfigError, match=r"tuning.seconds: Katib counts trials"):
        request_of(config.model_copy(update={"tuning": in_seconds}))
