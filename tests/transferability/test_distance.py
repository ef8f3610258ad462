from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from ctlr.errors import ConfigError, DataError
from ctlr.transferability import pca
from ctlr.transferability.distance import Classes, class_distances
from ctlr.transferability.hausdorff import hausdorff


def dataset(*means: float, n: int = 30, width: int = 12, seed: int = 0, sizes: tuple[int, ...] = ()) -> Classes:
    """Normal clouds around a mean for each class."""
    rng = np.random.default_rng(seed)
    counts = sizes or (n,) * len(means)
    clouds = [rng.normal(mean, 1, (count, width)) for mean, count in zip(means, counts, strict=True)]
    points = np.concatenate(clouds).astype(np.float32) if clouds else np.empty((0, width), np.float32)
    ends = np.cumsum([0, *counts])
    rows = tuple(np.arange(first, last) for first, last in pairwise(ends))
    names = tuple(f"class {number}" for number in range(len(means)))
    return Classes(names, rows, lambda wanted: points[wanted], width)


def test_the_nearest_source_class_of_each_target_class_is_found() -> None:
    found = class_distances(dataset(0, 10, 20), dataset(19, 1, seed=1), seed=0, n_components=5)
    assert found.both.shape == (3, 2)
    assert found.nearest.tolist() == [2, 0]
    assert found.mean == pytest.approx(found.both.mean())


def test_all_components_keep_the_distances_of_the_images_themselves() -> None:
    source, target = dataset(0, 3), dataset(1, seed=1)
    found = class_distances(source, target, seed=0, n_components=12)
    for number, rows in enumerate(source.rows):
        plain = hausdorff(source.read(rows), target.read(target.rows[0]))
        assert (found.forward[number, 0], found.backward[number, 0]) == pytest.approx(
            (plain.forward, plain.backward), rel=1e-4
        )


def test_every_class_is_cut_to_the_smallest() -> None:
    found = class_distances(dataset(0, 1, sizes=(50, 9)), dataset(0, seed=1), seed=0, n_components=3)
    assert found.per_class == 9


def test_the_same_seed_gives_the_same_table_in_any_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = dataset(0, 1, sizes=(50, 9)), dataset(0, seed=1)
    first = class_distances(source, target, seed=3, n_components=3)
    monkeypatch.setattr(pca, "_BLOCK_BYTES", 4 * 12 * 5)
    np.testing.assert_allclose(class_distances(source, target, seed=3, n_components=3).both, first.both, rtol=1e-4)
    assert not np.allclose(class_distances(source, target, seed=4, n_components=3).both, first.both)


def test_swapping_source_and_target_swaps_the_directions() -> None:
    one, two = dataset(0, 2), dataset(1, seed=1)
    there, back = (class_distances(a, b, seed=0, n_components=12) for a, b in ((one, two), (two, one)))
    np.testing.assert_allclose(there.forward, back.backward.T, rtol=1e-4)


def constant(n: int) -> Classes:
    points = np.ones((n, 12), np.float32)
    return Classes(("only",), (np.arange(n),), lambda wanted: points[wanted], 12)


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        (dataset(0, 1, sizes=(5, 0)), dataset(0), "Class 'class 1' of the source has 0 images"),
        (dataset(0), dataset(0, sizes=(1,)), "Class 'class 0' of the target has 1 image, and two"),
        (dataset(), dataset(0), "The source has no class"),
        (dataset(0), dataset(0, width=9), "one size; got 12 and 9"),
        (constant(5), constant(5), "equal"),
    ],
)
def test_datasets_that_cannot_be_compared_are_refused(source: Classes, target: Classes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        class_distances(source, target, seed=0, n_components=3)


def test_images_that_are_no_numbers_are_named_by_their_class() -> None:
    sound = dataset(0, 1, n=9)

    def read(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.where((rows == 12)[:, None], np.float32(np.nan), sound.read(rows))

    broken = Classes(sound.names, sound.rows, read, sound.width)
    with pytest.raises(
        DataError, match="1 of 9 images of class 'class 1' of the target hold values that are not finite"
    ):
        class_distances(dataset(0, n=9), broken, seed=0, n_components=3)


def test_one_class_of_equal_images_lies_at_the_distance_of_its_image() -> None:
    found = class_distances(constant(5), dataset(0, n=5), seed=0, n_components=9)
    nearest = np.linalg.norm(dataset(0, n=5).read(np.arange(5)) - 1, axis=1).min()
    assert found.forward[0, 0] == pytest.approx(nearest, rel=1e-3)


def test_more_components_than_images_are_refused() -> None:
    with pytest.raises(ConfigError, match="148 components need 149 images"):
        class_distances(dataset(0), dataset(1), seed=0)


def test_reading_asks_for_chosen_rows_alone() -> None:
    asked: list[NDArray[np.int64]] = []
    whole = dataset(0, 1, sizes=(50, 9))

    def read(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        asked.append(rows)
        return whole.read(rows)

    class_distances(Classes(whole.names, whole.rows, read, 12), dataset(0, seed=1), seed=0, n_components=3)
    assert len(np.unique(np.concatenate(asked))) == 18
