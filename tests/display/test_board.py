"""What stands at the bottom of a terminal, by its width: the bar and the headline metric always."""

from typing import Any

import pytest

from ctlr.display._board import Sight, board, status
from ctlr.runs import Outlook, Run

T = 1000.0


def study(step: str, method: str = "simclr", **more: Any) -> dict[str, Any]:
    return {
        "kind": "step.started", "step": step, "name": f"{method}-age-n100-s0-0a1b2c3d4e", "of": "study", "study": step,
        "method": method, "encoder": "small_cnn", "source": "", "target": "clinic.age", "n_train": 100, "seed": 0,
        "metric": "mae", "direction": "min",
    } | more  # fmt: skip


def progress(step: str, done: int = 7) -> dict[str, Any]:
    row = {"epoch": done, "train_loss": 0.2512, "validation_mae": 9.12, "seconds": 0.2, "lr": 0.001}
    return {"kind": "step.progress", "step": step, "done": done, "total": 40, "row": row, "time": T + 5}


def done(step: str, value: float) -> dict[str, Any]:
    return {"kind": "step.finished", "step": step, "seconds": 3.0, "validation": value, "text": ""}


def fold(*events: dict[str, Any]) -> Run:
    run = Run("brain-age")
    first = {"kind": "run.began", "studies": 9, "workers": 2}, {"kind": "run.planned", "steps": 9}
    for number, event in enumerate((*first, *events), 1):
        run.take({"n": number, "time": T} | event)
    return run


BUSY = fold(
    study("a"), done("a", 9.81), study("b", "supervised"), done("b", 11.24), study("c", "linear_probe"),
    done("c", 10.5), study("d", "vat"), progress("d"), study("e", "simclr"), progress("e", 12),
)  # fmt: skip
SIGHT = Sight(now=T + 80, outlook=Outlook(0.34, 160.0), images=412.3, memory="1.9 GB")


def lines(run: Run, width: int, height: int = 24, sight: Sight = SIGHT) -> list[str]:
    return [line.plain for line in board(run, sight, width, height)]


def test_a_wide_terminal_shows_everything() -> None:
    bar, first, second, best = lines(BUSY, 119)
    assert bar.startswith("brain-age  3/9 ━")
    for words in ("34 %", "1 min 20 s", "about 2 min 40 s left", "412 images/s", "1.9 GB"):
        assert words in bar
    assert first.split() == [
        "vat-age-n100-s0-0a1b2c3d4e", "epoch", "7/40", "1:20", "train_loss=0.2512", "validation_mae=9.12",
    ]  # fmt: skip
    assert second.split()[:3] == ["simclr-age-n100-s0-0a1b2c3d4e", "epoch", "12/40"]
    assert best == (
        "best by validation  val_mae 9.81 simclr, small_cnn, n = 100 · 10.5 linear_probe · 11.24 supervised"
    )


@pytest.mark.parametrize("width", [119, 59, 39, 24])
def test_no_line_is_wider_than_the_terminal_and_the_bar_and_the_metric_stay(width: int) -> None:
    found = lines(BUSY, width)
    assert max(map(len, found)) <= width
    assert "3/9 " in found[0]
    assert "─" in found[0]
    assert "val_mae 9.81" in found[-1]
    assert found[1].startswith("  vat-age-")
    assert "7/40" in found[1]
    assert found[1].endswith("1:20") == (width in (59, 39))  # whole, or not at all


def test_a_narrow_bar_keeps_the_time_that_is_left_before_all_else() -> None:
    bar = lines(BUSY, 39)[0]
    assert "about 2 min 40 s left" in bar
    assert "images/s" not in bar


def test_one_line_a_worker_as_many_as_there_is_room_for() -> None:
    run = fold(*(study(str(number)) for number in range(50)))
    found = lines(run, 80, 10)
    assert len(found) == 10
    assert found[-1] == "  and 42 more"


def test_workers_that_load_are_said_to_start() -> None:
    run = fold(study("a"), {"kind": "worker.starting", "step": "a"})
    assert lines(run, 80)[1] == "  starting workers: PyTorch is loading, 1 min 20 s"
    run.take({"n": 9, "kind": "worker.started", "step": "a", "seconds": 4.0, "time": T + 4})
    assert "starting" not in lines(run, 80)[1]


def test_a_late_worker_starts_beside_others_that_work() -> None:
    run = fold(study("a"), progress("a"), study("b"), {"kind": "worker.starting", "step": "b"})
    assert "worker starts" in lines(run, 80)[2]


def test_at_the_end_the_report_is_written() -> None:
    run = Run("brain-age")
    first = {"kind": "run.began", "studies": 1, "workers": 1}, {"kind": "run.planned", "steps": 1}
    for number, event in enumerate((*first, study("a"), done("a", 9.0)), 1):
        run.take({"n": number, "time": T} | event)
    assert lines(run, 80)[1] == "  writing the report"


def test_the_time_of_images_is_not_taken_for_that_of_the_run() -> None:
    run, storing = Run("x"), {"kind": "step.started", "step": "p", "name": "preprocess p", "of": "preprocess"}
    progress = {"kind": "step.progress", "step": "p", "done": 30, "total": 120, "row": {}}
    for number, event in enumerate(({"kind": "run.began", "workers": 1}, storing, progress), 1):
        run.take({"n": number, "time": T} | event)
    bar = lines(run, 100, sight=Sight(now=T + 5, outlook=Outlook(0.25, 15.0)))[0]
    assert bar.startswith("x  30/120 images ━")
    assert bar.endswith("25 %  5 s  about 15 s for the images")


def test_what_failed_is_counted_below() -> None:
    run = fold(study("a"), {"kind": "step.failed", "step": "a", "seconds": 1.0, "reason": "nan"})
    assert lines(run, 80)[-1] == "1 failed, for the reasons above"


def test_targets_that_share_a_metric_have_a_line_each() -> None:
    run = fold(study("a"), done("a", 9.0), study("b", target="site.age"), done("b", 4.0))
    assert [line for line in lines(run, 119) if "val_mae" in line] == [
        "best by validation  val_mae of site.age 4 simclr, small_cnn, n = 100",
        "best by validation  val_mae of clinic.age 9 simclr, small_cnn, n = 100",
    ]


def test_the_best_of_a_method_is_told_once() -> None:
    run = fold(study("a", n_train=20), done("a", 12.0), study("b"), done("b", 9.0))
    assert lines(run, 119)[-1] == "best by validation  val_mae 9 simclr, small_cnn, n = 100"


def test_a_search_shows_its_trials() -> None:
    place = {"step": "t", "round": 1, "number": 0, "parameters": {"lr": "0.0012345678"}}
    search = {"kind": "step.started", "step": "t", "name": "tune vat", "of": "tune", "metric": "val_mae",
              "direction": "min", "trials": 6, "budget_seconds": None}  # fmt: skip
    run = Run("x")
    told = ({"kind": "run.began", "workers": 1}, search, {"kind": "trial.started", "name": "x-1", **place})
    report = {"kind": "trial.reported", **place, "report": 3, "metrics": {"val_mae": 8.5}, "seconds": 1.0}
    for number, event in enumerate((*told, report), 1):
        run.take({"n": number, "time": T} | event)
    bar, work = lines(run, 100)
    assert bar.startswith("brain-age  0/6 trials" if run.name != "x" else "x  0/6 trials")
    assert work.split() == ["trial", "0", "report", "3", "1:20", "val_mae=8.5", "lr=0.001235"]


def test_a_log_has_all_of_it_in_a_line() -> None:
    assert status(BUSY, SIGHT) == (
        "1 min 20 s: 3/9, 34 %, about 2 min 40 s left, 412 images/s, 1.9 GB; vat-age-n100-s0-0a1b2c3d4e epoch 7/40, "
        "simclr-age-n100-s0-0a1b2c3d4e epoch 12/40; best by validation: val_mae 9.81 by simclr, small_cnn, n = 100"
    )
