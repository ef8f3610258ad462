from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from nibabel import orientations
from numpy.typing import NDArray
from scipy import ndimage

from ctlr.data.resample import Grid, centred_grid, resample, smoothing

CODES = [
    "".join(axes)
    for order in itertools.permutations(("LR", "PA", "IS"))
    for axes in itertools.product(*order)
]  # fmt: skip


def _texture(shape: tuple[int, ...]) -> NDArray[Any]:
    rough = np.random.default_rng(3).standard_normal(shape)
    return (1000 + 800 * ndimage.gaussian_filter(rough, 1.5) / 0.1).astype(np.int16)


def _reference(voxels: NDArray[Any], affine: NDArray[Any], grid: Grid, fill: float) -> NDArray[Any]:
    """The same by scipy alone, in float64: Gaussian along each axis, one linear interpolation, fill outside."""
    smooth = voxels.astype(np.float64)
    for axis, edge in enumerate(np.linalg.norm(affine[:3, :3], axis=0)):
        sigma = smoothing(grid.affine[0, 0] / edge)
        if sigma:
            smooth = ndimage.gaussian_filter1d(smooth, sigma, axis, mode="nearest", truncate=4.0)
    index = np.linalg.inv(affine) @ grid.affine
    out = ndimage.affine_transform(smooth, index[:3, :3], index[:3, 3], grid.shape, order=1, mode="nearest")
    at = np.einsum("ij,jxyz->ixyz", index[:3, :3], np.indices(grid.shape)) + index[:3, 3, None, None, None]
    last = np.array(voxels.shape)[:, None, None, None] - 0.5
    out[((at < -0.5) | (at > last)).any(axis=0)] = fill
    return np.asarray(out)


def _rotation(degrees: tuple[float, float, float]) -> NDArray[np.float64]:
    turn = np.eye(3)
    for (a, b), angle in zip(((0, 1), (1, 2), (0, 2)), np.deg2rad(degrees), strict=True):
        step = np.eye(3)
        step[[a, a, b, b], [a, b, a, b]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        turn = turn @ step
    return turn


def _affine(edges: tuple[float, float, float], degrees: tuple[float, float, float] = (0, 0, 0)) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, :3] = _rotation(degrees) @ np.diag(edges)
    affine[:3, 3] = (-31.3, 12.7, 4.1)
    return affine


@pytest.mark.parametrize(
    ("shape", "affine", "spacing"),
    [
        pytest.param((50, 44, 17), _affine((1.0, 1.2, 4.0)), 2.3, id="anisotropic"),
        pytest.param((50, 44, 17), _affine((1.0, -1.2, 4.0)), 0.9, id="enlarged and flipped"),
        pytest.param((40, 44, 38), _affine((1.1, 1.0, 1.3), (12, -7, 20)), 2.0, id="oblique, shrunk"),
        pytest.param((40, 44, 12), _affine((1.0, 1.0, 4.0), (5, 3, -9)), 1.5, id="oblique, anisotropic"),
        pytest.param((30, 31, 32), _affine((3.0, 3.0, 3.0), (30, 10, 5)), 2.0, id="oblique, enlarged"),
    ],
)
@pytest.mark.parametrize("out", [(24, 25, 26), (64, 20, 33)])
def test_scipy_gives_the_same(
    shape: tuple[int, int, int], affine: NDArray[np.float64], spacing: float, out: tuple[int, ...]
) -> None:
    voxels = np.asfortranarray(_texture(shape))
    grid = centred_grid(Grid(affine=affine, shape=shape), out, spacing)
    ours = resample(voxels, affine, grid, fill=-5)
    theirs = _reference(voxels, affine, grid, -5)
    at_the_face = np.abs(ours - theirs) > 0.5  # a point on the outermost face may fall on either side of it
    assert at_the_face.mean() < 1e-3
    np.testing.assert_allclose(ours[~at_the_face], theirs[~at_the_face], atol=0.02)


@pytest.mark.parametrize("code", CODES)
def test_every_stored_orientation_comes_out_as_ras(code: str) -> None:
    assert len(CODES) == 48
    world = np.arange(6 * 7 * 8, dtype=np.int16).reshape(6, 7, 8)  # first axis to the right, then front, then up
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    turn = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), orientations.axcodes2ornt(tuple(code)))
    stored = orientations.apply_orientation(world, turn)
    stored_affine = affine @ orientations.inv_ornt_aff(turn, world.shape)
    assert orientations.aff2axcodes(stored_affine) == tuple(code)
    grid = centred_grid(Grid(affine=stored_affine, shape=stored.shape), (6, 7, 8), 2.0)
    np.testing.assert_allclose(resample(stored, stored_affine, grid, fill=0), world, atol=1e-3)


@pytest.mark.parametrize("degrees", [(0, 0, 0), (10, 20, 30)])
@pytest.mark.parametrize("spacing", [0.7, 1.0, 3.0])
def test_a_constant_stays_constant_inside_and_the_fill_is_outside(
    degrees: tuple[float, float, float], spacing: float
) -> None:
    affine = _affine((1.0, 1.5, 2.0), degrees)
    grid = centred_grid(Grid(affine=affine, shape=(20, 16, 12)), (40, 40, 40), spacing)
    out = resample(np.full((20, 16, 12), 7, np.uint8), affine, grid, fill=-1)
    assert set(np.unique(out.round(4))) <= {7.0, -1.0}
    inside = (out > 0).sum() * spacing**3
    field_of_view = 20 * 1.0 * 16 * 1.5 * 12 * 2.0
    assert inside == pytest.approx(min(field_of_view, 64000 * spacing**3), rel=0.15)


@pytest.mark.parametrize("degrees", [(0, 0, 0), (10, 20, 30)])
def test_a_ramp_in_mm_stays_that_ramp(degrees: tuple[float, float, float]) -> None:
    affine = _affine((1.0, 1.5, 2.0), degrees)
    shape = (60, 44, 36)
    slope = np.array([0.5, -0.25, 1.0])
    world = np.einsum("ij,jxyz->ixyz", affine[:3, :3], np.indices(shape)) + affine[:3, 3, None, None, None]
    grid = centred_grid(Grid(affine=affine, shape=shape), (8, 8, 8), 2.5)
    out = resample(np.einsum("i,ixyz->xyz", slope, world), affine, grid, fill=0)
    wanted = (
        np.einsum("ij,jxyz->ixyz", grid.affine[:3, :3], np.indices(grid.shape)) + grid.affine[:3, 3, None, None, None]
    )
    np.testing.assert_allclose(out, np.einsum("i,ixyz->xyz", slope, wanted), atol=2e-3)


def test_parallel_and_oblique_paths_agree_where_they_meet() -> None:
    voxels = np.asfortranarray(_texture((33, 40, 29)))
    almost = _affine((1.0, 1.2, 1.4), (0.03, 0, 0))
    grid = centred_grid(Grid(affine=almost, shape=voxels.shape), (16, 16, 16), 2.0)
    straight = resample(voxels, _affine((1.0, 1.2, 1.4)), grid, fill=0)
    np.testing.assert_allclose(resample(voxels, almost, grid, fill=0), straight, atol=20)


def test_smoothing_keeps_fine_stripes_from_turning_into_coarse_ones() -> None:
    stripes = np.zeros((64, 64, 64), np.int16)
    stripes[::2] = 100
    grid = centred_grid(Grid(affine=np.eye(4), shape=stripes.shape), (20, 20, 20), 3.0)
    assert resample(stripes, np.eye(4), grid, fill=0).std() < 1
    assert smoothing(3.0) == pytest.approx(1.2011, abs=1e-4)
    assert smoothing(0.5) == 0.0


def test_the_grid_is_ras_and_centred_on_the_field_of_view() -> None:
    affine = _affine((1.0, 2.0, 3.0), (4, 5, 6))
    grid = centred_grid(Grid(affine=affine, shape=(11, 21, 31)), (8, 9, 10), 2.5)
    np.testing.assert_array_equal(grid.affine[:3, :3], np.eye(3) * 2.5)
    np.testing.assert_allclose(grid.affine @ [3.5, 4, 4.5, 1], affine @ [5, 10, 15, 1])


def test_a_grid_beside_the_volume_is_all_fill() -> None:
    grid = Grid(affine=np.array([[1.0, 0, 0, 500], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), shape=(4, 4, 4))
    assert (resample(np.ones((8, 8, 8), np.uint8), np.eye(4), grid, fill=3) == 3).all()


def test_a_single_slice_is_spread_over_its_thickness() -> None:
    grid = centred_grid(Grid(affine=np.diag([1.0, 1, 5, 1]), shape=(8, 8, 1)), (8, 8, 9), 1.0)
    out = resample(np.full((8, 8, 1), 4, np.int16), np.diag([1.0, 1, 5, 1]), grid, fill=0)
    np.testing.assert_allclose(out[4, 4], [0, 0, 4, 4, 4, 4, 4, 0, 0], atol=1e-5)
