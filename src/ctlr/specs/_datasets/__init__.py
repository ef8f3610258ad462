"""Kinds of data: one home each, and the table that names them.

A home says what a benchmark file may write of its kind and answers what the rest of CTLR asks of it (`base`); what
reads it is named there and lies in `ctlr.data.kinds`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import PlainValidator, SerializeAsAny, ValidationInfo

from ctlr.errors import nearest
from ctlr.specs._datasets.base import DatasetSpec
from ctlr.specs._datasets.bids import BidsSpec
from ctlr.specs._datasets.cohort import CohortSpec
from ctlr.specs._datasets.digits import DigitsSpec
from ctlr.specs._datasets.images import ImagesSpec
from ctlr.specs._datasets.torchvision import TorchvisionSpec

__all__ = ["DATASETS", "AnyDataset"]

DATASETS: Mapping[str, type[DatasetSpec]] = {
    "bids": BidsSpec, "images": ImagesSpec, "cohort": CohortSpec, "torchvision": TorchvisionSpec, "digits": DigitsSpec,
}  # fmt: skip
"""By `kind`."""


def _of_its_kind(value: Any, info: ValidationInfo) -> DatasetSpec:
    """A dataset as the class that the table has for its kind; it is asked anew each time, as kinds may be added."""
    if isinstance(value, DatasetSpec):
        return value
    if not isinstance(value, dict) or "kind" not in value:
        raise ValueError("a dataset must be a mapping with its `kind`")
    kind = value["kind"]
    if not isinstance(kind, str) or kind not in DATASETS:
        raise ValueError(f"unknown kind {kind!r}. {nearest(str(kind), DATASETS)}")
    if info.mode == "json":  # whose lists stand for tuples
        return DATASETS[kind].model_validate_json(json.dumps(value))
    return DATASETS[kind].model_validate(value)


AnyDataset = Annotated[DatasetSpec, PlainValidator(_of_its_kind), SerializeAsAny()]
"""A dataset of any kind in the table; it is written with all options of its kind."""
