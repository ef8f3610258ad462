"""What pictures of two datasets show: eigen-images, components, and neighbourhoods in the plane. No torch here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ctlr.errors import ConfigError, WorkspaceError

__all__ = [
    "EIGEN_IMAGES",
    "PERPLEXITIES",
    "POINTS",
    "Embedding",
    "Pictures",
    "embed",
    "pictures_bytes",
    "pictures_of",
    "read_pictures",
]

PERPLEXITIES = (5, 10, 20, 30, 50)
"""Of the embeddings: from the nearest few neighbours to whole neighbourhoods."""
POINTS = 1000
"""Images that are drawn as points, at most."""
EIGEN_IMAGES = 11
SIDE = 112
"""Pixels of an eigen-image at most; larger ones are averaged down: they are drawn no larger, and files stay small."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Embedding:
    """Images in the plane, by t-SNE.

    Attributes:
        perplexity: How many neighbours count, roughly.
        points: (M, 2), in no unit.
    """

    perplexity: int
    points: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Pictures:
    """Two datasets, ready to be drawn.

    Attributes:
        source, target: Names of their classes, S and T of them.
        mean_image: (C, H, W); of volumes the middle slice, of large images fewer pixels.
        eigen_images: (E, C, H, W) of the components with the largest variance.
        explained: (K,) share of the variance along each component, descending.
        images: How many the components come from.
        classes: (M,) of each drawn image: 0 .. S - 1 of the source, S .. S + T - 1 of the target.
        points: (M, 2) along the first two components, in image units.
        embeddings: Of the same images, one a perplexity.
        left_out: Perplexities for which there are too few images.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    mean_image: Floats
    eigen_images: Floats
    explained: NDArray[np.float64]
    images: int
    classes: NDArray[np.int64]
    points: Floats
    embeddings: tuple[Embedding, ...]
    left_out: tuple[int, ...]

    @property
    def from_target(self) -> NDArray[np.bool_]:
        """(M,) whether a drawn image is the target's."""
        return np.asarray(self.classes >= len(self.source))


def pictures_of(
    source: Sequence[str],
    target: Sequence[str],
    clouds: Sequence[Floats],
    *,
    mean: Floats,
    axes: Floats,
    explained: NDArray[np.float64],
    shape: tuple[int, ...],
    seed: int,
) -> Pictures:
    """Prepare pictures of two datasets on their joint components.

    Args:
        source: Its classes.
        target: Likewise.
        clouds: (n, K) images of each class on the components, those of the source first.
        mean: (D,) of all images.
        axes: (K, D).
        explained: (K,) share of the variance.
        shape: (C, *S) of an image; D in all.
        seed: Of what is drawn, and of the embeddings.

    Raises:
        ConfigError: There are fewer than two components.
    """
    if len(axes) < 2:
        raise ConfigError("pictures need two components; got 1. Ask for more, or for a larger share of the variance.")
    each = max(2, POINTS // len(clouds))
    rng = np.random.default_rng(seed)
    drawn = [cloud[np.sort(rng.permutation(len(cloud))[:each])] for cloud in clouds]
    points = np.concatenate(drawn)
    # The rule of the reference implementation (van der Maaten & Hinton 2008): a neighbourhood needs room around it.
    fitting = [perplexity for perplexity in PERPLEXITIES if 3 * perplexity < len(points)]
    return Pictures(
        source=tuple(source), target=tuple(target), mean_image=_plane(mean[None], shape)[0],
        eigen_images=_plane(axes[:EIGEN_IMAGES], shape), explained=explained, images=sum(map(len, clouds)),
        classes=np.repeat(np.arange(len(clouds)), [len(cloud) for cloud in drawn]), points=points[:, :2],
        embeddings=tuple(Embedding(each, embed(points, each, seed=seed)) for each in fitting),
        left_out=tuple(perplexity for perplexity in PERPLEXITIES if perplexity not in fitting),
    )  # fmt: skip


def _plane(rows: Floats, shape: tuple[int, ...]) -> Floats:
    """(N, C, H, W) of (N, D): pictures, or the middle axial slices of volumes with the front up; at most SIDE wide.

    Signals are one grey picture, a channel a line; points one of a single line.
    """
    images = rows.reshape(-1, *shape) if len(shape) > 2 else rows.reshape(-1, 1, *(1, *shape)[-2:])
    if len(shape) == 4:
        images = np.rot90(images[..., shape[-1] // 2], axes=(-2, -1))
    step = -(-max(images.shape[-2:]) // SIDE)
    down, across = (min(step, side) for side in images.shape[-2:])
    height, width = images.shape[-2] // down, images.shape[-1] // across
    blocks = images[..., : height * down, : width * across].reshape(*images.shape[:2], height, down, width, across)
    return np.asarray(blocks.mean(axis=(3, 5)), np.float32)


def embed(points: Floats, perplexity: int, *, seed: int) -> Floats:
    """Put points into the plane by t-SNE (van der Maaten & Hinton 2008; Barnes-Hut), from their principal axes on.

    Args:
        points: (M, K), M more than three times the perplexity.
        perplexity: How many neighbours count, roughly.
        seed: Of what chance decides; equal seeds give equal numbers, on however many cores.

    Returns:
        (M, 2), in no unit.
    """
    from sklearn.manifold import TSNE  # slow to load: who measures distances alone does without
    from threadpoolctl import threadpool_limits

    state = int(np.random.default_rng(seed).integers(2**32))  # scikit-learn takes no larger seed
    tsne = TSNE(perplexity=perplexity, init="pca", learning_rate="auto", random_state=state, n_jobs=1)
    # OpenMP adds forces up in another order with another number of threads, and the layout multiplies the difference.
    with threadpool_limits(limits=1):
        return np.asarray(tsne.fit_transform(points), np.float32)


# ---------------------------------------------------------------- on disk


def pictures_bytes(pictures: Pictures) -> bytes:
    """The content of a file for `read_pictures`; equal pictures give equal bytes."""
    arrays = {
        "mean_image": pictures.mean_image, "eigen_images": pictures.eigen_images, "explained": pictures.explained,
        "classes": pictures.classes, "points": pictures.points,
    }  # fmt: skip
    arrays |= {f"tsne_{each.perplexity}": each.points for each in pictures.embeddings}
    words = {
        "source": pictures.source, "target": pictures.target, "images": pictures.images,
        "perplexities": [each.perplexity for each in pictures.embeddings], "left_out": pictures.left_out,
    }  # fmt: skip
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    content: bytes = save(contiguous, {"pictures": json.dumps(words)})
    return content


def read_pictures(path: Path) -> Pictures:
    """Read what `pictures_bytes` gave.

    Raises:
        WorkspaceError: The file is missing or damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            words = json.loads(file.metadata()["pictures"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return Pictures(
            source=tuple(words["source"]), target=tuple(words["target"]), mean_image=arrays["mean_image"],
            eigen_images=arrays["eigen_images"], explained=arrays["explained"], images=words["images"],
            classes=arrays["classes"], points=arrays["points"],
            embeddings=tuple(Embedding(each, arrays[f"tsne_{each}"]) for each in words["perplexities"]),
            left_out=tuple(words["left_out"]),
        )  # fmt: skip
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WorkspaceError(
            f"{path} cannot be read ({error}). Remove its folder: `ctlr resume` then makes it anew."
        ) from error
