"""Columns beside the image: what they become is learned on training subjects, and none of them may tell the target."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from ctlr.data.inputs import check_inputs, encoded, encoded_rows, given_cells, input_columns, nearly_tells
from ctlr.data.table import ImageRecord, Table
from ctlr.data.targets import read_targets
from ctlr.errors import ConfigError, CtlrError, DataError, LeakageError
from ctlr.specs import InputColumn, TaskSpec


def table(columns: Mapping[str, Sequence[str]]) -> Table:
    rows = zip(*columns.values(), strict=True)
    return Table.of([
        ImageRecord(subject=f"sub-{i:03}", file=f"{i}.nii", sha256=f"{i:064x}",
                    columns=dict(zip(columns, cells, strict=True)))
        for i, cells in enumerate(rows)
    ])  # fmt: skip


EVERYONE = table({
    "sex": ["F", "M", " F ", "n/a", "X", "M"],
    "weight": ["60", "80,0", "n/a", "100", "1000", ""],
    "site": ["1", "2", "1", "1", "3", "2"],
})  # fmt: skip
TRAIN = np.array([0, 1, 2])


def learned(**inputs: str) -> tuple[InputColumn, ...]:
    return input_columns(EVERYONE, inputs, TRAIN, "clinic")


def test_a_category_is_one_of_those_met_in_training_and_any_other_is_all_zeros() -> None:
    (sex,) = learned(sex="auto")
    assert (sex.kind, sex.categories, sex.width) == ("category", ("F", "M"), 2)
    numbers = encoded_rows([sex], EVERYONE, np.arange(6))
    assert numbers.dtype == np.float32
    assert numbers.tolist() == [[1, 0], [0, 1], [1, 0], [0, 0], [0, 0], [0, 1]]


def test_a_number_is_standardised_by_the_training_subjects_and_a_missing_one_has_a_sign() -> None:
    (weight,) = learned(weight="auto")
    assert (weight.kind, weight.mean, weight.std, weight.flagged) == ("number", 70, 10, True)
    numbers = encoded_rows([weight], EVERYONE, np.arange(6))
    assert numbers.tolist() == [[-1, 0], [1, 0], [0, 1], [3, 0], [93, 0], [0, 1]]


def test_where_no_training_subject_lacks_a_number_a_missing_one_is_the_mean() -> None:
    (weight,) = input_columns(EVERYONE, {"weight": "number"}, np.array([0, 1, 3]), "clinic")
    assert (weight.mean, weight.flagged, weight.width) == (80, False, 1)
    assert encoded([weight], {"weight": ["", "80"]}).tolist() == [[0], [0]]


def test_a_number_that_never_varied_in_training_says_nothing() -> None:
    (weight,) = input_columns(EVERYONE, {"weight": "auto"}, np.array([1]), "clinic")
    assert encoded([weight], {"weight": ["80", "500"]}).tolist() == [[0], [0]]


def test_codes_are_numbers_unless_the_task_says_that_they_are_categories() -> None:
    assert [column.kind for column in learned(site="auto")] == ["number"]
    assert [column.categories for column in learned(site="category")] == [("1", "2")]


def test_columns_stand_beside_each_other_in_the_order_of_the_task() -> None:
    both = learned(sex="auto", weight="auto")
    assert encoded_rows(both, EVERYONE, np.array([1])).tolist() == [[0, 1, 1, 0]]


def test_a_column_that_another_dataset_does_not_have_is_missing_there() -> None:
    other = table({"age": ["20", "30"]})
    assert encoded_rows(learned(sex="auto", weight="auto"), other, np.arange(2)).tolist() == [[0, 0, 0, 1]] * 2


def test_cells_of_others_teach_nothing() -> None:
    changed = table({
        "sex": ["F", "M", "F", "Q", "Q", "Q"], "weight": ["60", "80", "n/a", "1", "2", "3"], "site": ["1"] * 6,
    })  # fmt: skip
    inputs = {"sex": "auto", "weight": "auto"}
    assert input_columns(changed, inputs, TRAIN, "clinic") == learned(**inputs)


@pytest.mark.parametrize(
    ("inputs", "rows", "words"),
    [
        ({"sx": "auto"}, TRAIN, "has no column 'sx' for a task's `inputs`. Did you mean 'sex'?"),
        ({"sex": "number"}, TRAIN, "Input 'sex' of dataset 'clinic' must be a number or n/a"),
        ({"sex": "auto"}, np.array([3]), "must be known for some training subjects"),
    ],
    ids=["unknown", "text", "empty"],
)
def test_a_column_that_cannot_be_read_is_refused(inputs: dict[str, str], rows: np.ndarray, words: str) -> None:
    with pytest.raises(CtlrError, match=re.escape(words)):
        input_columns(EVERYONE, inputs, rows, "clinic")


# ---------------------------------------------------------------- what is handed to a model


def test_cells_are_given_as_texts_numbers_or_none() -> None:
    columns = learned(sex="auto", weight="auto", site="category")
    cells = given_cells(columns, {"sex": ["F", None], "weight": [np.float64(90), None], "site": [1.0, 2]}, 2)
    assert encoded(columns, cells).tolist() == [[1, 0, 2, 0, 1, 0], [0, 0, 0, 1, 0, 1]]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "reads 'sex', 'weight' beside the image; 'sex', 'weight' are not given"),
        ({"sex": ["F"]}, "'weight' is not given"),
        ({"sex": ["F"], "weight": [1], "age": [3]}, "`inputs` has 'age'. Leave it out"),
        ({"sex": ["F", "M"], "weight": [1]}, "'sex' has 2 for 1 images"),
        ({"sex": ["F"], "weight": ["heavy"]}, "'weight' must be a number or None, as in training; got 'heavy'"),
    ],
    ids=["nothing", "lacking", "unknown", "length", "text"],
)
def test_a_model_says_which_columns_it_lacks(given: dict[str, list[object]] | None, words: str) -> None:
    with pytest.raises(DataError, match=re.escape(words)):
        given_cells(learned(sex="auto", weight="auto"), given, 1)


def test_a_model_of_images_alone_takes_no_columns() -> None:
    assert given_cells((), None, 3) == {}
    with pytest.raises(DataError, match="the model reads no column beside the image"):
        given_cells((), {"sex": ["F"]}, 1)


# ---------------------------------------------------------------- leaks

RNG = np.random.default_rng(0)
AGES = np.round(RNG.uniform(20, 80, 120), 1)
SEXES = np.array(["F", "M"])[RNG.integers(0, 2, 120)]
COHORT = table({
    "age": [f"{age:g}" for age in AGES],
    "sex": SEXES.tolist(),
    "site": [f"site{i % 3}" for i in range(120)],
    "months": [f"{12 * age:g}" for age in AGES],
    "log_age": [f"{np.log(age):.6f}" for age in AGES],
    "decade": [f"{age // 10:.0f}0s" for age in AGES],
    "gender": ["w" if sex == "F" else "m" for sex in SEXES],
    "ward": [f"{'w' if sex == 'F' else 'm'}{i % 2}" for i, sex in enumerate(SEXES)],
    "code": [f"{sex == 'F':d}{i % 10}" for i, sex in enumerate(SEXES)],
    "name": [f"patient {i}" for i in range(120)],
    "weight": [f"{70 + RNG.normal():.2f}" for _ in range(120)],
    "split": ["train", "test"] * 60,
})  # fmt: skip


def checked(target: str, kind: str, **inputs: str) -> None:
    task = TaskSpec.model_validate({"name": "asked", "target": target, "kind": kind, "inputs": inputs})
    check_inputs(COHORT, task, read_targets(COHORT, task, "clinic"))


def test_columns_that_tell_little_are_let_through() -> None:
    checked("age", "regression", sex="auto", site="auto", weight="auto", decade="auto")
    checked("sex", "classification", age="auto", site="auto", weight="auto")


@pytest.mark.parametrize(
    ("target", "kind", "column"),
    [
        ("age", "regression", "months"),
        ("age", "regression", "log_age"),
        ("sex", "classification", "gender"),
        ("sex", "classification", "ward"),
        ("sex", "classification", "code"),
    ],
)
def test_a_column_that_tells_the_target_is_refused(target: str, kind: str, column: str) -> None:
    with pytest.raises(LeakageError, match=f"Input '{column}' of dataset 'clinic' tells the target '{target}'"):
        checked(target, kind, **{column: "auto"})


def test_a_column_that_names_subjects_is_refused() -> None:
    with pytest.raises(ConfigError, match="'name' of dataset 'clinic' has 120 categories, and 120 of them have one"):
        checked("age", "regression", name="auto")


def test_the_column_of_sides_is_refused() -> None:
    with pytest.raises(ConfigError, match="'split' says who trains and tests"):
        checked("age", "regression", split="auto")


def test_a_column_that_nearly_tells_the_target_is_named() -> None:
    task = TaskSpec(name="age", target="age", kind="regression", inputs={"decade": "auto", "sex": "auto"})
    (told,) = nearly_tells(COHORT, task, read_targets(COHORT, task, "clinic"))
    assert told.startswith("Input 'decade' nearly tells the target (correlation ratio 0.98")
