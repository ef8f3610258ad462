"""Volumes beside a table."""

from pathlib import Path

import layouts
import pytest
from pydantic import ValidationError

from ctlr.data.listing import Listing
from ctlr.data.reader import reader_of
from ctlr.errors import DataError
from ctlr.specs import VolumesSpec

OASIS = {
    "table": "oasis_cross-sectional.csv",
    "file_column": "ID",
    "files": "*_masked_gfc.nii.gz",
    "group": r"(OAS1_\d+)_MR",
}


def listed(root: Path, **options: str) -> Listing:
    listing = reader_of(VolumesSpec(name="scans", root=str(root), **options)).listing()
    assert listing is not None
    return listing


def test_a_line_names_the_folder_of_its_scan_and_visits_are_one_persons(tmp_path: Path) -> None:
    found = listed(layouts.oasis(tmp_path), **OASIS)
    assert (len(found.images), found.subjects, found.faults) == (32, 30, ())
    assert found.images[0].subject == "OAS1_0001"
    assert found.images[0].columns["M/F"] in ("F", "M")


def test_a_line_names_the_end_of_a_name_and_a_column_the_person(tmp_path: Path) -> None:
    root = layouts.adni(tmp_path)
    found = listed(
        root, table="ADNI1_Complete_1Yr_1.5T_3_28_2011.csv", file_column="Image Data ID", group_column="Subject"
    )
    assert (len(found.images), found.subjects) == (46, 23)
    assert {fault.reason for fault in found.faults} == {
        "a line names a volume that is not there. Correct or remove it."
    }


def test_several_volumes_a_line_are_a_fault_that_names_the_option(tmp_path: Path) -> None:
    options = {name: value for name, value in OASIS.items() if name != "files"}
    found = listed(layouts.oasis(tmp_path), **options)
    assert not found.images
    assert found.faults[0].reason == (
        "a line names several volumes. Choose among them with `files`, or write the path below `root`."
    )


def test_volumes_without_a_line_are_counted_and_left(tmp_path: Path) -> None:
    root = layouts.oasis(tmp_path)
    table = root / "oasis_cross-sectional.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    found = listed(root, **OASIS)
    assert [left.reason for left in found.left_out] == [
        "`table` has no line for this volume, so it is not read. Add a line if it should be."
    ]


def test_somebody_has_to_be_whose_volume_it_is(tmp_path: Path) -> None:
    found = listed(layouts.oasis(tmp_path), **{**OASIS, "group": r"(nobody)"})
    assert "it must be known whose volume this is" in found.faults[0].reason


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"table": "none.csv"}, "there is no 'none.csv'"),
        ({**OASIS, "file_column": "Id"}, "a column 'Id' is needed. Did you mean 'ID'"),
        ({"table": OASIS["table"], "file_column": "ID", "group_column": "Person"}, "a column 'Person' is needed"),
        ({**OASIS, "files": "*.mgz"}, "a line names a volume that is not there"),
    ],
)
def test_a_table_that_cannot_be_used_is_told(options: dict[str, str], words: str, tmp_path: Path) -> None:
    root = layouts.oasis(tmp_path)
    try:
        told = str(listed(root, **options).faults[0])
    except DataError as error:
        told = str(error)
    assert words in told


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"table": "../x.csv"}, "must lie below"),
        ({"table": "x.csv", "group": "("}, "must be a regular expression"),
        ({"table": "x.csv", "group": "x"}, "needs a group"),
        ({"table": "x.csv", "group": "(x)", "group_column": "y"}, "say the same"),
    ],
)
def test_options_that_contradict_are_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        VolumesSpec(root="x", **options)
