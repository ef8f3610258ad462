from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from tiny_bench import Bench

from ctlr.data.likeness import likeness, mirrored
from ctlr.data.neighbours import Likenesses, find_copies, nearest_rows
from ctlr.data.preprocess import preprocess
from ctlr.data.store import LIKENESS, ArrayStore, ArrayWriter, ImageRecord, write_table
from ctlr.specs import DigitsSpec, PreprocessSpec, StoredArrays
from ctlr.workspace import Workspace

Images = NDArray[np.float32]


def store(images: Images, workspace: Workspace, name: str) -> StoredArrays:
    """(N, C, *S) images of as many subjects."""
    width = likeness(images[0]).size
    shutil.rmtree(workspace.folder("arrays", name), ignore_errors=True)  # of another test
    with (
        workspace.publish("arrays", name) as folder,
        ArrayWriter(folder, images.shape[1:], "float16") as rows,
        ArrayWriter(folder, (width,), "float16", LIKENESS) as likenesses,
    ):
        for image in images:
            rows.append(image.astype(np.float16))
            likenesses.append(likeness(image).reshape(-1).astype(np.float16))
        write_table(folder, [ImageRecord(subject=f"{name}{n}", file="", sha256="") for n in range(len(images))])
    return StoredArrays(
        fingerprint=name, path=f"arrays/{name}", rows=len(images), subjects=len(images), shape=images.shape[1:],
        dtype="float16",
    )  # fmt: skip


def changed(change: Callable[[Images], Images]) -> Callable[[Images], Images]:
    """A change of one image (*S), for all of them."""
    return lambda images: np.stack([change(image[0])[None] for image in images]).astype(np.float32)


def one_voxel(image: Images) -> Images:
    image = image.copy()
    image[tuple(n // 2 for n in image.shape)] = image.max()
    return image


def resampled(image: Images) -> Images:
    small = ndimage.zoom(image, 1 / 1.25, order=1)
    return ndimage.zoom(small, np.array(image.shape) / small.shape, order=1)


def noisy(image: Images) -> Images:
    return image + np.random.default_rng(0).normal(0, 0.005 * np.ptp(image), image.shape)


COPIES = {
    "one voxel": changed(one_voxel),
    "requantised to 8 bits": changed(lambda image: np.rint(255 * (image - image.min()) / np.ptp(image)) / 255),
    "noise of half a percent": changed(noisy),
    "resampled by 1.25": changed(resampled),
    "mirrored": changed(lambda image: image[::-1]),
    "moved by 5 mm": changed(lambda image: ndimage.shift(image, (5 / 6, 0, 0), order=1, mode="nearest")),
    "other intensities": changed(lambda image: ((image - image.min()) / np.ptp(image)) ** 0.9),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_changed_copy_of_a_brain_is_found_and_no_other_brain_is(name: str, own_bench: Bench) -> None:
    here = own_bench.arrays["cohort"]
    images = ArrayStore(here, own_bench.workspace).read(np.arange(48))
    people, copies = store(images[:40], own_bench.workspace, "a"), COPIES[name](images[32:40])
    there = store(copies, own_bench.workspace, "b")
    found = find_copies(np.arange(40), [people, there], own_bench.workspace, correlation=0.99)
    assert [(copy.row, copy.part, copy.other) for copy in found] == [(32 + n, 1, n) for n in range(8)]


def test_several_copies_of_one_image_do_not_hide_one_another(own_bench: Bench) -> None:
    images = ArrayStore(own_bench.arrays["cohort"], own_bench.workspace).read(np.arange(40))
    augmented = np.concatenate([COPIES[name](images[:1]) for name in COPIES])
    parts = [store(images, own_bench.workspace, "a"), store(augmented, own_bench.workspace, "b")]
    found = find_copies(np.array([0]), parts, own_bench.workspace, correlation=0.99)
    assert sorted(copy.other for copy in found) == list(range(len(COPIES)))


@pytest.mark.parametrize("side", [8, 28])
def test_digits_of_one_class_are_no_copies_though_they_correlate_up_to_0_99(side: int, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    digits = preprocess(DigitsSpec(preprocess=PreprocessSpec(shape=(side, side))), workspace)
    assert find_copies(np.arange(0, digits.rows, 6), [digits], workspace, correlation=0.9) == []


def test_a_changed_copy_of_a_picture_is_found(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    digits = preprocess(
        DigitsSpec(domain="textured", per_class=30, preprocess=PreprocessSpec(shape=(32, 32))), workspace
    )
    images = ArrayStore(digits, workspace).read(np.arange(20))
    for place, name in enumerate(("requantised to 8 bits", "noise of half a percent", "other intensities")):
        there = store(COPIES[name](images), workspace, f"copy{place}")
        found = find_copies(np.arange(20), [digits, there], workspace, correlation=0.99)
        assert [(copy.row, copy.part, copy.other) for copy in found] == [(n, 1, n) for n in range(20)]
    there = store(images[..., ::-1], workspace, "mirror")
    assert len(find_copies(np.arange(20), [digits, there], workspace, correlation=0.99)) == 20


def rhythms(number: int, channels: int = 20, length: int = 500) -> Images:
    """Signals of 10 s at 50 Hz against their average reference: pink noise, and a rhythm of 8 to 12 Hz."""
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft(rng.normal(size=(number, channels, length))) / np.sqrt(1 + np.arange(length // 2 + 1))
    waves = np.sin(2 * np.pi * rng.uniform(8, 12, (number, 1, 1)) * np.arange(length) / 50) * rng.uniform(
        0, 1, (number, channels, 1)
    )
    signals = np.fft.irfft(spectrum, length) + waves
    return (signals - signals.mean(axis=1, keepdims=True)).astype(np.float32)


SIGNAL_COPIES = {
    "as it is": lambda signals: signals,
    "other gain and offset": lambda signals: 3 * signals - 5,
    "noise of two percent": lambda signals: signals + np.random.default_rng(1).normal(0, 0.01, signals.shape),
    "reversed": lambda signals: signals[..., ::-1],
}


@pytest.mark.parametrize("name", SIGNAL_COPIES)
def test_a_changed_copy_of_a_signal_is_found_and_no_other_signal_is(name: str, tmp_path: Path) -> None:
    signals, workspace = rhythms(60), Workspace(tmp_path)
    parts = [store(signals, workspace, "a"), store(SIGNAL_COPIES[name](signals[50:]), workspace, "b")]
    found = find_copies(np.arange(60), parts, workspace, correlation=0.99)
    assert [(copy.row, copy.part, copy.other) for copy in found] == [(50 + n, 1, n) for n in range(10)]


def test_long_signals_are_compared_in_little_memory(tmp_path: Path) -> None:
    signals, workspace = rhythms(6, channels=2, length=20_000), Workspace(tmp_path)
    parts = [store(signals, workspace, "a"), store(signals[:1], workspace, "b")]
    assert [copy.row for copy in find_copies(np.arange(6), parts, workspace, correlation=0.99)] == [0]


def test_what_is_read_of_an_image_stays_where_it_is_moved_padded_scaled_or_mirrored() -> None:
    grid = np.stack(np.meshgrid(*(np.arange(40.0),) * 3, indexing="ij"))
    head = np.exp(-((grid[0] - 18) ** 2 / 36 + (grid[1] - 20) ** 2 / 64 + (grid[2] - 17) ** 2 / 25))
    head += 0.5 * np.exp(-(((grid - 24) / 3) ** 2).sum(axis=0))
    plain = likeness(head[None])
    assert plain.shape == (12, 12, 12)
    assert float((plain**2).sum()) == pytest.approx(1, abs=1e-5)
    assert float((plain * likeness(np.roll(head, (3, -2, 1), (0, 1, 2))[None])).sum()) > 0.9999
    assert float((plain * likeness(700 * head[None] - 30)).sum()) == pytest.approx(1, abs=1e-5)
    assert float((plain * mirrored(likeness(head[None, ::-1])[None])[0]).sum()) == pytest.approx(1, abs=1e-4)
    assert float((plain * likeness(head[None, ::-1])).sum()) < 0.99


def test_a_constant_image_is_like_nothing() -> None:
    assert not likeness(np.zeros((1, 16, 16))).any()


def test_the_nearest_rows_are_those_of_a_whole_product_and_a_subjects_own_are_left_out(own_bench: Bench) -> None:
    arrays = own_bench.arrays["cohort"]
    images = Likenesses(arrays, own_bench.workspace)
    subjects = np.arange(48) // 2
    (found,) = nearest_rows(np.array([5]), [images], [subjects])
    all_ = images.read(0, 48).reshape(48, -1)
    alike = np.maximum(all_ @ all_[5], all_ @ mirrored(images.read(5, 6)).reshape(-1))
    alike[subjects == 2] = -1
    order = np.argsort(-alike)[:32]
    assert found[0].tolist() == [[0, row] for row in order]
    assert found[1] == pytest.approx(np.sqrt(1 - alike[order]), abs=1e-3)
