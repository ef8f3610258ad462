import numpy as np
import pytest

from ctlr.data.people import copied, same_people
from ctlr.data.store import ImageRecord
from ctlr.data.targets import Targets

RNG = np.random.default_rng(0)


def table(ids: list[str], **columns: list[object]) -> list[ImageRecord]:
    return [
        ImageRecord(
            subject=who, file=who, sha256=who, columns={name: str(cells[row]) for name, cells in columns.items()}
        )
        for row, who in enumerate(ids)
    ]


IDS = [f"sub-{number:02d}" for number in range(40)]
AGES, SEXES = RNG.uniform(20, 80, 40).round(1).tolist(), RNG.choice(["F", "M"], 40).tolist()
RAW = table(IDS, age=AGES, sex=SEXES, site=["A"] * 40)


def test_a_derivative_that_repeats_the_table_holds_the_same_people() -> None:
    assert same_people(RAW, table(IDS[5:30], age=AGES[5:30], sex=SEXES[5:30]))


def test_a_second_visit_years_later_at_another_site_holds_the_same_people() -> None:
    later = [age + 3 + shift for age, shift in zip(AGES, RNG.normal(0, 0.5, 40), strict=True)]
    assert same_people(RAW, table(IDS, age=later, sex=[sex.lower() for sex in SEXES], site=["B"] * 40))


def test_ids_without_a_column_in_common_are_taken_for_the_same_people() -> None:
    assert same_people(RAW, table(IDS, iq=list(range(40))))


@pytest.mark.parametrize("seed", range(1, 21))
def test_two_studies_that_count_from_one_hold_different_people(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert not same_people(
        RAW, table(IDS, age=rng.uniform(20, 80, 40).tolist(), sex=rng.choice(["F", "M"], 40).tolist())
    )


def test_two_studies_that_list_patients_first_hold_different_people() -> None:
    groups = ["patient"] * 20 + ["control"] * 20
    other = table(IDS, age=AGES[::-1], sex=SEXES[::-1], group=groups)
    assert not same_people(table(IDS, age=AGES, sex=SEXES, group=groups), other)


def test_names_of_files_that_are_no_subjects_ids_say_nothing() -> None:
    pictures = table(["0001", "0002", "0003"], **{"class": ["cat", "dog", "cat"]})
    assert not same_people(pictures, pictures)


def numbers(values: list[float]) -> Targets:
    return Targets(values=np.array(values), column="a")


def classes(values: list[int], names: str = "FM") -> Targets:
    return Targets(values=np.array(values), classes=tuple(names), column="a")


YEARS = RNG.uniform(20, 80, 50)


def test_a_number_in_another_unit_or_on_another_scale_is_a_copy() -> None:
    for repeat in (YEARS * 12, 100 - YEARS, np.log(YEARS), YEARS + RNG.normal(0, 0.3, 50)):
        measure, count = copied(numbers(repeat.tolist()), numbers(YEARS.tolist())) or (0, 0)
        assert (measure > 0.999, count) == (True, 50)


def test_a_number_that_is_merely_related_is_none() -> None:
    assert copied(numbers((YEARS + RNG.normal(0, 3, 50)).tolist()), numbers(YEARS.tolist())) is None


def test_renamed_classes_are_a_copy_and_finer_ones_are_none() -> None:
    sexes = RNG.integers(0, 2, 60)
    assert copied(classes((1 - sexes).tolist()), classes(sexes.tolist())) == (1, 60)
    finer = (2 * sexes + RNG.integers(0, 2, 60)).tolist()
    assert copied(classes(finer, "abcd"), classes(sexes.tolist())) is None


def test_columns_that_are_never_known_together_say_nothing() -> None:
    assert copied(classes([-1, -1, -1, 0, 1, 0]), classes([0, 1, 0, -1, -1, -1])) is None
