import re
from typing import Any
from xml.etree import ElementTree

import pytest

from ctlr.report.theme.styles import styles
from ctlr.report.theme.svg import Panel
from ctlr.report.tuning import course_plots
from ctlr.report.tuning.drawing import Axis, dots, px, steps
from ctlr.report.tuning.parallel import MOST, SHADES, parallel_plot, shade, thinned
from ctlr.report.tuning.slices import slice_plot
from ctlr.report.tuning.stages import StageTrials, join_rounds, window

BLUE = "var(--series-1)"


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


def progress(better: str = "lower") -> Panel:
    curves = {"scratch": [(1.0, 9.0), (2.0, 8.0), (3.0, 8.0)], "supervised": [(1.0, 7.5), (2.0, 7.0)]}
    style = styles(["supervised"], ["scratch"], [])
    return course_plots.progress_plot(curves, style=style, label="MAE", better=better, across="Trials", whole=True)


def every(stage: StageTrials) -> list[Panel]:
    return [
        progress(),
        course_plots.trials_plot(stage, colour=BLUE, label="MAE (years)"),
        course_plots.timeline_plot(stage),
        parallel_plot(stage, label="MAE (years)"),
        *(slice_plot(stage, parameter, colour=BLUE, label="MAE (years)") for parameter in stage.parameters),
    ]


def test_every_drawing_is_well_formed_and_takes_all_from_the_page(stage: StageTrials) -> None:
    for panel in every(stage):
        root = ElementTree.fromstring(panel.svg)
        assert (root.get("role"), root.get("aria-label")) == ("img", panel.alt)
        assert not re.search(r"#[0-9a-f]{6}|nan|inf\b", panel.svg)
        assert not re.search(r"https?:|xmlns|<metadata|font-family|<style|<\?xml|DOCTYPE", panel.svg)


def test_a_drawing_of_a_dozen_trials_takes_two_kilobytes(stage: StageTrials) -> None:
    sizes = [len(panel.svg) for panel in every(stage)]
    assert max(sizes[:3] + sizes[4:]) < 2_500
    assert sizes[3] < 5_000


def test_equal_trials_give_equal_bytes(stage: StageTrials) -> None:
    assert every(stage) == every(stage)


def test_words_say_what_the_drawings_show(stage: StageTrials) -> None:
    best, trials, timeline, parallel, rate, *_ = (panel.alt for panel in every(stage))
    assert "scratch: 8.00, reached at 2 of 3; supervised: 7.00, reached at 2 of 2" in best
    assert "10 succeeded, 1 stopped early, 1 failed. The best, trial 12, has 5" in trials
    assert timeline.startswith("When 12 trials ran, one bar each: 10 succeeded")
    assert "Options and MAE (years) of 11 trials" in parallel
    assert rate.startswith("MAE (years) of 11 trials against finetune.lr; the best trial has finetune.lr = ")


def test_one_axis_holds_every_method_and_says_which_way_is_better() -> None:
    svg = progress().svg
    assert "Best MAE so far, lower is better" in svg
    assert svg.count('class="course"') == 2
    assert {"scratch", "supervised"} == set(re.findall(r'data-of="([^"]+)"', svg))
    assert "higher is better" in progress("higher").svg


def test_a_rate_has_a_logarithmic_axis(stage: StageTrials) -> None:
    rate, frozen = (slice_plot(stage, p, colour=BLUE, label="MAE").svg for p in stage.parameters[:2])
    ticks = re.findall(r">([^<>]+)</text>", rate)
    assert {"1e−5", "0.001", "0.1", "finetune.lr (log scale)"} <= set(ticks)
    assert "log scale" not in frozen


def test_a_categorical_axis_bears_its_values(stage: StageTrials) -> None:
    for svg in (
        slice_plot(stage, stage.parameters[2], colour=BLUE, label="MAE").svg,
        parallel_plot(stage, label="M").svg,
    ):
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


# ---------------------------------------------------------------- parallel coordinates


def test_a_line_a_trial_tells_its_value_and_options(stage: StageTrials) -> None:
    svg = parallel_plot(stage, label="MAE").svg
    titles = re.findall(r"<title>([^<]*)</title>", svg)
    assert len(titles) == 11
    assert titles[-1].startswith("Trial 12: MAE 5.25\nfinetune.lr ")  # the best is drawn over the others
    assert svg.count('class="best"') == 1
    assert svg.count(" stopped") == 1


def test_a_line_stands_where_its_values_are_on_their_axes(searching: Any) -> None:
    trials = [
        searching.trial(0, 1.0, assignments={"lr": "0.001", "frozen": "4", "optimiser": "adam"}),
        searching.trial(1, 2.0, assignments={"lr": "0.00001", "frozen": "0", "optimiser": "sgd"}),
    ]
    svg = parallel_plot(join_rounds([searching.stage(trials)])[0], label="MAE").svg
    best = re.search(r'class="best" d="([^"]*)"', svg)
    assert best is not None
    heights = [float(place.split()[1]) for place in best[1].removeprefix("M").split("L")]
    low, high = 280.0, 40.0
    assert heights[0] == pytest.approx((low + high) / 2, abs=0.1)  # 0.001 is the middle of 1e-5 to 0.1, on its log axis
    assert heights[1] == pytest.approx(high)
    assert heights[2] == pytest.approx(low - (low - high) / 4)  # the first of two values
    assert heights[3] > low - (low - high) / 4  # a good value is low


def test_options_stand_in_the_order_of_their_importance(stage: StageTrials) -> None:
    svg = parallel_plot(stage, label="MAE", importance=[("optimiser", 0.8), ("lr", 0.2)]).svg
    names = [text for text in re.findall(r">([^<>]+)</text>", svg) if text in ("optimiser", "lr", "n_frozen")]
    assert names == ["optimiser", "lr", "n_frozen"]


def test_of_many_trials_the_best_and_some_others_are_drawn(searching: Any) -> None:
    stage = join_rounds([searching.stage([searching.trial(n, 1000.0 - n) for n in range(1000)])])[0]
    drawn = thinned(stage.ranked)
    assert len(drawn) <= MOST
    assert [rank for rank, _ in drawn[: MOST // 2]] == list(range(MOST // 2))
    panel = parallel_plot(stage, label="MAE")
    assert panel.alt.startswith("Options and MAE of the best 60 of 1000 trials and 59 others.")
    assert len(panel.svg) < 25_000


@pytest.mark.parametrize(("direction", "best", "worst"), [("minimize", 0.0, 1.0), ("maximize", 1.0, 0.0)])
def test_the_colour_scale_begins_with_the_best(direction: str, best: float, worst: float) -> None:
    limits = (0.0, 1.0)
    assert (shade(best, limits, direction), shade(worst, limits, direction)) == (0, SHADES - 1)
    assert shade(0.5, limits, direction) == SHADES // 2


# ---------------------------------------------------------------- the kit


def test_ticks_are_round_and_inside() -> None:
    assert [text for _, text in Axis.of(0, 24, whole=True, count=6).ticks] == ["0", "5", "10", "15", "20"]
    assert [text for _, text in Axis.of(1e-5, 0.1, logarithmic=True).ticks] == [
        "1e−5",
        "0.0001",
        "0.001",
        "0.01",
        "0.1",
    ]


def test_what_lies_beyond_an_axis_stands_at_its_end() -> None:
    axis = Axis.of(1.0, 3.0)
    assert [axis.share(value) for value in (0.0, 1.0, 2.0, 9.0)] == [0, 0, 0.5, 1]


def test_paths_are_short() -> None:
    assert steps([(0, 5), (1, 5), (2, 3), (3, 3)]) == "M0 5H2V3H3"
    assert dots([(1.04, 2.0)]) == "M1 2h0"
    assert [px(value) for value in (1.25, -0.01, 3.0)] == ["1.2", "0", "3"]
