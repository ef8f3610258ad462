"""Layer transfer (Yosinski et al. 2014), written once: one method for each network of the experiment.

    methods:
      layer_transfer: {pretrain: {epochs: 20}, finetune: {epochs: 30}}

stands, with an encoder of four blocks, for A1B … A4B and A1B+ … A4B+ (the first n blocks come from a network that
learned the source) and for B1B … B4B and B1B+ … B4B+ (they come from one that learned the target itself). Copied blocks
stay as they are, or move too where the name ends in +; those above begin at random.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from ctlr.config._document import KeyPath
from ctlr.specs import ENCODERS, METHODS, LayerRole, encoder_spec, layer_label

__all__ = ["LAYER_TRANSFER", "layer_faults", "layer_methods"]

LAYER_TRANSFER = "layer_transfer"
"""Key under `methods`."""

_DECIDED = {"n_copied": None, "n_frozen": 0, "strategy": "full"}
"""Options that the network's name decides, with their values where nothing is copied or frozen."""


def layer_faults(entry: Mapping[str, Any], encoders: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong, with places below the entry; what its options may be is checked in each of its methods."""
    for key in entry.keys() - {"pretrain", "finetune"}:
        yield (key,), "unknown key. Known: finetune, pretrain."
    finetune = entry.get("finetune")
    for key in _DECIDED.keys() & finetune.keys() if isinstance(finetune, dict) else ():
        yield ("finetune", key), "each network of a layer transfer has its own. Remove it."
    counts = _counts(encoders)
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        yield (), f"its encoders need one number of blocks; these have: {told}. Give each a benchmark of its own."


def layer_methods(
    entry: Mapping[str, Any], encoders: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(label, entry) of each network, as if it stood in the file; none where no encoder is known."""
    depth = max(_counts(encoders).values(), default=0)
    finetune = entry.get("finetune")
    shared = finetune if isinstance(finetune, dict) else {}
    roles = [
        LayerRole(origin, n, moving) for origin in ("A", "B") for moving in (False, True) for n in range(1, depth + 1)
    ]
    methods = {kind.layer_origin: name for name, kind in METHODS.items() if kind.layer_origin}
    for role in roles:
        decided = _DECIDED | {"n_copied": role.n_blocks, "n_frozen": 0 if role.moving else role.n_blocks}
        yield layer_label(role), {**entry, "method": methods[role.origin], "finetune": {**shared, **decided}}


def _counts(encoders: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Blocks of the known encoders, by key; what is wrong with their options is told elsewhere."""
    counts = {}
    for key, entry in encoders.items():
        if (name := str(entry.get("name", key))) in ENCODERS:
            try:
                counts[key] = encoder_spec(**{**entry, "name": name}).blocks
            except ValidationError:
                counts[key] = ENCODERS[name].blocks
    return counts
