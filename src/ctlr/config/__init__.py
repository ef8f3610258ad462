"""The benchmark file: read, checked, written out; and YAML files that know their lines."""

from ctlr.config._benchmark import BenchmarkConfig, ReportSpec, TrackingSpec, TrainingSpec
from ctlr.config._document import Document, KeyPath, dotted, read_document, read_text
from ctlr.config._draft import Draft
from ctlr.config._dump import json_schema, public_dump, resolved_yaml
from ctlr.config._editing import edited, nested, scalar_text, yaml_block
from ctlr.config._load import bound, load, load_draft
from ctlr.config._offers import Key, keys_at, keys_of, values_at, values_of
from ctlr.config._parts import SECTIONS, End, Transfer
from ctlr.config._plugins import plugins_of
from ctlr.config._reference import Option, options_of, parts, schema_parts
from ctlr.config._shipped import TEMPLATES, shipped
from ctlr.config._templates import STARTING, template
from ctlr.config._tuning import RaceSpec, TuningSpec
from ctlr.config._written import as_written, homeless

__all__ = [
    "SECTIONS",
    "STARTING",
    "TEMPLATES",
    "BenchmarkConfig",
    "Document",
    "Draft",
    "End",
    "Key",
    "KeyPath",
    "Option",
    "RaceSpec",
    "ReportSpec",
    "TrackingSpec",
    "TrainingSpec",
    "Transfer",
    "TuningSpec",
    "as_written",
    "bound",
    "dotted",
    "edited",
    "homeless",
    "json_schema",
    "keys_at",
    "keys_of",
    "load",
    "load_draft",
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
    "shipped",
    "template",
    "values_at",
    "values_of",
    "yaml_block",
]
