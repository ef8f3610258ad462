import pytest

from ctlr.data.columns import Column, columns_of
from ctlr.data.listing import IndexedImage


def column(cells: list[str], name: str = "what", people: list[str] | None = None, unit: str = "") -> Column:
    owners = people or [f"s{number}" for number in range(len(cells))]
    images = [
        IndexedImage(subject=owner, file=f"{number}.png", columns={name: cell})
        for number, (cell, owner) in enumerate(zip(cells, owners, strict=True))
    ]
    (found,) = columns_of(images, {name: unit} if unit else {})
    return found


def test_many_numbers_measure_something() -> None:
    found = column([f"{20 + number},5" for number in range(12)] + ["n/a"], unit="years")
    assert (found.holds, found.known, found.missing) == ("number", 12, 1)
    assert found.words == "20.5 to 31.5, median 26 years"


@pytest.mark.parametrize("cells", [["0", "1"] * 6, ["F", "M"] * 6, ["1", "2", "3"] * 4])
def test_few_codes_and_words_are_classes(cells: list[str]) -> None:
    found = column(cells)
    assert found.holds == "classes"
    assert sum(found.classes.values()) == 12


def test_fractions_are_numbers_however_few() -> None:
    assert column(["0", "0.5", "1"] * 4).holds == "number"


@pytest.mark.parametrize("name", ["class", "label"])
def test_ten_digits_are_classes_where_the_name_says_so(name: str) -> None:
    digits = [str(number % 10) for number in range(60)]
    assert column(digits, name=name).holds == "classes"
    assert column(digits).holds == "number"


def test_a_folder_may_have_very_many_classes() -> None:
    assert column([f"flower {number % 102}" for number in range(306)], name="class").holds == "classes"


def test_classes_count_people_not_images() -> None:
    found = column(["F", "F", "F", "M"], people=["a", "a", "a", "b"])
    assert found.classes == {"F": 1, "M": 1}
    assert found.fewest == 1


def test_a_column_of_names_is_text_and_one_value_constant() -> None:
    assert column([f"word {number}" for number in range(12)]).words == "text, 12 different"
    assert column(["MRI"] * 12).words == "MRI throughout"
    assert column(["n/a"] * 12).words == "nothing"


@pytest.mark.parametrize(
    ("name", "role"),
    [("site", "site"), ("Scanner", "site"), ("Acq Date", "identifier"), ("Visit", "identifier"), ("age", "")],
)
def test_a_name_says_what_is_no_target(name: str, role: str) -> None:
    assert column(["1", "2"] * 6, name=name).role == role


def test_sides_are_no_column() -> None:
    assert columns_of([IndexedImage(subject="a", file="a", columns={"split": "train"})], {}) == []
