"""The values of a benchmark that rules across its sections look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ctlr.config._tuning import TuningSpec
from ctlr.specs import METHODS, DatasetSpec, EncoderSpec, MethodSpec, SplitSpec, TaskSpec, Value

__all__ = ["METHOD_KINDS", "SECTIONS", "End", "Parts", "Transfer"]

METHOD_KINDS = METHODS

SECTIONS = {"datasets": "name", "tasks": "name", "encoders": "label", "methods": "label"}
"""Mappings whose keys are the user's own names, and the field that such a key fills."""


class End(Value):
    """One end of a transfer."""

    data: str
    """Key under `datasets`."""
    task: str
    """Key under `tasks`."""


class Transfer(Value):
    """What is learned (target) and what may help with it (source)."""

    target: End
    source: End | None = None
    """Left out: only methods without a source."""
    methods: tuple[str, ...] | None = None
    """Keys under `methods` that run here; null runs all. `scratch`, the mean and baselines always do."""

    def runs(self, label: str, method: MethodSpec) -> bool:
        """Whether a method takes part in this transfer."""
        always = method.role != "method" or label == "scratch"
        return always or self.methods is None or label in self.methods


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A benchmark's values, by key; None stands for one that is declared, yet wrong in itself."""

    datasets: Mapping[str, DatasetSpec | None]
    tasks: Mapping[str, TaskSpec | None]
    transfers: Mapping[int, Transfer]
    encoders: Mapping[str, EncoderSpec | None]
    methods: Mapping[str, MethodSpec | None]
    split: SplitSpec | None
    sample_sizes: tuple[int, ...]
    tuning: TuningSpec | None = None
    baselines: tuple[str, ...] | None = None

    def running(self, transfer: Transfer) -> Iterator[tuple[str, MethodSpec]]:
        """(label, method) of the sound methods that run on a transfer."""
        for label, method in self.methods.items():
            if method is not None and transfer.runs(label, method):
                yield label, method

    def encoders_by_depth(self) -> list[EncoderSpec]:
        """One of the sound encoders for each name and number of blocks."""
        found = {(encoder.name, encoder.blocks): encoder for encoder in self.encoders.values() if encoder is not None}
        return [found[key] for key in sorted(found)]

    def pairs(self) -> Iterator[tuple[int, DatasetSpec, DatasetSpec]]:
        """Transfers with a source: (index, source data, target data), where both are sound."""
        for index, transfer in self.transfers.items():
            source = self.datasets.get(transfer.source.data) if transfer.source else None
            target = self.datasets.get(transfer.target.data)
            if source is not None and target is not None:
                yield index, source, target
