"""Searches of a benchmark, run in warm workers on a small cohort."""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tiny_bench import Bench, search_of

from ctlr.config import BenchmarkConfig, TuningSpec, load
from ctlr.crew import Event
from ctlr.errors import ConfigError, TrainingError
from ctlr.plan import Plan, make_plan
from ctlr.searches import check_manifests, ended_searches, round_sizes, run_searches, tuned_plan
from ctlr.specs import Checkpoint, PretrainSpec, SearchResult, Trial
from ctlr.steps.trial import run_trial
from ctlr.tuning.engine import BUDGET, MAX_TRIALS, Limits, Outcome
from ctlr.tuning.request import TrialJob
from ctlr.wishes import Wishes, heeded, write_wishes
from ctlr.workspace import Workspace

Write = Callable[..., tuple[str, ...]]


def writer(folder: Path) -> Write:
    """Writes a manifest that tunes one option, and returns it as a benchmark names it."""

    def write(option: str = "finetune.lr", low: str = "1e-4", high: str = "1e-2") -> tuple[str, ...]:
        path = folder / f"{option}-{low}-{high}.yaml"
        path.write_text(search_of(option, low, high))
        return (str(path),)

    return write


@pytest.fixture
def manifest(tmp_path: Path) -> Write:
    return writer(tmp_path)


@dataclass(frozen=True)
class Tuned:
    """Scratch and supervised pretraining, tuned at both sizes."""

    bench: Bench
    config: BenchmarkConfig
    plan: Plan
    workspace: Workspace
    searches: list[SearchResult]


@pytest.fixture(scope="module")
def two_methods(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    workspace = beside(bench, tmp_path_factory.mktemp("two") / "workspace")
    write = writer(tmp_path_factory.mktemp("manifests"))
    config, plan = tuned(bench, dict.fromkeys(("scratch", "supervised"), write()), sizes=(6, 10))
    return Tuned(bench, config, plan, workspace, search(bench, config, plan, workspace=workspace))


def beside(bench: Bench, root: Path) -> Workspace:
    """A workspace of its own that shares the stored images."""
    workspace = Workspace(root)
    (workspace.root / "arrays").symlink_to(bench.workspace.root / "arrays")
    return workspace


def tuned(
    bench: Bench, experiments: dict[str, tuple[str, ...]], sizes: tuple[int, ...] = (6,), **options: object
) -> tuple[BenchmarkConfig, Plan]:
    tuning = TuningSpec.model_validate({"experiments": experiments, "trials": 4, **options})
    methods = {label: bench.config.methods[label] for label in ("scratch", *experiments)}
    config = bench.config.model_copy(update={"tuning": tuning, "methods": methods, "sample_sizes": sizes})
    return config, make_plan(config)


def search(
    bench: Bench, config: BenchmarkConfig, plan: Plan, *, workspace: Workspace | None = None, workers: int = 1,
    on_event: Callable[[Event], None] = lambda event: None,
) -> list[SearchResult]:  # fmt: skip
    return run_searches(
        config, plan, bench.arrays, workspace or bench.workspace, workers=workers, device="cpu", since=0,
        on_event=on_event,
    )  # fmt: skip


def outcomes(searches: Sequence[SearchResult]) -> list[object]:
    """All of it but the clock."""
    return [
        [each.assignments, *([t.assignments, t.value, t.status] for stage in each.stages for t in stage.trials)]
        for each in searches
    ]


def test_every_method_and_size_gets_the_same_number_of_trials_and_its_best_option(two_methods: Tuned) -> None:
    searches = two_methods.searches
    assert [(each.study.method.label, each.study.n_train) for each in searches] == [
        ("scratch", 6), ("supervised", 6), ("scratch", 10), ("supervised", 10),
    ]  # fmt: skip
    for each in searches:
        (stage,) = each.stages
        assert len(stage.trials) == 4
        best = min(stage.trials, key=lambda trial: trial.value or 0.0)
        assert each.assignments == {"finetune.lr": best.assignments["rate"]}
        for trial in stage.trials:
            assert (two_methods.workspace.root / each.path / trial.name / "validation.csv").is_file()
    after, lost = tuned_plan(two_methods.plan, searches)
    assert not lost
    rates = {(s.method.label, s.n_train): s.method.finetune.lr for s in after.studies if s.method.label != "mean"}
    assert rates == {(s.study.method.label, s.study.n_train): float(s.assignments["finetune.lr"]) for s in searches}


def test_searches_that_have_ended_are_known_without_running_any(two_methods: Tuned, tmp_path: Path) -> None:
    config, plan, arrays = two_methods.config, two_methods.plan, two_methods.bench.arrays
    assert ended_searches(config, plan, arrays, two_methods.workspace) == list(plan.searches)
    one, none = beside(two_methods.bench, tmp_path / "one"), beside(two_methods.bench, tmp_path / "none")
    assert ended_searches(config, plan, arrays, none) == []
    (one.root / "searches").mkdir()
    first = two_methods.searches[0]  # scratch at 6; what supervised ones start from is not there
    (one.root / first.path).symlink_to(two_methods.workspace.root / first.path)
    assert ended_searches(config, plan, arrays, one) == [plan.searches[0]]


def test_a_fixed_pretraining_is_made_once_and_charged_to_those_who_share_it(two_methods: Tuned) -> None:
    assert len(list((two_methods.workspace.root / "pretrained").glob("*[0-9a-f]"))) == 1
    for each in two_methods.searches:
        trials = sum(trial.seconds for trial in each.stages[0].trials)
        if each.study.method.label == "scratch":
            assert each.seconds == trials
        else:
            assert each.pretrain_shared_by == 2
            assert each.seconds == trials + each.pretrain_seconds / 2


def test_what_is_finished_is_not_searched_again(two_methods: Tuned) -> None:
    events: list[Event] = []
    again = search(
        two_methods.bench, two_methods.config, two_methods.plan, workspace=two_methods.workspace,
        on_event=events.append,
    )  # fmt: skip
    assert again == two_methods.searches
    assert not events


def test_an_interrupted_search_goes_on_to_the_same_end(own_bench: Bench, manifest: Write, tmp_path: Path) -> None:
    config, plan = tuned(own_bench, {"scratch": manifest()}, trials=5)
    other = beside(own_bench, tmp_path / "other")
    whole = search(own_bench, config, plan, workspace=other)

    def interrupt(event: Event) -> None:
        if event.state == "progress" and event.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(own_bench, config, plan, workers=2, on_event=interrupt)
    assert outcomes(search(own_bench, config, plan, workers=2)) == outcomes(whole)


def test_a_staged_search_tunes_each_pretraining_once_with_the_budget_of_all_sizes(
    own_bench: Bench, manifest: Write
) -> None:
    experiments = {"scratch": manifest(), "supervised": (*manifest("pretrain.lr"), *manifest())}
    config, plan = tuned(own_bench, experiments, sizes=(6, 10), order="source_then_target")
    scratch, supervised, *others = search(own_bench, config, plan)
    assert len(scratch.stages[0].trials) == 4
    source, target = supervised.stages
    assert (source.stage, len(source.trials), source.shared_by) == ("pretrain", 4, 2)
    assert (target.stage, len(target.trials), target.shared_by) == ("finetune", 2, 1)
    assert set(supervised.assignments) == {"pretrain.lr", "finetune.lr"}
    assert others[1].stages[0] == source
    after, _ = tuned_plan(plan, [scratch, supervised, *others])
    assert len({spec.identity() for study in after.studies if (spec := PretrainSpec.of(study))}) == 1
    assert len(after.pretrainings) == 2  # that of the file too, for tuning's share


def test_a_joint_search_tunes_pretraining_and_finetuning_in_one_trial(own_bench: Bench, manifest: Write) -> None:
    experiments = {"scratch": manifest(), "supervised": manifest("pretrain.lr")}
    config, plan = tuned(own_bench, experiments, order="joint", trials=2)
    joint = next(each for each in search(own_bench, config, plan) if each.study.method.label == "supervised")
    assert joint.stages[0].stage == "joint"
    assert joint.pretrain_seconds == 0
    assert set(joint.assignments) == {"pretrain.lr"}


def test_later_rounds_search_around_the_best_so_far(own_bench: Bench, manifest: Write) -> None:
    config, plan = tuned(own_bench, {"scratch": manifest()}, trials=5, rounds=2)
    coarse, fine = search(own_bench, config, plan)[0].stages
    assert (len(coarse.trials), len(fine.trials)) == (3, 2)
    low, high = float(fine.parameters[0].low), float(fine.parameters[0].high)
    assert high / low == pytest.approx(10)
    assert coarse.best is not None
    assert low <= float(coarse.trials[coarse.best].assignments["rate"]) <= high
    assert all(low <= float(trial.assignments["rate"]) <= high for trial in fine.trials)
    ranges = ((coarse, 1e-4, 1e-2), (fine, low, high))
    drawn = [[math.log(float(t.assignments["rate"]) / a) / math.log(b / a) for t in s.trials] for s, a, b in ranges]
    assert not {round(share, 6) for share in drawn[0]} & {round(share, 6) for share in drawn[1]}


def test_a_search_without_a_success_loses_its_studies_and_no_other(own_bench: Bench, manifest: Write) -> None:
    experiments = {"scratch": manifest(), "vat": manifest(low="1e25", high="1e30")}
    config, plan = tuned(own_bench, experiments, trials=2)
    searches = search(own_bench, config, plan)
    after, lost = tuned_plan(plan, searches)
    assert {result.study.method.label for result in lost} == {"vat"}
    assert all("tuning found nothing: every trial failed" in result.reason for result in lost)
    assert {study.method.label for study in after.studies} == {"mean", "scratch"}


def test_what_a_search_lost_stands_in_one_contest_with_the_others(tmp_path: Path) -> None:
    file = tmp_path / "pictures.yaml"
    (tmp_path / "data").mkdir()
    file.write_text(
        "name: pictures\n"
        "datasets: {pictures: {kind: images, root: data, preprocess: {shape: [32, 32]}}}\n"
        "tasks: {kind: {target: class, kind: classification}}\n"
        "transfers: [{target: {data: pictures, task: kind}}]\n"
        "encoders: {small_cnn: {}}\n"
        "methods: {scratch: {}, svm: {}}\n"
        "sample_sizes: [20]\n"
        "seeds: [0]\n"
        "tuning: {seconds: 60, race: {}, share: false}\n"
    )
    plan = make_plan(load(file))
    found = [SearchResult(study=study.without_folders(), stages=(), reason="no trial ended") for study in plan.searches]
    after, lost = tuned_plan(plan, found)
    assert len(lost) == len({*plan.studies} - {*after.studies}) > 0
    assert {result.study.target for result in lost} == {study.target for study in after.studies}


def test_a_search_that_found_nothing_is_tried_again_by_the_next_run_alone(own_bench: Bench, manifest: Write) -> None:
    config, plan = tuned(own_bench, {"vat": manifest(low="1e25", high="1e30")}, trials=1)
    plan = plan.model_copy(update={"searches": plan.searches[1:]})

    def started(since: float) -> list[str]:
        events: list[Event] = []
        run_searches(
            config, plan, own_bench.arrays, own_bench.workspace, workers=1, device="cpu", since=since,
            on_event=events.append,
        )  # fmt: skip
        return [event.job.id for event in events if event.state == "started"]

    began = time.time()
    assert len(started(began)) == 1
    assert started(began) == []
    assert ended_searches(config, plan, own_bench.arrays, own_bench.workspace) == []
    assert len(started(time.time())) == 1


def test_a_trial_that_is_stopped_before_its_last_fold_is_never_chosen(own_bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "stopping.yaml"
    rule = (
        "  earlyStopping:\n    algorithmName: medianstop\n    algorithmSettings:\n"
        '      - {name: min_trials_required, value: "1"}\n      - {name: start_step, value: "1"}\n'
    )
    text = search_of("finetune.lr", "1e-4", "1e-1").replace("  parallelTrialCount", f"{rule}  parallelTrialCount")
    path.write_text(text)
    config, plan = tuned(own_bench, {"scratch": (str(path),)}, trials=5, parallel=1, validation="kfold:2")
    (found,) = search(own_bench, config, plan)
    (stage,) = found.stages
    stopped = [trial for trial in stage.trials if trial.status == "EarlyStopped"]
    assert stopped
    assert {trial.value for trial in stopped} == {None}
    assert stage.best is not None
    assert stage.trials[stage.best].status == "Succeeded"


def test_a_budget_of_seconds_counts_neither_waiting_nor_loading(own_bench: Bench, manifest: Write) -> None:
    config, plan = tuned(own_bench, {"scratch": manifest()}, trials=None, seconds=4, parallel=8)
    (found,) = search(own_bench, config, plan)
    *before, last = found.stages[0].trials
    assert {trial.status for trial in before} <= {"Succeeded"}
    assert last.status == "Killed"
    assert found.seconds == pytest.approx(4, abs=1)


def bill(workspace: Workspace) -> dict[str, float]:
    """Device seconds of every pretraining, by key."""
    records = (workspace.root / "pretrained").glob("*/result.json")
    return {path.parent.name: Checkpoint.model_validate_json(path.read_text()).seconds for path in records}


def test_sizes_that_share_the_pretrainings_of_their_trials_pay_equal_parts(own_bench: Bench, manifest: Write) -> None:
    experiments = {"scratch": manifest(), "supervised": manifest("pretrain.lr")}
    config, plan = tuned(own_bench, experiments, sizes=(6, 10), order="joint", trials=2)
    small, large = (s for s in search(own_bench, config, plan) if s.study.method.label == "supervised")
    made = bill(own_bench.workspace)
    assert len(made) == 2
    for each in (small, large):
        charged = {key: seconds for trial in each.stages[0].trials for key, seconds in trial.pretrained.items()}
        assert charged == pytest.approx({key: seconds / 2 for key, seconds in made.items()})
        assert all(trial.seconds > sum(trial.pretrained.values()) for trial in each.stages[0].trials)
    assert small.seconds == pytest.approx(large.seconds, rel=0.6)


def test_the_pretrainings_of_further_seeds_are_charged_too(own_bench: Bench, manifest: Write) -> None:
    experiments = {"scratch": manifest(), "supervised": (*manifest("pretrain.lr"), *manifest())}
    config, plan = tuned(
        own_bench, experiments, sizes=(6, 10), order="source_then_target", trials=2, validation="repeats:2"
    )
    staged = [s for s in search(own_bench, config, plan) if s.study.method.label == "supervised"]
    made = bill(own_bench.workspace)
    tuned_ones = {key for trial in staged[0].stages[0].trials for key in trial.pretrained}
    assert len(made.keys() - tuned_ones) == 1
    for each in staged:
        own = sum(trial.seconds for trial in each.stages[1].trials)
        assert each.seconds == pytest.approx(own + sum(t.seconds for t in each.stages[0].trials) / 2 + sum(
            seconds for key, seconds in made.items() if key not in tuned_ones) / 2)  # fmt: skip


def test_folds_and_repeats_judge_each_trial_by_their_mean(own_bench: Bench, manifest: Write) -> None:
    for validation in ("kfold:2", "repeats:2"):
        config, plan = tuned(own_bench, {"scratch": manifest()}, trials=1, validation=validation)
        trial = search(own_bench, config, plan)[0].stages[0].trials[0]
        assert trial.status == "Succeeded"
        assert trial.reports[-1].metrics["val_mae"] == trial.value


def tried(searches: Sequence[SearchResult]) -> list[str]:
    """Rates of the first search, in order."""
    return [trial.assignments["rate"] for stage in searches[0].stages for trial in stage.trials]


def test_a_warm_start_tries_the_earlier_best_first_and_then_what_is_new(
    own_bench: Bench, manifest: Write, tmp_path: Path
) -> None:
    config, plan = tuned(own_bench, {"scratch": manifest()}, trials=3)
    first = search(own_bench, config, plan)
    other = beside(own_bench, tmp_path / "other")
    config, plan = tuned(own_bench, {"scratch": manifest()}, trials=3, warm_start=str(own_bench.workspace.root))
    rates = tried(search(own_bench, config, plan, workspace=other))
    assert rates[0] == first[0].assignments["finetune.lr"]
    assert not set(rates[1:]) & set(tried(first))


def test_a_warm_start_from_the_runs_own_workspace_comes_to_an_end(own_bench: Bench, manifest: Write) -> None:
    config, plan = tuned(own_bench, {"scratch": manifest()}, trials=1)
    cold = search(own_bench, config, plan)
    config, plan = tuned(own_bench, {"scratch": manifest()}, trials=2, warm_start=str(own_bench.workspace.root))
    warm = search(own_bench, config, plan)
    assert tried(warm)[0] == tried(cold)[0]
    events: list[Event] = []
    assert search(own_bench, config, plan, on_event=events.append) == warm
    assert not events


def test_a_warm_start_forbids_nothing_where_values_can_be_counted(own_bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "listed.yaml"
    space = 'parameterType: double, feasibleSpace: {min: "1e-4", max: "1e-2", distribution: logUniform}'
    assert space in search_of("finetune.lr")
    listed = 'parameterType: discrete, feasibleSpace: {list: ["1e-3", "1e-2"]}'
    path.write_text(search_of("finetune.lr").replace(space, listed))
    config, plan = tuned(own_bench, {"scratch": (str(path),)}, trials=2)
    first = search(own_bench, config, plan)
    config, plan = tuned(own_bench, {"scratch": (str(path),)}, trials=2, warm_start=str(own_bench.workspace.root))
    second = search(own_bench, config, plan)
    assert tried(second)[0] == first[0].assignments["finetune.lr"]
    assert sorted(tried(second)) == ["1e-2", "1e-3"]


def test_a_warm_start_without_an_earlier_search_is_said(own_bench: Bench, manifest: Write, tmp_path: Path) -> None:
    events: list[Event] = []
    config, plan = tuned(own_bench, {"scratch": manifest()}, trials=1, warm_start=str(tmp_path))
    search(own_bench, config, plan, on_event=events.append)
    assert f"; no warm start: {tmp_path} holds no finished search of this method and space" in events[-1].text


def test_a_warm_start_passes_over_what_lies_outside_the_space(own_bench: Bench, tmp_path: Path) -> None:
    """Hyperband's resource goes to r_l, whatever the parameter's own range is."""
    path = tmp_path / "epochs.yaml"
    path.write_text(_TWO)
    hyperband = {"algorithm": "hyperband", "settings": {"r_l": "2", "eta": "2", "resource_name": "ep"}}
    config, plan = tuned(own_bench, {"scratch": (str(path),)}, trials=3, **hyperband)
    first = search(own_bench, config, plan)[0].stages[0]
    assert {trial.assignments["ep"] for trial in first.trials} == {"1", "2"}
    config, plan = tuned(own_bench, {"scratch": (str(path),)}, trials=1, warm_start=str(own_bench.workspace.root))
    (found,) = search(own_bench, config, plan)
    assert found.stages[0].trials[0].status == "Succeeded"


def test_a_budget_below_a_single_trial_is_named(own_bench: Bench, manifest: Write) -> None:
    config, plan = tuned(own_bench, {"scratch": manifest()}, trials=None, seconds=1e-3)
    (found,) = search(own_bench, config, plan)
    assert found.reason == ("tuning found nothing: no trial ended before its budget was spent; raise `tuning.seconds`")


def test_one_method_is_searched_by_several_algorithms_beside_an_experts_options(
    own_bench: Bench, manifest: Write
) -> None:
    experiments = dict.fromkeys(("tpe", "pbt"), manifest())
    settings = {"n_population": "5", "truncation_threshold": "0.4"}
    algorithms = {"tpe": {"name": "tpe"}, "pbt": {"name": "pbt", "settings": settings}}
    scratch = own_bench.config.methods["scratch"]
    methods = {label: scratch.model_copy(update={"label": label}) for label in ("scratch", *experiments)}
    bench = replace(own_bench, config=own_bench.config.model_copy(update={"methods": methods}))
    config, plan = tuned(bench, experiments, by_hand=("scratch",), algorithms=algorithms, trials=7)
    tpe, population = search(bench, config, plan)
    assert [each.study.method.label for each in (tpe, population)] == ["tpe", "pbt"]
    assert [each.stages[0].algorithm.name for each in (tpe, population)] == ["tpe", "pbt"]
    after, _ = tuned_plan(plan, [tpe, population])
    assert {study.method.label for study in after.studies} == {"mean", "scratch", "tpe", "pbt"}
    (stage,) = population.stages
    first = {trial.name: trial for trial in stage.trials if "parent" not in trial.labels}
    later = [trial for trial in stage.trials if "parent" in trial.labels]
    assert (len(first), len(later)) == (5, 2)
    for trial in later:  # the same options on the parent's weights are not the same training again
        parent = first[trial.labels["parent"]]
        assert trial.status == "Succeeded"
        assert trial.assignments != parent.assignments or trial.value != parent.value
    assert not list((bench.workspace.root / population.path).rglob("weights.safetensors"))


@pytest.mark.parametrize(
    ("option", "change", "words"),
    [
        ("finetune.lr", {"algorithms": {"supervised": {"name": "tpee"}}}, ["tpee", "Did you mean 'tpe'"]),
        ("finetune.lr", {"algorithm": "grid"}, ["tuning.experiments.scratch", "parameters.0", "step"]),
        ("finetune.lr", {"algorithm": "tpe", "settings": {"gama": "0.2"}}, ["no setting 'gama'", "'gamma'"]),
        ("encoder.width", {"algorithm": "pbt", "order": "joint"}, ["encoder.width", "one encoder"]),
    ],
)
def test_an_algorithm_that_cannot_search_a_space_is_named(
    bench: Bench, tmp_path: Path, option: str, change: dict[str, Any], words: list[str]
) -> None:
    if change.get("algorithm") == "pbt":
        change = change | {"settings": {"n_population": "5", "truncation_threshold": "0.4"}}
    config, plan = tuned(bench, {"scratch": writer(tmp_path)(option), "supervised": writer(tmp_path)(option)}, **change)
    with pytest.raises(ConfigError) as caught:
        check_manifests(config, plan)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("lrr", ["tuning.experiments.scratch", "`lrr`", "Did you mean 'lr'?"]),
        ("pretrain.lr", ["pretrain.lr", "no such option"]),
    ],
)
def test_a_manifest_that_tunes_what_a_method_has_not_is_named(
    bench: Bench, manifest: Write, option: str, words: list[str]
) -> None:
    config, plan = tuned(bench, {"scratch": manifest(option)})
    with pytest.raises(ConfigError) as caught:
        check_manifests(config, plan)
    assert all(word in str(caught.value) for word in words), caught.value
    assert Path(manifest(option)[0]).name in str(caught.value)


_TWO = (
    search_of("lr")
    .replace(
        "  trialTemplate", '    - {name: ep, parameterType: int, feasibleSpace: {min: "2", max: "3"}}\n  trialTemplate'
    )
    .replace("reference: rate}]", "reference: rate}, {name: ep, reference: ep}]")
    .replace(
        '"--set=lr=${trialParameters.rate}"]',
        '"--set=lr=${trialParameters.rate}", "--set=epochs=${trialParameters.ep}"]',
    )
)
_RANGE = 'parameterType: double, feasibleSpace: {min: "1e-4", max: "1e-2", distribution: logUniform}'


@pytest.mark.parametrize(
    ("option", "space", "words"),
    [
        (
            "optimiser",
            "parameterType: categorical, feasibleSpace: {list: [adam, sdg]}",
            "`optimiser=sdg`: must be 'sgd'",
        ),
        (
            "epochs",
            'parameterType: int, feasibleSpace: {min: "0", max: "2"}',
            "`epochs=0`: must be greater than or equal",
        ),
        ("dropout", 'parameterType: double, feasibleSpace: {min: "0", max: "1"}', "`dropout=1.0`: must be less than 1"),
        ("batch_size", 'parameterType: double, feasibleSpace: {min: "8", max: "32"}', "must be a valid integer"),
        ("batch_size", 'parameterType: double, feasibleSpace: {min: "8", max: "16", step: "0.5"}', "`batch_size=8.5`"),
    ],
)
def test_a_space_is_held_against_the_rules_of_its_options(
    bench: Bench, tmp_path: Path, option: str, space: str, words: str
) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(search_of(option).replace(_RANGE, space))
    config, plan = tuned(bench, {"scratch": (str(path),)}, sizes=(6, 10))
    with pytest.raises(ConfigError) as caught:
        check_manifests(config, plan)
    lines = str(caught.value).splitlines()
    assert len(set(lines)) == len(lines) <= 3  # though two sizes are searched
    assert all(line.startswith("`tuning.experiments.scratch`: space.yaml: ") for line in lines)
    assert any(words in line for line in lines)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"algorithm": "TPE"}, "`tuning.algorithm`: unknown algorithm 'TPE'. Did you mean 'tpe'? Known: "),
        ({"algorithm": "pbt"}, "`tuning.settings`: pbt needs the setting 'n_population'"),
        ({"algorithm": "tpe", "settings": {"gama": "0.3"}}, "`tuning.settings`: tpe has no setting 'gama'"),
        ({"algorithm": "random", "settings": {"random_state": "-1"}}, "random_state must be at least 0; got '-1'"),
        ({"algorithm": "hyperband"}, "hyperband needs the setting 'r_l'"),
        (
            {"algorithm": "cmaes"},
            ": spec.parameters: cmaes needs two parameters of type int or double",
        ),
        ({"algorithm": "grid"}, "spec.parameters.0.feasibleSpace.step: is missing: grid needs the step"),
        ({"validation": "kfold:7"}, "kfold:7 needs two subjects a fold; train and validation side have 12 at n = 6"),
    ],
)
def test_what_a_benchmark_sets_for_all_searches_is_checked_before_any(
    bench: Bench, manifest: Write, options: dict[str, object], words: str
) -> None:
    config, plan = tuned(bench, {"scratch": manifest()}, **options)
    with pytest.raises(ConfigError) as caught:
        check_manifests(config, plan)
    assert words in str(caught.value)


def test_the_benchmarks_own_counts_are_enough_for_its_algorithm(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "stepped.yaml"
    path.write_text(search_of("lr").replace("distribution: logUniform", 'step: "1e-4"'))
    config, plan = tuned(bench, {"scratch": (str(path),)}, algorithm="grid", trials=900)
    assert check_manifests(config, plan).keys() == {("scratch", "small_cnn")}


def test_a_parameter_that_reaches_no_option_is_named(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "lame.yaml"
    path.write_text(search_of("lr").replace("--set=lr=", "--device="))
    config, plan = tuned(bench, {"scratch": (str(path),)})
    with pytest.raises(ConfigError, match=r"rate must set an option .* `--set OPTION="):
        check_manifests(config, plan)


# ---------------------------------------------------------------- a race


def raced(bench: Bench, *, seconds: float = 8.0, **race: object) -> tuple[BenchmarkConfig, Plan]:
    """Scratch and VAT on two widths of one network."""
    tuning = TuningSpec.model_validate({"race": race, "seconds": seconds, "share": False, "parallel": 1})
    methods = {label: bench.config.methods[label] for label in ("scratch", "vat")}
    wide = bench.config.encoders["small_cnn"].model_copy(update={"label": "wide", "width": 2.0})
    encoders = {**bench.config.encoders, "wide": wide}
    config = bench.config.model_copy(
        update={"tuning": tuning, "methods": methods, "sample_sizes": (10,), "encoders": encoders}
    )
    return config, make_plan(config)


def test_a_race_ends_with_one_search_of_each_round_that_was_ahead() -> None:
    assert round_sizes(15, 1 / 3) == [15, 5, 2, 1]
    assert round_sizes(1, 0.5) == [1]
    assert round_sizes(3, 0.99) == [3, 2, 1]


def test_a_race_gives_seconds_to_those_that_are_ahead(own_bench: Bench) -> None:
    config, plan = raced(own_bench, seconds=20.0, keep=0.5, finalists=1)
    assert [study.encoder.label for study in plan.searches] == ["small_cnn", "wide"] * 2
    found = search(own_bench, config, plan)
    for each in found:
        (stage,) = each.stages
        assert {*each.assignments} == {
            "finetune.lr", "finetune.weight_decay", "finetune.dropout", "finetune.batch_size", "finetune.epochs",
            "encoder.width",
        }  # fmt: skip
        assert each.turns[-1].trials == len(stage.trials)
        best = each.stages[0].trials[each.stages[0].best or 0].value
        assert each.turns[-1].best == best == min(t.value for t in stage.trials if t.value is not None)
    assert sorted(len(each.turns) for each in found) == [1, 1, 2, 3]
    order = sorted(found, key=lambda each: each.turns[0].best or math.inf)
    assert {len(each.turns) for each in order[:2]} == {2, 3}
    assert sum(turn.seconds for each in found for turn in each.turns) < 20.0 + 2 * 20.0
    (finalist,) = [each for each in found if not each.dropped]
    assert min(each.turns[-1].best or math.inf for each in found) == finalist.turns[-1].best
    after, lost = tuned_plan(plan, found)
    assert not lost
    assert [study.method.label for study in after.studies if study.method.trains_network] == [
        finalist.study.method.label
    ]
    assert search(own_bench, config, plan) == found
    assert ended_searches(config, plan, own_bench.arrays, own_bench.workspace) == list(plan.searches)


def test_a_race_that_was_interrupted_keeps_the_turns_that_were_over(own_bench: Bench, tmp_path: Path) -> None:
    config, plan = raced(own_bench, keep=0.5)
    ended: list[str] = []

    def interrupt(event: Event) -> None:
        ended.append(event.text)
        if sum(text.startswith("trial 0 ") for text in ended) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(own_bench, config, plan, on_event=interrupt)
    files = (own_bench.workspace.root / "searches").glob("*.partial/race.json")
    before = {file.parent.name.removesuffix(".partial"): json.loads(file.read_text())["turns"] for file in files}
    assert any(before.values())
    for each in search(own_bench, config, plan):
        turns = [turn.model_dump(mode="json") for turn in each.turns]
        known = before[Path(each.path).name]
        assert turns[: len(known)] == known


def test_seconds_that_are_added_go_to_those_that_are_ahead(own_bench: Bench) -> None:
    config, plan = raced(own_bench, seconds=6.0, keep=0.5)
    first = search(own_bench, config, plan)
    more, longer = raced(own_bench, seconds=12.0, keep=0.5)
    assert ended_searches(more, longer, own_bench.arrays, own_bench.workspace) == []
    second = search(own_bench, more, longer)
    for before, after in zip(first, second, strict=True):
        assert after.path == before.path
        assert after.turns[: len(before.turns)] == before.turns
        assert {turn.leg for turn in after.turns[len(before.turns) :]} <= {2}
        assert after.stages[0].trials[: len(before.stages[0].trials)] == before.stages[0].trials
    added = [sum(turn.leg == 2 for turn in each.turns) for each in second]
    assert sorted(added) == [0, 0, 1, 2]
    assert search(own_bench, more, longer) == second
    assert search(own_bench, config, plan) == second


def test_a_goal_ends_a_race_within_an_epoch(own_bench: Bench) -> None:
    config, plan = raced(own_bench, seconds=60.0, goal=1000.0)
    began = time.monotonic()
    found = search(own_bench, config, plan)
    assert time.monotonic() - began < 30
    assert [len(each.turns) for each in found].count(1) == 1
    (trial,) = next(each for each in found if each.turns).stages[0].trials
    assert (trial.status, len(trial.reports)) == ("EarlyStopped", 1)
    assert "reached the goal" in trial.reason
    assert [each.reason for each in found if not each.turns] == [
        "tuning found nothing: the race ended before its turn"
    ] * 3


def test_a_goal_that_is_asked_for_ends_a_race_and_added_seconds_go_on_when_it_is_taken_back(own_bench: Bench) -> None:
    config, plan = raced(own_bench, seconds=20.0)
    root = own_bench.workspace.root

    def ask(event: Event) -> None:
        if event.trial is not None and event.trial.report is not None:
            write_wishes(root, config.name, Wishes(goal=1000.0))

    with heeded(root, config.name):
        found = search(own_bench, config, plan, on_event=ask)
        assert sum(len(each.turns) for each in found) == 1
        assert search(own_bench, config, plan) == found
        more, longer = raced(own_bench, seconds=22.0)
        write_wishes(root, config.name, Wishes())
        after = search(own_bench, more, longer)
    assert sum(len(each.turns) for each in after) > 1


def test_a_race_is_refused_where_it_has_no_meaning() -> None:
    race = {"race": {}, "share": False}
    for options, told in {
        (("trials", 4),): "`race` shares out seconds",
        (("seconds", 4), ("rounds", 2)): "`race` narrows no space",
        (("seconds", 4), ("share", True)): "unequal budgets",
    }.items():
        with pytest.raises(ValueError, match=told):
            TuningSpec.model_validate(race | dict(options))


@pytest.mark.parametrize(
    ("limit", "told"),
    [({"most_megabytes": 0.3}, "the model has 0.7"), ({"most_milliseconds": 1e-6}, "an image takes")],
)
def test_a_model_that_is_too_large_or_too_slow_fails_before_it_trains(
    own_bench: Bench, limit: dict[str, float], told: str
) -> None:
    config, plan = raced(own_bench, seconds=3.0, **limit)
    wide = plan.searches[1].model_copy(update={"encoder": plan.searches[1].encoder.model_copy(update={"width": 2.0})})
    job = TrialJob(study=wide, **limit)
    assert config.tuning is not None
    with pytest.raises(TrainingError, match=told):
        run_trial(job, own_bench.arrays, own_bench.workspace, report=lambda metrics: pytest.fail("it has trained"))


def test_a_search_that_has_tried_all_leaves_its_place_to_others(own_bench: Bench) -> None:
    config, plan = raced(own_bench, seconds=120.0, keep=0.5)  # of which hardly any is needed
    assert config.tuning is not None
    few = config.model_copy(update={"tuning": config.tuning.model_copy(update={"trials": 1})})
    found = search(own_bench, few, plan)
    exhausted = [each for each in found if each.turns[0].over]
    assert exhausted
    assert [len(each.turns) for each in exhausted] == [1] * len(exhausted)


@pytest.mark.parametrize(
    ("status", "reason", "failed"),
    [("EarlyStopped", "its 0.4 s were over", 0), ("Killed", "the experiment ended before it", 0),
     ("Failed", "exit code 1: its 2 s were over before it had a value", 0), ("Failed", "the loss is NaN", 1)],
)  # fmt: skip
def test_a_search_that_was_too_slow_for_a_race_has_not_failed(
    own_bench: Bench, monkeypatch: pytest.MonkeyPatch, status: Any, reason: str, failed: int
) -> None:
    config, plan = raced(own_bench, seconds=60.0)
    known: dict[Path, tuple[Trial, ...]] = {}

    def run(bench: object, experiment: object, place: Path, job: object, **more: object) -> Outcome:
        slow = bool(known) and place == [*{**known, place: ()}][1]  # the second one
        trial = Trial(name="t", number=0, assignments={}, status="Succeeded", value=0.5)
        trial = trial.model_copy(update={"status": status, "value": None, "reason": reason}) if slow else trial
        known[place] = (trial,)
        now, optimum = datetime.now(UTC), None if slow else trial
        return Outcome(
            (trial,), succeeded=True, reason=MAX_TRIALS, message="", optimum=optimum, seed=0, started=now, completed=now
        )

    monkeypatch.setattr("ctlr.searches._stage.LocalBench.run", run)
    monkeypatch.setattr("ctlr.searches._stage.LocalBench.found", lambda bench, place: known.get(place, ()))
    events: list[Event] = []
    found = search(own_bench, config, plan, on_event=events.append)
    slow = "none of its trials had a value within its share of the time"
    assert [each.dropped for each in found if each.reason] == ["" if failed else slow]
    after, lost = tuned_plan(plan, found)
    assert len(lost) == failed
    assert len(after.studies) == len(plan.studies) - 1
    assert [event.state for event in events].count("failed") == failed


def test_what_is_left_once_those_ahead_have_tried_all_goes_to_the_others(
    own_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, plan = raced(own_bench, seconds=120.0, keep=0.5)
    seconds = [0.0]
    left: dict[Path, float] = {}  # seconds of work by search: the first two have few, and are the best

    def run(bench: object, experiment: object, place: Path, job: object, *, limits: Limits, **more: object) -> Outcome:
        left.setdefault(place, 20.0 if len(left) < 2 else math.inf)
        rank = list(left).index(place)
        took = min(limits.max_seconds or 0.0, left[place])
        seconds[0] += took
        left[place] -= took
        trial = Trial(name="t", number=0, assignments={}, status="Succeeded", value=float(rank))
        now, reason = datetime.now(UTC), BUDGET if left[place] else MAX_TRIALS
        return Outcome(
            (trial,), succeeded=True, reason=reason, message="", optimum=trial, seed=0, started=now, completed=now
        )

    monkeypatch.setattr("ctlr.searches._stage.LocalBench.run", run)
    monkeypatch.setattr("ctlr.searches._race.clock", lambda: seconds[0])
    found = search(own_bench, config, plan)
    spent = [sum(turn.seconds for turn in each.turns) for each in found]
    assert sorted(spent)[:2] == pytest.approx([20.0, 20.0])
    assert sum(spent) == pytest.approx(120.0, rel=0.1)  # the other 80 are not left lying
    rounds = sorted({turn.round for each in found for turn in each.turns})
    assert rounds == list(range(1, 1 + len(rounds)))
