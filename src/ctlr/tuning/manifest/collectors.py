"""The metrics collector of a manifest: where a trial's metrics stand, and how they are read."""

from __future__ import annotations

import re
from typing import Any

import re2

from ctlr.specs import Collector, Objective
from ctlr.tuning.manifest.fields import Fields

__all__ = ["DEFAULT_FILTER", "check_metric_names", "compile_filter", "read_collector"]

DEFAULT_FILTER = r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)"
"""Katib's own, for TEXT."""

_KINDS = ("StdOut", "File", "TensorFlowEvent", "PrometheusMetric", "Push", "Custom")
_PATHS = {"File": "/var/log/katib/metrics.log", "TensorFlowEvent": "/var/log/katib/tfevent/"}
_JOINED = ("StdOut", "File", "TensorFlowEvent", "PrometheusMetric")
"""Collectors that Katib starts itself, with names and filters in one argument each."""
_ANY_BYTE = re.compile(r"(?<!\\)(\\\\)*\\C")
"""What RE2 knows and Go does not."""


def read_collector(spec: Fields) -> Collector:
    """The collector of a manifest, with Katib's defaults; faults are noted."""
    collectors = spec.mapping("metricsCollectorSpec")
    collectors.only("source", "collector")
    kind = _kind(collectors)
    source = collectors.mapping("source")
    source.only("httpGet", "fileSystemPath", "filter")
    path = _path(source, kind)
    form = source.mapping("fileSystemPath").text("format", ("TEXT", "JSON")) or "TEXT"
    if kind == "StdOut":
        form = "TEXT"  # whatever is written: Katib tells its collector so
    if kind == "PrometheusMetric":
        _check_http(source.mapping("httpGet"))
    if kind == "File" and form == "JSON" and "filter" in source:
        source.fault("filter", "a JSON file is read without filters. Remove the filter, or write `format: TEXT`.")
    data = {"kind": kind, "path": path, "format": form, "filters": _filters(source, kind)}
    return Collector.model_validate(data, strict=False)


def _kind(collectors: Fields) -> str:
    collector = collectors.mapping("collector")
    collector.only("kind", "customCollector")
    if "collector" not in collectors:
        return "StdOut"
    if collector.data.get("kind") == "None":
        collector.fault("kind", "Katib 0.18 has renamed it; got 'None'. Write `kind: Push`.")
        return "Push"
    collector.need("kind", f"Write one of {', '.join(_KINDS)}.")
    kind = collector.text("kind", _KINDS) or "StdOut"
    if kind == "Custom":
        collector.need("customCollector", "Write the container that collects the metrics below it.")
        collector.mapping("customCollector")
    return kind


def _path(source: Fields, kind: str) -> str:
    place = source.mapping("fileSystemPath")
    place.only("path", "kind", "format")
    path, what = place.text("path") or _PATHS.get(kind, ""), place.text("kind", ("File", "Directory"))
    if kind not in ("File", "TensorFlowEvent", "Custom"):
        return ""
    fitting = {"File": "File", "TensorFlowEvent": "Directory"}.get(kind)
    if fitting and what not in ("", fitting):
        place.fault("kind", f"must be {fitting} for the collector {kind}; got {what!r}. Write `kind: {fitting}`.")
    if kind == "Custom" and "fileSystemPath" in source:
        place.need("kind", "Write `kind: File` or `kind: Directory`.")
        place.need("path", "Write the absolute path.")
    if path and not path.startswith("/"):
        place.fault("path", f"must be absolute; got {path!r}. Begin it with /.")
    if kind == "TensorFlowEvent" and "format" in place:
        place.fault("format", "event files have no format. Remove it.")
    return path


def _check_http(place: Fields) -> None:
    place.only("host", "httpHeaders", "path", "port", "scheme")
    port = place.data.get("port")
    if port is not None and not re.fullmatch(r"0*[1-9]\d*", str(port)):
        place.fault("port", f"must be a whole number above 0; got {port!r}. Write e.g. `port: 8080`.")
    path = place.text("path")
    if path and not path.startswith("/"):
        place.fault("path", f"must begin with /; got {path!r}. Write e.g. `path: /metrics`.")


def _filters(source: Fields, kind: str) -> list[str]:
    entry = source.mapping("filter")
    entry.only("metricsFormat")
    filters = entry.texts("metricsFormat")
    for index, text in enumerate(filters):
        if fault := _filter_fault(text, kind):
            entry.document.fault((*entry.where, "metricsFormat", index), fault)
    return filters


def compile_filter(text: str) -> Any:
    """A filter as Katib's collector compiles it: Go's expressions are RE2's, and matching takes linear time.

    Raises:
        ValueError: Go knows no such expression; says why.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        if found := _ANY_BYTE.search(text):
            raise ValueError(f"invalid escape sequence: {found[0]}")
        pattern = re2.compile(text, options)
    except re2.error as error:
        raise ValueError(error.args[0].decode(errors="replace")) from error
    for name in pattern.groupindex:
        if not name.isascii():
            raise ValueError(f"invalid named capture: {name}")
    return pattern


def _filter_fault(text: str, kind: str) -> str:
    try:
        groups = compile_filter(text).groups
    except ValueError as error:
        return f"must be a regular expression as Go reads it; got {text!r} ({error}). Write it without."
    if kind in _JOINED and ";" in text:
        return f"Katib joins filters by ; and would cut this one in two; got {text!r}. Write \\x3b for it."
    # Katib's webhook looks for two brackets behind each other, except where the output is read.
    if groups < 2 or (kind not in ("StdOut", "Push") and not re.search(r"\(.*\).*\(.*\)", text)):
        rule = "needs two groups, one for the name and behind it one for the value"
        return f"{rule}; got {text!r}. Write e.g. '{DEFAULT_FILTER}'."
    return ""


def check_metric_names(spec: Fields, objective: Objective, collector: Collector) -> None:
    """Note metrics that Katib cannot ask for, or not read out of a text: `val/loss=0.5` is read as `loss`."""
    plain = collector.kind in ("StdOut", "File") and collector.format == "TEXT" and not collector.filters
    place = spec.mapping("objective")
    named = [
        ("objectiveMetricName", objective.metric),
        *(("additionalMetricNames", each) for each in objective.additional),
    ]
    for key, metric in named:
        if collector.kind in _JOINED and ";" in metric:
            place.fault(key, f"Katib joins the names of metrics by ; and would take {metric!r} for two. Rename it.")
        elif plain and not re.fullmatch(r"[\w|-]+", metric, re.ASCII):
            rule = f"a metric read from text is named by letters, digits, _, - and |, without /; got {metric!r}"
            place.fault(key, f"{rule}. Rename it, or write a filter.")
