"""The embedded template: MNI152 tissue maps at 2 mm and displacement fields (see NOTICE, derive.py)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

__all__ = ["Template", "load_template", "notice"]


@dataclass(frozen=True, kw_only=True)
class Template:
    """Maps of an average brain, RAS, in MNI coordinates."""

    t1: NDArray[np.float32]
    """(I, J, K) intensity, 0-1; 0 outside the brain."""
    grey: NDArray[np.float32]
    """(I, J, K) probability of grey matter."""
    white: NDArray[np.float32]
    """(I, J, K) probability of white matter."""
    csf: NDArray[np.float32]
    """(I, J, K) probability of cerebrospinal fluid."""
    cortex: NDArray[np.float32]
    """(I, J, K) grey matter that borders on fluid, 0-1."""
    periventricular: NDArray[np.float32]
    """(I, J, K) white matter, less with the distance from the lateral ventricles, 0-1."""
    basal_ganglia: NDArray[np.float32]
    """(I, J, K) deep grey matter, 0-1."""
    fields: NDArray[np.float32]
    """(3, 3, I/2, J/2, K/2) pull-back displacements, longest arrow 1: wider ventricles, wider Sylvian fissures,
    smaller medial temporal lobes; components x, y, z."""
    origin: NDArray[np.float64]
    """(3,) centre of the first voxel, mm."""
    spacing: float = 2.0
    """Edge of a voxel of the maps, mm."""
    field_spacing: float = 4.0
    """Edge of a voxel of the fields, mm."""


def load_template() -> Template:
    """Read the embedded template; about 30 ms."""
    with files(__name__).joinpath("maps.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        maps, fields, origin = stored["maps"], stored["fields"], stored["origin"]
    t1, grey, white, csf, cortex, periventricular, basal_ganglia = maps.astype(np.float32) / np.float32(255)
    return Template(
        t1=t1, grey=grey, white=white, csf=csf, cortex=cortex, periventricular=periventricular,
        basal_ganglia=basal_ganglia, fields=fields.astype(np.float32) / np.float32(127), origin=origin,
    )  # fmt: skip


def notice() -> str:
    """The template's origin and licence; to travel with all that is made from it."""
    return files(__name__).joinpath("NOTICE").read_text(encoding="utf-8")
