"""Values that flow between steps: frozen, checked at birth, JSON both ways.

What a user writes (datasets, tasks, methods, encoders, training) and what steps return
(stored arrays, checkpoints, study results) share one base, `Value`. Nothing here imports torch.
"""

from ctlr.specs._data import (
    DATASETS,
    METRICS,
    AnyDataset,
    BidsSpec,
    CohortSpec,
    DatasetSpec,
    DataTask,
    ImagesSpec,
    PreprocessSpec,
    SplitSpec,
    TaskSpec,
    ViewsSpec,
)
from ctlr.specs._methods import (
    ENCODERS,
    METHODS,
    AnyMethod,
    ComputeSpec,
    EncoderSpec,
    FinetuneSpec,
    FitSpec,
    MeanSpec,
    MethodSpec,
    ScratchSpec,
    SimCLRSpec,
    SupervisedSpec,
    VATSpec,
)
from ctlr.specs._results import Checkpoint, ModelCard, StoredArrays, StudyResult
from ctlr.specs._studies import PretrainSpec, Study
from ctlr.specs._value import Value, dns_name, fingerprint

__all__ = [
    "DATASETS",
    "ENCODERS",
    "METHODS",
    "METRICS",
    "AnyDataset",
    "AnyMethod",
    "BidsSpec",
    "Checkpoint",
    "CohortSpec",
    "ComputeSpec",
    "DataTask",
    "DatasetSpec",
    "EncoderSpec",
    "FinetuneSpec",
    "FitSpec",
    "ImagesSpec",
    "MeanSpec",
    "MethodSpec",
    "ModelCard",
    "PreprocessSpec",
    "PretrainSpec",
    "ScratchSpec",
    "SimCLRSpec",
    "SplitSpec",
    "StoredArrays",
    "Study",
    "StudyResult",
    "SupervisedSpec",
    "TaskSpec",
    "VATSpec",
    "Value",
    "ViewsSpec",
    "dns_name",
    "fingerprint",
]
