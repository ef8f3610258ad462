"""The first words of a report and its one figure."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from finished_bench import finished

from ctlr.methods.scratch import ScratchSpec
from ctlr.report.answer.figure import MOST, beyond, lead_rows
from ctlr.report.answer.lead import Lead, lead
from ctlr.report.findings import Findings, View, findings


def said(benchmark: Any) -> Lead:
    found = lead(findings(finished(benchmark)))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def found(beside: Any) -> Findings:
    return findings(finished(beside))


def without_claims(found: Findings) -> Findings:
    """The same, where no gain survives the comparisons."""
    views = tuple(_humbled(view) for view in found.views)
    return dataclasses.replace(found, views=views)


def _humbled(view: View) -> View:
    gains = [dataclasses.replace(row, stands=False) for row in view.rows.gains]
    return dataclasses.replace(view, rows=dataclasses.replace(view.rows, gains=gains))


def test_one_claim_is_said_with_interval_rival_and_labels(age: Any) -> None:
    assert said(age).text.replace("\u00a0", " ") == (
        "‘supervised’ lowers MAE by 2.8 years (95 % interval 1.8 to 3.8) against training from scratch at 20 + 20 "
        "labelled subjects."
    )


def test_the_claim_has_its_check(age: Any) -> None:
    assert said(age).check.startswith("Probability that this claim is false: ")


def test_what_is_as_good_without_a_network_is_said_in_the_same_sentence(found: Findings) -> None:
    first = lead(found)
    assert first is not None
    assert first.text.endswith("and is 1.7 (0.9 to 2.5) better than the best baseline, ‘nearest’.")


def test_the_claim_stands_beside_scratch_the_baselines_and_the_mean(found: Findings) -> None:
    first = lead(found)
    assert first is not None
    against = dict(first.against)
    assert against["Labels"] == "20 + 20, training + validation; 100 test subjects, 3 seeds"
    assert against["From scratch"].startswith("MAE (years) 11.0 (")
    assert against["Best method"].startswith("supervised 8.2 (")
    assert against["Baselines"] == "nearest 9.9 and linear 10.5"
    assert against["Mean alone"] == "14.6"


def test_the_figure_holds_methods_then_what_trains_no_network(found: Findings) -> None:
    rows = lead_rows(found.views[0], 20)
    assert [row.method for row in rows] == ["supervised", "simclr", "nearest", "linear", "mean"]
    assert [row.gain.mean for row in rows[:2]] == pytest.approx([2.8, 1.2])
    assert rows[2].gain.mean == pytest.approx(11.0 - 9.9)


def test_of_many_methods_the_figure_keeps_those_that_gain_most(found: Findings) -> None:
    view = found.views[0]
    row = next(row for row in view.rows.gains if row.n_train == 20)
    many = [
        dataclasses.replace(row, method=f"m{index}", gain=dataclasses.replace(row.gain, mean=float(index)))
        for index in range(40)
    ]
    crowded = dataclasses.replace(view, rows=dataclasses.replace(view.rows, gains=many))
    rows = lead_rows(crowded, 20)
    assert len(rows) == MOST
    assert [row.method for row in rows[:3]] == ["m39", "m38", "m37"]
    assert rows[-1].method == "mean"


def test_a_baseline_that_is_far_from_all_methods_does_not_make_them_a_line(found: Findings) -> None:
    view = found.views[0]
    rows = lead_rows(view, 20)
    assert beyond(view, rows) == {}
    last = rows[-1]
    far = dataclasses.replace(last.gain, mean=-90.0, low=-95.0, high=-85.0)
    moved = [*rows[:-1], dataclasses.replace(last, gain=far)]
    assert beyond(view, moved) == {"mean": "<"}


def test_where_nothing_is_claimed_the_lead_says_what_would_have_been_seen(found: Findings) -> None:
    first = lead(without_claims(found))
    assert first is not None
    assert first.text.startswith("Nothing wins: at 20 + 20, 50 + 50 and 100 + 100 labelled subjects")
    assert "a gain would have been seen with a chance of 80" in first.check


def test_of_several_transfers_the_lead_counts_those_that_gain_and_names_one(four_pairs: Any) -> None:
    first = said(four_pairs)
    assert first.text.startswith("2 of 4 transfers gain over training from scratch. From ")
    assert "‘w0.3-lr0.001’ raises balanced accuracy by " in first.text
    assert first.drawn is not None
    assert "first (letters) → second (letters)" in first.drawn[1]


def test_of_several_transfers_that_gain_nothing_the_nearest_is_named(four_pairs: Any) -> None:
    one_seed = type(four_pairs)(four_pairs.root, [r for r in four_pairs.results if r.study.seed == 0])
    first = said(one_seed)
    assert first.text == "One seed supports no verdict: of 4 transfers none is said to gain."
    assert first.drawn is not None


def test_two_targets_without_a_source_are_told_apart(new_benchmark: Any, digits_of: Any) -> None:
    benchmark = new_benchmark(methods=("scratch",), sizes=(20,))
    benchmark.results += digits_of(benchmark.root, [(ScratchSpec(label="scratch"), 0.6)]).results
    first = said(benchmark)
    assert first.text.startswith("Age")
    assert "Only training from scratch was run" in first.text


def test_without_a_finished_study_there_is_no_lead(new_benchmark: Any) -> None:
    assert lead(findings(finished(new_benchmark(methods=())))) is None
