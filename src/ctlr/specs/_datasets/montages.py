"""Montages of the 10-20 system by name: what is looked at of an electroencephalogram."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

__all__ = ["ELECTRODES", "MONTAGES"]

ELECTRODES = (
    "Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz", "C4", "T8", "P7", "P3", "Pz", "P4", "P8", "O1", "O2",
)  # fmt: skip
"""The 19 on the scalp; T7, T8, P7 and P8 are the older T3, T4, T5 and T6."""

_CHAINS = (
    ("Fp1", "F7", "T7", "P7", "O1"),
    ("Fp2", "F8", "T8", "P8", "O2"),
    ("T7", "C3", "Cz", "C4", "T8"),
    ("Fp1", "F3", "C3", "P3", "O1"),
    ("Fp2", "F4", "C4", "P4", "O2"),
)
_TCP = tuple(f"{a}-{b}" for chain in _CHAINS for a, b in pairwise(chain))

MONTAGES: Mapping[str, tuple[str, ...]] = {
    "tcp": _TCP,
    "tcp-ears": (*_TCP[:8], "A1-T7", *_TCP[8:12], "T8-A2", *_TCP[12:]),
    "average": ELECTRODES,
    "recorded": ELECTRODES,
}
"""Rows of each. `tcp`: temporal and parasagittal chains and the one across the vertex, as bipolar differences;
`tcp-ears` with A1 and A2 at its ends; `average`: each electrode less the mean of the 19; `recorded`: as the file has
it. The first two are those of the TUH corpora."""
