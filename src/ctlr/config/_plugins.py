"""Which parts of a benchmark are others', and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ctlr.config._benchmark import BenchmarkConfig
from ctlr.specs import Plugin, parts_of_others, plugin_of

__all__ = ["plugins_of"]


def plugins_of(config: BenchmarkConfig) -> Mapping[Plugin, list[str]]:
    """Files that a benchmark names and packages that it uses, with its parts of each: `method align_uniform`.

    A file that it names is there too where none of its parts is used.
    """
    used = {
        *(("method", method.method) for method in config.methods.values()),
        *(("encoder", encoder.name) for encoder in config.encoders.values()),
        *(("kind of data", dataset.kind) for dataset in config.datasets.values()),
    }
    found: dict[Plugin, list[str]] = {plugin_of(Path(file)): [] for file in config.plugins}
    for plugin, parts in parts_of_others().items():
        if words := [f"{what} {name}" for what, name in parts if (what, name) in used]:
            found[plugin] = words
    return found
