"""Curves: the points that are drawn, then the shapes."""

from xml.etree import ElementTree

from ctlr.ui.drawing import best_so_far, curve, history, thinned


def test_the_best_so_far_is_a_stair_to_the_last_trial() -> None:
    assert best_so_far([3.0, 4.0, 2.0, 2.0, 5.0], maximises=False) == [(1, 3.0), (3, 2.0), (5, 2.0)]
    assert best_so_far([3.0, 4.0, 2.0], maximises=True) == [(1, 3.0), (2, 4.0), (3, 4.0)]
    assert best_so_far([], maximises=True) == []


def test_ten_thousand_points_become_few_with_the_last_one() -> None:
    points = [(float(place), 0.0) for place in range(10_000)]
    few = thinned(points, 1500)
    assert len(few) <= 1501
    assert few[-1] == points[-1]


def test_a_history_is_well_formed_and_names_its_best_for_those_who_do_not_see_it() -> None:
    drawn = ElementTree.fromstring(history([3.0, 1.0, 2.0, 1e9], metric="<val>", maximises=False))
    assert drawn.get("aria-label") == "<val> of 4 trials, best 1"
    assert len(list(drawn.iter("circle"))) in (3, 4)
    assert history([], metric="val", maximises=True) == ""


def test_a_curve_passes_over_rows_without_a_number() -> None:
    rows = [{"epoch": 1.0, "a": 1.0}, {"epoch": 2.0}, {"epoch": 3.0, "a": 0.5, "b<": 2.0}]
    drawn = ElementTree.fromstring(curve(rows, ["a", "b<", "c"]))
    lines = list(drawn.iter("polyline"))
    assert [len(str(line.get("points")).split()) for line in lines] == [2]  # b has one point: a dot
    assert curve([], ["a"]) == ""
