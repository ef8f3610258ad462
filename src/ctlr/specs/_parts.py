"""All tables of parts that packages and files of others may add to."""

from __future__ import annotations

from typing import Any

from ctlr.specs._datasets import DATASETS
from ctlr.specs._encoders import ENCODERS
from ctlr.specs._methods import METHODS
from ctlr.specs._plugins import Plugin
from ctlr.specs._tables import Table

__all__ = ["PART_TABLES", "parts_of_others"]

PART_TABLES: dict[str, Table[Any]] = {"method": METHODS, "encoder": ENCODERS, "kind of data": DATASETS}
"""By what one part is."""


def parts_of_others() -> dict[Plugin, list[tuple[str, str]]]:
    """What each package and each file of others brings: (what it is, its name), in the order of the tables."""
    found: dict[Plugin, list[tuple[str, str]]] = {}
    for what, table in PART_TABLES.items():
        for name in table:
            if plugin := table.origin(name):
                found.setdefault(plugin, []).append((what, name))
    return found
