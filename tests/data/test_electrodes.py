"""Electrodes are found under all their names, and montages are made of them."""

from __future__ import annotations

import numpy as np
import pytest

from ctlr.data.kinds.signals.edf import Channel
from ctlr.data.kinds.signals.electrodes import derivations, name_of, used
from ctlr.errors import DataError
from ctlr.specs import ELECTRODES, MONTAGES

OLD = {"T7": "T3", "T8": "T4", "P7": "T5", "P8": "T6"}


def channels(*labels: str) -> list[Channel]:
    return [
        Channel(number=n, label=label, unit="uV", ranges=("-1", "1", "-1", "1"), samples=1, at=n - 1)
        for n, label in enumerate(labels, start=1)
    ]


def tuh(*left_out: str, ending: str = "REF") -> list[Channel]:
    names = [OLD.get(name, name) for name in (*ELECTRODES, "A1", "A2") if name not in left_out]
    return channels("EEG EKG1-REF", *(f"EEG {name.upper()}-{ending}" for name in names))


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("EEG FP1-REF", "FP1"), ("EEG FP1-LE", "FP1"), ("Fp1", "FP1"), ("fp1-avg", "FP1"), ("EEG T3-REF", "T7"),
        ("T8", "T8"), ("EEG T6-LE", "P8"), ("FP1-F7", "FP1-F7"), ("EEG F7-T3", "F7-T7"), ("C3 - A2", "C3-A2"),
        ("POL T5", "P7"), ("EEG  Cz", "CZ"), ("PHOTIC-REF", "PHOTIC"),
    ],
)  # fmt: skip
def test_a_channel_has_one_name(label: str, name: str) -> None:
    assert name_of(label) == name


def test_the_montages_have_the_rows_that_tuh_gives_them() -> None:
    assert {name: len(rows) for name, rows in MONTAGES.items()} == {
        "tcp": 20, "tcp-ears": 22, "average": 19, "recorded": 19,
    }  # fmt: skip
    assert [row.replace("T7", "T3").replace("T8", "T4").upper() for row in MONTAGES["tcp-ears"][8:14]] == [
        "A1-T3", "T3-C3", "C3-CZ", "CZ-C4", "C4-T4", "T4-A2",
    ]  # fmt: skip
    assert set(MONTAGES["tcp-ears"]) - set(MONTAGES["tcp"]) == {"A1-T7", "T8-A2"}


@pytest.mark.parametrize("ending", ["REF", "LE"])
def test_a_bipolar_montage_is_made_of_differences(ending: str) -> None:
    there = tuh(ending=ending)
    rows = derivations("tcp", there)
    assert [row.name for row in rows] == list(MONTAGES["tcp"])
    labels = {place: channel.label for place, channel in enumerate(there)}
    assert {labels[place]: weight for place, weight in rows[1].weights.items()} == {
        f"EEG F7-{ending}": 1.0, f"EEG T3-{ending}": -1.0,
    }  # fmt: skip
    assert 0 not in used(rows)


def test_a_recording_that_holds_the_differences_is_taken_as_it_is() -> None:
    there = channels(*(f"EEG {row}" for row in MONTAGES["tcp"]))
    assert [row.weights for row in derivations("tcp", there)] == [{place: 1.0} for place in range(20)]


def test_the_average_montage_has_no_mean() -> None:
    rows = derivations("average", tuh())
    weights = np.zeros((19, 22))
    for row, derivation in zip(weights, rows, strict=True):
        row[list(derivation.weights)] = list(derivation.weights.values())
    np.testing.assert_allclose(weights.sum(0), 0, atol=1e-12)
    np.testing.assert_allclose(weights.sum(1), 0, atol=1e-12)
    np.testing.assert_allclose(np.diag(weights[:, 1:]), 18 / 19)


def test_rows_of_ones_own_are_electrodes_and_differences() -> None:
    rows = derivations(["EKG1", "C3-A2", "cz"], tuh())
    assert [row.weights for row in rows] == [{0: 1.0}, {9: 1.0, 21: -1.0}, {10: 1.0}]


def test_missing_electrodes_are_all_named() -> None:
    with pytest.raises(DataError, match="channels of the montage are missing: F7, P8. Known: A1") as caught:
        derivations("tcp", tuh("F7", "P8"))
    assert "Choose another `montage`." in caught.value.reason


def test_an_electrode_that_is_there_twice_is_refused() -> None:
    with pytest.raises(DataError, match="T7 is there twice"):
        derivations("tcp", [*tuh(), *channels("T7")])
