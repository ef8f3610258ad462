from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from pydantic import ValidationError

from ctlr.data.kinds.images import index
from ctlr.data.preprocess import preprocess
from ctlr.data.splits import draw_split, read_targets
from ctlr.data.store import read_table
from ctlr.errors import DataError
from ctlr.specs import ImagesSpec, PreprocessSpec, SplitSpec, TaskSpec
from ctlr.workspace import Workspace

BREAKHIS = r"SOB_[BM]_\w+-(\d+-\w+)-\d+-\d+"
"""Binary class, tumour, year and slide (the patient), magnification, number (Spanhol et al. 2016)."""


def folder(root: Path, *files: str, lines: str | None = None, **options: str) -> ImagesSpec:
    for number, file in enumerate(files):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").resize((8, 8)).rotate(90 * (number % 4)).save(root / file)
    if lines:
        (root / options["table"]).write_text(lines)
    return ImagesSpec(root=str(root), preprocess=PreprocessSpec(shape=(8, 8)), **options)


def test_breakhis_names_say_the_patient_and_the_first_folder_the_class(tmp_path: Path) -> None:
    spec = folder(
        tmp_path,
        "benign/SOB/adenosis/SOB_B_A_14-22549AB/40X/SOB_B_A-14-22549AB-40-001.png",
        "malignant/SOB/ductal_carcinoma/SOB_M_DC_14-2773/100X/SOB_M_DC-14-2773-100-001.png",
        "malignant/SOB/ductal_carcinoma/SOB_M_DC_14-2773/40X/SOB_M_DC-14-2773-40-007.png",
        group=BREAKHIS,
    )
    assert [(image.subject, image.columns) for image in index(spec).images] == [
        ("14-22549AB", {"class": "benign"}),
        ("14-2773", {"class": "malignant"}),
        ("14-2773", {"class": "malignant"}),
    ]


def test_idc_folders_are_patients_and_the_expression_names_the_class(tmp_path: Path) -> None:
    """Kaggle's breast histopathology images: patient, then class (Cruz-Roa et al. 2014)."""
    spec = folder(
        tmp_path,
        "10253/0/10253_idx5_x1001_y1001_class0.png",
        "10253/1/10253_idx5_x501_y351_class1.png",
        group=r"^(\d+)/(?P<class>[01])/",
    )
    assert [(image.subject, image.columns) for image in index(spec).images] == [
        ("10253", {"class": "0"}),
        ("10253", {"class": "1"}),
    ]


def test_nct_crc_folders_keep_their_classes_and_every_picture_its_own_subject(tmp_path: Path) -> None:
    """NCT-CRC-HE-100K tells no patient (Kather et al. 2018): an expression that takes the name gives no case away."""
    spec = folder(tmp_path, "ADI/ADI-AAAFLCLY.tif", "TUM/TUM-AAACWFMN.tif", group=r"([^/]+)\.tif$")
    assert [(image.subject, image.columns["class"]) for image in index(spec).images] == [
        ("ADI-AAAFLCLY", "ADI"),
        ("TUM-AAACWFMN", "TUM"),
    ]


def test_patch_camelyon_is_a_flat_folder_with_a_table_of_ids_without_endings(tmp_path: Path) -> None:
    spec = folder(
        tmp_path, "train/f38a6374.tif", "train/c18f2d88.tif", "test/00000000.tif",
        lines="id,class,wsi\nf38a6374,0,tumor_001\nc18f2d88,1,tumor_001\n",
        table="train_labels.csv", file_column="id", group_column="wsi",
    )  # fmt: skip
    listing = index(spec)
    assert {image.file: (image.subject, image.columns) for image in listing.images} == {
        "train/c18f2d88.tif": ("tumor_001", {"class": "1", "split": "train"}),
        "train/f38a6374.tif": ("tumor_001", {"class": "0", "split": "train"}),
    }
    assert [left.place for left in listing.left_out] == ["test/00000000.tif"]


def test_columns_of_a_table_make_other_tasks_and_named_groups_are_columns(tmp_path: Path) -> None:
    spec = folder(
        tmp_path, "ill/p1_40x_a.png", "well/p2_100x_a.png",
        lines="file\tage\nill/p1_40x_a.png\t61\np2_100x_a\t44\n",
        table="t.tsv", group=r"(?P<case>p\d+)_(?P<zoom>\d+)x",
    )  # fmt: skip
    assert not spec.classes_only
    assert [(image.subject, image.columns) for image in index(spec).images] == [
        ("p1", {"class": "ill", "zoom": "40", "age": "61"}),
        ("p2", {"class": "well", "zoom": "100", "age": "44"}),
    ]


def test_a_case_never_stands_on_two_sides_and_sizes_count_cases(tmp_path: Path) -> None:
    files = [f"{'ab'[case % 2]}/case{case:02d}_{patch}.png" for case in range(12) for patch in range(3)]
    workspace = Workspace(tmp_path / "workspace")
    stored = preprocess(folder(tmp_path / "data", *files, group=r"(case\d+)_"), workspace)
    table = read_table(stored, workspace)
    assert (stored.rows, stored.subjects) == (36, 12)
    targets = read_targets(table, TaskSpec(target="class", kind="classification"), "slides")
    split = draw_split(table, targets, SplitSpec(test=4), n_train=4, n_reserved=4, seed=0)
    assert [len(side) for side in (split.train, split.validation, split.test)] == [4, 4, 4]
    assert len({*split.train, *split.validation, *split.test}) == 12
    assert Counter(record.subject for record in table) == dict.fromkeys(set(map(_case, files)), 3)


def test_cases_with_patches_of_both_classes_are_split_like_others(tmp_path: Path) -> None:
    files = [f"{case:05d}/{label}/{case}_{patch}.png" for case in range(12) for label in "01" for patch in range(2)]
    workspace = Workspace(tmp_path / "workspace")
    spec = folder(tmp_path / "data", *files, group="^([0-9]+)/(?P<class>[01])/")
    table = read_table(preprocess(spec, workspace), workspace)
    targets = read_targets(table, TaskSpec(target="class", kind="classification"), "slides")
    split = draw_split(table, targets, SplitSpec(test=4), n_train=4, n_reserved=4, seed=0)
    assert [len(side) for side in (split.train, split.validation, split.test)] == [4, 4, 4]


def _case(file: str) -> str:
    return Path(file).name.partition("_")[0]


def test_a_picture_that_the_expression_does_not_know_is_a_fault(tmp_path: Path) -> None:
    listing = index(folder(tmp_path, "a/case1_0.png", "a/other.png", group=r"(case\d+)_"))
    assert [str(fault) for fault in listing.faults] == [
        "a/other.png: the expression of `group` must find out whose picture this is; it finds nothing in its path. "
        "Correct it."
    ]


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("file,slide\na/1.png,\n", "a/1.png: the table must say whose picture this is, and the cell of `group_column`"),
        ("file,slide\na/1.png,s\na/9.png,s\n", "t.csv: a/9.png: a line names a picture that is not there"),
        ("file,slide\na/1.png,s\na/1,s\n", "t.csv: a/1: two lines name one picture. Keep one."),
        ("file,slide\n1,s\n", "t.csv: 1: a line names several pictures. Write the path below `root`."),
    ],
)
def test_a_wrong_line_is_a_fault_by_its_name(tmp_path: Path, lines: str, fault: str) -> None:
    listing = index(folder(tmp_path, "a/1.png", "b/1.png", lines=lines, table="t.csv", group_column="slide"))
    assert str(listing.faults[0]).startswith(fault)


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("name,slide\na/1.png,s\n", "t.csv, line 1: a column 'file' is needed.*Separate cells by commas"),
        ("file,case\na/1.png,s\n", "t.csv: a column 'slide' is needed. Known: case"),
        ("file,slide\na/1.png,s\na/1.png,s\n", "line 3: 'file' must be there and unique.*A picture has one line"),
        ("", "there is no 't.csv'"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, lines: str, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        index(folder(tmp_path, "a/1.png", lines=lines, table="t.csv", group_column="slide"))


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"group": "(case"}, "`group` must be a regular expression"),
        ({"group": "case"}, "`group` needs a group"),
        ({"group": "(?P<class>a)"}, "`group` needs a group"),
        ({"group": "(a)", "table": "t.csv", "group_column": "slide"}, "say the same"),
        ({"group_column": "slide"}, "are columns of `table`"),
        ({"table": "../t.csv"}, "`table` must lie below `root`"),
    ],
)
def test_options_that_say_nothing_are_refused(options: dict[str, str], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        ImagesSpec(root="/data", **options)


def test_ids_keep_their_leading_zeros(tmp_path: Path) -> None:
    spec = folder(tmp_path, "a/007.png", lines="file,case\n007,0012\n", table="t.csv", group_column="case")
    assert [image.subject for image in index(spec).images] == ["0012"]
