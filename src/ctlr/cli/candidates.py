"""What may be typed next: candidates for the arguments and options of commands, for `ctlr completion`'s scripts.

A candidate is found in far less than half a second and without torch. Where nothing can be found (a broken file, no
workspace), there are none, and not a word.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.shell_completion import CompletionItem

from ctlr.cli.completion import OPEN, PATH
from ctlr.cli.kinds import is_experiment
from ctlr.errors import CtlrError

if TYPE_CHECKING:
    from ctlr.config import BenchmarkConfig, Key
    from ctlr.specs import Study

__all__ = [
    "benchmark_files",
    "benchmark_settings",
    "encoders",
    "explained",
    "kinds_of_data",
    "manifest_files",
    "models",
    "models_in_reports",
    "plugin_files",
    "runs",
    "runs_and_studies",
    "seeds",
    "sizes",
    "studies",
    "study_ids",
    "study_settings",
    "templates",
    "transfers",
    "workspaces",
    "yaml_files",
]

Item = CompletionItem[str]
Find = Callable[[click.Context, str], Iterable[Item | str]]
Callback = Callable[[click.Context, click.Parameter, str], list[Item]]

_MOST_FILES = 200
"""That are opened to see what they are."""
_STUDY = re.compile(rb'"study":"([a-z0-9-]+)"')
_CANNOT = (CtlrError, OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What a file that is being written, or was never right, does to its reader."""


def _candidates(find: Find) -> Callback:
    """A callback for `shell_complete` that offers what begins as the word does, once each."""

    @functools.wraps(find)
    def found(context: click.Context, _: click.Parameter, incomplete: str) -> list[Item]:
        try:
            items = [item if isinstance(item, CompletionItem) else Item(item) for item in find(context, incomplete)]
        except _CANNOT:
            return []
        return list({item.value: item for item in items if item.value.startswith(incomplete)}.values())

    return found


def _or_else(few: Sequence[str], many: Iterable[str], incomplete: str) -> Iterable[str]:
    """A few names, or, where none of them is meant, one of many others."""
    return few if any(name.startswith(incomplete) for name in few) else many


# ---------------------------------------------------------------- files and folders


def _files(wanted: Callable[[Path], bool]) -> Callback:
    """Files that are wanted, and folders, which may hold some."""

    @_candidates
    def find(_: click.Context, incomplete: str) -> Iterator[Item]:
        for typed, place in _entries(incomplete):
            if place.is_dir():
                yield Item(f"{typed}/", PATH)
            elif wanted(place):
                yield Item(typed, PATH)

    return find


def _folders(mark: str) -> Callback:
    """Folders that hold a file of that name first, then all others."""

    @_candidates
    def find(_: click.Context, incomplete: str) -> Iterator[Item]:
        folders = {typed: (place / mark).is_file() for typed, place in _entries(incomplete) if place.is_dir()}
        yield from (Item(typed, PATH) for typed, marked in folders.items() if marked)
        yield from (Item(f"{typed}/", PATH) for typed, marked in folders.items() if not marked)

    return find


def _entries(incomplete: str) -> Iterator[tuple[str, Path]]:
    """What the folder that was typed so far holds: as it would be typed, and where it is."""
    folder, begun = os.path.split(incomplete)
    shown = sorted(
        entry.name
        for entry in os.scandir(Path(folder or ".").expanduser())
        if entry.name.startswith(begun) and (begun.startswith(".") or not entry.name.startswith("."))
    )
    for name in shown[:_MOST_FILES]:
        yield os.path.join(folder, name), Path(folder).expanduser() / name


def _is_yaml(place: Path) -> bool:
    return place.suffix in (".yaml", ".yml")


benchmark_files = _files(lambda place: _is_yaml(place) and not is_experiment(place))
manifest_files = _files(lambda place: _is_yaml(place) and is_experiment(place))
yaml_files = _files(_is_yaml)
plugin_files = _files(lambda place: place.suffix == ".py")
workspaces = _folders("workspace.json")


@_candidates
def models(context: click.Context, incomplete: str) -> Iterator[Item]:
    """Folders of models and workspaces, which have a best one, and folders on the way there."""
    for typed, place in _entries(incomplete):
        if place.is_dir():
            found = any((place / mark).is_file() for mark in ("model.json", "workspace.json"))
            yield Item(typed if found else f"{typed}/", PATH)


# ---------------------------------------------------------------- what a workspace holds


def _workspace(context: click.Context) -> Path:
    return Path(context.params.get("workspace") or os.environ.get("CTLR_WORKSPACE") or "workspace")


def _names(workspace: Path) -> list[str]:
    """Benchmarks that were run there, the last one first."""
    times = {place.parent.name: place.stat().st_mtime for place in workspace.glob("runs/*/events.jsonl")}
    for page in workspace.glob("reports/*/report.html"):
        times.setdefault(page.parent.name, page.stat().st_mtime)
    return sorted(times, key=lambda name: -times[name])


def _study_ids(workspace: Path, names: Iterable[str]) -> Iterator[str]:
    """Studies that runs have begun, as their events and reports tell."""
    for name in names:
        events, table = workspace / "runs" / name / "events.jsonl", workspace / "reports" / name / "results.csv"
        if table.is_file():
            yield from (line.partition(",")[0] for line in table.read_text().splitlines()[1:])
        if events.is_file():
            yield from (found.decode() for found in _STUDY.findall(events.read_bytes()))


@_candidates
def runs(context: click.Context, incomplete: str) -> Iterator[str]:
    """Names of the benchmarks that the workspace has runs of, the last one first."""
    yield from _names(_workspace(context))


@_candidates
def runs_and_studies(context: click.Context, incomplete: str) -> Iterator[str]:
    """Names of a workspace's runs; ids of their studies where no name begins as the word does."""
    workspace = _workspace(context)
    names = _names(workspace)
    yield from _or_else(names, _study_ids(workspace, names), incomplete)


def models_in_reports(what: str) -> Callback:
    """What a workspace's models have under a key of `models.json`: method, encoder, source or target."""

    @_candidates
    def find(context: click.Context, incomplete: str) -> Iterator[str]:
        root = Path(context.params.get("model") or "")
        for record in sorted(root.glob("reports/*/models.json")):
            if what == "benchmark":
                yield record.parent.name
            elif context.params.get("benchmark") in (None, "", record.parent.name):
                yield from (model[what] for model in json.loads(record.read_text()) if model[what])

    return find


# ---------------------------------------------------------------- what a benchmark's file says


def _file(context: click.Context) -> Path:
    return Path(context.params.get("file") or context.params.get("benchmark") or "")


def _content(context: click.Context) -> Mapping[str, Any]:
    """What stands in the file, right or wrong; nothing where it cannot be read."""
    from ctlr.config import read_document

    try:
        return read_document(_file(context)).data
    except CtlrError:
        return {}


def _config(context: click.Context) -> BenchmarkConfig:
    from ctlr.config import load

    return load(_file(context), context.params.get("overrides") or ())


def _planned(context: click.Context) -> Sequence[Study]:
    from ctlr.plan import make_plan

    return make_plan(_config(context)).studies


@_candidates
def studies(context: click.Context, incomplete: str) -> Iterator[Item | str]:
    """Labels of the benchmark's methods; ids of its studies where no label begins as the word does."""
    trained = [study for study in _planned(context) if not study.method.untuned]
    yield from _or_else([study.method.label for study in trained], (study.id for study in trained), incomplete)


@_candidates
def study_ids(context: click.Context, incomplete: str) -> Iterator[str]:
    """Ids of the benchmark's studies."""
    yield from (study.id for study in _planned(context))


@_candidates
def encoders(context: click.Context, incomplete: str) -> Iterator[str]:
    """Labels of the benchmark's encoders."""
    yield from _config(context).encoders


@_candidates
def sizes(context: click.Context, incomplete: str) -> Iterator[str]:
    """The benchmark's sample sizes."""
    yield from map(str, _config(context).sample_sizes)


@_candidates
def seeds(context: click.Context, incomplete: str) -> Iterator[str]:
    """The benchmark's seeds."""
    yield from map(str, _config(context).seeds)


@_candidates
def transfers(context: click.Context, incomplete: str) -> Iterator[str]:
    """The benchmark's transfers as `dataset.task:dataset.task`, a target without a source as `dataset.task`."""
    for each in _config(context).transfers:
        target = f"{each.target.data}.{each.target.task}"
        yield f"{each.source.data}.{each.source.task}:{target}" if each.source is not None else target


# ---------------------------------------------------------------- --set


@_candidates
def benchmark_settings(context: click.Context, incomplete: str) -> Iterator[Item]:
    """Keys of a benchmark file, level by level, and values where they are few: `training.`, `training.finetune.lr=`."""
    from ctlr.config import keys_at, values_at

    content = _content(context)
    name, equals, _ = incomplete.partition("=")
    where = tuple(int(part) if part.isdecimal() else part for part in name.split("."))
    if equals:
        yield from (Item(f"{name}={value}") for value in values_at(content, where))
    else:
        yield from _keys(name, keys_at(content, where[:-1]))


@_candidates
def study_settings(context: click.Context, incomplete: str) -> Iterator[Item]:
    """Options of the study that the line names, level by level: `finetune.`, `finetune.lr=`; bare ones too."""
    from ctlr.config import values_of
    from ctlr.tuning.options import known_options
    from ctlr.tuning.request import TrialRequest, pick_study

    asked: dict[str, Any] = {key: context.params.get(key) for key in ("n_train", "encoder", "seed", "transfer")}
    request = TrialRequest(benchmark=str(_file(context)), study=str(context.params.get("study")), **asked)
    study = pick_study(request, _config(context))
    known = known_options(study)
    name, equals, _ = incomplete.partition("=")
    if equals:
        addresses = (name, f"method.{name}", f"finetune.{name}")
        home, *path = next(known[address] for address in addresses if address in known)
        kind = type(study.method if home == "method" else study.encoder)
        yield from (Item(f"{name}={value}") for value in values_of(kind, tuple(path)))
        return
    bare = [address.partition(".")[2] for address in known if address.startswith(("method.", "finetune."))]
    above = name[: name.rfind(".") + 1]
    for address in [*known, *bare]:
        key, dot, _ = address.removeprefix(above).partition(".")
        if address.startswith(above):
            yield Item(f"{above}{key}{dot or '='}", OPEN)


def _keys(name: str, keys: Iterable[Key], end: str = "=") -> Iterator[Item]:
    """Keys behind the level that `name` has reached, each with what goes on behind it."""
    above = name[: name.rfind(".") + 1]
    for key in keys:
        sign = "." if key.deeper else end
        yield Item(f"{above}{key.name}{sign}", OPEN if sign else "plain", help=_first_sentence(key.meaning))


def _first_sentence(words: str) -> str | None:
    return re.split(r"(?<=[.:;])\s", words, maxsplit=1)[0].replace("`", "").rstrip(":;.") or None


# ---------------------------------------------------------------- parts


@_candidates
def explained(context: click.Context, incomplete: str) -> Iterator[Item]:
    """Names of parts, sections of a file, and, behind a dot, options of either."""
    from ctlr.config import keys_at, keys_of
    from ctlr.specs import PART_TABLES, EncoderPart, encoder_kind

    name, dot, option = incomplete.partition(".")
    if not dot:
        for table in PART_TABLES.values():
            for part, found in table.items():
                yield Item(part, help=found.about if isinstance(found, EncoderPart) else found.about())
        yield from (Item(key.name, help=_first_sentence(key.meaning)) for key in keys_at({}, ()))
        return
    path = tuple(option.split(".")[:-1])
    for what, table in PART_TABLES.items():
        if name in table:
            yield from _keys(incomplete, keys_of(encoder_kind(name)[0] if what == "encoder" else table[name], path), "")
    if name in {key.name for key in keys_at({}, ())}:
        yield from _keys(incomplete, keys_at({}, (name, *path)), "")


@_candidates
def templates(context: click.Context, incomplete: str) -> Iterator[str]:
    """Names of the benchmarks that come with CTLR."""
    from ctlr.config import TEMPLATES

    yield from TEMPLATES


@_candidates
def kinds_of_data(context: click.Context, incomplete: str) -> Iterator[Item]:
    """Names of the kinds of data."""
    from ctlr.specs import DATASETS

    yield from (Item(name, help=kind.about()) for name, kind in DATASETS.items())
