"""Estimates of the Bayes error in the report: beside the known one, under wrong labels, and when they are worthless."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished_bench import finished

from ctlr.config import ReportSpec
from ctlr.data.kinds.points.generating import least_error
from ctlr.methods.scratch import ScratchSpec
from ctlr.report.bayes_error.rows import estimator_rows
from ctlr.report.bayes_error.section import bayes_error
from ctlr.report.findings import findings
from ctlr.report.numbers.truth import LeastRow
from ctlr.report.theme.formats import to_csv
from ctlr.specs import Assessment, DataTask, ErrorEstimate, GeneratedPointsSpec, LeastErrors, NoiseCheck, TaskSpec

POINTS = DataTask(
    data=GeneratedPointsSpec(name="points", generator="toroid"),
    task=TaskSpec(name="kind", target="class", kind="classification"),
)
KNOWN = LeastRow(train=0.1, validation=0.1, test=0.1)


def assessment(*doubts: str, posterior: float = 0.12) -> Assessment:
    """Half of the labels anew take an error of 0.1 to 0.3 and one of 0.12 to 0.31; all of them take both to 0.5."""
    return Assessment(
        rows=900, nearest=ErrorEstimate(value=0.08, low=0.06, high=0.15),
        posterior=ErrorEstimate(value=posterior, low=posterior - 0.01, high=posterior + 0.01),
        closed_loop={"nearest": 0.07, "random_forest": 0.0}, out_of_bag=0.11, doubts=doubts,
        under_noise=(
            NoiseCheck(share=0.5, due=0.31, nearest=0.28, posterior=0.33,
                       closed_loop={"nearest": 0.2, "random_forest": 0.0}),
            NoiseCheck(share=1.0, due=0.5, nearest=0.48, posterior=0.51,
                       closed_loop={"nearest": 0.3, "random_forest": 0.0}),
        ),
    )  # fmt: skip


def estimates(**sides: Assessment) -> LeastErrors:
    return LeastErrors(target=POINTS, classes=("core", "ring"), sides=sides)


def test_estimators_are_judged_by_the_known_error_under_wrong_labels() -> None:
    posterior, nearest, loop, forest = estimator_rows(estimates(test=assessment()), KNOWN)
    assert posterior.shares == (0, 0.5, 1)
    assert posterior.due == pytest.approx((0.1, 0.3, 0.5))
    assert [row.off for row in (posterior, nearest, loop, forest)] == pytest.approx([0.02, 0.02, 0.15, 0.4])
    assert [row.worthless for row in (posterior, nearest, loop, forest)] == [False, False, True, True]
    assert (posterior.missed, nearest.missed, forest.missed) == (pytest.approx(0.01), 0, 0)


def test_without_a_known_error_neighbours_shares_say_what_wrong_labels_must_give() -> None:
    row = estimator_rows(estimates(all=assessment()), None)[0]
    assert row.known is None
    assert row.due == pytest.approx((0.12, 0.31, 0.5))
    assert row.missed == 0


def test_with_a_doubt_only_what_claims_to_estimate_is_worthless_for_it() -> None:
    rows = estimator_rows(estimates(test=assessment("a class has 7 rows, fewer than 30")), KNOWN)
    assert [bool(row.doubts and row.trusted and row.worthless) for row in rows] == [True, True, False, False]


@pytest.fixture
def seen(tmp_path: Path, digits_of: Any) -> Any:
    """The section of a benchmark whose target is the toroid."""

    def of(found: LeastErrors | None) -> Any:
        benchmark = digits_of(tmp_path, [(ScratchSpec(label="scratch"), 0.9)])
        benchmark.results = [
            result.model_copy(update={"study": result.study.model_copy(update={"target": POINTS})})
            for result in benchmark.results
        ]
        done = finished(benchmark, least_errors=() if found is None else (found,))
        seen = findings(done)
        return bayes_error(seen, seen.views[0])

    return of


def test_the_section_tells_ranges_and_the_known_error(seen: Any) -> None:
    section = seen(estimates(test=assessment(posterior=0.09)))
    known = 100 * least_error(GeneratedPointsSpec(generator="toroid"), "test")
    assert section.shows["words"] == [
        "Test: no classifier can have fewer errors than 8.00 to 10.00\u00a0%, by neighbours’ shares, and 6.00 to "
        f"15.00\u00a0%, by the nearest neighbour’s bounds. It is {known:.2f}\u00a0%."
    ]
    assert section.shows["warnings"] == []
    verdicts = [row[-1].text for row in section.shows["table"].rows]
    assert verdicts == ["holds it", "holds it", "worthless", "worthless"]
    assert "forest loop" in section.shows["panels"][0].svg


def test_a_worthless_estimate_is_said_to_be_so_with_its_reasons(seen: Any) -> None:
    left_out = {"validation": "It has fewer than 20 subjects, or a single class."}
    section = seen(estimates(train=assessment("one", "two")).model_copy(update={"left_out": left_out}))
    assert section.shows["words"] == []
    assert section.shows["warnings"] == [
        "Train: the estimates are worthless: one; two.",
        "Validation: there are none. It has fewer than 20 subjects, or a single class.",
    ]
    assert {row[-1].text for row in section.shows["table"].rows} == {"worthless"}


def test_files_hold_every_estimate_and_every_share_of_wrong_labels(seen: Any) -> None:
    table, noise = (to_csv(each).splitlines() for each in seen(estimates(test=assessment(), all=assessment())).tables)
    assert len(table) == 1 + 2 * 4
    assert len(noise) == 1 + 2 * 4 * 3
    row = dict(zip(table[0].split(","), table[1].split(","), strict=True))
    assert (row["set"], row["estimator"], row["worthless"]) == ("test", "k-NN posterior", "no")
    assert np.isclose(float(row["bayes_error"]), 0.12)


def test_who_does_not_ask_gets_no_section(seen: Any) -> None:
    assert seen(None) is None
    assert ReportSpec().bayes_error is False
