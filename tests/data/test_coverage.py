"""How an image meets the box that is kept of it: known volumes, known shares."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ctlr.data.coverage import picture_coverage, volume_coverage
from ctlr.data.nifti import Volume
from ctlr.data.resample import Grid, centred_grid
from ctlr.specs import Coverage


def volume(voxels: NDArray[np.float32], edges: tuple[float, float, float] = (4, 4, 4), slope: float = 1.0) -> Volume:
    return Volume(voxels=voxels, affine=np.diag([*edges, 1.0]), slope=slope, inter=0.0)


def ball(n: int = 48, radius: float = 16.0) -> NDArray[np.float32]:
    """A bright ball in the middle of n voxels a side."""
    grid = np.indices((n, n, n)) - (n - 1) / 2
    return (np.linalg.norm(grid, axis=0) <= radius).astype(np.float32) * 100


def meets(shown: Volume, side: int, spacing: float, mask: Volume | None = None) -> Coverage:
    whole = Grid(affine=shown.affine, shape=shown.voxels.shape)
    return volume_coverage(shown, mask, centred_grid(whole, (side, side, side), spacing))


def test_a_box_of_the_fields_size_is_filled_and_loses_nothing() -> None:
    assert meets(volume(ball()), 32, 6.0) == Coverage(filled=1.0, kept=1.0, enlarged=4 / 6)


def test_a_box_twice_as_wide_is_filled_to_an_eighth() -> None:
    assert meets(volume(ball()), 64, 6.0).filled == pytest.approx(1 / 8, abs=0.01)


def test_a_box_inside_the_ball_keeps_its_share_of_it() -> None:
    # a cube of 16 voxels a side inside a ball of radius 16: 4,096 of 17,157 voxels
    assert meets(volume(ball()), 16, 4.0).kept == pytest.approx(16**3 / (4 / 3 * np.pi * 16**3), abs=0.03)


def test_the_mask_says_what_is_shown_where_there_is_one() -> None:
    mask = volume(ball(radius=6.0) / 100)
    assert meets(volume(ball()), 16, 4.0, mask).kept == 1.0


def test_the_foreground_is_the_bright_part_whatever_the_slope() -> None:
    dark = volume(100 - ball(), slope=-1.0)
    assert meets(dark, 16, 4.0).kept == pytest.approx(meets(volume(ball()), 16, 4.0).kept)


def test_thick_slices_are_enlarged_by_their_longest_edge() -> None:
    assert meets(volume(ball(), (2, 2, 12)), 32, 6.0).enlarged == 2.0


def test_a_picture_of_the_boxs_proportions_keeps_all_of_itself() -> None:
    assert picture_coverage((64, 48), (24, 32)) == Coverage(filled=1.0, kept=1.0, enlarged=0.5)


def test_a_panorama_loses_its_ends_and_a_stamp_is_enlarged() -> None:
    assert picture_coverage((400, 100), (50, 50)) == Coverage(filled=1.0, kept=0.25, enlarged=0.5)
    assert picture_coverage((8, 8), (32, 32)).enlarged == 4.0


def test_the_worst_of_several_is_the_worst_of_each() -> None:
    found = Coverage.worst([Coverage(filled=0.5, kept=1.0, enlarged=0.2), Coverage(filled=1.0, kept=0.8, enlarged=2.0)])
    assert found == Coverage(filled=0.5, kept=0.8, enlarged=2.0)
    assert Coverage.worst([]) is None
