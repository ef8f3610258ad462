"""What a workspace says of a dataset's units, beside results that a test made up."""

from collections.abc import Mapping
from pathlib import Path

from ctlr.specs import StoredArrays

__all__ = ["store_units"]


def store_units(root: Path, arrays: str, units: Mapping[str, str]) -> None:
    """Leave what preprocessing leaves of a dataset, without its images."""
    path = f"arrays/{arrays}"
    stored = StoredArrays(
        fingerprint=arrays, path=path, rows=0, subjects=0, shape=(1, 8, 8, 8), dtype="float16", units=dict(units)
    )
    (root / path).mkdir(parents=True, exist_ok=True)
    (root / path / "stored.json").write_text(stored.model_dump_json())
