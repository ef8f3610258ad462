"""What is left of a run: by earlier rates, then by what it measures itself."""

from typing import Any

import pytest

from ctlr.runs import Run, images_seen, outlook

T = 1000.0


def fold(*events: dict[str, Any], workers: int = 1) -> Run:
    run = Run("tiny")
    for number, event in enumerate(({"kind": "run.began", "studies": 3, "workers": workers}, *events), 1):
        run.take({"n": number, "time": T} | event)
    return run


def planned(**work: tuple[str, int, float | None]) -> dict[str, Any]:
    told = {
        name: {"like": like, "images": images, "seconds": seconds, "study": True}
        for name, (like, images, seconds) in work.items()
    }
    return {"kind": "run.planned", "steps": len(told), "work": told}


def started(step: str, at: float = T) -> dict[str, Any]:
    return {"kind": "step.started", "step": step, "name": step, "of": "study", "time": at}


def finished(step: str, seconds: float, at: float) -> dict[str, Any]:
    return {"kind": "step.finished", "step": step, "seconds": seconds, "text": "", "time": at}


def test_before_anything_is_known_nothing_is_promised() -> None:
    run = fold(planned(a=("cnn", 100, None), b=("cnn", 100, None)), started("a"))
    assert outlook(run, T + 3).left is None
    assert outlook(run, T + 3).share == 0.0


def test_an_earlier_runs_rate_is_the_first_guess() -> None:
    run = fold(planned(a=("cnn", 100, 10.0), b=("cnn", 100, 10.0)))
    assert outlook(run, T).left == 20.0


def test_workers_share_what_is_left_and_it_takes_no_less_than_the_longest_step() -> None:
    work = {"a": ("cnn", 100, 10.0), "b": ("cnn", 100, 10.0), "c": ("big", 100, 18.0)}
    assert outlook(fold(planned(**work), workers=2), T).left == 19.0
    assert outlook(fold(planned(**work), workers=9), T).left == 18.0


def test_what_this_run_measures_takes_the_place_of_the_guess() -> None:
    run = fold(planned(a=("cnn", 100, 10.0), b=("cnn", 300, 30.0)), started("a"), finished("a", 5.0, T + 5))
    assert outlook(run, T + 5).left == pytest.approx(15.0)
    assert outlook(run, T + 5).share == pytest.approx(0.25)


def test_a_run_that_is_slower_than_an_earlier_one_is_so_for_other_steps_too() -> None:
    run = fold(planned(a=("cnn", 100, 10.0), b=("resnet", 100, 40.0)), started("a"), finished("a", 20.0, T + 20))
    assert outlook(run, T + 20).left == pytest.approx(80.0)


def test_steps_of_no_known_rate_cost_what_an_image_costs_on_average() -> None:
    run = fold(planned(a=("cnn", 100, None), b=("resnet", 50, None)), started("a"), finished("a", 20.0, T + 20))
    assert outlook(run, T + 20).left == pytest.approx(10.0)


def test_a_step_under_way_teaches_too() -> None:
    first = {"kind": "step.progress", "step": "a", "done": 1, "total": 41, "row": {}, "time": T + 9}
    later = {"kind": "step.progress", "step": "a", "done": 11, "total": 41, "row": {}, "time": T + 19}
    plan = planned(a=("cnn", 410, None), b=("cnn", 410, None))
    assert outlook(fold(plan, started("a"), first), T + 9).left is None  # the first epoch takes longer than others
    run = fold(plan, started("a"), first, later)
    assert outlook(run, T + 19).left == pytest.approx(30 + 41)
    assert images_seen(run) == pytest.approx(110)


def test_the_seconds_in_which_a_worker_starts_are_no_price_of_an_image() -> None:
    starts = ({"kind": "worker.starting", "step": "a"}, {"kind": "worker.started", "step": "a", "seconds": 8.0})
    run = fold(planned(a=("cnn", 100, None), b=("cnn", 100, None)), started("a"), *starts, finished("a", 10.0, T + 10))
    assert outlook(run, T + 10).left == pytest.approx(2.0)


def test_a_run_that_is_through_has_nothing_left() -> None:
    run = fold(planned(a=("cnn", 100, None)), started("a"), finished("a", 5.0, T + 5))
    assert (outlook(run, T + 6).left, outlook(run, T + 6).share) == (0.0, 1.0)


def test_a_step_that_failed_is_done_and_teaches_nothing() -> None:
    failed = {"kind": "step.failed", "step": "a", "seconds": 0.1, "reason": "nan", "time": T + 1}
    run = fold(planned(a=("cnn", 100, 10.0), b=("cnn", 100, 10.0)), started("a"), failed)
    assert outlook(run, T + 1).left == pytest.approx(10.0)


def test_steps_of_an_earlier_run_do_not_count_as_this_ones() -> None:
    first = (planned(a=("cnn", 100, None)), started("a"), {"kind": "run.interrupted", "seconds": 4.0, "time": T + 4})
    run = fold(*first, {"kind": "run.began", "studies": 1, "workers": 1, "time": T + 50}, planned(a=("cnn", 100, None)))
    assert outlook(run, T + 60).left is None
    assert images_seen(run) == 0


def test_while_images_are_stored_the_bar_counts_images() -> None:
    storing = {"kind": "step.started", "step": "p", "name": "p", "of": "preprocess"}
    progress = [
        {"kind": "step.progress", "step": "p", "done": done, "total": 121, "row": {}, "time": T + at}
        for done, at in ((1, 60), (31, 70))  # the first one comes after the folders were looked through
    ]
    assert outlook(fold(storing, progress[0]), T + 60).left is None
    ahead = outlook(fold(storing, *progress), T + 70)
    assert (ahead.share, ahead.left) == (pytest.approx(31 / 121), 30.0)


def test_a_race_is_through_when_its_seconds_are() -> None:
    arm = {"kind": "step.started", "step": "t", "name": "t", "of": "tune", "metric": "m", "race_seconds": 60.0}
    assert outlook(fold(arm), T + 15).left == 45.0
    assert outlook(fold(arm), T + 15).share == 0.25


def test_studies_that_were_done_before_the_run_count() -> None:
    run = fold(planned(a=("cnn", 1, None), b=("cnn", 1, None)), started("a"), finished("a", 1.0, T + 1))
    assert run.studies_done == 2  # of three, one of which is left
