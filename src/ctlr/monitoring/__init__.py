"""Whether images that come in are like those that a model was trained on; nobody's label is needed.

A model's folder has `monitoring.json`: what features of its training and validation images were, and what it predicted.
"""

from ctlr.monitoring._drift import Drift, DriftRow, drift_between
from ctlr.monitoring._features import image_features
from ctlr.monitoring._reference import FILE, Reference, Seen, read_reference

__all__ = ["FILE", "Drift", "DriftRow", "Reference", "Seen", "drift_between", "image_features", "read_reference"]
