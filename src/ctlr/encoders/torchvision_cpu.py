"""torchvision beside a torch that its compiled part was not built for.

The wheel of torchvision on the package index is built for CUDA. Beside a CPU build of torch its library cannot be
loaded, and the import fails because operators that it describes do not exist ("operator torchvision::nms does not
exist"). Models, transforms and datasets need none of them. So where the library does not load, those operators are
declared before the import, without a body; calling one still fails.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import torch

__all__ = ["load_torchvision"]

_DESCRIBED = ("nms", "qnms")
_libraries: list[torch.library.Library] = []  # operators vanish with the library that declared them


def load_torchvision() -> ModuleType:
    """Import torchvision, whichever torch it was built for.

    Raises:
        ModuleNotFoundError: torchvision is not installed.
    """
    if "torchvision" not in sys.modules and not _libraries and not _extension_loads():
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for name in _DESCRIBED:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
        _libraries.append(library)
    return importlib.import_module("torchvision")


def _extension_loads() -> bool:
    """Whether torchvision's compiled operators can be loaded; loading them twice does no harm."""
    package = find_spec("torchvision")
    if package is None or package.origin is None:
        return True  # the import that follows says what is wrong
    finder = FileFinder(str(Path(package.origin).parent), (ExtensionFileLoader, EXTENSION_SUFFIXES))
    extension = finder.find_spec("_C")
    if extension is None or extension.origin is None:
        return False
    try:
        torch.ops.load_library(extension.origin)  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return True
