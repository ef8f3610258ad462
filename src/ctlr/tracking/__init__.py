"""Where runs are recorded: a port, its doubles, and MLflow behind it (imported only when a run is recorded there).

Beside it, runs as files for TensorBoard.
"""

from ctlr.tracking._board import Board, BoardRun
from ctlr.tracking._mlflow import MlflowTracker
from ctlr.tracking._port import (
    BestModel,
    MemoryTracker,
    NullTracker,
    Outcome,
    RecordedStudy,
    Status,
    TrackedData,
    TrackedModel,
    Tracker,
)
from ctlr.tracking._rows import Params, Point, epoch_points, final_points, study_params

__all__ = [
    "BestModel",
    "Board",
    "BoardRun",
    "MemoryTracker",
    "MlflowTracker",
    "NullTracker",
    "Outcome",
    "Params",
    "Point",
    "RecordedStudy",
    "Status",
    "TrackedData",
    "TrackedModel",
    "Tracker",
    "epoch_points",
    "final_points",
    "study_params",
]
