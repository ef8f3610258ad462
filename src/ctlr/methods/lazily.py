"""torch under the names that everybody gives it, loaded when it is first used.

A method's options stand beside its loss, and `ctlr plan` reads options alone: it has no two seconds for torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["F", "nn", "torch"]

if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F
    from torch import nn
else:
    from importlib import import_module

    class _Later:
        """A module that is loaded when something is asked of it."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> object:
            return getattr(import_module(self._name), attribute)

    torch, nn, F = _Later("torch"), _Later("torch.nn"), _Later("torch.nn.functional")
