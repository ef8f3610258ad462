"""Features of images: known numbers, of which images they can be computed, and that they are computed once."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_bench import Bench

from ctlr.data.store import ArrayStore
from ctlr.errors import LeakageError
from ctlr.shallow import features as features_module
from ctlr.shallow.families import FeaturesSpec
from ctlr.shallow.features import FeatureStore, computed, span_of

SPAN = (0.0, 1.0)


def test_pixels_are_the_images() -> None:
    images = np.arange(24, dtype=np.float32).reshape(2, 1, 3, 4)
    assert computed(images, FeaturesSpec(), SPAN).tolist() == images.reshape(2, 12).tolist()


def test_a_histogram_counts_each_channel_by_itself() -> None:
    images = np.zeros((2, 2, 2, 2), np.float32)
    images[0, 1] = [[0.1, 0.3], [0.6, 1.0]]
    images[1] = -9  # beyond the least
    found = computed(images, FeaturesSpec(kind="histogram", bins=4), SPAN)
    assert found.tolist() == [[1, 0, 0, 0, 0.25, 0.25, 0.25, 0.25], [1, 0, 0, 0, 1, 0, 0, 0]]


def test_gradients_have_the_orientation_of_a_picture() -> None:
    stripes = np.zeros((1, 1, 16, 16), np.float32)
    stripes[..., ::4] = stripes[..., 1::4] = 1
    for picture, main in ((stripes, 0), (stripes.swapaxes(2, 3), 4)):
        found = computed(picture, FeaturesSpec(kind="hog", cell=8, orientations=8), SPAN).reshape(2, 2, 8)
        assert set(found.argmax(axis=2).ravel().tolist()) == {main}


def test_a_flat_picture_has_one_pattern_and_every_cell_its_own_histogram() -> None:
    picture = np.full((1, 3, 12, 19), 0.5, np.float32)
    found = computed(picture, FeaturesSpec(kind="lbp", cell=6), SPAN).reshape(2, 3, 10)
    assert (found[:, :, 8] > 0.5).all()  # all neighbours as bright, but for those outside the picture
    assert found.sum(axis=2) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["regions", "histogram", "hog", "lbp"])
def test_features_of_an_image_do_not_depend_on_the_others(kind: Any) -> None:
    images = np.random.default_rng(0).random((5, 3, 17, 23), np.float32)
    spec = FeaturesSpec(kind=kind)
    together = computed(images, spec, SPAN)
    assert np.array_equal(together, np.concatenate([computed(image[None], spec, SPAN) for image in images]))
    assert np.isfinite(together).all()


REFUSED = [
    (FeaturesSpec(kind="hog"), (1, 8, 8, 8), "hog is not computed of volumes. Known for them: pixels, regions, hist"),
    (FeaturesSpec(kind="lbp"), (19, 256), "lbp is not computed of signals. Known for them: pixels, regions, network."),
    (FeaturesSpec(kind="regions"), (2,), "regions is not computed of points. Known for them: pixels, network."),
    (FeaturesSpec(kind="histogram"), (2,), "histogram is not computed of points. Known for them: pixels, network."),
    (FeaturesSpec(kind="hog", cell=9), (1, 8, 32), "the pictures have 8 x 32 pixels, and a cell has 9 a side. Lower"),
]


@pytest.mark.parametrize(("spec", "shape", "told"), REFUSED)
def test_features_that_images_do_not_have_are_refused(spec: FeaturesSpec, shape: tuple[int, ...], told: str) -> None:
    fault = spec.misfit(shape)
    assert fault is not None
    assert fault[1].startswith(told)


def test_a_histogram_ends_where_stored_intensities_do() -> None:
    assert span_of(SimpleNamespace(dtype="uint8", scale=2.0, offset=-10.0)) == (-10, 500)  # type: ignore[arg-type]
    assert span_of(SimpleNamespace(dtype="float16", scale=1.0, offset=0.0)) == (-5, 5)  # type: ignore[arg-type]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images features were computed of, call by call."""
    counts: list[int] = []
    real = features_module.computed

    def count(images: Any, *options: Any) -> Any:
        counts.append(len(images))
        return real(images, *options)

    monkeypatch.setattr(features_module, "computed", count)
    return counts


REGIONS = FeaturesSpec(kind="regions")


def test_rows_that_belong_together_are_computed_once_whoever_asks_for_which(
    own_bench: Bench, counted: list[int]
) -> None:
    stored = ArrayStore(own_bench.arrays["cohort"], own_bench.workspace)
    together = np.array([1, 3, 5, 7, 9])
    first = FeatureStore(own_bench.workspace, together).read(stored, np.array([9, 1, 5]), REGIONS)
    again = FeatureStore(own_bench.workspace, together).read(stored, np.array([5, 7]), REGIONS)
    assert counted == [5]
    assert np.array_equal(first[2], again[0])
    assert np.array_equal(first, FeatureStore().read(stored, np.array([9, 1, 5]), REGIONS))
    # What is done with them then does not count; what they are does.
    other = FeaturesSpec(kind="regions", components=2, bins=7, scale="each")
    FeatureStore(own_bench.workspace, together).read(stored, together, other)
    assert counted == [5, 3]
    FeatureStore(own_bench.workspace, together).read(stored, together, FeaturesSpec(kind="histogram"))
    FeatureStore(own_bench.workspace, together).read(stored, np.array([0, 1]), REGIONS)
    assert counted == [5, 3, 5, 2]


def test_a_test_image_has_no_features_before_it_may_be_read(own_bench: Bench) -> None:
    rows = np.array([1, 2, 3])
    FeatureStore(own_bench.workspace, rows).read(
        ArrayStore(own_bench.arrays["cohort"], own_bench.workspace), rows, REGIONS
    )
    stored = ArrayStore(own_bench.arrays["cohort"], own_bench.workspace, sealed=[3])
    for spec in (REGIONS, FeaturesSpec()):
        with pytest.raises(LeakageError):
            FeatureStore(own_bench.workspace, rows).read(stored, np.array([1, 3]), spec)


def test_damaged_features_are_made_again(own_bench: Bench, counted: list[int]) -> None:
    stored, rows = ArrayStore(own_bench.arrays["cohort"], own_bench.workspace), np.arange(4)
    whole = FeatureStore(own_bench.workspace).read(stored, rows, REGIONS)
    (file,) = (own_bench.workspace.root / "features").glob("*/features.npy")
    data = file.read_bytes()
    file.write_bytes(data[:200])
    assert np.array_equal(FeatureStore(own_bench.workspace).read(stored, rows, REGIONS), whole)
    assert counted == [4, 4]
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert np.array_equal(FeatureStore(own_bench.workspace).read(stored, rows, REGIONS), whole)
    assert counted == [4, 4, 4]


def test_a_cell_that_a_picture_has_not_is_refused_where_it_is_written(tmp_path: Path) -> None:
    from ctlr.config import load
    from ctlr.errors import ConfigError

    (tmp_path / "b.yaml").write_text(
        "name: b\n"
        "datasets: {low: {kind: digits, classes: ['0', '1'], per_class: 150}}\n"
        "tasks: {kind: {target: class, kind: classification}}\n"
        "transfers: [{target: {data: low, task: kind}}]\n"
        "encoders: {small_cnn: {}}\n"
        "methods: {scratch: {}, svm: {features: {kind: lbp, cell: 40}}}\n"
        "sample_sizes: [20]\nseeds: [0]\n"
    )
    with pytest.raises(ConfigError, match=r"b.yaml:6: methods.svm.features.cell: the pictures have 32 x 32 pixels"):
        load(tmp_path / "b.yaml")
