"""Manual or auto: rows against known errors, the sentence that decides, warnings, tables."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished_bench import finished

from ctlr.config import TuningSpec
from ctlr.methods.mean import MeanSpec
from ctlr.methods.scratch import ScratchSpec
from ctlr.report.answer.headline import answer
from ctlr.report.by_hand.rows import SystemRow, decision, system_rows
from ctlr.report.by_hand.section import by_hand, decision_words, errors_table, warnings_of
from ctlr.report.findings import Findings, findings
from ctlr.report.gains.section import gains_table
from ctlr.report.numbers.contests import Done
from ctlr.report.numbers.predictions import Predictions
from ctlr.report.numbers.rows import compute
from ctlr.report.numbers.truth import least_error
from ctlr.report.theme.formats import to_csv
from ctlr.specs import DataTask, GeneratedPointsSpec, TaskSpec

TPE, GP, MANUAL = (ScratchSpec(label=label) for label in ("tpe", "gp", "manual"))


def found(
    root: Path, digits_of: Any, searching: Any, right: dict[str, float], seeds: tuple[int, ...] = (0, 1, 2)
) -> Findings:
    """Shares of right answers by system; what is not manual was searched, with one trial of two that failed."""
    methods = {method.label: method for method in (MANUAL, TPE, GP)}
    benchmark = digits_of(root, [(methods[label], share) for label, share in right.items()], seeds=seeds)
    studies = {result.study.method.label: result.study for result in reversed(benchmark.results)}
    trials = [searching.trial(0, 0.3), searching.trial(1, None)]
    searches = [searching.search(studies[label], searching.stage(trials)) for label in right if label != "manual"]
    done = finished(benchmark, searches=tuple(searches))
    tuning = TuningSpec(experiments={}, trials=2, by_hand=("manual",))
    return findings(type(done)(**vars(done) | {"config": done.config.model_copy(update={"tuning": tuning})}))


def rows_of(findings: Findings) -> list[SystemRow]:
    return system_rows(findings.contests[0], findings.finished.searches, ["manual"], level=0.95)


def test_errors_of_a_system_stand_for_all_sides(tmp_path: Path, digits_of: Any, searching: Any) -> None:
    manual, tpe = rows_of(found(tmp_path, digits_of, searching, {"manual": 0.8, "tpe": 0.9}))
    assert (manual.chosen, tpe.chosen, tpe.algorithm) == ("by hand", "search", "tpe")
    assert (manual.train, manual.validation, manual.test.mean) == pytest.approx((0.0, 0.2, 0.2))
    assert (tpe.train, tpe.validation, tpe.test.mean) == pytest.approx((0.0, 0.1, 0.1))
    assert tpe.test.low < 0.1 < tpe.test.high
    assert (tpe.trials, tpe.failed, manual.trials) == (2, 1, 0)
    assert tpe.options == {"norm": "batch", "width": 1.0}
    assert tpe.parameters == 214_817


def test_validation_subjects_choose_the_search_that_is_held_against_the_expert(
    tmp_path: Path, digits_of: Any, searching: Any
) -> None:
    """The test set would have chosen the other one."""
    seen = found(tmp_path, digits_of, searching, {"manual": 0.6, "tpe": 0.9, "gp": 0.9})
    contest = seen.contests[0]
    rows = [row if row.system != "gp" else SystemRow(**vars(row) | {"validation": 0.02}) for row in rows_of(seen)]
    chosen = decision(contest, rows, 20, level=0.95)
    assert chosen is not None
    assert chosen.auto.system == "gp"
    assert chosen.gain.mean == pytest.approx(0.3)


def test_the_report_has_one_interval_for_a_gain_over_the_expert(tmp_path: Path, digits_of: Any, searching: Any) -> None:
    seen = found(tmp_path, digits_of, searching, {"manual": 0.6, "tpe": 0.9, "gp": 0.7})
    task = seen.contests[0].target.task.model_copy(update={"metric": "accuracy"})
    contest = replace(seen.contests[0], target=seen.contests[0].target.model_copy(update={"task": task}))
    gains = compute(contest, level=0.95).gains
    chosen = decision(contest, rows_of(seen), 20, gains=gains, level=0.95)
    assert chosen is not None
    assert chosen.gain is next(row.gain for row in gains if row.method == "tpe")


def test_the_mean_is_not_told_to_say_one_class(tmp_path: Path, digits_of: Any, searching: Any) -> None:
    benchmark = digits_of(tmp_path, [(MeanSpec(label="mean"), 0.2)])
    seen = findings(finished(benchmark))
    (row,) = system_rows(seen.contests[0], (), [], level=0.95)
    assert (row.system, row.one_class) == ("mean", 0)


@pytest.mark.parametrize(
    ("right", "seeds", "words"),
    [
        ({"manual": 0.6, "tpe": 0.9}, (0, 1, 2), ["10.00\u00a0% errors", "40.00\u00a0%: auto, by 30.00 points", "p "]),
        ({"manual": 0.9, "tpe": 0.6}, (0, 1, 2), ["manual, by 30.00 points", "−"]),
        ({"manual": 0.8, "tpe": 0.8}, (0, 1, 2), ["no measurable difference", "cost no search"]),
        ({"manual": 0.6, "tpe": 0.9}, (0,), ["one seed tells no difference", "five seeds"]),
    ],
)  # fmt: skip
def test_the_sentence_says_manual_or_auto_by_how_much_and_how_sure(
    tmp_path: Path, digits_of: Any, searching: Any, right: dict[str, float], seeds: tuple[int, ...], words: list[str]
) -> None:
    seen = found(tmp_path, digits_of, searching, right, seeds)
    chosen = decision(seen.contests[0], rows_of(seen), 20, level=0.95)
    assert chosen is not None
    told = decision_words(seen.contests[0], chosen, 0.95)
    assert all(word in told for word in words), told


def test_a_gap_beyond_chance_one_class_and_failed_trials_are_warned_of(
    tmp_path: Path, digits_of: Any, searching: Any
) -> None:
    seen = found(tmp_path, digits_of, searching, {"manual": 0.8, "tpe": 0.6})
    contest, (manual, tpe) = seen.contests[0], rows_of(seen)
    assert not manual.overfit
    lucky = SystemRow(**vars(tpe) | {"gap": 0.4, "overfit": True, "one_class": 1})
    overfit, same, failed = warnings_of(contest, [manual, lucky])
    assert overfit.startswith("Overfit to validation: ‘tpe’ (+40.00 points)")
    assert same == "One class for every test image: ‘tpe’ (1 of 3 seeds)."
    assert "‘tpe’ (1 of 2)" in failed


def with_errors(done: Done, validation: int, test: int) -> Done:
    """Right everywhere but for so many of the 200 subjects of each side."""
    sides = {"train": done.predictions["train"]}
    for side, wrong in (("validation", validation), ("test", test)):
        says = (np.arange(200) < wrong).astype(int)
        sides[side] = Predictions(
            subjects=np.array([f"{side}{number}" for number in range(200)]), truth=np.zeros(200),
            prediction=says.astype(float), classes=("0", "1"), probabilities=np.eye(2)[says],
        )  # fmt: skip
    return replace(done, predictions=sides)


def test_a_search_overfits_where_its_gap_exceeds_the_experts(tmp_path: Path, digits_of: Any, searching: Any) -> None:
    """What both lose says that the validation subjects are easy; what the search alone loses, that they chose it."""
    seen = found(tmp_path, digits_of, searching, {"manual": 0.8, "tpe": 0.9, "gp": 0.9})
    errors = {"manual": (10, 30), "tpe": (10, 30), "gp": (0, 40)}
    cells = {
        (method, size): tuple(with_errors(done, *errors[method]) for done in cell)
        for (method, size), cell in seen.contests[0].cells.items()
    }
    contest = replace(seen.contests[0], cells=cells)
    rows = system_rows(contest, seen.finished.searches, ["manual"], level=0.95)
    assert {row.system: row.overfit for row in rows} == {"manual": False, "tpe": False, "gp": True}


def test_the_least_error_that_is_possible_stands_below_where_it_is_known(
    tmp_path: Path, digits_of: Any, searching: Any
) -> None:
    contest = found(tmp_path, digits_of, searching, {"manual": 0.8, "tpe": 0.9}).contests[0]
    assert least_error(contest) is None
    points = GeneratedPointsSpec(name="points", generator="gaussians", points=(10, 10, 10))
    kind = TaskSpec(name="kind", target="class", kind="classification")
    known = least_error(replace(contest, target=DataTask(data=points, task=kind)))
    assert known is not None
    assert (known.train, known.validation, known.test) == pytest.approx((0.0184, 0.0115, 0.0115), abs=1e-4)
    table = errors_table(contest, [], 0.95, least=known)
    assert [cell.text for cell in table.rows[-1]] == [
        "Bayes error", "any", "known densities", "1.84", "1.15", "1.15", "–", "–",
    ]  # fmt: skip


def test_the_section_stands_only_where_an_expert_is_beside_searches(
    tmp_path: Path, digits_of: Any, searching: Any
) -> None:
    seen = found(tmp_path, digits_of, searching, {"manual": 0.8, "tpe": 0.9})
    section = by_hand(seen, seen.views[0])
    assert section is not None
    errors, networks = section.tables
    assert [cells[0].text for cells in errors.rows] == ["manual", "tpe"]
    assert [cells[5].text for cells in errors.rows] == ["20.00", "10.00"]
    assert networks.columns == ("System", "n", "Norm", "Width", "Parameters")
    assert "tpe,20,search,tpe,0,0.1,0.1," in to_csv(errors)
    done = seen.finished
    assert done.config.tuning is not None
    plain = done.config.model_copy(update={"tuning": done.config.tuning.model_copy(update={"by_hand": ()})})
    without = findings(type(done)(**vars(done) | {"config": plain}))
    assert by_hand(without, without.views[0]) is None


def test_what_differs_in_options_alone_is_held_against_the_expert_by_name(
    tmp_path: Path, digits_of: Any, searching: Any
) -> None:
    """No method transfers anything, so that a loss is no negative transfer."""
    seen = found(tmp_path, digits_of, searching, {"manual": 0.9, "tpe": 0.6})
    contest = seen.contests[0]
    assert (contest.transfers, contest.rival) == (False, "‘manual’")
    rows = compute(contest, level=0.95)
    assert "negative transfer" not in to_csv(gains_table(contest, rows))
    assert ",loss," in to_csv(gains_table(contest, rows))
    told = answer(contest, rows).text
    assert told.endswith("0.355) against ‘manual’.")
