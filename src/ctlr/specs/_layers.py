"""The networks of a layer transfer, by the names that they have in Yosinski et al. 2014, section 2.

A3B: the first 3 blocks come from a network that learned the source (A) and stay as they are; those above them begin at
random and learn the target (B). A3B+: the copied blocks move too. B3B and B3B+: they come from a network that learned
the target itself, which shows what the cut alone costs.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from ctlr.specs._methods import MethodSpec

__all__ = ["LayerRole", "layer_label", "layer_role"]


class LayerRole(NamedTuple):
    """A network's place in the experiment."""

    origin: Literal["A", "B"]
    """Whether its lower blocks learned the source (A) or the target (B)."""
    n_blocks: int
    """Copied, from the image on."""
    moving: bool
    """Whether the copied blocks learn too."""

    @property
    def family(self) -> str:
        """Its curve: AnB, AnB+, BnB or BnB+."""
        return f"{self.origin}nB{'+' * self.moving}"


def layer_label(role: LayerRole) -> str:
    """Its name: A3B, B3B+."""
    return role.family.replace("n", str(role.n_blocks))


def layer_role(method: MethodSpec) -> LayerRole | None:
    """The place of a method whose label and options both say so; None for any other."""
    n_copied, n_frozen = method.finetune.n_copied, method.finetune.n_frozen
    if n_copied is None or n_frozen not in (0, n_copied) or not method.layer_origin:
        return None
    role = LayerRole(method.layer_origin, n_copied, n_frozen == 0)
    return role if method.label == layer_label(role) else None
