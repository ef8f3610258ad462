"""Drawings, as outlines of their classes: curves come as many short edges."""

from __future__ import annotations

import numpy as np

from ctlr.data.kinds.points.regions import Floats, Region

__all__ = ["cat", "pinwheel", "yin_yang"]

_EDGES = 96
"""Of half a circle."""


def _arc(x: float, y: float, radius: float, start: float, end: float) -> Floats:
    """Along a circle, degrees from east and counter-clockwise; without its last point."""
    count = max(8, round(_EDGES * abs(end - start) / 180))
    angles = np.radians(np.linspace(start, end, count, endpoint=False))
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)


def yin_yang(eye: float = 0.16) -> tuple[Region, Region]:
    """Two drops that make a disc of radius 1, each with an eye of the other's, of that radius below 0.5."""
    drop = np.concatenate([_arc(0, 0, 1, 90, 270), _arc(0, -0.5, 0.5, 270, 450), _arc(0, 0.5, 0.5, 270, 90)])
    eyes = [_arc(0, level, eye, 0, 360) for level in (0.5, -0.5)]
    return Region([drop, *eyes]), Region([-drop, *eyes])


def pinwheel(blades: int = 3, turn: float = 130) -> tuple[Region, ...]:
    """Blades that turn by so many degrees from the hub outwards, and a gap of an eighth after each."""
    distance = np.linspace(0.12, 1, _EDGES)
    turned = np.radians(turn) * (distance - distance[0])
    apart, wide = 360 / blades, 315 / blades

    def blade(start: float) -> Region:
        front, back = (
            distance[:, None] * np.stack([np.cos(turned + angle), np.sin(turned + angle)], axis=1)
            for angle in np.radians([start, start + wide])
        )
        tip = _arc(0, 0, 1, start + np.degrees(turned[-1]), start + wide + np.degrees(turned[-1]))
        return Region([np.concatenate([front, tip[1:], back[::-1]])])

    return tuple(blade(number * apart) for number in range(blades))


def cat() -> tuple[Region, Region]:
    """A cat's head, and the square around it, to which eyes and mouth belong."""
    head = np.concatenate(
        [
            _arc(0, -0.1, 0.75, 160, 380),
            np.array([[0.72, 0.9], [0.28, 0.6], [-0.28, 0.6], [-0.72, 0.9]]),
        ]
    )
    eyes = [_arc(side * 0.3, 0.08, 0.13, 0, 360) for side in (-1, 1)]
    mouth = np.concatenate([_arc(0, -0.4, 0.3, 180, 360), np.array([[0.3, -0.4], [0.0, -0.5]])])
    square = np.array([[-1.1, -1.1], [1.1, -1.1], [1.1, 1.1], [-1.1, 1.1]])
    return Region([head, *eyes, mouth]), Region([square, head, *eyes, mouth])
