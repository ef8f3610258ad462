from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctlr.config import BenchmarkConfig, load
from ctlr.errors import ConfigError
from ctlr.plan import Plan, make_plan
from ctlr.searches import tuned_plan
from ctlr.specs import PretrainSpec, SearchResult, Study

PLAIN = """\
name: plain
datasets:
  cohort: {kind: cohort, subjects: 400}
  other: {kind: cohort, subjects: 90, seed: 1}
tasks:
  age: {target: age, kind: regression}
  sex: {target: sex, kind: classification}
transfers:
  - {source: {data: cohort, task: sex}, target: {data: cohort, task: age}}
encoders: {small_cnn: {}}
methods: {scratch: {}, supervised: {}, simclr: {}, vat: {}}
sample_sizes: [50, 20]
seeds: [3, 1]
"""

TWO_SOURCES = (
    "transfers=[{source: {data: cohort, task: sex}, target: {data: cohort, task: age}},"
    " {source: {data: other, task: sex}, target: {data: cohort, task: age}}]"
)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.yaml"
    path.write_text(PLAIN)
    return path


def chosen(plan: Plan, label: str) -> list[Study]:
    return [study for study in plan.studies if study.method.label == label]


def test_the_grid_is_every_combination_and_the_mean_beside_it(plain: Path) -> None:
    plan = make_plan(load(plain))
    cells = {(study.method.label, study.n_train, study.seed) for study in plan.studies}
    methods = ("mean", "linear", "gradient_boosting", "nearest", "scratch", "supervised", "simclr", "vat")
    assert cells == {(method, n, seed) for method in methods for n in (20, 50) for seed in (1, 3)}
    assert len(plan.studies) == 32


def test_small_sample_sizes_come_first(plain: Path) -> None:
    sizes = [study.n_train for study in make_plan(load(plain)).studies]
    assert sizes == sorted(sizes)


def test_a_listed_mean_is_not_added_again(plain: Path) -> None:
    plan = make_plan(load(plain, ["methods.mean={}"]))
    assert len(chosen(plan, "mean")) == 4
    assert make_plan(load(plain)).studies == plan.studies


def test_the_mean_stands_once_for_all_encoders(plain: Path) -> None:
    plan = make_plan(load(plain, ["encoders.wide={name: small_cnn, width: 2}"]))
    assert {study.encoder.label for study in chosen(plan, "mean")} == {"small_cnn"}
    assert {study.encoder.label for study in chosen(plan, "scratch")} == {"small_cnn", "wide"}


def test_a_training_from_scratch_may_belong_to_one_encoder(plain: Path) -> None:
    wide = ["encoders.wide={name: small_cnn, width: 2}", "methods.other={method: scratch, encoder: wide}"]
    plan = make_plan(load(plain, [*wide, "methods.other.finetune.lr=0.01"]))
    assert {study.encoder.label for study in chosen(plan, "other")} == {"wide"}
    assert {study.encoder.label for study in chosen(plan, "scratch")} == {"small_cnn", "wide"}
    with pytest.raises(ConfigError, match=r"methods\.other\.encoder: unknown encoder 'wider'"):
        load(plain, [wide[0], "methods.other={method: scratch, encoder: wider}"])


# ---------------------------------------------------------------- baselines

SAME_TASK = "transfers=[{source: {data: other, task: age}, target: {data: cohort, task: age}}]"


def baselines(plan: Plan) -> set[str]:
    return {study.method.label for study in plan.studies if study.method.role == "baseline"}


def test_baselines_stand_once_for_all_encoders_and_sources(plain: Path) -> None:
    plan = make_plan(load(plain, [TWO_SOURCES, "encoders.wide={name: small_cnn, width: 2}"]))
    for label in ("linear", "gradient_boosting", "nearest"):
        assert len(chosen(plan, label)) == 4
        assert {study.source for study in chosen(plan, label)} == {None}


def test_a_file_says_which_baselines_it_wants(plain: Path) -> None:
    assert baselines(make_plan(load(plain, ["baselines=[]"]))) == set()
    assert baselines(make_plan(load(plain, ["baselines=[nearest]"]))) == {"nearest"}


def test_a_listed_baseline_takes_the_place_of_the_one_that_stands_there_by_itself(plain: Path) -> None:
    plan = make_plan(load(plain, ["methods.ridge={method: linear, features: pca, mirror: true}"]))
    assert baselines(plan) == {"ridge", "gradient_boosting", "nearest"}
    assert {study.method.features for study in chosen(plan, "ridge")} == {"pca"}
    alone = make_plan(load(plain, ["methods.linear={features: pca}", "baselines=[]"]))
    assert baselines(alone) == {"linear"}


def test_the_sources_model_stands_unchanged_where_both_ask_the_same_and_is_pretrained_once(plain: Path) -> None:
    plan = make_plan(load(plain, [SAME_TASK, "methods.probe={method: supervised, finetune: {strategy: linear_probe}}"]))
    assert {"unchanged", "unchanged_linear"} <= baselines(plan)
    of = {label: {PretrainSpec.of(study) for study in chosen(plan, label)} for label in ("unchanged", "supervised")}
    assert of["unchanged"] == of["supervised"]
    assert len(of["unchanged"]) == 2  # seeds
    assert all(study.source is not None for study in chosen(plan, "unchanged_linear"))


def test_without_a_supervised_method_no_network_is_pretrained_for_a_baseline(plain: Path) -> None:
    plan = make_plan(load(plain, [SAME_TASK, "methods={scratch: {}, vat: {}}"]))
    assert baselines(plan) == {"linear", "gradient_boosting", "nearest", "unchanged_linear"}
    assert plan.pretrainings == ()


@pytest.mark.parametrize(
    "difference",
    [
        "transfers=[{source: {data: other, task: sex}, target: {data: cohort, task: age}}]",
        "datasets.other.preprocess={shape: [40, 40, 40]}",
    ],
    ids=["another question", "another shape"],
)
def test_the_sources_model_cannot_stand_unchanged(plain: Path, difference: str) -> None:
    settings = [SAME_TASK, difference, "methods={scratch: {}}"]
    assert not {"unchanged", "unchanged_linear"} & baselines(make_plan(load(plain, settings)))


def test_other_classes_are_another_question(tmp_path: Path) -> None:
    path = tmp_path / "digits.yaml"
    path.write_text("""\
name: classes
datasets:
  low: {kind: digits, classes: ["0", "1"]}
  high: {kind: digits, classes: ["5", "6"]}
  other: {kind: digits, classes: ["6", "5"], domain: textured}
tasks: {digit: {target: class, kind: classification}}
transfers:
  - {source: {data: low, task: digit}, target: {data: high, task: digit}}
encoders: {small_cnn: {}}
methods: {scratch: {}, supervised: {}}
sample_sizes: [10]
seeds: [0]
""")
    assert not {"unchanged", "unchanged_linear"} & baselines(make_plan(load(path)))
    assert {"unchanged", "unchanged_linear"} <= baselines(make_plan(load(path, ["transfers.0.source.data=other"])))


def test_images_are_mirrored_where_a_view_is(plain: Path) -> None:
    def mirrored(*settings: str) -> set[bool]:
        return {study.method.mirror for study in chosen(make_plan(load(plain, list(settings))), "linear")}

    assert mirrored() == {False}
    assert mirrored("methods.scratch.finetune={views: {flip: 0.5}}") == {True}
    assert mirrored("methods.simclr.pretrain={views: {flip: 0.5}}") == {True}
    assert mirrored("methods.scratch.finetune={views: {flip: 0.5}}", "methods.linear={mirror: false}") == {False}


def test_nothing_of_a_baseline_is_searched(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "rate.yaml").write_text("")
    tuned = "tuning={trials: 3, experiments: {scratch: rate.yaml, supervised: rate.yaml}}"
    plan = make_plan(load(plain, [tuned, SAME_TASK, "methods={scratch: {}, supervised: {}}"]))
    assert {study.method.label for study in plan.searches} == {"scratch", "supervised"}
    assert {"linear", "unchanged", "unchanged_linear"} <= baselines(plan)


def test_pretraining_is_shared_by_all_sample_sizes(plain: Path) -> None:
    plan = make_plan(load(plain))
    assert len(plan.pretrainings) == 4  # two methods, two seeds
    needed = {spec.identity() for spec in map(PretrainSpec.of, plan.studies) if spec is not None}
    assert needed == {spec.identity() for spec in plan.pretrainings}


def test_methods_without_a_source_are_planned_once_for_a_target(plain: Path) -> None:
    plan = make_plan(load(plain, [TWO_SOURCES]))
    assert len(chosen(plan, "scratch")) == len(chosen(plan, "mean")) == 4
    assert all(study.source is None for study in [*chosen(plan, "scratch"), *chosen(plan, "mean")])
    assert len(chosen(plan, "supervised")) == len(chosen(plan, "vat")) == 8


def test_contrasting_the_target_alone_leaves_the_source_out(plain: Path) -> None:
    plan = make_plan(load(plain, [TWO_SOURCES, "methods.simclr.pool=target"]))
    assert {study.source for study in chosen(plan, "simclr")} == {None}
    assert len(chosen(plan, "simclr")) == 4
    assert sum(spec.method.method == "simclr" for spec in plan.pretrainings) == 2


def test_without_a_source_simclr_contrasts_the_target(plain: Path) -> None:
    overrides = ["transfers.0.source=null", "methods={scratch: {}, simclr: {pool: both}, vat: {}}"]
    plan = make_plan(load(plain, overrides))
    assert {study.method.pool for study in plan.studies if study.method.method == "simclr"} == {"target"}
    assert all(study.source is None for study in plan.studies)


def test_only_datasets_that_a_study_uses_are_planned(plain: Path) -> None:
    assert [data.name for data in make_plan(load(plain)).datasets] == ["cohort"]
    plan = make_plan(load(plain, [TWO_SOURCES]))
    assert [data.name for data in plan.datasets] == ["cohort", "other"]
    methods = "methods={scratch: {}, simclr: {pool: target}}"
    assert [data.name for data in make_plan(load(plain, [TWO_SOURCES, methods])).datasets] == ["cohort"]


def test_the_validation_set_of_the_largest_size_is_reserved_everywhere(plain: Path) -> None:
    assert {study.n_reserved for study in make_plan(load(plain)).studies} == {50}
    few = make_plan(load(plain, ["split.validation=0.1", "sample_sizes=[4, 8]"]))
    assert {study.n_reserved for study in few.studies} == {2}


def test_a_plan_survives_json(plain: Path) -> None:
    plan = make_plan(load(plain, [TWO_SOURCES]))
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_the_same_benchmark_elsewhere_has_the_same_studies(tmp_path: Path) -> None:
    def planned(place: str) -> list[str]:
        folder = tmp_path / place
        (folder / "scans").mkdir(parents=True)
        (folder / "own.yaml").write_text(PLAIN.replace("kind: cohort, subjects: 400", "kind: bids, root: scans"))
        return [study.id for study in make_plan(load(folder / "own.yaml")).studies]

    assert planned("here") == planned("there")


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 99), min_size=1, max_size=4, unique=True),
    seeds=st.lists(st.integers(0, 999), min_size=1, max_size=4, unique=True),
    temperatures=st.lists(st.sampled_from([0.1, 0.2, 0.5, 1.0]), min_size=1, max_size=4, unique=True),
    widths=st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=1, max_size=3, unique=True),
    both=st.booleans(),
)
def test_every_study_has_an_id_of_its_own(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    seeds: list[int],
    temperatures: list[float],
    widths: list[float],
    both: bool,
) -> None:
    path = tmp_path_factory.getbasetemp() / "ids.yaml"
    path.write_text(PLAIN)
    overrides = [f"sample_sizes={sizes}", f"seeds={seeds}"]
    overrides += [f"encoders.net{i}={{name: small_cnn, width: {width}}}" for i, width in enumerate(widths)]
    overrides += [f"methods.warm{i}={{method: simclr, temperature: {t}}}" for i, t in enumerate(temperatures)]
    overrides += ["encoders.small_cnn.norm=group", "methods.simclr.projection=8"]
    overrides += [TWO_SOURCES] if both else []
    studies = make_plan(load(path, overrides)).studies
    assert len({study.id for study in studies}) == len(studies)
    assert all(len(study.id) <= 40 for study in studies)


def test_ten_thousand_studies_have_ids_of_their_own(plain: Path) -> None:
    config: BenchmarkConfig = load(plain, [f"seeds={list(range(1250))}", "datasets.cohort.subjects=4000"])
    plan = make_plan(config)
    assert len(plan.studies) == 20_000
    assert len({study.id for study in plan.studies}) == 20_000


TUNING = "tuning={experiments: {scratch: a.yaml, supervised: a.yaml, simclr: a.yaml, vat: a.yaml}, trials: 4}"


@pytest.fixture
def manifest(plain: Path) -> None:
    (plain.parent / "a.yaml").write_text("")


def test_tuned_methods_are_trained_at_defaults_too_for_tunings_share(plain: Path, manifest: None) -> None:
    plan = make_plan(load(plain, [TUNING]))
    assert len(plan.at_defaults) == 16  # four methods, two sizes, two seeds; not the mean predictor
    assert {study.id for study in plan.at_defaults} == {s.id for s in plan.studies if s.method.trains_network}
    assert plan.trained == (*plan.studies, *plan.at_defaults)
    assert not plan.pretrains_anew
    assert make_plan(load(plain, [TUNING, "tuning.order=joint"])).pretrains_anew


def test_nothing_is_trained_twice_where_nothing_is_tuned_or_the_share_is_not_wanted(
    plain: Path, manifest: None
) -> None:
    assert make_plan(load(plain)).at_defaults == ()
    assert make_plan(load(plain, [TUNING, "tuning.share=false"])).at_defaults == ()


def test_a_tuned_plan_keeps_what_is_at_defaults_where_a_search_found_something(plain: Path, manifest: None) -> None:
    plan = make_plan(load(plain, [TUNING]))
    searches = [
        SearchResult(study=study, stages=(), reason="tuning found nothing")
        if study.method.label == "vat"
        else SearchResult(study=study, stages=(), assignments={"finetune.lr": "0.5"})
        for study in plan.searches
    ]
    after, lost = tuned_plan(plan, searches)
    assert {result.study.method.label for result in lost} == {"vat"}
    assert after.at_defaults == tuple(study for study in plan.at_defaults if study.method.label != "vat")
    assert {study.method.finetune.lr for study in after.studies if study.method.trains_network} == {0.5}
    assert len(after.pretrainings) == 4  # of the file: a search of the finetuning alone leaves them as they are


def test_pretrainings_that_searches_chose_stand_beside_those_of_the_file(plain: Path, manifest: None) -> None:
    plan = make_plan(load(plain, [TUNING, "tuning.order=joint"]))
    searches = [SearchResult(study=s, stages=(), assignments={"finetune.lr": "0.5"}) for s in plan.searches]
    supervised = next(place for place, s in enumerate(searches) if s.study.method.label == "supervised")
    searches[supervised] = SearchResult(study=plan.searches[supervised], stages=(), assignments={"pretrain.lr": "0.5"})
    after, _ = tuned_plan(plan, searches)
    assert len(after.pretrainings) == 4 + 2  # two seeds
    assert (plan.pretrains_anew, after.pretrains_anew) == (True, False)


def test_least_errors_are_estimated_once_a_target_with_classes_where_the_report_asks(plain: Path) -> None:
    sex = [
        f"{{source: {{data: {data}, task: age}}, target: {{data: cohort, task: sex}}}}" for data in ("other", "cohort")
    ]
    age = "{source: {data: other, task: sex}, target: {data: cohort, task: age}}"
    swapped = f"transfers=[{age}, {', '.join(sex)}]"
    assert make_plan(load(plain, [swapped])).least_errors == ()
    (spec,) = make_plan(load(plain, [swapped, "report.bayes_error=true"])).least_errors
    assert (spec.target.data.name, spec.target.task.name) == ("cohort", "sex")
