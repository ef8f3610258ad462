"""The benchmark file: read, checked, written out; and YAML files that know their lines."""

from ctlr.config._benchmark import BenchmarkConfig, ReportSpec, TrackingSpec, TrainingSpec
from ctlr.config._document import Document, KeyPath, dotted, read_document, read_text
from ctlr.config._dump import json_schema, public_dump, resolved_yaml
from ctlr.config._editing import edited, nested, scalar_text, yaml_block
from ctlr.config._load import load
from ctlr.config._parts import SECTIONS, End, Transfer
from ctlr.config._plugins import plugins_of
from ctlr.config._reference import Option, options_of, parts, schema_parts
from ctlr.config._templates import template
from ctlr.config._tuning import RaceSpec, TuningSpec

__all__ = [
    "SECTIONS",
    "BenchmarkConfig",
    "Document",
    "End",
    "KeyPath",
    "Option",
    "RaceSpec",
    "ReportSpec",
    "TrackingSpec",
    "TrainingSpec",
    "Transfer",
    "TuningSpec",
    "dotted",
    "edited",
    "json_schema",
    "load",
    "nested",
    "options_of",
    "parts",
    "plugins_of",
    "public_dump",
    "read_document",
    "read_text",
    "resolved_yaml",
    "scalar_text",
    "schema_parts",
    "template",
    "yaml_block",
]
