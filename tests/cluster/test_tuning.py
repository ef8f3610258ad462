"""Searches of a submitted benchmark: in the task's own pod, and as Katib's Experiments."""

import contextlib
import io
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from katib_double import KatibDouble, refusal
from kube_api import KubeApi, Node, serving
from own_parts import FILE, PARTS
from tiny_bench import TINY, Bench, search_of

from ctlr.cluster import trial
from ctlr.cluster.request import Request, request_of
from ctlr.cluster.submission import Submission, packed
from ctlr.cluster.workers import preprocess_datasets, work
from ctlr.config import BenchmarkConfig, load
from ctlr.engine import jobs_left
from ctlr.errors import ConfigError, TrainingError
from ctlr.plan import make_plan
from ctlr.runs import Runs
from ctlr.searches import run_searches, tuned_plan
from ctlr.specs import PLUGINS, PlatformSpec, SearchResult
from ctlr.tuning.katib import RUN as RUN_OF_PIPELINES
from ctlr.tuning.katib import SUBMISSION, connect
from ctlr.tuning.manifest import parse_experiment
from ctlr.workspace import Workspace

TUNING = """\
tuning:
  experiments: {scratch: rate.yaml, supervised: rate.yaml}
  trials: 2
  parallel: 1
"""
SPACE, RUN = "lab", "5b1f"
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
    return choices(on_a_laptop(config, bench, tmp_path_factory.mktemp("laptop")))


def on_a_laptop(config: BenchmarkConfig, bench: Bench, folder: Path) -> list[SearchResult]:
    workspace = Workspace(folder / "workspace")
    for kind in ("arrays", "cohorts"):
        (workspace.root / kind).symlink_to(bench.workspace.root / kind)
    return run_searches(
        config, make_plan(config), bench.arrays, workspace, workers=1, device="cpu", since=0,
        on_event=lambda event: None,
    )  # fmt: skip


def planned(request: Request, workspace: Workspace, platform: PlatformSpec | None = None) -> str:
    """The submission's id, the images stored."""
    submission, benchmark, manifests = (request.arguments[key] for key in ("submission", "benchmark", "manifests"))
    sent = (str(workspace.root), submission, RUN)
    place = (platform or PlatformSpec()).model_dump_json()
    assert preprocess_datasets(*sent, packed(benchmark, manifests, place))["status"] == "ok"
    return str(submission)


def test_what_trials_start_from_is_made_before_them(own_bench: Bench, config: BenchmarkConfig) -> None:
    request = request_of(config)
    assert (request.workers.pretrain, request.workers.tune, request.workers.train) == (1, 1, 2)
    root, submission = str(own_bench.workspace.root), planned(request, own_bench.workspace)
    assert work(root, submission, RUN, "pretrain")["pretrain_finished"] == 1
    assert "pretrain_finished" not in work(root, submission, RUN, "pretrain")
    (made,) = (own_bench.workspace.root / "pretrained").glob("*/result.json")
    assert made.exists()


def tuned(request: Request, workspace: Workspace, platform: PlatformSpec) -> Submission:
    submission = planned(request, workspace, platform)
    did = work(str(workspace.root), submission, RUN, "tune")
    assert did["tune_finished"] == 2
    return Submission(workspace, submission)


def choices(searches: list[SearchResult]) -> Choices:
    """By method: what was chosen, and each trial's value."""
    return {
        search.study.method.label: (
            search.assignments, [trial.value or 0.0 for stage in search.stages for trial in stage.trials]
        )
        for search in searches
    }  # fmt: skip


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeApi]:
    """A cluster with Katib whose node runs a trial's command in this process."""
    api = KubeApi(webhook=refusal)
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
    lines = printed.getvalue().splitlines()
    assert all(datetime.fromisoformat(line.split()[0]).tzinfo for line in lines)  # else any of them is Katib's latest
    (node.succeed if code == 0 else node.fail)(job, printed.getvalue())


def test_a_worker_finds_in_its_own_pod_what_the_laptop_finds(
    own_bench: Bench, config: BenchmarkConfig, laptop: Choices
) -> None:
    run = tuned(request_of(config), own_bench.workspace, PlatformSpec(trials="local", cpu="1"))
    assert choices(run.searches()) == laptop
    again = work(str(run.workspace.root), run.name, RUN, "tune")
    assert "tune_finished" not in again
    assert choices(run.searches()) == laptop


def test_workers_share_the_searches(own_bench: Bench, config: BenchmarkConfig, laptop: Choices) -> None:
    submission = planned(request_of(config), own_bench.workspace, PlatformSpec(trials="local", cpu="1"))
    did: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda: did.append(work(str(own_bench.workspace.root), submission, RUN, "tune")))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(each.get("tune_finished", 0) for each in did) == 2
    assert choices(Submission(own_bench.workspace, submission).searches()) == laptop


def test_katib_finds_what_the_laptop_finds_by_the_same_algorithm(
    own_bench: Bench, config: BenchmarkConfig, laptop: Choices, lab: KubeApi
) -> None:
    run = tuned(request_of(config), own_bench.workspace, PlatformSpec(image="registry/ctlr:1.2"))
    assert len(lab.objects["experiments", SPACE]) == 2
    assert choices(run.searches()) == laptop
    left = jobs_left(tuned_plan(run.plan, run.searches())[0], run.arrays(), run.workspace)
    assert Counter(job.kind for job in left) == {"study": 5}  # two methods, tuned and at defaults, and the mean
    for search in run.searches():
        for each in search.stages[-1].trials:
            assert (run.workspace.root / search.path / each.name / "validation.csv").exists()
    shown = Runs(run.workspace.root).read("tiny")
    values = {
        search.step.name.split()[1]: [trial.value for trial in search.order] for search in shown.searches.values()
    }
    assert values == {method: found for method, (_, found) in laptop.items()}
    for made in lab.objects["experiments", SPACE].values():
        assert made["metadata"]["labels"][SUBMISSION] == run.name
        assert made["metadata"]["annotations"] == {RUN_OF_PIPELINES: RUN}
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
    # Submitted again, it asks Katib for nothing.
    assert "tune_finished" not in work(str(run.workspace.root), run.name, RUN, "tune")


def test_katib_tunes_a_method_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lab: KubeApi) -> None:
    """Its file travels with the submission, and each trial's pod reads it from there."""
    monkeypatch.setenv(PLUGINS, "")
    (tmp_path / "my_parts.py").write_text(PARTS)
    (tmp_path / "weight.yaml").write_text(search_of("weight", "0.5", "2"))
    text = FILE.replace("supervised: {finetune: {n_frozen: 1}}, ", "")
    assert text != FILE
    tuning = "tuning: {experiments: {scratch: rate.yaml, align: weight.yaml}, trials: 2, parallel: 1, order: joint}\n"
    (tmp_path / "rate.yaml").write_text(search_of("lr"))
    (tmp_path / "own.yaml").write_text(text + tuning)
    request = request_of(load(tmp_path / "own.yaml"))
    for name in ("my_parts.py", "weight.yaml", "rate.yaml", "own.yaml"):
        (tmp_path / name).unlink()
    monkeypatch.setenv(PLUGINS, "")  # pods know nothing of this desk
    run = tuned(request, Workspace(tmp_path / "volume"), PlatformSpec())
    chosen = choices(run.searches())["align"]
    assert 0.5 <= float(chosen[0]["weight"]) <= 2
    assert len(chosen[1]) == 2


# ---------------------------------------------------------------- a race

RACED = """\
tuning:
  experiments: {scratch: rate.yaml, supervised: rate.yaml}
  seconds: 12
  race: {keep: 0.5, finalists: 1}
  parallel: 2
  share: false
"""


@pytest.fixture
def raced(config: BenchmarkConfig, tmp_path: Path) -> BenchmarkConfig:
    text = TINY.replace("simclr: {}, vat: {}}", "}").replace("n_frozen: 1}}, }", "n_frozen: 1}}}")
    (tmp_path / "tiny.yaml").write_text(text.replace("sample_sizes: [6, 10]", "sample_sizes: [6]") + RACED)
    (tmp_path / "rate.yaml").write_text(search_of("lr"))
    return load(tmp_path / "tiny.yaml")


def test_a_race_runs_on_katib_whose_experiments_grow_as_long_as_there_is_time(
    own_bench: Bench, raced: BenchmarkConfig, lab: KubeApi
) -> None:
    run = tuned(request_of(raced), own_bench.workspace, PlatformSpec())
    made = lab.objects["experiments", SPACE]
    assert len(made) == 2
    searches = run.searches()
    assert sorted(len(search.turns) for search in searches) == [1, 2]
    for search in searches:
        (stage,) = search.stages
        assert search.turns[-1].trials == len(stage.trials) >= 2
        assert len({trial.name for trial in stage.trials}) == len(stage.trials)
        assert search.turns[-1].best == min(trial.value for trial in stage.trials if trial.value is not None)
        (document,) = [each for each in made.values() if each["metadata"]["name"] in stage.trials[0].name]
        assert document["spec"]["resumePolicy"] == "LongRunning"
        assert document["spec"]["maxTrialCount"] == len(stage.trials)
        assert "maxFailedTrialCount" not in document["spec"]
        assert parse_experiment({key: value for key, value in document.items() if key != "status"})
    ahead, behind = sorted(searches, key=lambda search: -len(search.turns))
    assert ahead.turns[0].best is not None
    assert behind.turns[0].best is not None
    assert ahead.turns[0].best <= behind.turns[0].best
    assert ahead.turns[1].trials > ahead.turns[0].trials
    assert [turn.reason for turn in ahead.turns] == ["ExperimentBudgetSpent"] * 2
    assert 10 < sum(turn.seconds for search in searches for turn in search.turns) < 40
    assert not ahead.dropped
    assert "tune_finished" not in work(str(run.workspace.root), run.name, RUN, "tune")


@pytest.mark.parametrize("trials", [1, 3])
def test_a_race_with_few_trials_a_search_ends_when_all_have_had_theirs_which_are_the_laptops(
    own_bench: Bench, raced: BenchmarkConfig, lab: KubeApi, tmp_path: Path, trials: int
) -> None:
    assert raced.tuning is not None
    few = raced.tuning.model_copy(update={"trials": trials, "seconds": 300.0})
    config = raced.model_copy(update={"tuning": few})
    run = tuned(request_of(config), own_bench.workspace, PlatformSpec(experiments="delete"))
    for search in run.searches():
        assert [(turn.trials, turn.over) for turn in search.turns] == [(trials, True)]
    assert choices(run.searches()) == choices(on_a_laptop(config, own_bench, tmp_path / "laptop"))
    assert not lab.objects["experiments", SPACE]


def test_a_family_whose_places_were_all_tried_leaves_the_rest_of_its_turn_to_the_others(
    own_bench: Bench, raced: BenchmarkConfig, lab: KubeApi, tmp_path: Path
) -> None:
    """Katib never says so: the suggestion service would propose them again from the first."""
    assert raced.tuning is not None
    (path,) = set(raced.tuning.experiments["scratch"])
    space = '{name: rate, parameterType: discrete, feasibleSpace: {list: ["0.001", "0.003", "0.01"]}}'
    text, count = re.subn(r"\{name: rate, parameterType.*\}", space, Path(path).read_text())
    assert count == 1
    Path(path).write_text(text)
    config = raced.model_copy(update={"tuning": raced.tuning.model_copy(update={"seconds": 300.0})})
    run = tuned(request_of(config), own_bench.workspace, PlatformSpec())
    for search in run.searches():
        assert [(turn.trials, turn.over) for turn in search.turns] == [(3, True)]
    assert choices(run.searches()) == choices(on_a_laptop(config, own_bench, tmp_path / "laptop"))


def test_a_goal_ends_a_race_on_katib(own_bench: Bench, raced: BenchmarkConfig, lab: KubeApi) -> None:
    assert raced.tuning is not None
    assert raced.tuning.race is not None
    race = raced.tuning.race.model_copy(update={"goal": 1000.0})
    tuning = raced.tuning.model_copy(update={"race": race, "seconds": 300.0})
    submission = planned(request_of(raced.model_copy(update={"tuning": tuning})), own_bench.workspace)
    did = work(str(own_bench.workspace.root), submission, RUN, "tune")
    assert (did["tune_finished"], did.get("tune_failed")) == (2, None)
    run = Submission(own_bench.workspace, submission)
    assert sorted(len(search.turns) for search in run.searches()) == [0, 1]
    (first,) = [search for search in run.searches() if search.turns]
    (other,) = [search for search in run.searches() if not search.turns]
    assert other.dropped == "the race ended before its turn"
    assert first.turns[0].reason == "ExperimentGoalReached"
    assert all(trial.metrics["val_mae"] <= 1000 for trial in first.stages[0].trials if trial.value is not None)


def test_trials_in_pods_heed_the_time_of_their_turn_and_the_goal() -> None:
    watch = trial._Watch("val_mae", "min", seconds=0.0, goal=None)
    with pytest.raises(TrainingError, match="were over before it had a value"):
        watch.see({"epoch": 1, "train_loss": 2})
    with pytest.raises(trial._Over):
        watch.see({"epoch": 2, "val_mae": 2})
    watch.see({"val_mae": 2, "best_epoch": 2})  # it has ended by itself
    reached = trial._Watch("val_accuracy", "max", goal=0.9)
    reached.see({"epoch": 1, "val_accuracy": 0.8})
    with pytest.raises(trial._Over):
        reached.see({"epoch": 2, "val_accuracy": 0.9})
    folds = trial._Watch("val_mae", "min", seconds=60.0, goal=10.0, whole=True)
    folds.see({"epoch": 1, "val_mae": 2})  # one fold of several says nothing


def test_a_budget_in_seconds_is_none_of_katib(config: BenchmarkConfig) -> None:
    assert config.tuning is not None
    in_seconds = config.tuning.model_copy(update={"trials": None, "seconds": 60.0})
    with pytest.raises(ConfigError, match=r"tuning.seconds: Katib counts trials"):
        request_of(config.model_copy(update={"tuning": in_seconds}))
