"""Drift is found where there is some, and seldom where there is none."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from ctlr.errors import DataError, WorkspaceError
from ctlr.monitoring import FILE, Seen, drift_between, image_features, read_reference
from ctlr.specs import ModelCard

CARD = ModelCard.model_validate(
    {
        "encoder": {"name": "small_cnn"}, "channels": 1, "ndim": 2, "shape": (1, 32, 32), "target": "x",
        "task": "classification", "classes": ("a", "b"),
    }
)  # fmt: skip


def picture(rng: np.random.Generator) -> NDArray[np.float32]:
    """A bright ellipse, longer than wide, somewhere near the middle, and noise."""
    rows, columns = np.mgrid[-1:1:32j, -1:1:32j]
    away = ((rows - rng.normal(0, 0.1)) / rng.uniform(0.5, 0.7)) ** 2 + ((columns - rng.normal(0, 0.1)) / 0.3) ** 2
    image = np.exp(-away) + rng.normal(0, 0.03, away.shape)
    return np.clip(image, 0, 1).astype(np.float32)[None]


def seen(images: Iterable[NDArray[Any]], likely: float = 0.5, card: ModelCard = CARD, seed: int = 0) -> Seen:
    found, rng = Seen(card), np.random.default_rng(seed)
    for image in images:
        found.add_image(image)
        first = rng.uniform(0.6, 0.9)
        found.add_prediction(np.array([first, 1 - first] if rng.random() < likely else [1 - first, first]))
    return found


def pictures(n: int, seed: int) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    return [picture(rng) for _ in range(n)]


REFERENCE = seen(pictures(80, 0)).reference()


@pytest.mark.parametrize(
    ("change", "features"),
    [
        (lambda image: np.minimum(image + 0.3, 1), {"intensity q05", "mean"}),
        (lambda image: image**0.5, {"intensity q50", "spread"}),
        (lambda image: image[:, :, ::-1].transpose(0, 2, 1), {"edges 1", "extent 1", "extent 2"}),
        (lambda image: ndimage.rotate(image, 20, axes=(1, 2), reshape=False, mode="nearest"), {"tilt 1-2"}),
        (lambda image: np.roll(image, 5, axis=1), {"centre 1"}),
        (lambda image: ndimage.gaussian_filter(image, (0, 1, 1)), {"sharpness"}),
    ],
    ids=["brightness", "contrast", "a quarter turn", "20 degrees", "place", "blur"],
)
def test_each_change_is_found_in_the_feature_that_it_changes(change: Any, features: set[str]) -> None:
    found = drift_between(REFERENCE, seen([change(image) for image in pictures(40, 1)], seed=1))
    assert found.verdict == "drift"
    drifted = {row.feature for row in found.rows if row.drifted}
    assert features <= drifted
    assert all(row.p_corrected <= 0.01 for row in found.rows[: len(drifted)])
    assert all(feature in found.told for feature in drifted)
    assert drifted.isdisjoint({"confidence", "predicted class"})


def test_of_images_alike_at_most_one_window_in_a_hundred_is_called_drifted() -> None:
    alarms = sum(
        drift_between(seen(pictures(40, 2 * n), seed=2 * n).reference(), seen(pictures(30, 2 * n + 1), seed=2 * n + 1))
        .verdict == "drift"
        for n in range(100)
    )  # fmt: skip
    assert alarms <= 4  # P(5 or more) = 0.0034 where the rate is 0.01


def test_other_predictions_are_drift_too() -> None:
    found = drift_between(REFERENCE, seen(pictures(60, 1), likely=0.95, seed=1))
    assert found.told == "60 images differ from the model's in predicted class."
    (row, *_) = found.rows
    assert row.distance == pytest.approx(abs(REFERENCE.classes["a"] / 80 - 57 / 60), abs=0.06)
    regression = CARD.model_copy(update={"classes": (), "task": "regression"})
    one, other = Seen(regression), Seen(regression)
    for number in range(20):
        one.add_prediction(np.array([40.0 + number]))
        other.add_prediction(np.array([70.0 + number]))
    one.images = other.images = 20
    (row,) = drift_between(one.reference(), other).rows
    assert (row.feature, row.distance, row.median_reference, row.median, row.drifted) == (
        "prediction",
        1,
        49.5,
        79.5,
        True,
    )
    assert row.p == pytest.approx(2 / 137846528820)  # 2 of (40 over 20) orders


def test_columns_beside_the_images_are_features_too() -> None:
    columns = ({"name": "age", "kind": "number"}, {"name": "site", "kind": "category", "categories": ("n", "s")})
    card = ModelCard.model_validate(CARD.model_dump() | {"inputs": columns})

    def read(ages: list[str], sites: str) -> Seen:
        found = Seen(card)
        for age, place in zip(ages, sites, strict=True):
            found.add_columns({"age": age, "site": place})
        found.images = len(ages)
        return found

    years = [str(number) for number in range(20, 39)]
    known = read([*years, ""], "n" * 10 + "s" * 10).reference()
    assert known.features["column age"] == tuple(range(20, 39))
    assert {name: sum(values) for name, values in known.features.items() if name != "column age"} == {
        "column age unknown": 1, "column site = n": 10, "column site = s": 10, "column site unknown": 0,
    }  # fmt: skip
    assert drift_between(known, read([*years, ""], "ns" * 10)).told == "no drift in 20 images."
    rows = {row.feature: row for row in drift_between(known, read([*years, "n/a"], "e" * 20)).rows}
    assert (rows["column age"].distance, rows["column site unknown"].distance) == (0, 1)
    older = drift_between(known, read([str(number) for number in range(60, 80)], "ns" * 10))
    assert older.told == "20 images differ from the model's in column age."
    assert "column age" not in {row.feature for row in drift_between(known, read([""] * 20, "ns" * 10)).rows}


def test_too_few_images_are_no_verdict() -> None:
    few = drift_between(REFERENCE, seen(pictures(9, 1)))
    assert (few.verdict, few.rows) == ("too few", ())
    assert few.told == "too few to tell: 9 images came in, and 10 are needed."
    few = drift_between(seen(pictures(9, 0)).reference(), seen(pictures(50, 1)))
    assert few.told == "too few to tell: 9 images the model was trained and validated on, and 10 are needed."


def test_the_stability_index_of_equal_distributions_is_0_and_of_others_large() -> None:
    same = drift_between(REFERENCE, seen(pictures(80, 0)))
    assert {row.psi for row in same.rows if row.feature not in ("confidence", "predicted class")} == {0}
    assert same.verdict == "no drift"


def test_features_of_a_known_image_are_known_numbers() -> None:
    image = np.zeros((1, 8, 12, 16), np.float32)
    image[:, 4:] = 1
    found = image_features(image)
    assert found["mean"] == found["spread"] == found["coverage"] == 0.5
    assert found["intensity q05"] == 0
    assert found["intensity q95"] == 1
    assert (found["edges 1"], found["edges 2"], found["edges 3"]) == (1, 0, 0)
    assert found["centre 1"] == pytest.approx(4 / 7)  # of places -1 to 1 in 8 steps, the mean of the last four
    assert (found["centre 2"], found["centre 3"], found["tilt 2-3"]) == pytest.approx((0, 0, 0), abs=1e-12)
    assert found["sharpness"] == pytest.approx(1 / 7 / 3 / 0.5)
    diagonal = np.eye(64, dtype=np.float32)[None].repeat(3, 0)
    diagonal[1] *= 2
    found = image_features(diagonal)
    assert found["tilt 1-2"] == pytest.approx(1)
    assert found["channel 1"] == 2 * found["channel 0"]


def test_an_image_of_one_value_has_features_all_the_same() -> None:
    assert np.isfinite(list(image_features(np.ones((1, 5, 5), np.float32)).values())).all()


def test_a_reference_is_read_again_and_its_absence_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(REFERENCE.model_dump_json())
    assert read_reference(tmp_path) == REFERENCE
    (tmp_path / FILE).write_text("{")
    with pytest.raises(WorkspaceError, match="cannot be read"):
        read_reference(tmp_path)
    (tmp_path / FILE).unlink()
    with pytest.raises(DataError, match="an older CTLR wrote the model"):
        read_reference(tmp_path)


def test_values_of_one_image_cannot_be_found_in_a_reference() -> None:
    for values in REFERENCE.features.values():
        assert list(values) == sorted(values)
