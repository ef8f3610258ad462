"""The suite that every model without a network passes, a plug-in's among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ctlr.contracts import families
from ctlr.contracts.families import Case
from ctlr.specs import METHODS

CASES = [
    pytest.param(promise, case, id=f"{promise.__name__}-{case.name}-{case.classes}-{case.ndim}d")
    for name in METHODS
    if families.is_family(name)
    for case in families.cases_of(name, Path())
    for promise in families.PROMISES
    if case.ndim == 2 or promise not in families.ON_PICTURES
]
"""Whatever the table has."""


@pytest.mark.parametrize(("promise", "case"), CASES)
def test_a_family_keeps_its_promise(promise: Callable[[Case], None], case: Case, tmp_path: Path) -> None:
    promise(replace(case, folder=tmp_path))
