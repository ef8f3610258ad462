from typing import Any

import pytest

from ctlr.methods.supervised import SupervisedSpec
from ctlr.report.findings import View, view
from ctlr.report.numbers.contests import Contest, contests, load
from ctlr.report.numbers.rows import Rows, compute
from ctlr.report.numbers.sweeps import Sweep, option_words, sweeps
from ctlr.report.scores.tables import scores_table
from ctlr.report.sweeps.plot import sweep_plot
from ctlr.report.sweeps.section import sweep_view
from ctlr.specs import FinetuneSpec, FitSpec


@pytest.fixture(scope="module")
def found(four_pairs: Any) -> list[Contest]:
    return contests(load(four_pairs.results, four_pairs.root))


@pytest.fixture(scope="module")
def first(found: list[Contest]) -> tuple[Contest, Rows]:
    return found[0], compute(found[0], level=0.95)


@pytest.fixture(scope="module")
def sweep(first: tuple[Contest, Rows]) -> Sweep:
    (only,) = sweeps(*first)
    return only


@pytest.fixture(scope="module")
def shown(found: list[Contest]) -> list[View]:
    return [view(each, level=0.95, name_encoder=False) for each in found[:2]]


def test_options_that_differ_are_found_and_w_comes_first(sweep: Sweep) -> None:
    assert sweep.options == ("w", "strategy", "lr")
    given = {setting.method: tuple(setting.options.values()) for setting in sweep.settings}
    assert given == {
        "w0.3-lr0.001": (0.3, "full", 0.001), "w0.3-lr0.0001": (0.3, "full", 0.0001),
        "w0.5-lr0.001": (0.5, "full", 0.001), "w1-lr0.001": (1.0, "full", 0.001), "gradual": (1.0, "gradual", 0.001),
    }  # fmt: skip


def test_validation_chooses_and_the_choice_is_held_against_plain_and_runner_up(sweep: Sweep) -> None:
    assert sweep.chosen(48).method == "w0.3-lr0.001"
    assert [(c.option, c.plain, c.other.method) for c in sweep.comparisons] == [
        ("w", True, "w1-lr0.001"),  # within the chosen strategy: gradual is better, and something else
        ("w", False, "w0.5-lr0.001"),
        ("strategy", False, "gradual"),
        ("lr", False, "w0.3-lr0.0001"),  # with the chosen w
    ]
    # Right answers are shares of 120 subjects: 0.76 and 0.67 become 91 and 80 of them.
    assert sweep.comparisons[0].gain.mean == pytest.approx(11 / 120, abs=1e-6)
    assert all(c.gain.mean > 0 for c in sweep.comparisons)


def test_comparisons_are_adjusted_for_one_another(sweep: Sweep) -> None:
    smallest = min(c.gain.p for c in sweep.comparisons)
    assert min(c.p_holm for c in sweep.comparisons) == pytest.approx(len(sweep.comparisons) * smallest)
    assert all(c.stands == (c.gain.verdict != "none" and c.p_holm < 0.05) for c in sweep.comparisons)


def test_one_seed_compares_nothing(four_pairs: Any) -> None:
    alone = [result for result in four_pairs.results if result.study.seed == 0]
    found = contests(load(alone, four_pairs.root))
    seen = sweep_view([view(found[0], level=0.95, name_encoder=False)])
    assert seen is not None
    assert "; not tested against w = 1 (one seed); not tested against the runner-up (one seed)." in seen.summary[0]
    assert all("not tested (one seed)" in note for note in seen.sweeps[0].findings[0].notes)
    choices, settings = seen.sweeps[0].tables
    assert {row[-2].text for row in choices.rows} == {row[-1].text for row in settings.rows} == {"not tested"}
    assert "adjusted for 0 comparisons" in choices.caption


def test_words_name_the_choice_and_what_it_excludes(shown: list[View]) -> None:
    seen = sweep_view(shown)
    assert seen is not None
    assert seen.summary[0].startswith("Validation subjects chose w = 0.3 in 2 of 2 cases; ")
    assert "measurably better than w = 1; " in seen.summary[0]
    assert seen.summary[0].endswith(" of 2 measurably better than the runner-up.")
    # Of two strategies and of two rates the runner-up is the only other one.
    assert all("of 2 measurably better than the runner-up" in words for words in seen.summary)
    (finding,) = seen.sweeps[0].findings
    assert finding.text.startswith(
        "At n = 48 + 48 validation subjects chose ‘w0.3-lr0.001’ (w = 0.3, strategy full and lr = 0.001). Its gain "
    )
    assert "is +0.258 (95\u00a0% interval +0.1" in finding.text
    assert finding.notes[0].startswith("w = 0.3 (‘w0.3-lr0.001’) against the best with w = 1 (‘w1-lr0.001’): +0.092 (")
    assert "; against the runner-up, w = 0.5 (‘w0.5-lr0.001’): +0.017 (" in finding.notes[0]
    assert finding.notes[1].startswith("strategy full (‘w0.3-lr0.001’) against the runner-up, strategy gradual")
    names = [table.name for each in seen.sweeps for table in each.tables]
    assert [name.partition("-")[0] for name in names] == ["choices", "settings"] * 2
    assert len(set(names)) == 4


def test_of_a_large_sweep_the_chosen_method_is_drawn(shown: list[View]) -> None:
    assert shown[0].undrawn == {"w0.3-lr0.0001", "w0.5-lr0.001", "w1-lr0.001", "gradual"}
    assert list(shown[0].drawn) == ["scratch", "w0.3-lr0.001"]
    assert len(scores_table(shown[0].contest, shown[0].rows).rows) == 6


def test_w_is_judged_among_settings_that_are_alike_in_what_else_makes_a_way_of_finetuning(
    four_pairs: Any, first: tuple[Contest, Rows]
) -> None:
    contest, rows = first
    frozen = FinetuneSpec(lr=0.001, n_frozen=2)
    results = [
        result.model_copy(
            update={
                "study": result.study.model_copy(update={"method": SupervisedSpec(label="w1-lr0.001", finetune=frozen)})
            }
        )
        if result.study.method.label == "w1-lr0.001"
        else result
        for result in contest.results
    ]
    (only,) = sweeps(Contest(**vars(contest) | {"results": tuple(results)}), rows)
    # What has w = 1 is frozen or gradual, so nothing tells what w = 1 itself would do.
    assert {setting.options["w"] for setting in only.ladder("w", 48)} == {0.3, 0.5}
    assert [(c.option, c.plain) for c in only.comparisons] == [("w", False), ("strategy", False), ("lr", False)]


def test_a_drawing_has_a_line_for_each_combination_of_the_other_options(sweep: Sweep) -> None:
    drawn = sweep_plot(sweep, 48, name="s")
    for label in ("full, lr = 0.001", "full, lr = 0.0001", "gradual, lr = 0.001"):
        assert label in drawn.svg
    assert "w = 0.3, strategy full, lr = 0.001: +0.258 (" in drawn.alt


def test_methods_that_differ_in_more_than_their_finetuning_are_no_sweep(first: tuple[Contest, Rows]) -> None:
    contest, rows = first
    longer = SupervisedSpec(label="w0.5-lr0.001", pretrain=FitSpec(epochs=7), finetune=FinetuneSpec(w=0.5))
    results = [
        result.model_copy(update={"study": result.study.model_copy(update={"method": longer})})
        if result.study.method.label == longer.label
        else result
        for result in contest.results
        if result.study.method.label in ("scratch", "w1-lr0.001", longer.label)
    ]
    assert sweeps(Contest(**vars(contest) | {"results": tuple(results)}), rows) == []


def test_a_method_that_tuning_gave_other_options_at_each_size_is_none_of_a_sweep(first: tuple[Contest, Rows]) -> None:
    contest, rows = first
    last = contest.results[-1]
    tuned = last.study.method.model_copy(update={"finetune": FinetuneSpec(lr=0.5)})
    more = last.model_copy(update={"study": last.study.model_copy(update={"method": tuned})})
    (found,) = sweeps(Contest(**vars(contest) | {"results": (*contest.results, more)}), rows)
    assert last.study.method.label not in {setting.method for setting in found.settings}


def test_methods_of_different_kinds_are_no_sweep(age: Any) -> None:
    (contest,) = contests(load(age.results, age.root))
    assert sweeps(contest, compute(contest, level=0.95)) == []


def test_options_in_words() -> None:
    assert option_words("w", 0.3) == "w = 0.3"
    assert option_words("strategy", "gradual") == "strategy gradual"
    assert option_words("patience", None) == "patience = none"
