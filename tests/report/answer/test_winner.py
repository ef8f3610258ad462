import dataclasses
from typing import Any

import pytest
from finished_bench import finished

from ctlr.report.answer.headline import answer
from ctlr.report.answer.section import answer_of
from ctlr.report.answer.winner import winners
from ctlr.report.baselines.section import baselines
from ctlr.report.findings import findings
from ctlr.report.gains.section import gains
from ctlr.report.model_card.card import model_card
from ctlr.report.numbers.contests import Contest, contests, load
from ctlr.report.numbers.rows import GainRow, Rows, ScoreRow
from ctlr.report.scores.section import scores
from ctlr.report.statistics.estimates import Estimate, Gain, VarianceParts, Verdict


def parts(n_seeds: int) -> VarianceParts:
    return VarianceParts(subjects=0.1, seeds=0.1, shared=0.05, n_subjects=100, n_seeds=n_seeds)


def score(method: str, n_train: int, mean: float) -> ScoreRow:
    estimate = Estimate(mean=mean, low=mean - 1, high=mean + 1, n_seeds=3, n_subjects=100, parts=parts(3))
    return ScoreRow(method=method, n_train=n_train, estimate=estimate)


def gain(method: str, n_train: int, mean: float, low: float, high: float, n_seeds: int = 3) -> GainRow:
    verdict: Verdict = "gain" if low > 0 else "negative transfer" if high < 0 else "none"
    found = Gain(
        mean=mean, low=low, high=high, n_seeds=n_seeds, n_subjects=100, parts=parts(n_seeds), p=0.001,
        verdict=verdict if n_seeds > 1 else "not tested",
    )  # fmt: skip
    return GainRow(method=method, n_train=n_train, gain=found, p_holm=0.01, stands=found.shown)


def rows(scores: dict[str, float], gains: list[GainRow], over: list[GainRow], n_train: int = 20) -> Rows:
    found = [score(method, n_train, mean) for method, mean in scores.items()]
    best = min((method for method in ("linear", "nearest") if method in scores), key=lambda method: scores[method])
    return Rows(
        level=0.95, counts=[], scores=found, gains=gains, over_mean=[], splits=[], metrics=[], gaps=[],
        references={n_train: best}, over_references=over,
    )  # fmt: skip


@pytest.fixture(scope="module")
def contest(beside: Any) -> Contest:
    (found,) = contests(load(beside.results, beside.root))
    return found


def first_sentence(contest: Contest, found: Rows) -> str:
    return answer(contest, found).text.replace("\u00a0", " ").partition(". ")[0]


def test_the_first_sentence_says_who_wins_over_scratch_and_over_the_best_baseline(contest: Contest) -> None:
    scores = {"mean": 14.4, "scratch": 14.3, "supervised": 9.6, "linear": 12.1, "nearest": 13.0}
    found = rows(scores, [gain("supervised", 20, 4.7, 3.1, 6.2)], [gain("supervised", 20, 2.5, 0.9, 4.0)])
    assert first_sentence(contest, found) == (
        "‘supervised’ has the lowest MAE, 9.6 years, at 20 + 20 labelled subjects (training + validation): 4.7 "
        "(95 % interval 3.1 to 6.2) better than training from scratch; the best baseline, ‘linear’, has 12.1: "
        "‘supervised’ is 2.5 (95 % interval 0.9 to 4.0) better"
    )


def test_a_baseline_that_is_as_good_is_said_to_be(contest: Contest) -> None:
    scores = {"mean": 14.4, "scratch": 14.3, "supervised": 9.6, "linear": 9.9}
    found = rows(scores, [gain("supervised", 20, 4.7, 3.1, 6.2)], [gain("supervised", 20, 0.3, -0.4, 1.0)])
    assert first_sentence(contest, found).endswith("the best baseline, ‘linear’, has 9.9: no measurable difference")


def test_a_baseline_that_wins_is_the_first_word(contest: Contest) -> None:
    scores = {"mean": 14.4, "scratch": 12.3, "supervised": 12.0, "nearest": 10.1}
    found = rows(scores, [gain("supervised", 20, 0.3, -1, 1)], [gain("supervised", 20, -1.9, -2.8, -1.0)])
    assert first_sentence(contest, found) == (
        "A baseline, ‘nearest’, has the lowest MAE, 10.1 years, at 20 + 20 labelled subjects (training + validation); "
        "the best method, ‘supervised’, has 12.0: ‘supervised’ is 1.9 (95 % interval 1.0 to 2.8) worse"
    )


def test_one_seed_tells_nothing(contest: Contest) -> None:
    scores = {"mean": 14.4, "scratch": 14.3, "supervised": 9.6, "linear": 12.1}
    one = [gain("supervised", 20, 4.7, 3.1, 6.2, n_seeds=1)]
    said = first_sentence(contest, rows(scores, one, one))
    assert "whether better than training from scratch, one seed cannot tell" in said
    assert said.endswith("one seed tells no difference")


def test_scratch_may_win_too(contest: Contest) -> None:
    scores = {"mean": 14.4, "scratch": 12.3, "supervised": 12.5, "linear": 13.1}
    found = rows(scores, [gain("supervised", 20, -0.2, -1, 1)], [gain("scratch", 20, 0.8, -0.1, 1.0)])
    assert first_sentence(contest, found) == (
        "‘scratch’ has the lowest MAE, 12.3 years, at 20 + 20 labelled subjects (training + validation): no "
        "transfer is better than training from scratch; the best baseline, ‘linear’, has 13.1: no measurable difference"
    )


def test_where_the_mean_wins_nothing_has_learned(contest: Contest) -> None:
    found = rows({"mean": 10.0, "scratch": 12.3, "linear": 13.1}, [], [])
    assert first_sentence(contest, found).startswith("Nothing has learned: ‘mean’, which sees no image, has the lowest")


def test_baselines_stand_in_the_tables_and_in_no_verdict_over_scratch(beside: Any) -> None:
    found = findings(finished(beside))
    (seen,) = found.views
    scored, gained, against = (part for ask in (scores, gains, baselines) if (part := ask(found, seen)))
    assert [row[0].text for row in scored.tables[0].rows] == [
        "mean", "linear", "nearest", "scratch", "supervised", "simclr",
    ]  # fmt: skip
    assert {row[0].text for row in gained.tables[0].rows} == {"supervised", "simclr"}
    assert [row[2].text for row in against.tables[0].rows] == ["nearest"] * 3 + ["linear"] * 6
    assert set(seen.drawn) == {"scratch", "supervised", "simclr"}
    assert (against.heading, bool(against.template)) == ("Against the best baseline", True)
    assert answer_of(seen).text.count("has the lowest MAE") == 3
    card = model_card([seen], title="age", root=beside.root)
    assert "**Method:** supervised" in card
    assert "**Difference to the best baseline, linear:** +0.1" in card


def test_sizes_of_which_the_same_is_to_be_said_share_a_sentence(contest: Contest) -> None:
    scores = {"mean": 14.4, "scratch": 14.3, "supervised": 10.0, "linear": 9.6}
    first, second, third = (
        rows(scores | {"supervised": best}, [], [gain("supervised", n, -0.4, -1.1, high)], n)
        for n, best, high in ((20, 10.0, 0.3), (50, 9.8, 0.2), (100, 9.9, -0.1))
    )
    found = dataclasses.replace(
        first, scores=[*first.scores, *second.scores, *third.scores], references=dict.fromkeys((20, 50, 100), "linear"),
        over_references=[*first.over_references, *second.over_references, *third.over_references],
    )  # fmt: skip
    said = winners(contest, found).replace("\u00a0", " ")
    assert said.startswith(
        "A baseline, ‘linear’, has the lowest MAE, 9.6 years, at 20 + 20 and 50 + 50 labelled subjects (training + "
        "validation); the best method, ‘supervised’, has 10.0 and 9.8: no measurable difference. A baseline, ‘linear’, "
        "has the lowest MAE, 9.6 years, at 100 + 100; the best method, ‘supervised’, has 9.9: ‘supervised’ is 0.4"
    )
