"""Metrics out of what trials print or write, by the rules of Katib's collectors (0.19).

TEXT: each match of a filter in a line is a metric; a time in front is passed over. JSON: one object a line, and only
values that are strings count.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from ctlr.errors import ConfigError
from ctlr.specs import Collector, Experiment

__all__ = [
    "DEFAULT_FILTER",
    "FileTail",
    "Metrics",
    "MetricsReader",
    "Tally",
    "check_collector",
    "how_it_is_read",
    "metric_names",
    "names_file",
]

Metrics = dict[str, float]

DEFAULT_FILTER = r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)"
"""Katib's own, for TEXT."""

_DECIMAL_COMMA = re.compile(r",\d")
_LONGEST_LINE = 65_536
_LONGEST_TEXT = 4_096
"""Filters look at the beginning of a line: Katib's own takes the square of its length."""


def metric_names(experiment: Experiment) -> tuple[str, ...]:
    """The metrics that are collected, the objective first."""
    return (experiment.objective.metric, *experiment.objective.additional)


def how_it_is_read(experiment: Experiment) -> str:
    """Where the objective is looked for and what it must look like, as part of a sentence."""
    collector, name = experiment.collector, experiment.objective.metric
    place = {"StdOut": "its output", "File": collector.path, "Push": "the call of report_metrics"}[collector.kind]
    if collector.kind == "Push":
        return place
    if collector.format == "JSON":
        return f'{place}, in lines like {{"{name}": "0.5"}} (the value a string)'
    return f"{place}, by {'its filters' if collector.filters else f'lines like {name}=0.5'}"


def check_collector(experiment: Experiment, workers: int) -> None:
    """Refuse a collector that cannot be followed on this machine.

    Args:
        experiment: Whose trials are to run.
        workers: Trials at once.

    Raises:
        ConfigError: Its kind needs a cluster; its file cannot be written here, or trials at once would share it.
    """
    collector = experiment.collector
    if collector.kind not in ("StdOut", "File", "Push"):
        raise ConfigError(
            f"{experiment.name}: spec.metricsCollectorSpec.collector.kind: this machine reads StdOut, File and Push; "
            f"got {collector.kind}. Print the metrics as NAME=NUMBER and use StdOut."
        )
    if collector.kind != "File" or names_file(experiment):
        return
    _make_room(Path(collector.path))
    if workers > 1:
        raise ConfigError(
            f"{experiment.name}: {workers} trials at once would write one file, {collector.path}, for their command "
            "does not name it. Run one at a time with --workers 1, or pass the path in the command."
        )


def _make_room(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writable = os.access(path.parent, os.W_OK) and not path.is_dir()
    except OSError:
        writable = False
    if not writable:
        raise ConfigError(
            f"The collector's file {path} cannot be written on this machine. Make its folder writable, or pass its "
            "path in the trial's command: each trial then writes one of its own."
        )


def names_file(experiment: Experiment) -> bool:
    """Whether a trial's command or environment names the collector's file, so that each trial can have its own."""
    words = (*experiment.trial.command, *experiment.trial.environment.values())
    return any(experiment.collector.path in word for word in words)


class Tally:
    """A trial's metrics so far: by name the latest, the least and the greatest value."""

    def __init__(self, strategies: Mapping[str, Literal["min", "max", "latest"]]) -> None:
        self._strategies = strategies
        self._values: dict[str, tuple[float, float, float]] = {}

    def add(self, metrics: Mapping[str, float]) -> None:
        """Count a report."""
        for name, value in metrics.items():
            _, least, greatest = self._values.get(name, (value, value, value))
            self._values[name] = (value, min(least, value), max(greatest, value))

    def metrics(self) -> Metrics:
        """Value of each metric by its strategy."""
        places = {"latest": 0, "min": 1, "max": 2}
        return {name: found[places[self._strategies.get(name, "latest")]] for name, found in self._values.items()}


class MetricsReader:
    """Turn a program's bytes into metrics, as they come.

    Memory stays bounded whatever arrives: the end of a line longer than 64 KiB is dropped.

    Args:
        collector: Its format and filters count.
        names: The metrics to look for.
    """

    def __init__(self, collector: Collector, names: Sequence[str]) -> None:
        self._parse = _line_parser(collector, names)
        self._needles = [name.encode() for name in names]
        self._rest = b""
        self._cut = False

    def feed(self, data: bytes) -> list[Metrics]:
        """Read on; a last line without its end waits for more."""
        if self._cut:
            ends = [place for place in (data.find(b"\n"), data.find(b"\r")) if place >= 0]
            if not ends:
                return []
            data = data[min(ends) :]
            self._cut = False
        data = self._rest + data
        # Progress bars end their lines by a carriage return: waiting for a line feed would hide an epoch's metrics.
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        self._rest = data[end:]
        if len(self._rest) > _LONGEST_LINE:
            self._rest, self._cut = self._rest[:_LONGEST_LINE], True
        return self._read(data[:end])

    def finish(self) -> list[Metrics]:
        """Read a last line that was left without an end."""
        rest, self._rest = self._rest, b""
        return self._read(rest)

    def _read(self, data: bytes) -> list[Metrics]:
        # Most output holds no metric: one look over the whole of it is what a gigabyte of it costs.
        if not any(needle in data for needle in self._needles):
            return []
        lines = re.split(r"[\r\n]+", data.decode(errors="replace"))
        return [metrics for line in lines for metrics in self._parse(line)]


def _line_parser(collector: Collector, names: Sequence[str]) -> Callable[[str], Iterator[Metrics]]:
    if collector.format == "JSON" or collector.kind == "Push":
        return lambda line: _from_json(line, names)
    # Go's \w and \d, which Katib's filters are written in, are ASCII.
    filters = [re.compile(text, re.ASCII) for text in collector.filters or (DEFAULT_FILTER,)]
    return lambda line: _from_text(line[:_LONGEST_TEXT], names, filters)


def _from_text(line: str, names: Sequence[str], filters: Sequence[re.Pattern[str]]) -> Iterator[Metrics]:
    """What a line says; several dictionaries where it names a metric several times."""
    if not any(name in line for name in names):
        return
    metrics: Metrics = {}
    seen = set()
    for pattern in filters:
        for match in pattern.finditer(line):
            name, value = (match.group(1) or "").strip(), (match.group(2) or "").strip()
            if name not in names or match.span(2) in seen:  # two filters that find the same number find one report
                continue
            seen.add(match.span(2))
            if name in metrics:
                yield metrics
                metrics = {}
            # Katib reads `acc=0,95` as 0: better no number than a wrong one.
            cut = value.lstrip("+-").isdecimal() and _DECIMAL_COMMA.match(line, match.end(2))
            metrics[name] = float("nan") if cut else _number(value)
    if metrics:
        yield metrics


def _from_json(line: str, names: Sequence[str]) -> Iterator[Metrics]:
    """What an object says. Other lines are passed over: a warning among them need not cost the trial."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return
    if isinstance(found, dict):
        metrics = {name: _number(found[name]) for name in names if isinstance(found.get(name), str)}
        if metrics:
            yield metrics


def _number(text: str) -> float:
    """A number as it is written; NaN where a text is none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


class FileTail:
    """Follow a file that a trial writes; it need not exist yet.

    Args:
        path: Removed where it exists, so that an earlier trial's metrics are not read.

    Raises:
        ConfigError: The file cannot be written here.
    """

    _MOST = 1 << 20
    """Bytes read at a look, so that one trial's flood does not keep the others waiting."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        _make_room(path)
        path.unlink(missing_ok=True)

    def read(self) -> bytes:
        """What was written since the last look; a file that has shrunk is read from its beginning."""
        try:
            with self._path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset:
                    self._offset = 0
                file.seek(self._offset)
                data = file.read(self._MOST)
        except OSError:  # not there yet, or a folder: then there is no metric, and the trial fails for that reason
            return b""
        self._offset += len(data)
        return data
