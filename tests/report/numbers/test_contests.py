from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctlr.methods.scratch import ScratchSpec
from ctlr.report.numbers.contests import Contest, contests, load
from ctlr.specs import EncoderSpec, StudyResult


def grouped(benchmark: Any) -> list[Contest]:
    return contests(load(benchmark.results, benchmark.root))


def changed(result: StudyResult, **study: Any) -> StudyResult:
    return result.model_copy(update={"study": result.study.model_copy(update=study)})


def test_one_transfer_is_one_section_with_the_mean_and_the_baseline_first(new_benchmark: Callable[..., Any]) -> None:
    (contest,) = grouped(
        new_benchmark(methods=("simclr", "supervised", "scratch", "mean"), sizes=(50, 20), seeds=(1, 0))
    )
    assert contest.methods == ("mean", "scratch", "simclr", "supervised")
    assert contest.contenders == ("simclr", "supervised")
    assert (contest.sizes, contest.seeds) == ((20, 50), (0, 1))
    assert [done.result.study.seed for done in contest.cells["scratch", 20]] == [0, 1]
    assert (contest.title, contest.slug) == ("age, transfer from sex", "age-from-sex-small")


def test_two_sources_are_two_sections_that_share_the_baseline(new_benchmark: Callable[..., Any]) -> None:
    benchmark = new_benchmark(methods=("scratch", "supervised", "simclr"), sizes=(20,), seeds=(0,))
    other = benchmark.results[2].study.source
    other = other.model_copy(update={"task": other.task.model_copy(update={"name": "site", "target": "site"})})
    benchmark.results[2] = changed(benchmark.results[2], source=other)
    first, second = grouped(benchmark)
    assert (first.methods, second.methods) == (("scratch", "supervised"), ("scratch", "simclr"))
    assert (first.slug, second.slug) == ("age-from-sex-small", "age-from-site-small")


def test_two_encoders_are_two_sections(new_benchmark: Callable[..., Any]) -> None:
    benchmark = new_benchmark(methods=("scratch",), sizes=(20,), seeds=(0, 1))
    benchmark.results[1] = changed(benchmark.results[1], encoder=EncoderSpec(label="big", name="sfcn"))
    assert [contest.slug for contest in grouped(benchmark)] == ["age-small", "age-big"]


def test_what_has_no_encoder_stands_beside_every_encoder(new_benchmark: Callable[..., Any]) -> None:
    benchmark = new_benchmark(methods=("mean", "linear", "scratch", "supervised"), sizes=(20,), seeds=(0,))
    big = EncoderSpec(label="big", name="sfcn")
    benchmark.results += [changed(result, encoder=big) for result in benchmark.results[2:]]
    first, second = grouped(benchmark)
    assert [contest.encoder.label for contest in (first, second)] == ["small", "big"]
    assert first.methods == second.methods == ("mean", "linear", "scratch", "supervised")
    assert (first.references, first.contenders) == (("linear",), ("supervised",))
    assert first.cells["linear", 20] == second.cells["linear", 20]


def test_sections_of_the_same_name_are_numbered(new_benchmark: Callable[..., Any]) -> None:
    benchmark = new_benchmark(methods=("scratch",), sizes=(20,), seeds=(0, 1))
    target = benchmark.results[1].study.target
    elsewhere = target.model_copy(update={"data": target.data.model_copy(update={"name": "clinic"})})
    benchmark.results[1] = changed(benchmark.results[1], target=elsewhere)
    assert [contest.slug for contest in grouped(benchmark)] == ["age-small-1", "age-small-2"]


@pytest.mark.parametrize(("labels", "baseline"), [(("tuned", "plain"), "tuned"), (("tuned", "scratch"), "scratch")])
def test_the_baseline_is_called_scratch_or_is_the_first_that_trains_from_scratch(
    new_benchmark: Callable[..., Any], labels: tuple[str, ...], baseline: str
) -> None:
    benchmark = new_benchmark(methods=("scratch",), sizes=(20,), seeds=(0, 1))
    pairs = zip(benchmark.results, labels, strict=True)
    benchmark.results = [changed(result, method=ScratchSpec(label=label)) for result, label in pairs]
    assert grouped(benchmark)[0].baseline == baseline


def test_failed_studies_are_in_the_section_but_in_no_cell(new_benchmark: Callable[..., Any]) -> None:
    benchmark = new_benchmark(methods=("scratch",), sizes=(20,), seeds=(0, 1))
    benchmark.fail(benchmark.results.pop().study, "NaN loss")
    (contest,) = grouped(benchmark)
    assert len(contest.results) == 2
    assert [len(cell) for cell in contest.cells.values()] == [1]


def test_without_studies_there_is_no_section() -> None:
    assert contests(load([], Path())) == []
