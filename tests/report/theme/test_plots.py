import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from ctlr.report.gains.forest import forest
from ctlr.report.numbers.contests import Contest, contests, load
from ctlr.report.numbers.gaps import Gap
from ctlr.report.numbers.rows import Rows, ScoreRow, compute
from ctlr.report.predictions import plots as behind
from ctlr.report.predictions.diagnostics import calibration, confusion, roc
from ctlr.report.scores.curves import Curves, learning_curves, one_by_one
from ctlr.report.theme.styles import LINE, short, spread, styles
from ctlr.report.theme.svg import SERIES, SURFACE, Panel, variable
from ctlr.report.training.histories import history_plot

STYLE = styles(["supervised", "simclr"], ["scratch"], ["mean"])
BLUE = SERIES[1]


@pytest.fixture(scope="module")
def rows(age: Any) -> Rows:
    (contest,) = contests(load(age.results, age.root))
    return compute(contest, level=0.95)


@pytest.fixture(scope="module")
def classes(digits: Any) -> Contest:
    (contest,) = contests(load(digits.results, digits.root))
    return contest


def twice(n_train: int) -> str:
    return f"{n_train} + {n_train}"


def curves(rows: Rows, name: str = "curves") -> Panel:
    return learning_curves(drawn(rows.scores, name))


def drawn(rows: Sequence[ScoreRow], name: str) -> Curves:
    return Curves(rows=rows, style=STYLE, label="MAE (years)", better="lower", name=name, labelled=twice)


def forest_of(rows: Rows) -> Panel:
    return forest(rows.gains, style=STYLE, label="MAE (years)", baseline="scratch", name="forest", labelled=twice)


def every(rows: Rows, contest: Contest) -> list[Panel]:
    cell, gap = contest.cells["supervised", 60], rows.gaps[0].gap
    curve = roc(cell)
    assert curve is not None
    common = {"colour": BLUE, "limits": (15.0, 85.0), "label": "age (years)"}
    epochs = np.arange(1.0, 11)
    return [
        curves(rows),
        forest_of(rows),
        behind.prediction_plot(gap, name="p", **common),
        behind.gap_plot(gap, corrected=False, reach=40.0, unit="years", name="u", **common),
        behind.gap_plot(gap, corrected=True, reach=40.0, unit="years", name="c", **common),
        behind.roc_plot(curve, auc=0.93, colour=BLUE, name="r"),
        behind.calibration_plot(calibration(cell), error=0.1, colour=BLUE, name="k"),
        behind.confusion_plot(confusion(cell), colour=BLUE, name="m"),
        history_plot([(epochs, 1 / epochs, 8)], colour=BLUE, label="MAE", name="h"),
    ]


def test_every_drawing_is_well_formed_and_says_in_words_what_it_shows(rows: Rows, classes: Contest) -> None:
    for panel in every(rows, classes):
        root = ElementTree.fromstring(panel.svg)
        assert (root.get("role"), root.get("aria-label")) == ("img", panel.alt)
        assert len(panel.alt) > 30


def test_drawings_take_all_colours_from_the_page(rows: Rows, classes: Contest) -> None:
    for panel in every(rows, classes):
        assert "#010" not in panel.svg  # a placeholder that was not replaced
        assert not re.search(r"(?:fill|stroke): #(?!7f8b99)", panel.svg)
        assert "var(--ink)" in panel.svg


def test_drawings_refer_to_nothing_outside_and_carry_no_date(rows: Rows, classes: Contest) -> None:
    for panel in every(rows, classes):
        assert not re.search(r"https?:|xmlns|<metadata|font-family|<style|<\?xml|DOCTYPE", panel.svg)


def test_equal_rows_give_equal_bytes(rows: Rows) -> None:
    assert curves(rows) == curves(rows)


def test_drawings_of_other_names_share_no_identifier(rows: Rows) -> None:
    first, second = (set(re.findall(r' id="([^"]+)"', curves(rows, name).svg)) for name in ("a", "b"))
    assert first
    assert not first & second
    for identifier in re.findall(r'(?:href="|url\()#([^")]+)', curves(rows, "a").svg):
        assert identifier in first


def test_the_learning_curves_name_every_method_and_number(rows: Rows) -> None:
    panel = curves(rows)
    assert "supervised: 8.2 at 20 + 20, 7.3 at 50 + 50, 6.6 at 100 + 100" in panel.alt
    for method in ("mean", "scratch", "supervised", "simclr"):
        assert f">{method}</text>" in panel.svg


def test_a_single_size_can_be_drawn(rows: Rows) -> None:
    alone = [row for row in rows.scores if row.n_train == 20]
    panel = learning_curves(drawn(alone, "one"))
    assert "log scale" not in panel.svg
    assert "scratch: 11.0 at 20 + 20" in panel.alt


def test_the_forest_tells_gains_and_intervals(rows: Rows) -> None:
    panel = forest_of(rows)
    assert panel.alt.startswith("Gain over scratch in MAE (years), positive is better. supervised at 20 + 20: +2.80 (")
    assert "better →" in panel.svg


def test_a_difference_that_counts_only_when_taken_alone_is_a_hollow_point(rows: Rows) -> None:
    def hollow(stands: bool) -> int:
        gains = [dataclasses.replace(row, stands=stands) for row in rows.gains if row.gain.shown]
        assert len(gains) > 1
        marked = dataclasses.replace(rows, gains=tuple(gains))
        return forest_of(marked).svg.count(f"fill: {variable(SURFACE)}")

    assert hollow(False) > hollow(True)


def test_a_dense_scatter_is_embedded_as_an_image() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(20, 80, behind.DENSE + 1)
    gap = Gap(truth=truth, prediction=truth + 1, corrected=None, mean=1.0, slope=0.0, corrected_mean=None,
              corrected_slope=None)  # fmt: skip
    panel = behind.prediction_plot(gap, colour=BLUE, limits=(15, 85), label="age", name="d")
    assert 'href="data:image/png;base64,' in panel.svg
    assert len(panel.svg) < 100_000


def test_labels_are_kept_apart_in_order_and_inside() -> None:
    places = spread([10, 12, 14, 200], 220)
    assert places == sorted(places)
    assert np.diff(places).min() > LINE - 0.5
    assert places[0] >= 0
    assert places[-1] == 200
    assert spread([50, 100], 220) == [50, 100]


def test_methods_look_different_from_each_other_beyond_eight() -> None:
    looks = styles([f"m{index}" for index in range(20)], ["scratch"], ["mean"])
    assert len({(style.colour, style.marker, style.dashed) for style in looks.values()}) == 22
    assert looks["mean"].dashed
    assert looks["m0"].colour != looks["m1"].colour != looks["scratch"].colour


def test_long_labels_keep_both_their_ends() -> None:
    assert short("supervised-lr-1-freeze-3", 13) == "superv…eeze-3"
    assert short("supervised", 13) == "supervised"


def test_matplotlib_says_nothing_by_itself() -> None:
    code = (
        "from ctlr.report.theme.svg import canvas, panel\n"
        "with canvas(300, 200) as axes:\n"
        "    axes.set_title('\\u5e74')\n"
        "    panel(axes, name='x', alt='x')"
    )
    nowhere = os.environ | {"MPLCONFIGDIR": "/proc/nowhere", "HOME": "/proc/nowhere"}
    done = subprocess.run([sys.executable, "-c", code], env=nowhere, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_mark_tells_whose_it_is_and_what_it_says(rows: Rows) -> None:
    root = ElementTree.fromstring(curves(rows).svg)
    marks = [group for group in root.iter("g") if group.get("class") == "mark"]
    told = {group.get("data-of"): title.text for group in marks if (title := group.find("title")) is not None}
    assert set(told) == {"scratch", "supervised", "simclr"}
    assert (told["supervised"] or "").splitlines()[0] == "supervised, n = 100 + 100"
    assert "3 seeds, 100 test subjects" in (told["supervised"] or "")


def test_a_mark_holds_any_label(rows: Rows) -> None:
    label = "<a & 'b'> \"c\""
    odd = [dataclasses.replace(row, method=label) for row in rows.scores if row.method == "simclr"]
    look = {label: STYLE["simclr"]}
    panel = learning_curves(
        Curves(rows=odd, style=look, label="MAE", better="lower", name="odd", labelled=twice)
    )  # fmt: skip
    root = ElementTree.fromstring(panel.svg)
    assert {group.get("data-of") for group in root.iter("g") if group.get("class") == "mark"} == {label}


def test_a_scatter_of_round_points_is_a_few_paths_with_every_point() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(20, 80, 1000)
    gap = Gap(truth=truth, prediction=truth + 1, corrected=None, mean=1.0, slope=0.0, corrected_mean=None,
              corrected_slope=None)  # fmt: skip
    panel = behind.prediction_plot(gap, colour=BLUE, limits=(15, 85), label="age", name="d")
    assert panel.svg.count("h0") == 1000
    assert panel.svg.count("<use") < 20
    assert len(panel.svg) < 25_000


def test_of_many_methods_each_is_drawn_before_all_others(rows: Rows) -> None:
    many = [
        dataclasses.replace(row, method=f"m{index}")
        for row in rows.scores if row.method == "simclr" for index in range(30)
    ]  # fmt: skip
    scratch = [row for row in rows.scores if row.method == "scratch"]
    look = styles([f"m{index}" for index in range(30)], ["scratch"], [])
    every = Curves(rows=[*scratch, *many], style=look, label="MAE", better="lower", name="m", labelled=twice)
    drawn = one_by_one(every, [f"m{index}" for index in range(30)], ["scratch"])
    assert [label for label, _ in drawn] == [f"m{index}" for index in range(30)]
    for label, panel in drawn:
        assert panel.alt.startswith("MAE on the test set by number of labelled subjects. m")
        assert f'data-of="{label}"' in panel.svg
        assert 'data-of="m31"' not in panel.svg


def test_thirty_methods_differ_in_colour_mark_or_dash() -> None:
    looks = styles([f"m{index}" for index in range(30)], ["scratch"], [])
    assert len({(look.colour, look.marker, look.dash) for look in looks.values()}) == 31
    for first, second in zip(list(looks.values()), list(looks.values())[1:], strict=False):
        assert first.colour != second.colour
