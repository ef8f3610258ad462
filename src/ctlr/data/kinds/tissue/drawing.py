"""Draw a stained section of imaginary glands, in amounts of haematoxylin and eosin.

A tubular gland is a ring of epithelium about one lumen, with its nuclei at the rim; cribriform glands are fused into
sheets of epithelium with many small lumina, and nuclei everywhere. What a section looks like depends on its own numbers
alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctlr.specs import ARCHITECTURES, TissueSpec

__all__ = ["GLASS", "Look", "patch_of", "section_of", "stained"]

GLASS = -1
"""Marks in a map of architectures what is no tissue."""

_RADIUS = 15.0  # pixels, of a tubular gland
_NUCLEUS = 2.4  # pixels, of a nucleus
_FUSED = 3.2  # radius of a sheet, in those of a gland
_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
"""Optical density of haematoxylin and eosin in red, green and blue (Ruifrok & Johnston 2001)."""
Plane = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Look:
    """What differs between cases and slides, and tells nothing of the architecture."""

    density: float
    """Nuclei beside the usual number."""
    size: float
    """Radius of nuclei beside the usual one."""
    stains: NDArray[np.float64]
    """(2, 3) density of haematoxylin and eosin in red, green and blue, strength included."""
    light: NDArray[np.float64]
    """(3,) of the scanner."""
    blur: float
    """Standard deviation, pixels."""
    noise: float
    """Standard deviation, of 255."""


def patch_of(spec: TissueSpec, case: int, slide: int, patch: int) -> NDArray[np.uint8]:
    """Draw one patch: (side, side, 3)."""
    rng = np.random.default_rng([spec.seed, case, slide, 1 + patch])
    architectures = np.full((spec.side, spec.side), case % 2, np.int8)
    return stained(_section(architectures, look_of(spec, case, slide), rng), look_of(spec, case, slide), rng)


def section_of(architectures: NDArray[np.int8], spec: TissueSpec, case: int, slide: int) -> NDArray[np.uint8]:
    """Draw a whole section.

    Args:
        architectures: (H, W) number of the architecture of each place, or `GLASS`.
        spec: Of the cases.
        case, slide: From 0.

    Returns:
        (H, W, 3).
    """
    rng, look = np.random.default_rng([spec.seed, case, slide, 0]), look_of(spec, case, slide)
    return stained(_section(architectures, look, rng), look, rng)


def look_of(spec: TissueSpec, case: int, slide: int) -> Look:
    """Draw how a case looks, and how its slide was stained and scanned."""
    own, made = (np.random.default_rng([spec.seed, 1_000_003, *which]) for which in ([case], [case, 1 + slide]))
    far = spec.nuisance
    strength = np.exp(far * made.normal(0, 0.18, (2, 1)))
    return Look(
        density=float(np.exp(far * own.normal(0, 0.2))), size=float(np.exp(far * own.normal(0, 0.08))),
        stains=np.clip(_STAINS + far * made.normal(0, 0.04, (2, 3)), 0.02, None) * strength,
        light=0.96 + far * made.normal(0, 0.012, 3), blur=float(abs(far * made.normal(0, 0.5)) + 0.4),
        noise=float(2 + far * made.uniform(0, 2)),
    )  # fmt: skip


def stained(amounts: Plane, look: Look, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What a scanner sees of (2, H, W) amounts of haematoxylin and eosin: (H, W, 3), by the Lambert-Beer law."""
    density = np.einsum("shw,sc->hwc", amounts, look.stains)
    light = look.light * np.exp(-density)
    light = ndimage.gaussian_filter(light, (look.blur, look.blur, 0))
    seen = 255 * light + rng.normal(0, look.noise, light.shape)
    return np.asarray(np.clip(np.rint(seen), 0, 255), np.uint8)


# ---------------------------------------------------------------- glands


def _section(architectures: NDArray[np.int8], look: Look, rng: np.random.Generator) -> Plane:
    """(2, H, W) amounts of haematoxylin and eosin."""
    fibres = ndimage.gaussian_filter(rng.standard_normal(architectures.shape), (1.0, 4.0))
    amounts = np.zeros((2, *architectures.shape), np.float32)
    tissue = architectures != GLASS
    amounts[0][tissue] = 0.05
    amounts[1][tissue] = (0.34 + 0.09 * fibres / fibres.std())[tissue]
    free = tissue.copy()  # stroma, where no gland lies
    for number in range(len(ARCHITECTURES)):
        if (architectures == number).any():
            _glands(amounts, free, architectures, number, look, rng)
    spacing = 15.0 / look.density**0.5
    _nuclei(amounts[0], _scattered(free, spacing, rng), 0.8 * look.size * _NUCLEUS, 2.4, rng)
    return amounts


def _glands(
    amounts: Plane, free: NDArray[np.bool_], architectures: NDArray[np.int8], number: int, look: Look,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Stamp the glands of one architecture."""
    fused = ARCHITECTURES[number] == "cribriform"
    size = _RADIUS * (_FUSED if fused else 1.0)
    for y, x in _grid(free.shape, 2.15 * size, 0.18 * size, rng):
        row, column = (int(np.clip(round(at), 0, side - 1)) for at, side in zip((y, x), free.shape, strict=True))
        radius = size * rng.uniform(0.85, 1.1)
        bumps = rng.normal(0, 0.055, (2, 3))
        window = tuple(slice(max(0, int(at - 1.5 * size)), min(side, int(at + 1.5 * size) + 1))
                       for at, side in zip((y, x), free.shape, strict=True))  # fmt: skip
        if architectures[row, column] != number or any(part.stop <= part.start for part in window):
            continue
        down, across = np.ogrid[window]
        far, angle = np.hypot(down - y, across - x), np.arctan2(down - y, across - x)
        waves = np.arange(2, 5)[:, None, None] * angle
        rim = radius * (1 + np.tensordot(bumps[0], np.cos(waves), 1) + np.tensordot(bumps[1], np.sin(waves), 1))
        inside = (far < rim) & (architectures[window] == number)
        holes = far < 0.42 * rim
        if fused:
            holes = np.zeros_like(inside)
            for hole_y, hole_x in _grid((2 * int(radius), 2 * int(radius)), 0.95 * _RADIUS, 0.22 * _RADIUS, rng):
                far_there = np.hypot(down - (y - radius + hole_y), across - (x - radius + hole_x))
                holes |= far_there < rng.uniform(0.2, 0.36) * _RADIUS
            holes &= far < 0.85 * rim
        holes &= inside
        amounts[0][window][inside], amounts[1][window][inside] = 0.16, 0.5
        amounts[0][window][holes], amounts[1][window][holes] = 0.0, 0.03
        free[window][inside] = False
        cells = inside & ~ndimage.binary_dilation(holes, iterations=2) & (fused | (far > 0.66 * rim))
        spots = _scattered(cells, (5.6 if fused else 4.4) / look.density**0.5, rng)
        _nuclei(amounts[0], spots + np.array([part.start for part in window]), look.size * _NUCLEUS, 1.25, rng)


def _grid(
    shape: tuple[int, ...], spacing: float, jitter: float, rng: np.random.Generator
) -> Iterator[tuple[float, float]]:
    """Places of a hexagonal grid that is turned by nothing and shaken."""
    start = rng.uniform(-spacing, 0, 2)
    for row, y in enumerate(np.arange(start[0], shape[0] + spacing, 0.87 * spacing)):
        for x in np.arange(start[1] + (row % 2) * spacing / 2, shape[1] + spacing, spacing):
            shaken = rng.normal(0, jitter, 2)
            yield float(y + shaken[0]), float(x + shaken[1])


def _scattered(where: NDArray[np.bool_], spacing: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(N, 2) places about so far apart, inside a mask."""
    places = np.array(list(_grid(where.shape, spacing, 0.25 * spacing, rng)))
    cells = np.rint(places).astype(int)
    within = ((cells >= 0) & (cells < where.shape)).all(1)
    places, cells = places[within], cells[within]
    return np.asarray(places[where[cells[:, 0], cells[:, 1]]])


def _nuclei(plane: Plane, places: NDArray[np.float64], radius: float, stretch: float, rng: np.random.Generator) -> None:
    """Stamp nuclei: soft ellipses, each turned in its own way."""
    reach = int(np.ceil(radius * stretch * 1.3)) + 1
    steps = np.arange(-reach, reach + 1)
    for y, x in places:
        angle, long, dark = rng.uniform(0, np.pi), radius * rng.uniform(1, stretch), rng.uniform(0.75, 1.1)
        row, column = int(y), int(x)
        down, across = (row + steps - y)[:, None], column + steps - x
        along = (down * np.sin(angle) + across * np.cos(angle)) / long
        beside = (down * np.cos(angle) - across * np.sin(angle)) / (radius * radius / long)
        stamp = dark / (1 + np.exp(6 * (np.sqrt(along**2 + beside**2) - 1)))
        top, left = max(0, row - reach), max(0, column - reach)
        bottom, right = min(plane.shape[0], row + reach + 1), min(plane.shape[1], column + reach + 1)
        if top < bottom and left < right:
            part = plane[top:bottom, left:right]
            cut = stamp[top - row + reach : bottom - row + reach, left - column + reach : right - column + reach]
            np.maximum(part, cut, out=part, casting="same_kind")
