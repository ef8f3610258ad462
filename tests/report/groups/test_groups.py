"""Errors by group are those that the predictions were made with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heads import write_heads
from numpy.typing import NDArray
from stored_bench import stored_bench

from ctlr.report.findings import Findings, findings
from ctlr.report.groups.columns import group_columns
from ctlr.report.groups.rows import Groups, groups_of
from ctlr.report.groups.section import groups
from ctlr.specs import BidsSpec, PreprocessSpec, SplitSpec, TaskSpec

AGE = TaskSpec(name="age", target="age", kind="regression")
SEX = TaskSpec(name="sex", target="sex", kind="classification")
COARSE = PreprocessSpec(shape=(20, 20, 20), spacing=12.0, normalise="none")


def off_by_site(truth: NDArray[Any], sites: Any) -> NDArray[np.float64]:
    """2 years too high in the north; in the south 6 too low, less or more by turns."""
    wiggle = np.where(np.arange(len(truth)) % 2, 0.5, -0.5)
    return np.where(np.array(sites) == "north", truth + 2 + wiggle, truth - 6 + wiggle)


def finding(folder: Path, task: TaskSpec, predict: Any = None, count: int = 24) -> Findings:
    write_heads(folder / "data", count, spacing=12.0)
    data = BidsSpec(name="people", root=str(folder / "data"), preprocess=COARSE)
    return findings(stored_bench(data, task, folder / "ws", predict=predict))


def known(found: Findings) -> Groups:
    (view,) = found.views
    groups = groups_of(view, found.stocks["people"])
    assert groups is not None
    return groups


@pytest.fixture(scope="module")
def by_site(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    return finding(tmp_path_factory.mktemp("site"), AGE, off_by_site)


def test_each_group_has_the_error_and_the_bias_that_it_was_given(by_site: Findings) -> None:
    rows = {(row.column, row.group): row for row in known(by_site).rows}
    north, south = rows["site", "north"], rows["site", "south"]
    assert (north.n, south.n) == (12, 12)
    assert (north.error.mean, south.error.mean) == (pytest.approx(2.0), pytest.approx(6.0))
    assert north.bias is not None
    assert south.bias is not None
    assert (north.bias.mean, south.bias.mean) == (pytest.approx(2.0), pytest.approx(-6.0))


def test_a_group_is_held_against_all_others_and_two_are_one_look(by_site: Findings) -> None:
    found = known(by_site)
    rows = {(row.column, row.group): row for row in found.rows}
    north, south = rows["site", "north"].against, rows["site", "south"].against
    assert north is not None
    assert south is not None
    assert (north.mean, south.mean) == (pytest.approx(-4.0), pytest.approx(4.0))
    assert (north.low, north.high) == (pytest.approx(-south.high), pytest.approx(-south.low))
    assert [row.column for row in found.rows] == ["age"] * 4 + ["sex"] * 2 + ["site"] * 2
    assert found.looks == 4 + 1 + 1
    assert rows["site", "south"].p_holm == pytest.approx(min(1.0, 6 * north.p))


def test_what_is_sure_is_named_and_what_is_not_is_not(by_site: Findings) -> None:
    (view,) = by_site.views
    section = groups(by_site, view)
    assert section is not None
    words = section.shows["words"]  # type: ignore[index]
    assert words == (
        "Errors are larger than others' for age 44 to 54, age 56 to 66 and site south, with all 6 looks taken "
        "together. No group has 20 test subjects: little is known of any."
    )


def test_numbers_are_cut_into_four_parts_of_equal_size(by_site: Findings) -> None:
    ages = [row for row in known(by_site).rows if row.column == "age"]
    assert [row.group for row in ages] == ["20 to 30", "32 to 42", "44 to 54", "56 to 66"]
    assert [row.n for row in ages] == [6, 6, 6, 6]


def test_classes_have_the_share_that_is_right(tmp_path: Path) -> None:
    def half_right(truth: NDArray[Any], sites: Any) -> NDArray[np.float64]:
        right = np.eye(2)[truth] * 0.8 + 0.1
        wrong = (np.array(sites) == "south") & (np.arange(len(truth)) % 4 < 2)
        return np.where(wrong[:, None], right[:, ::-1], right)

    rows = {(row.column, row.group): row for row in known(finding(tmp_path, SEX, half_right)).rows}
    assert ("sex", "F") not in rows  # the target itself: that is the confusion matrix
    assert rows["site", "north"].error.mean == 1.0
    assert rows["site", "south"].error.mean == 0.5
    against = rows["site", "south"].against
    assert against is not None
    assert against.mean == pytest.approx(0.5)


def test_groups_of_fewer_than_five_are_not_listed(tmp_path: Path) -> None:
    found = finding(tmp_path, AGE, off_by_site, count=8)
    assert groups_of(found.views[0], found.stocks["people"]) is None


def test_columns_of_the_benchmark_are_looked_at_beside_age_sex_and_site(by_site: Findings) -> None:
    study = by_site.results[0].study
    asked = study.model_copy(update={"split": SplitSpec(stratify=("handedness",), group="family")})
    table = ["participant_age", "Sex", "family", "handedness", "message", "usage"]
    assert group_columns(asked, table) == ["participant_age", "Sex", "handedness", "family"]
    assert group_columns(study, ["ScannerModel", "dosage"]) == ["ScannerModel"]


def test_without_the_table_there_is_no_section(by_site: Findings) -> None:
    assert groups_of(by_site.views[0], None) is None
