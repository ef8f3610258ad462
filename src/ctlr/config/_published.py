"""Whether the files of a published set are there, and what to do where they are not."""

from __future__ import annotations

from pathlib import Path

from ctlr.specs import PUBLISHED, PublishedSet

__all__ = ["missing_files"]


def missing_files(name: str, root: Path) -> str:
    """What is missing of a published set below its root, and how to get it; empty where nothing is.

    Args:
        name: Of the set, as in `ctlr.specs.PUBLISHED`.
        root: The folder that holds, or shall hold, its files.
    """
    published = PUBLISHED[name]
    if published.archive and (root / published.archive).is_file():
        return ""
    absent = [file for file in published.files if not _is_there(root, file, published)]
    if not absent:
        return ""
    place = f"{published.archive} or all of " if published.archive else ""
    return (
        f"needs {place}{', '.join(published.files)} below its root {str(root)!r}, and {absent[0]} is not there. "
        f"CTLR downloads nothing: fetch {published.address} (md5 {published.md5}) and "
        f"{published.remedy.format(root=root)}."
    )


def _is_there(root: Path, file: str, published: PublishedSet) -> bool:
    return (root / file).is_file() or (bool(published.archive) and (root / f"{file}.gz").is_file())
