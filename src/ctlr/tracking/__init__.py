"""Where runs are recorded: a port, its doubles, and MLflow behind it (imported only when a run is recorded there).

Beside it, runs as files for TensorBoard.
"""

from ctlr.tracking._board import Board, BoardRun
from ctlr.tracking._mlflow import MlflowTracker
from ctlr.tracking._port import MemoryTracker, NullTracker, RecordedStudy, Status, TrackedModel, Tracker
from ctlr.tracking._rows import Params, Point, epoch_points, final_points, study_params

__all__ = [
    "Board",
    "BoardRun",
    "MemoryTracker",
    "MlflowTracker",
    "NullTracker",
    "Params",
    "Point",
    "RecordedStudy",
    "Status",
    "TrackedModel",
    "Tracker",
    "epoch_points",
    "final_points",
    "study_params",
]
