"""Searches of a benchmark, run in warm workers on a small cohort."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tiny_bench import Bench, search_of

from ctlr.config import BenchmarkConfig, TuningSpec
from ctlr.crew import Event
from ctlr.errors import ConfigError
from ctlr.plan import Plan, make_plan
from ctlr.searches import check_manifests, ended_searches, run_searches, tuned_plan
from ctlr.specs import PretrainSpec, SearchResult
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


def test_a_search_without_a_success_loses_its_studies_and_no_other(own_bench: Bench, manifest: Write) -> None:
    experiments = {"scratch": manifest(), "vat": manifest(low="1e25", high="1e30")}
    config, plan = tuned(own_bench, experiments, trials=2)
    searches = search(own_bench, config, plan)
    after, lost = tuned_plan(plan, searches)
    assert {result.study.method.label for result in lost} == {"vat"}
    assert all("tuning found nothing: every trial failed" in result.reason for result in lost)
    assert {study.method.label for study in after.studies} == {"mean", "scratch"}


def test_folds_and_repeats_judge_each_trial_by_their_mean(own_bench: Bench, manifest: Write) -> None:
    for validation in ("kfold:2", "repeats:2"):
        config, plan = tuned(own_bench, {"scratch": manifest()}, trials=1, validation=validation)
        trial = search(own_bench, config, plan)[0].stages[0].trials[0]
        assert trial.status == "Succeeded"
        assert trial.reports[-1].metrics["val_mae"] == trial.value


def test_an_earlier_workspace_starts_a_search_of_the_same_space(
    own_bench: Bench, manifest: Write, tmp_path: Path
) -> None:
    config, plan = tuned(own_bench, {"scratch": manifest()}, trials=3)
    first = search(own_bench, config, plan)
    other = beside(own_bench, tmp_path / "other")
    config, plan = tuned(own_bench, {"scratch": manifest()}, trials=3, warm_start=str(own_bench.workspace.root))
    second = search(own_bench, config, plan, workspace=other)
    tried = {trial.assignments["rate"] for each in first for stage in each.stages for trial in stage.trials}
    again = {trial.assignments["rate"] for each in second for stage in each.stages for trial in stage.trials}
    assert not tried & again


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


def test_a_parameter_that_reaches_no_option_is_named(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "lame.yaml"
    path.write_text(search_of("lr").replace("--set=lr=", "--device="))
    config, plan = tuned(bench, {"scratch": (str(path),)})
    with pytest.raises(ConfigError, match=r"rate must set an option .* `--set OPTION="):
        check_manifests(config, plan)
