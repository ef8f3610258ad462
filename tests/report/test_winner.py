from typing import Any

import pytest

from ctlr.report.headline import answer
from ctlr.report.model_card import model_card
from ctlr.report.sections import Section, load, sections
from ctlr.report.statistics import Estimate, Gain
from ctlr.report.tables import GainRow, Rows, ScoreRow
from ctlr.report.views import method_styles, view


def score(method: str, n_train: int, mean: float) -> ScoreRow:
    estimate = Estimate(mean=mean, low=mean - 1, high=mean + 1, n_seeds=3, n_subjects=100)
    return ScoreRow(method=method, n_train=n_train, estimate=estimate)


def gain(method: str, n_train: int, mean: float, low: float, high: float) -> GainRow:
    verdict = "gain" if low > 0 else "negative transfer" if high < 0 else "none"
    found = Gain(mean=mean, low=low, high=high, n_seeds=3, n_subjects=100, p=0.001, verdict=verdict)
    return GainRow(method=method, n_train=n_train, gain=found, p_holm=0.01, stands=verdict != "none")


def rows(scores: dict[str, float], gains: list[GainRow], over: list[GainRow], n_train: int = 20) -> Rows:
    found = [score(method, n_train, mean) for method, mean in scores.items()]
    best = min((method for method in ("linear", "nearest") if method in scores), key=lambda method: scores[method])
    return Rows(
        level=0.95, replicates=2000, counts=[], scores=found, gains=gains, over_mean=[], splits=[], metrics=[], gaps=[],
        references={n_train: best}, over_references=over,
    )  # fmt: skip


@pytest.fixture(scope="module")
def section(beside: Any) -> Section:
    (found,) = sections(load(beside.results, beside.root))
    return found


def first_sentence(section: Section, found: Rows) -> str:
    return answer(section, found).text.replace("\u00a0", " ").partition(". ")[0]


def test_the_first_sentence_says_who_wins_over_scratch_and_over_the_best_baseline(section: Section) -> None:
    scores = {"mean": 14.4, "scratch": 14.3, "supervised": 9.6, "linear": 12.1, "nearest": 13.0}
    found = rows(scores, [gain("supervised", 20, 4.7, 3.1, 6.2)], [gain("supervised", 20, 2.5, 0.9, 4.0)])
    assert first_sentence(section, found) == (
        "‘supervised’ has the lowest MAE at 20 labelled subjects (9.6 years): 4.7 (95 % interval 3.1 to 6.2) better "
        "than training from scratch; the best baseline, ‘linear’, has 12.1: ‘supervised’ is 2.5 (95 % interval 0.9 to "
        "4.0) better"
    )


def test_a_baseline_that_is_as_good_is_said_to_be(section: Section) -> None:
    scores = {"mean": 14.4, "scratch": 14.3, "supervised": 9.6, "linear": 9.9}
    found = rows(scores, [gain("supervised", 20, 4.7, 3.1, 6.2)], [gain("supervised", 20, 0.3, -0.4, 1.0)])
    assert first_sentence(section, found).endswith("the best baseline, ‘linear’, has 9.9: no measurable difference")


def test_a_baseline_that_wins_is_the_first_word(section: Section) -> None:
    scores = {"mean": 14.4, "scratch": 12.3, "supervised": 12.0, "nearest": 10.1}
    found = rows(scores, [gain("supervised", 20, 0.3, -1, 1)], [gain("supervised", 20, -1.9, -2.8, -1.0)])
    assert first_sentence(section, found) == (
        "A baseline, ‘nearest’, has the lowest MAE at 20 labelled subjects (10.1 years); the best method, "
        "‘supervised’, has 12.0: ‘supervised’ is 1.9 (95 % interval 1.0 to 2.8) worse"
    )


def test_scratch_may_win_too(section: Section) -> None:
    scores = {"mean": 14.4, "scratch": 12.3, "supervised": 12.5, "linear": 13.1}
    found = rows(scores, [gain("supervised", 20, -0.2, -1, 1)], [gain("scratch", 20, 0.8, -0.1, 1.0)])
    assert first_sentence(section, found) == (
        "‘scratch’ has the lowest MAE at 20 labelled subjects (12.3 years): no transfer is better than training from "
        "scratch; the best baseline, ‘linear’, has 13.1: no measurable difference"
    )


def test_where_the_mean_wins_nothing_has_learned(section: Section) -> None:
    found = rows({"mean": 10.0, "scratch": 12.3, "linear": 13.1}, [], [])
    assert first_sentence(section, found).startswith("Nothing has learned: ‘mean’, which sees no image, has the lowest")


def test_baselines_stand_in_the_tables_and_in_no_verdict_over_scratch(beside: Any) -> None:
    found = sections(load(beside.results, beside.root))
    seen = view(found[0], method_styles(found), beside.root, bootstrap=200, level=0.95, name_encoder=False)
    assert [row[0].text for row in seen.tables["scores"].rows] == [
        "mean", "linear", "nearest", "scratch", "supervised", "simclr",
    ]  # fmt: skip
    assert {row[0].text for row in seen.tables["gains"].rows} == {"supervised", "simclr"}
    assert [row[2].text for row in seen.tables["references"].rows] == ["nearest"] * 3 + ["linear"] * 6
    assert {method.label for method in seen.methods} == {"scratch", "supervised", "simclr"}
    assert ("baselines", "Against the best baseline") in seen.contents
    assert seen.answer.text.count("has the lowest MAE") == 3
    card = model_card([seen], title="age")
    assert "**Method:** supervised" in card
    assert "**Difference to the best baseline, linear:** +0.1" in card
