"""A benchmark as far as it has been run: all that a report is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ctlr import __version__
from ctlr.config import BenchmarkConfig, resolved_yaml
from ctlr.specs import (
    DrawnViews,
    LeastErrors,
    SearchResult,
    StoredArrays,
    StudyResult,
    TargetSummary,
    TransferScores,
    fingerprint,
)

__all__ = ["Budget", "Finished"]

Budget = Literal["trials", "seconds"]


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A benchmark, what came of it, and where that was made. `ctlr.outcome.finished` reads it from a workspace."""

    config: BenchmarkConfig
    root: Path
    """Of the workspace; what results name by its path lies below."""
    results: tuple[StudyResult, ...]
    """Every study, failed ones too."""
    searches: tuple[SearchResult, ...] = ()
    """What tuning tried and chose; their trials' validation predictions lie below `root`."""
    transfers: tuple[TransferScores, ...] = ()
    """What scores and distances said of each pair of source and target."""
    at_defaults: tuple[StudyResult, ...] = ()
    """Of tuned studies with the options in the file: what tuning is worth is measured against them."""
    least_errors: tuple[LeastErrors, ...] = ()
    """Estimates of the targets' Bayes errors, where the benchmark asks for them."""
    targets: tuple[TargetSummary, ...] = ()
    """What the datasets hold of each target, those of sources too."""
    arrays: Mapping[str, StoredArrays] = field(default_factory=dict)
    """What is stored of each dataset, by its name; the images lie below `root` as long as nobody removes them."""
    views: tuple[DrawnViews, ...] = ()
    """What the random views of training make of a few images, drawn below `root`."""
    excluded: tuple[str, ...] = ()
    """Why each image that was left out is bad."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Package versions, git commit, platform."""
    folder: Path | None = None
    """Of the benchmark's file; None where nobody knows it."""
    typed: str = ""
    """The command that began the run, as it was typed; empty where there was none."""
    seconds: float = 0.0
    """Of the whole run on the clock; 0 when unknown."""

    @property
    def command(self) -> str:
        """That makes the results from the file that the report prints."""
        return f"ctlr run {self.config.name}.yaml"

    @property
    def said(self) -> str:
        """The command as it was typed, where the benchmark lets its report say it."""
        return self.typed if self.config.report.paths == "written" else ""

    @property
    def place(self) -> Path | None:
        """The folder that paths in the report start at; None where names stand for them."""
        return self.folder if self.config.report.paths == "written" else None

    @property
    def yaml(self) -> str:
        """The resolved configuration, without what names a person, a server or a cluster."""
        return resolved_yaml(self.config, public=True, folder=self.place)

    @property
    def level(self) -> float:
        """Share of intervals that hold the true value."""
        return self.config.report.confidence

    @property
    def budget(self) -> Budget:
        """What every search was given the same of."""
        return "seconds" if self.config.tuning is not None and self.config.tuning.seconds is not None else "trials"

    @property
    def validation(self) -> str:
        """How trials were judged: holdout, kfold:K or repeats:R."""
        return self.config.tuning.validation if self.config.tuning is not None else "holdout"

    def identity(self) -> str:
        """The same for equal reports."""
        values = (*self.results, *self.searches, *self.transfers, *self.at_defaults, *self.targets, *self.least_errors)
        values = (*values, *self.views, *self.arrays.values())
        about = (self.said, json.dumps(dict(self.environment)), str(round(self.seconds)))
        return fingerprint(__version__, self.yaml, *about, *(value.model_dump_json() for value in values))
