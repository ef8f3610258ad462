"""Values that flow between steps: frozen, checked at birth, JSON both ways.

What a user writes (datasets, tasks, methods, encoders, training) and what steps return
(stored arrays, checkpoints, study results) share one base, `Value`. Nothing here imports torch.
"""

from ctlr.specs._baselines import (
    BASELINES,
    METHODS,
    AnyMethod,
    GradientBoostingSpec,
    LinearSpec,
    NearestSpec,
    ShallowMethod,
    UnchangedLinearSpec,
    UnchangedSpec,
    shares_task,
)
from ctlr.specs._data import METRICS, DataTask, LeakSpec, SplitSpec, TaskSpec, ViewsSpec
from ctlr.specs._datasets import DATASETS, AnyDataset
from ctlr.specs._datasets.base import DatasetSpec, PreprocessSpec
from ctlr.specs._datasets.bids import BidsSpec
from ctlr.specs._datasets.cohort import CohortSpec
from ctlr.specs._datasets.collection import CollectionSpec
from ctlr.specs._datasets.digits import DIGITS, DigitsSpec
from ctlr.specs._datasets.images import ImagesSpec
from ctlr.specs._datasets.torchvision import PUBLISHED, PublishedSet, TorchvisionSpec, missing_files
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
    BLOCKS,
    ENCODERS,
    ComputeSpec,
    EncoderSpec,
    FinetuneSpec,
    FitSpec,
    MeanSpec,
    MethodSpec,
    PooledSpec,
    PretrainedMethod,
    ScratchSpec,
    SelfferSpec,
    SimCLRSpec,
    SupervisedSpec,
    VATSpec,
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
    "BLOCKS",
    "DATASETS",
    "DIGITS",
    "ENCODERS",
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
    "EncoderSpec",
    "Exclusion",
    "Experiment",
    "FinetuneSpec",
    "FinetuneStage",
    "FitSpec",
    "GradientBoostingSpec",
    "ImagesSpec",
    "LayerRole",
    "LeakSpec",
    "LinearSpec",
    "MeanSpec",
    "MethodSpec",
    "ModelCard",
    "NearestSpec",
    "Objective",
    "Parameter",
    "PlatformSpec",
    "PooledSpec",
    "Preparation",
    "PreprocessSpec",
    "PretrainSpec",
    "PretrainedMethod",
    "Proposal",
    "PublishedSet",
    "ScratchSpec",
    "SearchResult",
    "SearchStage",
    "SelfferSpec",
    "ShallowMethod",
    "SimCLRSpec",
    "SplitSpec",
    "StoredArrays",
    "Study",
    "StudyResult",
    "SupervisedSpec",
    "TaskSpec",
    "TolerationSpec",
    "TorchvisionSpec",
    "TransferScores",
    "TransferSpec",
    "Trial",
    "TrialCommand",
    "TrialReport",
    "TrialStatus",
    "UnchangedLinearSpec",
    "UnchangedSpec",
    "VATSpec",
    "Value",
    "ViewsSpec",
    "dns_name",
    "epochs_needed",
    "finetune_stages",
    "fingerprint",
    "layer_label",
    "layer_role",
    "misfits",
    "missing_files",
    "shares_task",
    "transfers_to_score",
]
