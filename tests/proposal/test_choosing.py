from pathlib import Path

import layouts
import nibabel as nib
import numpy as np
import pytest

from ctlr.errors import ConfigError
from ctlr.proposal import Choice, choose, look

VOLUME = nib.Nifti1Image(np.arange(512, dtype=np.int16).reshape(8, 8, 8), np.diag([20.0, 20, 20, 1])).to_bytes()


def tree(root: Path, header: str, rows: list[str]) -> Path:
    """A BIDS folder whose images nobody opens."""
    for name in (row.partition("\t")[0] for row in rows):
        (root / name / "anat").mkdir(parents=True)
        (root / name / "anat" / f"{name}_T1w.nii").write_bytes(VOLUME)
    (root / "participants.tsv").write_text("\n".join(["participant_id\t" + header, *rows]) + "\n")
    return root


def people(count: int, cells: str) -> list[str]:
    """Lines whose cells are formatted with the person's number, `n`."""
    return [
        f"sub-{n:03}\t" + cells.format(n=n, half="ab"[n % 2], third="xyz"[n % 3], odd=n * 7 % 11) for n in range(count)
    ]


def chosen(folder: Path, target: str | None = None) -> Choice:
    return choose(look(folder), target)


def test_a_diagnosis_is_asked_for_before_an_age_and_sex_teaches(tmp_path: Path) -> None:
    found = chosen(tree(tmp_path / "d", "age\tsex\tdiagnosis", people(60, "{n}.5\t{half}\t{third}")))
    assert found.target.column.name == "diagnosis"
    assert found.guessed
    assert found.others == ("age", "sex")
    assert found.source is not None
    assert found.source[1].column.name == "sex"


def test_an_age_is_asked_for_where_a_class_has_few_people(tmp_path: Path) -> None:
    found = chosen(tree(tmp_path / "d", "age\tgroup", people(18, "{n}.5\t{third}")))
    assert found.target.column.name == "age"


def test_what_the_user_names_is_asked_for(tmp_path: Path) -> None:
    found = chosen(tree(tmp_path / "d", "age\tsex\tdiagnosis", people(60, "{n}.5\t{half}\t{third}")), "age")
    assert (found.target.column.name, found.guessed) == ("age", False)
    assert found.why["target"] == "age, as you named it"


def test_a_column_that_repeats_the_target_teaches_nothing(tmp_path: Path) -> None:
    found = chosen(tree(tmp_path / "d", "age\tage_months", people(30, "{n}.5\t{n}6")), "age")
    assert found.source is None
    assert "no other column is known for everyone" in found.why["source"]


def test_a_column_that_is_missing_for_some_teaches_nothing(tmp_path: Path) -> None:
    rows = people(30, "{n}.5\t{half}")
    rows[3] = rows[3][:-1] + "n/a"
    assert chosen(tree(tmp_path / "d", "age\tsex", rows), "age").source is None


def test_of_two_datasets_the_larger_teaches_the_smaller(tmp_path: Path) -> None:
    tree(tmp_path / "d/small", "age", people(24, "{n}.5"))
    tree(tmp_path / "d/large", "age", [row.replace("sub-", "sub-b") for row in people(40, "{odd}{n}.5")])
    found = chosen(tmp_path / "d")
    assert found.data.name == "small"
    assert found.source is not None
    assert (found.source[0].name, found.source[1].column.name) == ("large", "age")


@pytest.mark.parametrize(
    ("count", "sizes"), [(12, (4,)), (24, (4, 9)), (40, (10, 15)), (200, (20, 50, 75)), (300, (20, 50, 100))]
)
def test_sizes_leave_a_quarter_to_test_and_as_many_to_validate(
    count: int, sizes: tuple[int, ...], tmp_path: Path
) -> None:
    found = chosen(tree(tmp_path / "d", "age", people(count, "{n}.5")))
    assert found.sizes == sizes
    assert found.test == 0.25
    assert count - round(count * 0.25) >= 2 * max(found.sizes)


def test_sides_that_the_folder_gives_are_kept(tmp_path: Path) -> None:
    found = chosen(layouts.kaggle_split(tmp_path))
    assert found.sided
    assert found.sizes == (10, 20)
    assert found.why["sizes"] == "12 subjects test and 4 validate, as the folder says"


def test_sex_and_site_are_balanced_where_there_are_enough_of_each(tmp_path: Path) -> None:
    found = chosen(tree(tmp_path / "d", "age\tsex\tsite", people(60, "{n}.5\t{half}\t{third}")))
    assert found.stratify == ("sex", "site")
    found = chosen(tree(tmp_path / "e", "age\tsex\tsite", people(18, "{n}.5\t{half}\t{third}")))
    assert found.stratify == ()


@pytest.mark.parametrize(
    ("target", "words"),
    [("aeg", "there is no column 'aeg'. Did you mean 'age'"), ("words", "the column holds text")],
)
def test_a_target_that_cannot_be_is_refused(target: str, words: str, tmp_path: Path) -> None:
    folder = tree(tmp_path / "d", "age\twords", people(30, "{n}.5\tword {n}"))
    with pytest.raises(ConfigError, match=words):
        chosen(folder, target)


def test_a_folder_without_a_target_says_what_its_columns_hold(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing in d can be a target.*words \(text, 30 different\)"):
        chosen(tree(tmp_path / "d", "words", people(30, "word {n}")))


def test_too_few_people_are_refused_with_the_numbers(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="has 4 subjects with 'age': 2 to test leave 2 to train and validate on, too few"
    ):
        chosen(tree(tmp_path / "d", "age", people(4, "{n}.5")))
