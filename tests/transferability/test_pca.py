import numpy as np
import pytest
from numpy.typing import NDArray

from ctlr.errors import ConfigError, DataError
from ctlr.transferability import pca as module
from ctlr.transferability.pca import Components, Source, principal_components


def spread(rows: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """Points whose variance falls along hidden axes."""
    rng = np.random.default_rng(seed)
    rank = min(rows, width)
    mixed = rng.standard_normal((rows, rank)) * 10 * np.arange(1, rank + 1) ** -0.8
    return (mixed @ rng.standard_normal((rank, width)) / np.sqrt(width) + 3).astype(np.float32)


def source(points: NDArray[np.float32]) -> Source:
    return Source(*points.shape, lambda start, stop: points[start:stop])


def by_svd(points: NDArray[np.float32], n: int) -> Components:
    exact = points.astype(np.float64)
    mean = exact.mean(0)
    _, singular, axes = np.linalg.svd(exact - mean, full_matrices=False)
    variance = singular**2 / (len(points) - 1)
    return Components(mean.astype(np.float32), axes[:n].astype(np.float32), variance[:n], float(variance.sum()))


def largest_angle(first: Components, second: Components) -> float:
    """Sine of the largest angle between two subspaces."""
    ours, theirs = first.axes.astype(np.float64), second.axes.astype(np.float64)
    return float(np.linalg.norm(theirs - theirs @ ours.T @ ours, 2))


@pytest.mark.parametrize(("rows", "width"), [(120, 40), (40, 120)], ids=["many images", "many features"])
def test_components_are_those_of_a_singular_value_decomposition(rows: int, width: int) -> None:
    points = spread(rows, width)
    found, exact = principal_components(source(points), n=8), by_svd(points, 8)
    np.testing.assert_allclose(found.variance, exact.variance, rtol=1e-4)
    assert found.total_variance == pytest.approx(exact.total_variance, rel=1e-5)
    assert largest_angle(found, exact) < 1e-3
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(8), atol=1e-5)


@pytest.mark.parametrize(("rows", "width"), [(120, 40), (40, 120)])
def test_blocks_give_what_one_piece_gives(rows: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    points = spread(rows, width)
    whole = principal_components(source(points), n=5)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 4 * width * 7)
    pieces = principal_components(source(points), n=5)
    np.testing.assert_allclose(pieces.variance, whole.variance, rtol=1e-5)
    assert largest_angle(pieces, whole) < 1e-3


def test_where_both_images_and_features_are_many_the_subspace_is_iterated_to_the_same_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = spread(150, 90)
    monkeypatch.setattr(module, "_SMALL", 10)
    found, exact = principal_components(source(points), n=6), by_svd(points, 6)
    np.testing.assert_allclose(found.variance, exact.variance, rtol=1e-3)
    assert largest_angle(found, exact) < 1e-3


def test_a_share_of_variance_takes_as_few_components_as_hold_it() -> None:
    points = spread(120, 40)
    found = principal_components(source(points), share=0.9)
    shares = np.cumsum(by_svd(points, 40).explained)
    assert len(found.axes) == 1 + int(np.searchsorted(shares, 0.9))
    assert found.explained.sum() >= 0.9


def test_projections_lie_around_zero_with_the_variance_of_each_axis() -> None:
    points = spread(120, 40)
    found = principal_components(source(points), n=4)
    projected = found.project(points)
    np.testing.assert_allclose(projected.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(projected.var(0, ddof=1), found.variance, rtol=1e-4)


def test_more_components_than_there_can_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="148 components need 149 images .* got 20 of 50. Ask for 19 or fewer"):
        principal_components(source(spread(20, 50)))


def test_images_without_numbers_or_differences_are_refused() -> None:
    points = spread(20, 5)
    points[3, 2] = np.nan
    with pytest.raises(DataError, match="finite"):
        principal_components(source(points), n=2)
    with pytest.raises(DataError, match="equal"):
        principal_components(source(np.ones((20, 5), np.float32)), n=2)


def test_axes_without_variance_are_orthogonal_too() -> None:
    points = np.repeat(np.random.default_rng(0).normal(size=(4, 40)).astype(np.float32), 5, axis=0)
    found = principal_components(source(points), n=12)
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(12), atol=1e-5)
    assert found.explained[:3].sum() == pytest.approx(1)


def test_one_component_is_the_axis_of_largest_variance() -> None:
    points = np.random.default_rng(0).normal(size=(9, 40)).astype(np.float32)
    points[:, 7] *= 100
    (axis,) = principal_components(source(points), n=1).axes
    assert axis[7] == pytest.approx(1, abs=1e-2)
