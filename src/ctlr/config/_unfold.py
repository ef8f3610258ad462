"""Methods of a benchmark file, one by one: a `sweep` and a layer transfer stand for several each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ctlr.config._document import Document, KeyPath
from ctlr.config._layers import LAYER_TRANSFER, layer_faults, layer_methods
from ctlr.config._parts import METHOD_KINDS
from ctlr.config._sweep import combinations, listed_options

__all__ = ["Methods", "merged", "unfolded"]

Entry = dict[str, Any]


@dataclass(frozen=True)
class Methods:
    """What the section `methods` stands for.

    Attributes:
        entries: Label -> (key in the file, options) of each method.
        families: Key -> labels, where a key stands for several methods.
    """

    entries: dict[str, tuple[str, Entry]] = field(default_factory=dict)
    families: dict[str, list[str]] = field(default_factory=dict)

    def labels(self, key: Any) -> list[Any]:
        """The methods that a key stands for: itself where it is one, or none of ours."""
        return self.families.get(key, [key]) if isinstance(key, str) else [key]


def unfolded(document: Document, section: Mapping[str, Entry], encoders: Mapping[str, Entry]) -> Methods:
    """Write out every method; what is wrong becomes a fault of the document.

    Args:
        document: Learns the lines of the methods that stand nowhere in it.
        section: `methods`, entries being mappings.
        encoders: Those of the benchmark.
    """
    alone = {key: (key, entry) for key, entry in section.items() if "sweep" not in entry and key != LAYER_TRANSFER}
    methods = Methods(entries=alone)
    for key, entry in section.items():
        if key == LAYER_TRANSFER:
            _unfold_layers(methods, document, entry, section, encoders)
        elif "sweep" in entry:
            _unfold_sweep(methods, document, key, entry, section)
    return methods


def _unfold_sweep(methods: Methods, document: Document, key: str, entry: Entry, taken: Collection[str]) -> None:
    where: KeyPath = ("methods", key)
    plain = {name: value for name, value in entry.items() if name != "sweep"}
    options, faults = listed_options(entry["sweep"])
    for below, message in faults:
        document.fault((*where, "sweep", *below), message)
    if faults or ("method" not in plain and key not in METHOD_KINDS):
        methods.entries[key] = (key, plain)
        return
    for below, _ in options:
        document.alias((*where, "sweep", *below), (*where, *below))
    methods.families[key] = []
    for label, swept in combinations(key, options):
        if label in taken:
            document.fault((*where, "sweep"), f"makes a method {label!r}, and there is one. Rename a key.")
        document.alias(where, ("methods", label))
        methods.families[key].append(label)
        methods.entries[label] = (key, merged({"method": key, **plain}, swept))


def _unfold_layers(
    methods: Methods, document: Document, entry: Entry, taken: Collection[str], encoders: Mapping[str, Entry]
) -> None:
    """The networks of a layer transfer; none where it is wrong."""
    where: KeyPath = ("methods", LAYER_TRANSFER)
    faults = list(layer_faults(entry, encoders))
    for below, message in faults:
        document.fault((*where, *below), message)
    found = {} if faults else dict(layer_methods(entry, encoders))
    for label in found:
        if label in taken:
            document.fault(("methods", label), "is a network of `layer_transfer` already. Rename the key.")
        document.alias(where, ("methods", label))
    methods.families[LAYER_TRANSFER] = list(found)
    methods.entries.update({label: (LAYER_TRANSFER, own) for label, own in found.items()})


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two mappings laid over each other; mappings inside are merged too, anything else is replaced."""
    together = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(together.get(key), dict)
        together[key] = merged(together[key], value) if both else value
    return together
