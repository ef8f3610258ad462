from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ctlr.report.answer.headline import answer
from ctlr.report.numbers.contests import Contest, contests, load
from ctlr.report.numbers.rows import CountRow, GainRow, Rows, ScoreRow
from ctlr.report.statistics.estimates import Estimate, Gain, VarianceParts, Verdict
from ctlr.report.theme.formats import listed
from ctlr.shallow.baselines import CovariatesSpec


def parts(n_seeds: int) -> VarianceParts:
    return VarianceParts(subjects=0.1, seeds=0.1, shared=0.05, n_subjects=100, n_seeds=n_seeds)


def score(method: str, n_train: int, mean: float, n_seeds: int = 3) -> ScoreRow:
    estimate = Estimate(mean=mean, low=mean - 1, high=mean + 1, n_seeds=n_seeds, n_subjects=100, parts=parts(n_seeds))
    return ScoreRow(method=method, n_train=n_train, estimate=estimate)


def gain(
    method: str, n_train: int, mean: float, low: float, high: float, *, stands: bool = True, n_seeds: int = 3
) -> GainRow:
    verdict: Verdict = "gain" if low > 0 else "negative transfer" if high < 0 else "none"
    found = Gain(
        mean=mean, low=low, high=high, n_seeds=n_seeds, n_subjects=100, parts=parts(n_seeds), p=0.001,
        verdict=verdict if n_seeds > 1 else "not tested",
    )  # fmt: skip
    return GainRow(method=method, n_train=n_train, gain=found, p_holm=0.01, stands=stands and found.shown)


def rows(gains: list[GainRow], **parts: Any) -> Rows:
    defaults: dict[str, Any] = {
        "level": 0.95, "counts": [], "scores": [score("scratch", 20, 6.2)], "over_mean": [],
        "splits": [], "metrics": [], "gaps": [],
    }  # fmt: skip
    return Rows(**defaults | {"gains": gains} | parts)


@pytest.fixture(scope="module")
def contest(age: Any) -> Contest:
    (found,) = contests(load(age.results, age.root))
    return found


def text(contest: Contest, found: Rows) -> str:
    return answer(contest, found).text.replace("\u00a0", " ")


def test_a_gain_is_said_with_size_unit_interval_and_where_there_is_none(contest: Contest) -> None:
    found = rows(
        [gain("supervised", 20, 1.234, 0.3, 2.1), gain("simclr", 20, 0.1, -0.5, 0.6),
         gain("supervised", 100, 0.1, -0.2, 0.4), gain("simclr", 100, 0.0, -0.3, 0.3)],
    )  # fmt: skip
    assert text(contest, found) == (
        "At 20 + 20 labelled subjects (training + validation), ‘supervised’ lowers MAE by 1.23 years (95 % interval "
        "0.30 to 2.10) against training from scratch; at 100 + 100 no method differs measurably from scratch."
    )


def test_several_gains_are_named_best_first_and_harm_is_called_negative_transfer(contest: Contest) -> None:
    found = rows(
        [gain("simclr", 20, 1.0, 0.3, 1.7), gain("supervised", 20, 2.0, 1.0, 3.0), gain("vat", 20, -1.5, -2.0, -1.0)],
        scores=[score("scratch", 20, 16.0)],
    )
    assert text(contest, found) == (
        "At 20 + 20 labelled subjects (training + validation), ‘supervised’ lowers MAE by 2.0 years (95 % interval 1.0 "
        "to 3.0) and ‘simclr’ by 1.0 (0.3 to 1.7), while ‘vat’ raises MAE by 1.5 years (95 % interval 1.0 to 2.0; "
        "negative transfer) against training from scratch."
    )


def test_neighbouring_sizes_without_a_verdict_share_a_clause(contest: Contest) -> None:
    found = rows([gain("simclr", n, 0.1, -1, 1) for n in (20, 50)] + [gain("simclr", 100, 1.0, 0.5, 1.5)])
    assert text(contest, found) == (
        "At 20 + 20 and 50 + 50 labelled subjects (training + validation), no method differs measurably from scratch; "
        "at 100 + 100 ‘simclr’ lowers MAE by 1.00 years (95 % interval 0.50 to 1.50) against training from scratch."
    )


def test_nothing_wins_is_said_as_such(contest: Contest) -> None:
    found = rows([gain("simclr", n, 0.1, -1, 1) for n in (20, 50, 100)])
    assert text(contest, found) == (
        "Nothing wins: at 20 + 20, 50 + 50 and 100 + 100 labelled subjects (training + validation) no method differs "
        "measurably from training from scratch."
    )


def test_an_end_that_would_read_as_zero_gets_one_more_digit(contest: Contest) -> None:
    found = rows([gain("simclr", 20, 1.0, 0.04, 2.0)], scores=[score("scratch", 20, 12.0)])
    assert "1.00 years (95 % interval 0.04 to 2.00)" in text(contest, found)


def test_a_gain_that_does_not_survive_the_comparisons_is_a_note_and_no_answer(contest: Contest) -> None:
    found = answer(contest, rows([gain("simclr", 20, 1.0, 0.1, 2.0, stands=False), gain("supervised", 20, 0, -1, 1)]))
    assert found.text.startswith("Nothing wins")
    assert found.notes == (
        "Taken alone, the gain of ‘simclr’ at 20 + 20 would count; among 2 comparisons that is not enough.",
    )


def test_accuracy_is_raised_by_a_gain(digits: Any) -> None:
    (contest,) = contests(load(digits.results, digits.root))
    found = rows([gain("supervised", 20, 0.2, 0.14, 0.26)], scores=[score("scratch", 20, 0.6)])
    assert "‘supervised’ raises balanced accuracy by 0.200 (95 % interval 0.140 to 0.260)" in text(contest, found)


def test_methods_that_do_not_beat_the_mean_predictor_are_named(contest: Contest) -> None:
    floor = [gain("scratch", 20, 0.1, -1, 1), gain("simclr", 20, 0.2, -1, 1)]
    floor += [gain("scratch", 50, 1, 0.5, 2), gain("simclr", 50, 0.5, -0.1, 2)]
    found = answer(contest, rows([gain("simclr", 50, 0.9, 0.1, 2.0)], over_mean=floor))
    assert found.notes == (
        "At 20 + 20 no method is measurably better than predicting the training set’s mean.",
        "‘simclr’ at 50 + 50 gains over scratch, yet is not measurably better than that mean.",
    )


def test_methods_that_do_not_beat_what_the_columns_alone_predict_are_named(contest: Contest) -> None:
    study = contest.results[0].study
    alone = study.model_copy(update={"method": CovariatesSpec(label="columns")})
    task = contest.task.model_copy(update={"inputs": {"sex": "auto", "site": "auto"}})
    beside = replace(
        contest, results=(*contest.results, contest.results[0].model_copy(update={"study": alone})),
        target=contest.target.model_copy(update={"task": task}),
    )  # fmt: skip
    assert contest.covariates is None
    assert beside.covariates == "columns"
    over = [gain("scratch", 20, 0.1, -1, 1), gain("simclr", 20, 0.2, -1, 1)]
    over += [gain("scratch", 50, 1, 0.5, 2), gain("simclr", 50, 0.5, -0.1, 2)]
    found = answer(beside, rows([gain("simclr", 50, 0.9, 0.1, 2.0)], over_covariates=over))
    assert found.notes == (
        "At 20 + 20 no method is measurably better than what sex and site alone predict (‘columns’).",
        "‘simclr’ at 50 + 50 gains over scratch, yet is not measurably better than what sex and site alone predict.",
    )


def test_one_seed_supports_no_verdict_and_says_what_does(contest: Contest) -> None:
    counts = [CountRow(n_train=20, validation=20, test=100, seeds=1, finished=10, failed=2)]
    found = answer(
        contest, rows([gain("simclr", 20, 2.1, 1, 3, n_seeds=1)], counts=counts, scores=[score("scratch", 20, 6.2, 1)])
    )
    assert found.text.startswith("One seed supports no verdict, so no gain is called one. At 20 + 20 labelled subjects")
    assert found.notes == (
        "At 20 + 20 there is a single seed: its intervals tell of other test subjects, not of other training runs, and "
        "nothing is tested. List five seeds or more.",
        "2 of 12 studies failed and are missing from these numbers.",
    )


def test_a_size_with_one_seed_is_passed_over(contest: Contest) -> None:
    found = answer(contest, rows([gain("simclr", 20, 2.1, 1, 3, n_seeds=1), gain("simclr", 50, 1, -1, 3)]))
    assert found.text.startswith("Nothing wins: at 50 + 50 labelled subjects")
    assert found.notes[0].startswith("At 20 + 20 there is a single seed")


@pytest.mark.parametrize(
    ("methods", "start"),
    [
        (("supervised",), "No training from scratch finished, so no gain can be given. At 20 + 20 labelled "
                          "subjects (training + validation) ‘supervised’ reaches MAE 8.20 years (95 % interval 7.20 "
                          "to 9.20)."),
        (("scratch", "mean"), "Only training from scratch was run, so there is nothing to hold it against. At 20"),
    ],
)  # fmt: skip
def test_without_a_pair_the_best_score_is_said_without_a_claim(
    new_benchmark: Callable[..., Any], methods: tuple[str, ...], start: str
) -> None:
    benchmark = new_benchmark(methods=methods, sizes=(20,), seeds=(0,))
    (contest,) = contests(load(benchmark.results, benchmark.root))
    assert text(contest, rows([], scores=[score(methods[0], 20, 8.2)])).startswith(start)


def test_a_size_without_its_baseline_is_named(new_benchmark: Callable[..., Any]) -> None:
    benchmark = new_benchmark(methods=("scratch", "simclr"), sizes=(20, 50), seeds=(0,))
    benchmark.fail(benchmark.results.pop(1).study, "NaN loss")
    (contest,) = contests(load(benchmark.results, benchmark.root))
    found = answer(contest, rows([gain("simclr", 20, 0.1, -1, 1)]))
    assert found.text == (
        "Nothing wins: at 20 + 20 labelled subjects (training + validation) ‘simclr’ does not differ measurably from "
        "training from scratch."
    )
    assert "At 50 + 50 ‘scratch’ has no finished study, so no gain can be given there." in found.notes


def test_lists_read_like_prose() -> None:
    assert [listed([20]), listed([20, 50]), listed([20, 50, 100])] == ["20", "20 and 50", "20, 50 and 100"]
