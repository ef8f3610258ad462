"""Synthetic cohorts: grown into the workspace, then read as the BIDS folder that they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ctlr.data.kinds.bids import BidsReader
from ctlr.data.listing import Listing
from ctlr.data.reader import Images, Progress
from ctlr.specs import BidsSpec, CohortSpec, PreprocessSpec
from ctlr.workspace import Workspace

__all__ = ["CohortReader", "cohort_of"]


class CohortReader:
    """Reads a cohort, which is its spec: nothing has to be there."""

    def __init__(self, spec: CohortSpec, listing: Listing | None = None) -> None:
        self.spec = spec

    def listing(self) -> None:
        """It is grown only when it is needed."""

    def files(self) -> tuple[Path, list[str]]:
        """None are read."""
        return Path(), []

    def content(self, digests: Mapping[str, str]) -> tuple[str, ...]:
        """Who is grown, and what becomes of the images."""
        return cohort_of(self.spec).identity(), self.spec.preprocess.identity()

    def open(self, workspace: Workspace, *, workers: int = 1, progress: Progress | None = None) -> Images:
        """Grow the cohort's folder where it is not there yet."""
        cohort = cohort_of(self.spec)
        identity = cohort.identity()
        if not workspace.has("cohorts", identity):
            from ctlr.data.kinds.cohort.growing import write_cohort  # loads the template; no other dataset needs it

            with workspace.publish("cohorts", identity) as folder:
                write_cohort(cohort, folder, workers=workers, progress=progress)
        grown = BidsSpec(root=str(workspace.folder("cohorts", identity)), preprocess=self.spec.preprocess)
        return BidsReader(grown).open(workspace)


def cohort_of(dataset: CohortSpec) -> CohortSpec:
    """The cohort that is grown, whatever it is called and becomes of it."""
    return dataset.model_copy(update={"name": "", "preprocess": PreprocessSpec()})
