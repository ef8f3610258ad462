"""Which kind of file a user has named."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["is_experiment"]

_LOOKED_AT_BYTES = 256 * 1024
_KIND = re.compile(r"""(?:^|[{,])\s*["']?kind["']?\s*:\s*["']?Experiment\b""", re.MULTILINE)


def is_experiment(file: Path) -> bool:
    """Whether a file is a Katib Experiment, right or wrong, rather than a benchmark."""
    try:
        if not file.is_file():
            return False  # whoever reads it next says why
        with file.open("rb") as stream:
            text = stream.read(_LOOKED_AT_BYTES).decode(errors="replace")
    except (OSError, ValueError):
        return False  # whoever reads it next says why
    return _KIND.search(text) is not None
