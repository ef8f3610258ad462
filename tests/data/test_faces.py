"""What is left of a head is inside the skull and above the brows, whatever the face."""

import numpy as np
import pytest
from heads import brain, face, head
from scipy import ndimage

from ctlr.data.faces import brain_part, without_face


@pytest.mark.parametrize("spacing", [2.0, 3.0, 4.0, 6.0])
def test_no_voxel_of_a_face_is_kept(spacing: float) -> None:
    part = brain_part(head(spacing), spacing)
    assert part is not None
    assert not (part & face(spacing)).any()
    assert part.sum() * spacing**3 > 3e5  # and yet there is a brain to be seen: 300 ml


def test_two_faces_leave_the_same_picture_of_the_same_brain() -> None:
    one = without_face(head(), 4.0)
    other = without_face(head(nose=24.0, eyes=40.0, jaw=54.0), 4.0)
    np.testing.assert_array_equal(one, other)
    assert one is not None
    assert np.isnan(one).any()


@pytest.mark.parametrize("degrees", [-20, -10, 10, 20])
def test_no_voxel_of_a_face_is_kept_of_a_head_that_nods(degrees: float) -> None:
    turned = ndimage.rotate(head(), degrees, axes=(1, 2), reshape=False, order=1, cval=0.0)
    known = ndimage.rotate(face().astype(np.float32), degrees, axes=(1, 2), reshape=False, order=1, cval=0.0) > 0.5
    part = brain_part(turned, 4.0)
    assert part is not None
    assert not (part & known).any()


def test_a_brain_without_a_skull_is_kept_whole() -> None:
    part = brain_part(brain(), 4.0)
    assert part is not None
    assert part.all()


def test_a_head_whose_top_is_not_in_the_image_is_not_shown() -> None:
    volume = head()
    cut = volume[:, :, : volume.shape[2] - 24]  # 50 mm of the head are gone
    assert brain_part(cut, 4.0) is None


def test_a_head_that_stands_upside_down_is_not_shown() -> None:
    assert brain_part(np.ascontiguousarray(head()[:, :, ::-1]), 4.0) is None


def test_of_air_alone_nothing_is_shown() -> None:
    assert brain_part(np.zeros((32, 32, 32), np.float32), 4.0) is None


def test_a_head_whose_topmost_slice_is_missing_is_cut_at_the_same_place() -> None:
    volume = head()
    top = int(np.flatnonzero(volume.any(axis=(0, 1)))[-1])
    whole, cut = brain_part(volume, 4.0), brain_part(volume[:, :, :top], 4.0)
    assert whole is not None
    assert cut is not None
    lowest = [int(np.flatnonzero(part.any(axis=(0, 1)))[0]) for part in (whole, cut)]
    assert abs(lowest[0] - lowest[1]) <= 1


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.08])
def test_noise_in_the_air_hides_no_face_from_it(noise: float) -> None:
    draw = np.random.default_rng(0)
    volume = head()
    real, imaginary = draw.normal(0, noise, (2, *volume.shape)).astype(np.float32)
    noisy = np.hypot(volume + real, imaginary)
    scores = (noisy - noisy.mean()) / noisy.std()  # as they are stored
    part = brain_part(scores, 4.0)
    assert part is not None
    assert not (part & face()).any()
    assert part.sum() * 4.0**3 > 2.5e5
