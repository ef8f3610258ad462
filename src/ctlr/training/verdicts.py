"""What the self-test of a processor's bf16 kernels found, kept in a file of the user's cache."""

from __future__ import annotations

import json
import os
import platform
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch

from ctlr.specs import fingerprint

__all__ = ["read_verdicts", "write_verdicts"]

FORMAT = 1
"""Of the test as much as of the file: another number, and everything is tested again."""
_CHOOSE_KERNELS = (
    "ATEN_CPU_CAPABILITY",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
)
"""Environment variables on which it depends which kernels run."""


def read_verdicts() -> dict[str, str]:
    """Key of a convolution -> what is wrong with it, or nothing; empty where the file is absent or damaged."""
    file = _file()
    try:
        kept = json.loads(file.read_text()) if file is not None else None
    except (OSError, ValueError):
        return {}
    verdicts = kept.get("verdicts") if isinstance(kept, dict) and kept.get("for") == _machine() else None
    if not isinstance(verdicts, dict) or not all(isinstance(verdict, str) for verdict in verdicts.values()):
        return {}
    return verdicts


def write_verdicts(verdicts: Mapping[str, str]) -> None:
    """Add to what is kept. Of two processes that write at once one may lose its part, which is then tested again.

    Does nothing where the folder cannot be written: every process then tests for itself.
    """
    file = _file()
    if file is None:
        return
    kept = {"for": _machine(), "verdicts": read_verdicts() | dict(verdicts)}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as aside:
            whole = Path(aside, file.name)
            whole.write_text(json.dumps(kept, indent=1, sort_keys=True))
            # Not flushed to the disk: what a power cut damages counts as absent.
            whole.replace(file)
    except OSError:
        return


def _file() -> Path | None:
    """One file a machine, so that a home folder can be shared by many; None for a user without a home."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    try:
        # A relative path is to be ignored (XDG Base Directory Specification 0.8).
        cache = Path(named) if named.startswith("/") else Path.home() / ".cache"
    except RuntimeError:
        return None
    return cache / "ctlr" / f"bf16-{fingerprint(json.dumps(_machine(), sort_keys=True))[:16]}.json"


def _machine() -> dict[str, str]:
    """All that decides which kernels run."""
    library = re.search(r"MKL-DNN (\S+) \(Git Hash (\w+)\)", torch.__config__.show())
    return {
        "format": str(FORMAT),
        "processor": _processor(),
        "torch": torch.__version__,
        "onednn": " ".join(library.groups()) if library else "",
        **{name: os.environ[name] for name in _CHOOSE_KERNELS if name in os.environ},
    }


def _processor() -> str:
    """Model and instruction sets."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor()
    named = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    found = {key.strip(): value.strip() for key, value in named.items()}
    parts = [found.get(key, "") for key in ("vendor_id", "cpu family", "model", "stepping", "model name", "flags")]
    return " ".join(parts)
