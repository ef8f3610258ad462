"""Metrics out of what trials print or write, by the rules of Katib's collectors (0.19).

TEXT: each match of a filter in a line is a metric. JSON: one object a line, and only values that are strings count. The
latest value is that of the latest time; a line without one is earlier than all that have one.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from ctlr.errors import ConfigError
from ctlr.specs import Collector, Experiment, Trial
from ctlr.tuning.launchers.launcher import NO_TIME
from ctlr.tuning.manifest import DEFAULT_FILTER, compile_filter

__all__ = [
    "FileTail",
    "Metrics",
    "MetricsReader",
    "Tally",
    "check_collector",
    "lacks_value",
    "metric_names",
    "names_file",
    "no_value",
]

_LONGEST_LINE = 1 << 20
_LONGEST_TIME = 64
_DIGITS = r"\d+(_\d+)*"
_NUMBER = re.compile(
    rf"[+-]?({_DIGITS}\.?({_DIGITS})?|\.{_DIGITS})(e[+-]?{_DIGITS})?|[+-]?inf(inity)?|nan", re.ASCII | re.IGNORECASE
)
_HEXADECIMAL = re.compile(r"[+-]?0x([\da-f]+\.?[\da-f]*|\.[\da-f]+)p[+-]?\d{1,9}", re.ASCII | re.IGNORECASE)
"""What Go's ParseFloat takes, of numbers as they are mostly written and as `float.hex` writes them."""
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\dT)([01]?\d|2[0-3])(:\d\d:\d\d)(?:[.,](\d+))?(?:Z|([+-])([01]\d|2[0-4]):([0-5]\d|60))",
    re.ASCII,
)
"""RFC 3339, and what Go takes for it."""
_NO_VALUE = "reported no "


_CUT = re.compile(r"[,'_:]\d|[xX][0-9a-fA-F]")
"""What says behind a whole number that it goes on: `0,95`, `1'000`, `1_000`, `12:30`, `0x1A`."""
_CUT_FRACTION = re.compile(r"[.'_:]\d|(?<=\.\d{3}),\d+(?![\d.])")
"""The same behind any other: `1.2.3`, `1.234,56`, but not the two numbers of `0.5,0.7`."""


class Metrics(dict[str, float]):
    """What a line says: values by name, NaN where one is no number."""

    time: int = NO_TIME
    """That the line bears, in nanoseconds since 1970."""


def metric_names(experiment: Experiment) -> tuple[str, ...]:
    """The metrics that are collected, the objective first."""
    return (experiment.objective.metric, *experiment.objective.additional)


def no_value(experiment: Experiment, *, reported: bool) -> str:
    """Why a trial that ran to its end has failed for want of a value, and where the value is looked for.

    Args:
        experiment: Whose objective it lacks.
        reported: Whether the metric was there, as no finite number.
    """
    words = _NO_VALUE + experiment.objective.metric
    if reported:
        words += " that is a finite number"
        if experiment.objective.strategies.get(experiment.objective.metric, "latest") == "latest":
            words += " at its last report"
    # A function's experiment refers to no template: what it returns is looked for nowhere else.
    known = experiment.collector.kind in ("StdOut", "File", "Push") and experiment.references
    return f"{words}; it is looked for in {_how_it_is_read(experiment)}" if known else words


def lacks_value(trial: Trial) -> bool:
    """Whether a trial ran to its end and has failed for want of a value: Katib's MetricsUnavailable."""
    return trial.status == "Failed" and trial.reason.startswith(_NO_VALUE)


def _how_it_is_read(experiment: Experiment) -> str:
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
        ConfigError: Its kind needs a cluster; its file cannot be written here or is there already, or trials at once
            would share it.
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
    _check_free(Path(collector.path))
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


def _check_free(path: Path) -> None:
    if os.path.lexists(path):
        raise ConfigError(
            f"The collector's file {path} is there already, and trials would write into it. Move it away, or pass its "
            "path in the trial's command: each trial then writes one of its own."
        )


def names_file(experiment: Experiment) -> bool:
    """Whether a trial's command or environment names the collector's file, so that each trial can have its own."""
    words = (*experiment.trial.command, *experiment.trial.environment.values())
    return any(experiment.collector.path in word for word in words)


class Tally:
    """A trial's metrics so far: by name the latest, the least and the greatest value.

    What is no finite number is passed over, as Katib does it; only the latest value may be none because of it.
    """

    def __init__(self, strategies: Mapping[str, Literal["min", "max", "latest"]]) -> None:
        self._strategies = strategies
        self._values: dict[str, tuple[float, float, float]] = {}
        self._times: dict[str, float] = {}

    def add(self, metrics: Mapping[str, float], time: int = NO_TIME) -> None:
        """Count a report; one that bears an earlier time than those before it is not the latest."""
        for name, value in metrics.items():
            latest, least, greatest = self._values.get(name, (math.nan, math.inf, -math.inf))
            if time >= self._times.get(name, time):
                latest, self._times[name] = value, time
            if math.isfinite(value):
                least, greatest = min(least, value), max(greatest, value)
            self._values[name] = (latest, least, greatest)

    def __contains__(self, name: str) -> bool:
        """Whether a metric was reported, be it as no number."""
        return name in self._values

    def metrics(self) -> dict[str, float]:
        """Value of each metric by its strategy; those without one are left out."""
        places = {"latest": 0, "min": 1, "max": 2}
        values = {name: found[places[self._strategies.get(name, "latest")]] for name, found in self._values.items()}
        return {name: value for name, value in values.items() if math.isfinite(value)}


class MetricsReader:
    """Turn a program's bytes into metrics, as they come.

    Memory stays bounded whatever arrives: the end of a line longer than 1 MiB is dropped.

    Args:
        collector: Its format and filters count.
        names: The metrics to look for.
    """

    def __init__(self, collector: Collector, names: Sequence[str]) -> None:
        self._parse = _line_parser(collector, names)
        self._needles = [name.encode() for name in names]
        if collector.format == "JSON":  # which writes letters as \\u00e9, too
            self._needles.append(b"\\")
        self._rest = b""
        self._begun = b""
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
        begun, (_, end, after) = self._begun, data.rpartition(b"\n")
        self._begun = (after if end else begun + after)[:_LONGEST_TIME]
        # Most output holds no metric: one look over the whole of it is what a gigabyte of it costs.
        if not any(needle in data for needle in self._needles):
            return []
        found: list[Metrics] = []
        for line in data.decode(errors="replace").split("\n"):
            start, begun = begun.decode(errors="replace") + line[:_LONGEST_TIME], b""
            for part in line.split("\r"):
                found += self._parse(part, start)
        return found


def _line_parser(collector: Collector, names: Sequence[str]) -> Callable[[str, str], Iterator[Metrics]]:
    if collector.format == "JSON" or collector.kind == "Push":
        return lambda part, _: _from_json(part, names)
    filters = [compile_filter(text) for text in collector.filters or (DEFAULT_FILTER,)]
    return lambda part, start: _from_text(part, start, names, filters)


def _from_text(part: str, start: str, names: Sequence[str], filters: Sequence[Any]) -> Iterator[Metrics]:
    """What a line, or a part of one, says; several dictionaries where it names a metric several times.

    Args:
        part: Up to a carriage return.
        start: Of the line, where its time stands.
        names: The metrics to look for.
        filters: Compiled.
    """
    if not any(name in part for name in names):
        return
    found: dict[tuple[str, tuple[int, int]], float] = {}
    for pattern in filters:
        for match in pattern.finditer(part):
            name, value = (match.group(1) or "").strip(), (match.group(2) or "").strip()
            if name not in names:
                continue
            # Katib reads `acc=0,95` as 0: better no number than a wrong one.
            cut = (_CUT if value.lstrip("+-").isdecimal() else _CUT_FRACTION).match(part, match.end(2))
            # A number that two filters find is one report, and as late as the second finds it.
            place = name, match.span() if match.group(2) is None else match.span(2)
            found.pop(place, None)
            found[place] = math.nan if cut else _number(value)
    time = _time(start.partition(" ")[0]) if found else NO_TIME
    metrics = _at(time)
    for (name, _), number in found.items():
        if name in metrics:
            yield metrics
            metrics = _at(time)
        metrics[name] = number
    if metrics:
        yield metrics


def _from_json(line: str, names: Sequence[str]) -> Iterator[Metrics]:
    """What an object says. Other lines are passed over: a warning among them need not cost the trial."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return
    if isinstance(found, dict):
        metrics = _at(_time(found.get("timestamp")))
        metrics |= {name: _number(found[name]) for name in names if isinstance(found.get(name), str)}
        if metrics:
            yield metrics


def _at(time: int) -> Metrics:
    metrics = Metrics()
    metrics.time = time
    return metrics


def _time(written: Any) -> int:
    """A time in nanoseconds since 1970; before all others where there is none."""
    try:
        if isinstance(written, str) and (found := _TIME.fullmatch(written)):
            day, hour, rest, fraction, sign, hours, minutes = found.groups()
            seconds = int(datetime.fromisoformat(f"{day}{hour:0>2}{rest}+00:00").timestamp())
            zone = 60 * (60 * int(hours or 0) + int(minutes or 0))
            seconds += zone if sign == "-" else -zone
            return seconds * 10**9 + int(f"{fraction or 0:0<9}"[:9])
        if isinstance(written, int | float) and not isinstance(written, bool):
            return int(written * 10**9)
    except (ValueError, OverflowError):  # there is no such day, or it is far beyond all days
        pass
    return NO_TIME


def _number(text: str) -> float:
    """A number as it is written; NaN where a text is none."""
    if _NUMBER.fullmatch(text):
        return float(text)
    try:
        return float.fromhex(text) if _HEXADECIMAL.fullmatch(text) else math.nan
    except OverflowError:
        return math.nan


class FileTail:
    """Follow a file that a trial writes; it need not exist yet.

    Args:
        path: Must not exist, so that nothing is read that the trial has not written.

    Raises:
        ConfigError: The file cannot be written here, or is there already.
    """

    _MOST = 1 << 20
    """Bytes read at a look, so that one trial's flood does not keep the others waiting."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        _make_room(path)
        _check_free(path)

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

    def keep(self, place: Path) -> None:
        """Move the file to another place once its trial has ended, so that the next trial begins a new one."""
        if self._path.is_file() and self._path != place:
            shutil.move(self._path, place)
