"""Values that flow between steps: frozen, checked at birth, JSON both ways.

What a user writes (datasets, tasks, methods, encoders, training) and what steps return
(stored arrays, checkpoints, study results) share one base, `Value`. Nothing here imports torch.
"""

from ctlr.specs._baselines import shares_task
from ctlr.specs._cells import CellCnnSpec, CellModule
from ctlr.specs._data import (
    ALSO,
    METRICS,
    REGRESSION_METRICS,
    AlsoSpec,
    DataTask,
    LeakSpec,
    SplitSpec,
    TaskSpec,
    ViewsSpec,
    also_name,
)
from ctlr.specs._datasets import DATASETS, AnyDataset
from ctlr.specs._datasets.base import DatasetSpec, Measured, Preprocessing, PreprocessSpec, images_of, kind_of_image
from ctlr.specs._datasets.bids import BidsSpec
from ctlr.specs._datasets.cohort import CohortSpec
from ctlr.specs._datasets.collection import CollectionSpec
from ctlr.specs._datasets.digits import DIGITS, DigitsSpec
from ctlr.specs._datasets.fonts import FontsSpec
from ctlr.specs._datasets.idx import IdxPair, IdxSpec, idx_pairs
from ctlr.specs._datasets.images import ImagesSpec
from ctlr.specs._datasets.montages import ELECTRODES, MONTAGES
from ctlr.specs._datasets.npz import NpzSpec
from ctlr.specs._datasets.points import GENERATORS, GeneratedPointsSpec, PointsSpec
from ctlr.specs._datasets.series import SeriesPreprocess, SeriesSpec
from ctlr.specs._datasets.signals import SignalsPreprocess, SignalsSpec
from ctlr.specs._datasets.tissue import ARCHITECTURES, TissueSpec
from ctlr.specs._datasets.torchvision import PUBLISHED, PublishedSet, TorchvisionSpec, missing_files
from ctlr.specs._datasets.volumes import VolumesSpec
from ctlr.specs._encoders import ENCODERS, AnyEncoder, EncoderPart, EncoderSpec, Extent, encoder_kind, encoder_spec
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
    Turn,
    trial_row,
)
from ctlr.specs._inputs import InputColumn
from ctlr.specs._layers import LayerRole, layer_label, layer_role
from ctlr.specs._least_errors import Assessment, ErrorEstimate, LeastErrors, LeastErrorSpec, NoiseCheck
from ctlr.specs._methods import (
    BASELINES,
    FLOOR,
    METHODS,
    MORE_BASELINES,
    AnyMethod,
    ComputeSpec,
    FinetuneSpec,
    FitSpec,
    MethodSpec,
    Pretraining,
)
from ctlr.specs._networks import Activation, Cnn1dSpec, CnnLstmSpec, LeNetSpec, LstmSpec, MlpSpec, RowRnnSpec
from ctlr.specs._parts import PART_TABLES, parts_of_others
from ctlr.specs._platform import PlatformSpec, TolerationSpec
from ctlr.specs._plugins import PLUGINS, Plugin, named_files, place_of, plugin_of, use_files
from ctlr.specs._preparation import Coverage, Preparation
from ctlr.specs._results import (
    Answer,
    Checkpoint,
    DrawnViews,
    Exclusion,
    ModelCard,
    StoredArrays,
    StudyResult,
    TargetSummary,
)
from ctlr.specs._stages import FinetuneStage, epochs_needed, finetune_stages, misfits
from ctlr.specs._studies import PretrainSpec, Study
from ctlr.specs._tables import Table
from ctlr.specs._transfers import (
    TRANSFER_SCORES,
    ClassTable,
    TransferScores,
    TransferSpec,
    transfers_to_score,
)
from ctlr.specs._value import Value, dns_name, fingerprint

__all__ = [
    "ALSO",
    "ARCHITECTURES",
    "BASELINES",
    "DATASETS",
    "DIGITS",
    "ELECTRODES",
    "ENCODERS",
    "FLOOR",
    "GENERATORS",
    "METHODS",
    "METRICS",
    "MONTAGES",
    "MORE_BASELINES",
    "PART_TABLES",
    "PLUGINS",
    "PUBLISHED",
    "REGRESSION_METRICS",
    "TRANSFER_SCORES",
    "Activation",
    "AlgorithmSpec",
    "AlsoSpec",
    "Answer",
    "AnyDataset",
    "AnyEncoder",
    "AnyMethod",
    "Assessment",
    "BidsSpec",
    "CellCnnSpec",
    "CellModule",
    "Checkpoint",
    "ClassTable",
    "Cnn1dSpec",
    "CnnLstmSpec",
    "CohortSpec",
    "CollectionSpec",
    "Collector",
    "ComputeSpec",
    "Coverage",
    "DataTask",
    "DatasetSpec",
    "DigitsSpec",
    "DrawnViews",
    "EncoderPart",
    "EncoderSpec",
    "ErrorEstimate",
    "Exclusion",
    "Experiment",
    "Extent",
    "FinetuneSpec",
    "FinetuneStage",
    "FitSpec",
    "FontsSpec",
    "GeneratedPointsSpec",
    "IdxPair",
    "IdxSpec",
    "ImagesSpec",
    "InputColumn",
    "LayerRole",
    "LeNetSpec",
    "LeakSpec",
    "LeastErrorSpec",
    "LeastErrors",
    "LstmSpec",
    "Measured",
    "MethodSpec",
    "MlpSpec",
    "ModelCard",
    "NoiseCheck",
    "NpzSpec",
    "Objective",
    "Parameter",
    "PlatformSpec",
    "Plugin",
    "PointsSpec",
    "Preparation",
    "PreprocessSpec",
    "Preprocessing",
    "PretrainSpec",
    "Pretraining",
    "Proposal",
    "PublishedSet",
    "RowRnnSpec",
    "SearchResult",
    "SearchStage",
    "SeriesPreprocess",
    "SeriesSpec",
    "SignalsPreprocess",
    "SignalsSpec",
    "SplitSpec",
    "StoredArrays",
    "Study",
    "StudyResult",
    "Table",
    "TargetSummary",
    "TaskSpec",
    "TissueSpec",
    "TolerationSpec",
    "TorchvisionSpec",
    "TransferScores",
    "TransferSpec",
    "Trial",
    "TrialCommand",
    "TrialReport",
    "TrialStatus",
    "Turn",
    "Value",
    "ViewsSpec",
    "VolumesSpec",
    "also_name",
    "dns_name",
    "encoder_kind",
    "encoder_spec",
    "epochs_needed",
    "finetune_stages",
    "fingerprint",
    "idx_pairs",
    "images_of",
    "kind_of_image",
    "layer_label",
    "layer_role",
    "misfits",
    "missing_files",
    "named_files",
    "parts_of_others",
    "place_of",
    "plugin_of",
    "shares_task",
    "transfers_to_score",
    "trial_row",
    "use_files",
]
