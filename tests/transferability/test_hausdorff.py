import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, directed_hausdorff

from ctlr.errors import DataError
from ctlr.transferability import hausdorff as module
from ctlr.transferability.hausdorff import Distances, hausdorff, nearest_distances


def points(*rows: tuple[float, ...]) -> NDArray[np.float32]:
    return np.array(rows, np.float32)


def normal(n: int, width: int, seed: int, shift: float = 0.0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((n, width), dtype=np.float32) + np.float32(shift)


def test_on_a_line_distances_are_those_counted_by_hand() -> None:
    first, second = points((0.0,), (1.0,), (2.0,)), points((0.0,), (6.0,))
    # 0 -> 0, 1 -> 1, 2 -> 2; back 0 -> 0, 6 -> 4.
    assert hausdorff(first, second) == Distances(1.0, 2.0)
    assert hausdorff(first, second, modified=False) == Distances(2.0, 4.0)
    assert hausdorff(first, second).both == 2.0


def test_a_set_is_at_no_distance_from_itself() -> None:
    first = normal(300, 20, 0, shift=1e4)
    assert hausdorff(first, first) == Distances(0.0, 0.0)


def test_the_order_of_the_sets_swaps_directions() -> None:
    first, second = normal(40, 5, 0), normal(70, 5, 1)
    there, back = hausdorff(first, second), hausdorff(second, first)
    assert (there.forward, there.backward) == pytest.approx((back.backward, back.forward))


@pytest.mark.parametrize("shift", [0.0, 0.1, 50.0])
def test_values_are_those_of_scipy(shift: float) -> None:
    first, second = normal(500, 148, 0), normal(400, 148, 1, shift)
    table = cdist(first, second)
    found = hausdorff(first, second)
    assert (found.forward, found.backward) == pytest.approx((table.min(1).mean(), table.min(0).mean()), rel=1e-5)
    plain = hausdorff(first, second, modified=False)
    assert plain.forward == pytest.approx(directed_hausdorff(first, second)[0], rel=1e-5)
    assert plain.backward == pytest.approx(directed_hausdorff(second, first)[0], rel=1e-5)


def test_slabs_give_what_one_product_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = normal(301, 7, 0), normal(203, 7, 1)
    whole = nearest_distances(first, second)
    monkeypatch.setattr(module, "_CHUNK_BYTES", 4 * 203 * 10)
    slabs = nearest_distances(first, second)
    np.testing.assert_allclose(slabs[0], whole[0], rtol=1e-6)
    np.testing.assert_allclose(slabs[1], whole[1], rtol=1e-6)


def test_points_far_from_the_origin_keep_their_digits() -> None:
    first = normal(200, 3, 0)
    near = first + np.float32(0.001)
    assert hausdorff(first + np.float32(1000), near + np.float32(1000)).both == pytest.approx(
        cdist(first + np.float32(1000), near + np.float32(1000)).min(1).mean(), rel=1e-4
    )


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (np.empty((0, 3), np.float32), normal(3, 3, 0), "at least one row"),
        (normal(3, 3, 0), points((np.nan, 0.0, 0.0)), "finite; 1 of 1"),
        (normal(3, 3, 0), normal(3, 4, 0), "one width; got 3 and 4"),
    ],
)
def test_sets_that_cannot_be_compared_are_refused(
    first: NDArray[np.float32], second: NDArray[np.float32], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        hausdorff(first, second)
