"""The ranking of a race: rows and sentences from searches and studies that are made up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from clothes import shapes
from ruamel.yaml import YAML

import ctlr
from ctlr.report.findings import Findings, findings
from ctlr.report.race.rows import Heat, heats
from ctlr.report.race.section import race_answer, race_table
from ctlr.report.statistics.estimates import Gain
from ctlr.report.tuning.section import tuning_view


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    place = tmp_path_factory.mktemp("race")
    folder = shapes(place / "shapes", {"lying": 40, "upright": 40, "cross": 40})
    model = ctlr.ImageClassifier(
        minutes=0.3, families=["knn", "naive-bayes", "small-cnn"], workspace=place / "w", workers=2
    ).fit(folder)
    return findings(model.benchmark.finished)


def heat_of(found: Findings) -> Heat:
    (heat,) = heats(found)
    return heat


def test_searches_stand_by_their_best_validation_and_finalists_have_a_test(found: Findings) -> None:
    heat = heat_of(found)
    values = [row.validation for row in heat.rows]
    assert values == sorted(values, reverse=True)
    assert {row.name for row in heat.rows} == {"knn", "naive-bayes", "scratch, small_cnn"}
    assert all(row.test is not None and row.reason == "" for row in heat.rows)
    assert heat.winner is heat.rows[0]
    assert heat.winner.behind is None
    for row in heat.rows[1:]:
        assert row.behind is not None
        assert row.behind.mean == pytest.approx(heat.winner.test.mean - row.test.mean)
    assert heat.luck == pytest.approx(heat.winner.validation - heat.winner.test.mean)
    assert heat.n_validation == 19


def test_all_searches_stand_on_one_axis_of_seconds_and_their_choices_can_be_copied(found: Findings) -> None:
    view = tuning_view(found)
    (progress,) = view.progress
    assert "by device seconds." in progress.panel.alt
    for row in heat_of(found).rows:
        assert f"{row.name}: " in progress.panel.alt
    chosen = [YAML(typ="safe").load(lines)["methods"] for _, lines in view.yaml]
    assert {label for methods in chosen for label in methods} == {"knn", "naive-bayes", "scratch"}


def test_the_answer_names_winner_error_luck_and_who_is_as_good(found: Findings) -> None:
    heat = heat_of(found)
    answer = race_answer(heat, 0.95)
    assert answer.text.startswith(f"Of 3 searches ‘{heat.winner.name}’ has won on the validation set; on the test set")
    assert "On the 19 validation images by which it was chosen among" in answer.notes[0]
    assert (
        "believe the test set. The tested model has then learned from those validation images too." in answer.notes[0]
    )


def gained(row: Gain, low: float, mean: float, high: float) -> Gain:
    return replace(row, low=low, mean=mean, high=high)


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ((0.02, 0.10, 0.18), "It is better than the best model without a network, ‘plain’, by +0.100"),
        ((-0.05, 0.02, 0.09), "A simple model is as good as far as this test set can tell: the network gains +0.020"),
        ((-0.20, -0.10, -0.02), "A simple model is better: the network gains −0.100"),
    ],
)
def test_a_simple_model_that_is_as_good_is_said_to_be(
    found: Findings, ends: tuple[float, float, float], told: str
) -> None:
    heat = heat_of(found)
    first, second, *_ = heat.rows
    gain = next(row.behind for row in heat.rows if row.behind is not None)
    network = replace(first, name="network", network=True)
    plain = replace(second, name="plain", network=False, behind=gained(gain, *ends))
    notes = race_answer(replace(heat, rows=(network, plain)), 0.95).notes
    assert any(note.startswith(told) for note in notes), notes


def test_seconds_that_were_added_after_a_test_are_told(found: Findings) -> None:
    heat = heat_of(found)
    assert not any("Seconds were added" in note for note in race_answer(heat, 0.95).notes)
    added = replace(heat, rows=tuple(replace(row, legs=2) for row in heat.rows))
    assert any("Seconds were added after an end" in note for note in race_answer(added, 0.95).notes)


def test_a_race_without_a_value_says_so(found: Findings) -> None:
    heat = heat_of(found)
    nothing = replace(heat, rows=tuple(replace(row, test=None, validation=None) for row in heat.rows))
    assert race_answer(nothing, 0.95).text == "No search found a model that could be tested."


def test_a_network_whose_search_failed_hides_no_other_model(found: Findings) -> None:
    (view, *_) = found.views
    none = replace(view.contest, cells={}, encoder=view.contest.encoder.model_copy(update={"label": "other"}))
    beside = replace(found, views=(replace(view, contest=none), *found.views))
    assert [row.test is not None for row in heat_of(beside).rows] == [True, True, True]


def test_the_table_holds_every_search_with_what_won(found: Findings) -> None:
    heat = heat_of(found)
    table = race_table(heat, 0.95)
    assert [row[0].text for row in table.rows] == [f"{n} {row.name}" for n, row in enumerate(heat.rows, start=1)]
    assert table.records[0]["path"] == heat.winner.path
    assert (found.finished.root / heat.winner.path / "model.json").is_file()
    assert Path(heat.winner.path).parts[0] == "studies"
