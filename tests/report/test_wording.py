from collections.abc import Callable
from typing import Any

import pytest
from stored_units import store_units

from ctlr.report.numbers.contests import contests, load
from ctlr.report.wording import measure, metric_label
from ctlr.specs import fingerprint


@pytest.mark.parametrize(
    ("units", "label"),
    [({"age": "months"}, "MAE (months)"), ({}, "MAE"), ({"sex": "years"}, "MAE"), ({"age": "years"}, "MAE (years)")],
)
def test_a_unit_is_what_the_dataset_says_and_no_guess_from_a_name(
    new_benchmark: Callable[..., Any], units: dict[str, str], label: str
) -> None:
    benchmark = new_benchmark(methods=("scratch",), sizes=(20,), seeds=(0,))
    store_units(benchmark.root, fingerprint(benchmark.results[0].study.target.data.name), units)
    (found,) = contests(load(benchmark.results, benchmark.root))
    assert metric_label(found) == label
    assert measure(found) == units.get("age", "")


def test_classes_have_no_unit(digits: Any) -> None:
    (found,) = contests(load(digits.results, digits.root))
    assert (metric_label(found), measure(found)) == ("Balanced accuracy", "")
