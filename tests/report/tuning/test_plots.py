import re
from typing import Any
from xml.etree import ElementTree

import pytest

from ctlr.report.theme.styles import styles
from ctlr.report.theme.svg import SERIES, Panel
from ctlr.report.tuning import course_plots, parameter_plots
from ctlr.report.tuning.importance import Importance
from ctlr.report.tuning.stages import StageTrials, join_rounds, window

BLUE = SERIES[1]


@pytest.fixture
def stage(searching: Any) -> StageTrials:
    """Twelve trials, one failed, one stopped early, one far off."""
    values: list[float | None] = [8.0 - number / 4 for number in range(12)]
    values[3], values[5] = None, 1e6
    trials = [
        searching.trial(number, value, status="EarlyStopped" if number == 7 else "")
        for number, value in enumerate(values)
    ]
    return join_rounds([searching.stage(trials)])[0]


def every(stage: StageTrials) -> list[Panel]:
    common = {"colour": BLUE, "label": "MAE (years)"}
    curves = {"scratch": [(1.0, 9.0), (2.0, 8.0), (3.0, 8.0)], "supervised": [(1.0, 7.5), (2.0, 7.0)]}
    style = styles(["supervised"], ["scratch"], [])
    return [
        course_plots.progress_plot(
            curves, style=style, label="MAE", better="lower", across="Trials", whole=True, name="b"
        ),
        course_plots.trials_plot(stage, name="h", **common),
        course_plots.timeline_plot(stage, name="t"),
        parameter_plots.importance_plot(
            Importance((("lr", 0.75), ("frozen", 0.25))), names=stage.names, colour=BLUE, name="i"
        ),
        parameter_plots.parallel_plot(stage, name="p", **common),
        *(parameter_plots.slice_plot(stage, p, name=f"s-{p.name}", **common) for p in stage.parameters),
    ]


def test_every_drawing_is_well_formed_and_takes_all_from_the_page(stage: StageTrials) -> None:
    for panel in every(stage):
        root = ElementTree.fromstring(panel.svg)
        assert (root.get("role"), root.get("aria-label")) == ("img", panel.alt)
        assert "#010" not in panel.svg  # a placeholder that was not replaced
        assert not re.search(r"(?:fill|stroke): #", panel.svg)
        assert not re.search(r"https?:|xmlns|<metadata|font-family|<style|<\?xml|DOCTYPE", panel.svg)


def test_equal_trials_give_equal_bytes(stage: StageTrials) -> None:
    assert every(stage) == every(stage)


def test_words_say_what_the_drawings_show(stage: StageTrials) -> None:
    best, trials, timeline, importance, parallel, rate, *_ = (panel.alt for panel in every(stage))
    assert "scratch: 8.00, reached at 2 of 3; supervised: 7.00, reached at 2 of 2" in best
    assert "10 succeeded, 1 stopped early, 1 failed. The best, trial 12, has 5" in trials
    assert timeline.startswith("When 12 trials ran, one bar each: 10 succeeded")
    assert importance.endswith("finetune.lr 75 %, finetune.n_frozen 25 %.")
    assert "Options and MAE (years) of 11 trials" in parallel
    assert rate.startswith("MAE (years) of 11 trials against finetune.lr; the best trial has finetune.lr = ")


def test_a_rate_has_a_logarithmic_axis(stage: StageTrials) -> None:
    rate, frozen = (
        parameter_plots.slice_plot(stage, parameter, colour=BLUE, label="MAE", name="s").svg
        for parameter in stage.parameters[:2]
    )
    ticks = re.findall(r">([^<>]+)</text>", rate)
    assert {"1e−5", "0.001", "0.1", "finetune.lr (log scale)"} <= set(ticks)
    assert "log scale" not in frozen


def test_a_categorical_axis_bears_its_values(stage: StageTrials) -> None:
    svg = parameter_plots.slice_plot(stage, stage.parameters[2], colour=BLUE, label="MAE", name="s").svg
    assert {"adam", "sgd"} <= set(re.findall(r">([^<>]+)</text>", svg))


def test_the_window_leaves_a_diverged_trial_out_and_keeps_the_best_in() -> None:
    low, high = window([5.0, 5.5, 6.0, 6.5, 7.0, 1e9], minimise=True)
    assert low < 5.0
    assert 7.0 < high < 8.0
    low, high = window([0.9, 0.85, 0.8, 0.7, -1e9], minimise=False)
    assert high > 0.9
    assert 0.5 < low < 0.7


def test_the_window_of_equal_or_no_values_has_a_width() -> None:
    for values in ([], [3.0], [0.0, 0.0]):
        low, high = window(values, minimise=True)
        assert low < high
