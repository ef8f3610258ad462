"""Values that flow between steps: frozen, checked at birth, JSON both ways.

What a user writes (datasets, tasks, methods, encoders, training) and what steps return
(stored arrays, checkpoints, study results) share one base, `Value`. Nothing here imports torch.
"""

from ctlr.specs._baselines import shares_task
from ctlr.specs._collections import DIGITS, PUBLISHED, PublishedSet
from ctlr.specs._data import (
    DATASETS,
    METRICS,
    AnyDataset,
    BidsSpec,
    CohortSpec,
    CollectionSpec,
    DatasetSpec,
    DataTask,
    DigitsSpec,
    ImagesSpec,
    LeakSpec,
    PreprocessSpec,
    SplitSpec,
    TaskSpec,
    TorchvisionSpec,
    ViewsSpec,
)
from ctlr.specs._encoders import ENCODERS, EncoderPart, EncoderSpec
from ctlr.specs._experiments import (
    AlgorithmSpec,
    Collector,
    Experiment,
    Objective,
    Parameter,
    Proposal,
    SearchResult,
    SearchStage,
    Trial,
    TrialCommand,
    TrialReport,
    TrialStatus,
)
from ctlr.specs._layers import LayerRole, layer_label, layer_role
from ctlr.specs._methods import (
    BASELINES,
    FLOOR,
    METHODS,
    AnyMethod,
    ComputeSpec,
    FinetuneSpec,
    FitSpec,
    MethodSpec,
    Pretraining,
)
from ctlr.specs._platform import PlatformSpec, TolerationSpec
from ctlr.specs._preparation import Coverage, Preparation
from ctlr.specs._results import Checkpoint, Exclusion, ModelCard, StoredArrays, StudyResult
from ctlr.specs._stages import FinetuneStage, epochs_needed, finetune_stages, misfits
from ctlr.specs._studies import PretrainSpec, Study
from ctlr.specs._transfers import (
    TRANSFER_SCORES,
    ClassTable,
    TransferScores,
    TransferSpec,
    transfers_to_score,
)
from ctlr.specs._value import Value, dns_name, fingerprint

__all__ = [
    "BASELINES",
    "DATASETS",
    "DIGITS",
    "ENCODERS",
    "FLOOR",
    "METHODS",
    "METRICS",
    "PUBLISHED",
    "TRANSFER_SCORES",
    "AlgorithmSpec",
    "AnyDataset",
    "AnyMethod",
    "BidsSpec",
    "Checkpoint",
    "ClassTable",
    "CohortSpec",
    "CollectionSpec",
    "Collector",
    "ComputeSpec",
    "Coverage",
    "DataTask",
    "DatasetSpec",
    "DigitsSpec",
    "EncoderPart",
    "EncoderSpec",
    "Exclusion",
    "Experiment",
    "FinetuneSpec",
    "FinetuneStage",
    "FitSpec",
    "ImagesSpec",
    "LayerRole",
    "LeakSpec",
    "MethodSpec",
    "ModelCard",
    "Objective",
    "Parameter",
    "PlatformSpec",
    "Preparation",
    "PreprocessSpec",
    "PretrainSpec",
    "Pretraining",
    "Proposal",
    "PublishedSet",
    "SearchResult",
    "SearchStage",
    "SplitSpec",
    "StoredArrays",
    "Study",
    "StudyResult",
    "TaskSpec",
    "TolerationSpec",
    "TorchvisionSpec",
    "TransferScores",
    "TransferSpec",
    "Trial",
    "TrialCommand",
    "TrialReport",
    "TrialStatus",
    "Value",
    "ViewsSpec",
    "dns_name",
    "epochs_needed",
    "finetune_stages",
    "fingerprint",
    "layer_label",
    "layer_role",
    "misfits",
    "shares_task",
    "transfers_to_score",
]
