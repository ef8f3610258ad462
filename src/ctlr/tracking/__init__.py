"""Where runs are recorded: a port, its doubles, and MLflow behind it (imported only when a run is recorded there)."""

from ctlr.tracking._mlflow import MlflowTracker
from ctlr.tracking._port import MemoryTracker, NullTracker, RecordedStudy, Status, TrackedModel, Tracker
from ctlr.tracking._rows import study_params

__all__ = [
    "MemoryTracker",
    "MlflowTracker",
    "NullTracker",
    "RecordedStudy",
    "Status",
    "TrackedModel",
    "Tracker",
    "study_params",
]
