"""The benchmark file: read, checked, written out."""

from ctlr.config._benchmark import BenchmarkConfig, ReportSpec, TrackingSpec, TrainingSpec
from ctlr.config._dump import json_schema, public_dump, resolved_yaml
from ctlr.config._load import load
from ctlr.config._parts import End, Transfer
from ctlr.config._rules import n_validation
from ctlr.config._templates import TEMPLATES, template
from ctlr.config._tuning import TuningSpec

__all__ = [
    "TEMPLATES",
    "BenchmarkConfig",
    "End",
    "ReportSpec",
    "TrackingSpec",
    "TrainingSpec",
    "Transfer",
    "TuningSpec",
    "json_schema",
    "load",
    "n_validation",
    "public_dump",
    "resolved_yaml",
    "template",
]
