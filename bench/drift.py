"""How often `ctlr drift` and `ctlr serve` raise an alarm, rightly and wrongly: `python -m bench drift`.

False alarms: of one set of images a reference and windows are drawn, which share none. Each window is judged once.
Alarms: the windows' images are changed, as files, before they are prepared. Two sets: 400 volumes of a synthetic cohort
(z-scores, 32^3 at 6 mm), and scikit-learn's handwritten digits (percentiles, 24 x 24), whose class counts as predicted.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from ctlr.data.kinds.cohort.growing import write_cohort
from ctlr.data.listing import IndexedImage
from ctlr.data.nifti import Volume, read_volume
from ctlr.data.normalise import decode
from ctlr.data.rows import fitted_row, volume_row
from ctlr.monitoring import Seen, drift_between, image_features
from ctlr.specs import CohortSpec, ModelCard, PreprocessSpec

__all__ = ["main"]

WINDOWS, CHANGED = 1000, 50
REFERENCE, SIZES = 100, (20, 100)
Change = Callable[[NDArray[Any], np.random.Generator], NDArray[Any]]

CHANGES: dict[str, Change] = {
    "none": lambda image, rng: image,
    "brightness: +30 % of the brightest": lambda image, rng: image + 0.3 * image.max(),
    "brightness: +30 %, cut off at the brightest": lambda image, rng: np.minimum(
        image + 0.3 * image.max(), image.max()
    ),
    "contrast: x 0.5": lambda image, rng: 0.5 * image,
    "contrast: gamma 0.7": lambda image, rng: image.max() * (np.maximum(image, 0) / image.max()) ** 0.7,
    "turned by 10 degrees": lambda image, rng: _turned(image, 10),
    "turned by 90 degrees": lambda image, rng: np.rot90(image, axes=(0, 1)),
    "blurred, sigma 0.7": lambda image, rng: ndimage.gaussian_filter(image, 0.7),
    "noise, 5 % of the brightest": lambda image, rng: image + rng.normal(0, 0.05 * image.max(), image.shape),
}


def _turned(image: NDArray[Any], degrees: float) -> NDArray[Any]:
    return ndimage.rotate(image, degrees, axes=(0, 1), reshape=False, order=1, mode="nearest")


Features = list[tuple[dict[str, float], int]]
"""Of each image, and the class that is predicted (-1 without one)."""


def _judged(reference: Features, window: Features, card: ModelCard) -> bool:
    return drift_between(_seen(reference, card).reference(), _seen(window, card)).verdict == "drift"


def _seen(images: Features, card: ModelCard) -> Seen:
    seen = Seen(card)
    for features, label in images:
        seen.images += 1
        for name, value in features.items():
            seen.features.setdefault(name, []).append(value)
        if label >= 0:
            seen.classes[card.classes[label]] += 1
            seen.predictions.append(1.0)
    return seen


def _rate(images: Features, changed: Features, size: int, windows: int, card: ModelCard) -> float:
    """Share of windows with an alarm; a window's images are none of the reference's."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(windows):
        order = rng.permutation(len(images))
        chosen = order[REFERENCE : REFERENCE + size]
        alarms += _judged([images[i] for i in order[:REFERENCE]], [changed[i] for i in chosen], card)
    return alarms / windows


def _card(ndim: int, classes: tuple[str, ...] = ()) -> ModelCard:
    return ModelCard.model_validate(
        {"encoder": {"name": "small_cnn"}, "channels": 1, "ndim": ndim, "shape": (1, *[32] * ndim), "target": "x",
         "task": "classification" if classes else "regression", "classes": classes}
    )  # fmt: skip


def _volumes(folder: Path, spec: CohortSpec, change: Change) -> Features:
    options = PreprocessSpec(spacing=6, shape=(32, 32, 32))
    rng = np.random.default_rng(1)

    def read(path: Path) -> Volume:
        volume = read_volume(path)
        return replace(volume, voxels=np.asfortranarray(change(volume.voxels.astype(np.float32), rng)))

    files = sorted(folder.glob("sub-*/anat/*_T1w.nii.gz"))
    rows = (volume_row(IndexedImage(subject="", file=str(file), mask=None), Path(), options, read) for file in files)
    return [(image_features(decode(row.values, options)), -1) for row in rows]


def _digits(change: Change) -> Features:
    from sklearn.datasets import load_digits

    options = PreprocessSpec(shape=(24, 24), channels=1, normalise="percentile")
    digits, rng = load_digits(), np.random.default_rng(1)
    found: Features = []
    for image, label in zip(digits.images, digits.target, strict=True):
        large = ndimage.zoom(image, 3, order=1)
        picture = Image.fromarray(np.asarray(change(large / 16, rng), np.float32))
        found.append((image_features(decode(fitted_row(picture, "", options).values, options)), int(label)))
    return found


def _rows(name: str, made: Callable[[Change], Features], card: ModelCard) -> Iterator[str]:
    images = made(CHANGES["none"])
    for words, change in CHANGES.items():
        changed = made(change)
        windows = WINDOWS if words == "none" else CHANGED
        rates = [_rate(images, changed, size, windows, card) for size in SIZES]
        yield f"{name:8s} {words:46s} " + " ".join(f"{rate:10.3f}" for rate in rates)


def main() -> int:
    """Print the rates."""
    began = time.perf_counter()
    print(f"Alarms a window; {REFERENCE} images of reference, {WINDOWS} windows unchanged, {CHANGED} of each change")
    print(f"{'set':8s} {'change':46s} " + " ".join(f"{f'{size} images':>10s}" for size in SIZES))
    with tempfile.TemporaryDirectory() as folder:
        spec = CohortSpec(name="drift", subjects=400, seed=0, spacing=6)
        write_cohort(spec, Path(folder) / "one", workers=2)
        card = _card(3)
        for line in _rows("volumes", lambda change: _volumes(Path(folder) / "one", spec, change), card):
            print(line, flush=True)
        other = spec.model_copy(update={"noise": 0.08, "nuisance": 1.5, "seed": 1})
        write_cohort(other, Path(folder) / "two", workers=2)
        images = _volumes(Path(folder) / "one", spec, CHANGES["none"])
        scanner = _volumes(Path(folder) / "two", other, CHANGES["none"])
        rates = [_rate(images, scanner, size, CHANGED, card) for size in SIZES]
        words = "another scanner: noise x 2, bias and contrast x 1.5"
        print(f"{'volumes':8s} {words:46s} " + " ".join(f"{rate:10.3f}" for rate in rates), flush=True)
    for line in _rows("digits", _digits, _card(2, tuple("0123456789"))):
        print(line, flush=True)
    print(f"{time.perf_counter() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
