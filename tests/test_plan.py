from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctlr.config import BenchmarkConfig, load
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
    methods = ("mean", "scratch", "supervised", "simclr", "vat")
    assert cells == {(method, n, seed) for method in methods for n in (20, 50) for seed in (1, 3)}
    assert len(plan.studies) == 20


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
    assert len(plan.studies) == 12_500
    assert len({study.id for study in plan.studies}) == 12_500


TUNING = "tuning={experiments: {scratch: a.yaml, supervised: a.yaml, simclr: a.yaml, vat: a.yaml}, trials: 4}"


@pytest.fixture
def manifest(plain: Path) -> None:
    (plain.parent / "a.yaml").write_text("")


def test_tuned_methods_are_trained_at_defaults_too_for_tunings_share(plain: Path, manifest: None) -> None:
    plan = make_plan(load(plain, [TUNING]))
    assert len(plan.at_defaults) == 16  # four methods, two sizes, two seeds; not the mean predictor
    assert {study.id for study in plan.at_defaults} == {s.id for s in plan.studies if s.method.label != "mean"}
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
    assert {study.method.finetune.lr for study in after.studies if study.method.label != "mean"} == {0.5}
    assert len(after.pretrainings) == 4  # of the file: a search of the finetuning alone leaves them as they are


def test_pretrainings_that_searches_chose_stand_beside_those_of_the_file(plain: Path, manifest: None) -> None:
    plan = make_plan(load(plain, [TUNING, "tuning.order=joint"]))
    searches = [SearchResult(study=s, stages=(), assignments={"finetune.lr": "0.5"}) for s in plan.searches]
    supervised = next(place for place, s in enumerate(searches) if s.study.method.label == "supervised")
    searches[supervised] = SearchResult(study=plan.searches[supervised], stages=(), assignments={"pretrain.lr": "0.5"})
    after, _ = tuned_plan(plan, searches)
    assert len(after.pretrainings) == 4 + 2  # two seeds
