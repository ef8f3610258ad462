"""Kinds of data: one home each, and the table that names them.

A home says what a benchmark file may write of its kind and answers what the rest of CTLR asks of it (`base`); what
reads it is named there and lies in `ctlr.data.kinds`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, SerializeAsAny

from ctlr.specs._datasets.base import DatasetSpec
from ctlr.specs._tables import Table, classes_in, fault_of_class, one_of

__all__ = ["DATASETS", "AnyDataset"]

DATASETS: Table[type[DatasetSpec]] = Table(
    "kind",
    {
        "bids": "ctlr.specs._datasets.bids:BidsSpec",
        "images": "ctlr.specs._datasets.images:ImagesSpec",
        "volumes": "ctlr.specs._datasets.volumes:VolumesSpec",
        "cohort": "ctlr.specs._datasets.cohort:CohortSpec",
        "torchvision": "ctlr.specs._datasets.torchvision:TorchvisionSpec",
        "digits": "ctlr.specs._datasets.digits:DigitsSpec",
        "idx": "ctlr.specs._datasets.idx:IdxSpec",
        "npz": "ctlr.specs._datasets.npz:NpzSpec",
        "fonts": "ctlr.specs._datasets.fonts:FontsSpec",
        "tissue": "ctlr.specs._datasets.tissue:TissueSpec",
        "points": "ctlr.specs._datasets.points:PointsSpec",
        "generated_points": "ctlr.specs._datasets.points:GeneratedPointsSpec",
        "signals": "ctlr.specs._datasets.signals:SignalsSpec",
        "series": "ctlr.specs._datasets.series:SeriesSpec",
    },
    "ctlr.data",
    classes_in(DatasetSpec, "kind"),
    fault_of_class(DatasetSpec, "kind", needed="reader"),
)
"""By `kind`."""

AnyDataset = Annotated[SerializeAsAny[DatasetSpec], BeforeValidator(one_of(DATASETS, "kind"))]
"""A dataset of any kind in the table; it is written with all options of its kind."""
