"""Tables of parts by name: built-in ones, then those of installed packages and of the files that a benchmark names.

A package of others names its parts as entry points; a file is Python code beside the benchmark, and its classes are
parts. Each such part is known by the hash of its file, which is among its values: what another version has made is not
taken for its own.
"""

from __future__ import annotations

import importlib.util
import json
import linecache
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, Literal, TypeVar, cast

from pydantic import ValidationInfo, create_model

from ctlr.errors import ConfigError, nearest
from ctlr.specs._value import Value, fingerprint

__all__ = ["PLUGINS", "Plugin", "Table", "classes_in", "named_files", "one_of", "plugin_of", "use_files"]

T = TypeVar("T")

PLUGINS = "CTLR_PLUGINS"
"""Variable of the environment that names files with parts, so that worker processes load them too."""


@dataclass(frozen=True)
class Plugin:
    """Where a part of others comes from.

    Attributes:
        name: Of the file, or of the package with its version.
        sha256: Of the file that defines the part, 16 hexadecimal digits.
    """

    name: str
    sha256: str


class Table(MutableMapping[str, T], Generic[T]):
    """The parts of a kind by name; a part's module is loaded when it is first asked for.

    Args:
        what: What they are, in a message.
        builtin: Name -> the part, or `module:attribute`.
        group: Entry points that name more.
        parts_in: What a file's module holds of the kind, by name.
    """

    def __init__(
        self, what: str, builtin: Mapping[str, T | str], group: str, parts_in: Callable[[ModuleType], Mapping[str, T]]
    ) -> None:
        self.what = what
        self.builtin = tuple(builtin)
        self._places: dict[str, T | str] = dict(builtin)
        self._group, self._parts_in = group, parts_in
        self._plugins: dict[str, Plugin] = {}
        self._asked: tuple[tuple[str, Plugin], ...] | None = None

    def __getitem__(self, name: str) -> T:
        place = self._places.get(name)
        if place is None:
            self._look_further()
            place = self._places[name]
        if isinstance(place, str):
            place = self._places[name] = cast("T", pkgutil.resolve_name(place))
        return place

    def __setitem__(self, name: str, part: T | str) -> None:
        """Add a part in this process alone: workers and pods do not have it."""
        self._places[name] = part

    def __delitem__(self, name: str) -> None:
        del self._places[name]

    def __contains__(self, name: object) -> bool:
        if name not in self._places:
            self._look_further()
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        self._look_further()
        return iter(self._places)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def origin(self, name: str) -> Plugin | None:
        """Where a part of others comes from; None for a built-in one."""
        return self._plugins.get(name) if name in self else None

    def _look_further(self) -> None:
        """Take in what packages and files bring."""
        files = tuple((file, plugin_of(Path(file))) for file in named_files())
        if self._asked == files:
            return
        self._asked = files
        for name in self._plugins:
            del self._places[name]
        self._plugins.clear()
        for entry in entry_points(group=self._group):
            self._add(entry.name, _loaded(entry), _package(entry))
        for file, plugin in files:
            for name, part in self._parts_in(_module(file, plugin)).items():
                self._add(name, part, plugin)

    def _add(self, name: str, part: Any, plugin: Plugin) -> None:
        if name in self._places:
            other = self._plugins.get(name)
            first = f"of {other.name}" if other else "built in"
            raise ConfigError(f"{plugin.name}: there is a {self.what} {name!r} already, {first}. Rename one of them.")
        self._places[name] = stamped(part, plugin)
        self._plugins[name] = plugin


def stamped(part: Any, plugin: Plugin) -> Any:
    """The part with the hash of its file among its values: identities and stored results then hold it."""
    if isinstance(part, type) and issubclass(part, Value):
        stamp: Any = Literal[plugin.sha256]
        return create_model(
            part.__name__, __base__=part, __module__=part.__module__, __doc__=part.__doc__,
            plugin=(stamp, plugin.sha256),
        )  # fmt: skip
    return replace(part, plugin=plugin.sha256)


# ---------------------------------------------------------------- files and packages


def use_files(files: Iterable[Path]) -> None:
    """Load parts from these files too, here and in every process that this one starts.

    Raises:
        ConfigError: A file does not load; names it, the line and what is wrong.
    """
    known, files = list(named_files()), list(files)
    os.environ[PLUGINS] = os.pathsep.join(dict.fromkeys([*known, *(str(file.absolute()) for file in files)]))
    for file in files:
        _module(str(file.absolute()), plugin_of(file))


def named_files() -> tuple[str, ...]:
    """Files with parts that this process was told of."""
    return tuple(filter(None, os.environ.get(PLUGINS, "").split(os.pathsep)))


def plugin_of(file: Path) -> Plugin:
    """A file as the place where parts come from.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        return Plugin(file.name, fingerprint(file.read_text())[:16])
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file.name}: cannot be read as Python code ({error}). Put it beside the benchmark."
        ) from error


@cache
def _module(file: str, plugin: Plugin) -> ModuleType:
    """The module of a file, executed once a process and version."""
    path = Path(file)
    name = f"ctlr_plugin_{path.stem}_{fingerprint(file, plugin.sha256)[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigError(_told(path, error)) from error
    return module


def _told(path: Path, error: Exception) -> str:
    """`my_methods.py, line 7: NameError: name 'x' is not defined`, with the line's text."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else frames[-1].lineno if frames else None
    text = linecache.getline(str(path), line).strip() if line else ""
    first = next(iter(str(error).splitlines()), "")
    where = f"{path.name}, line {line}" if line else path.name
    return f"{where}: {type(error).__name__}: {first}" + (f" ({text})" if text else "")


def _loaded(entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except Exception as error:
        name = _package(entry).name
        raise ConfigError(
            f"{name}: {entry.value} does not load: {type(error).__name__}: {error}. Remove it."
        ) from error


def _package(entry: EntryPoint) -> Plugin:
    name = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
    found = importlib.util.find_spec(entry.module)
    text = Path(found.origin).read_text() if found and found.origin else ""
    return Plugin(name, fingerprint(name, text)[:16])


# ---------------------------------------------------------------- values of any part


def one_of(table: Table[Any], key: str) -> Any:
    """What reads a value of any part in a table, which its key names.

    Args:
        table: Of classes of values.
        key: Field that names the part.
    """

    def read(data: Any, info: ValidationInfo) -> Any:
        if isinstance(data, Value):
            return data
        name = data.get(key) if isinstance(data, dict) else None
        if not isinstance(name, str) or name not in table:
            raise ValueError(f"unknown {table.what} {name!r}. {nearest(str(name), table)}")
        kind: type[Value] = table[name]
        return kind.model_validate_json(json.dumps(data)) if info.mode == "json" else kind.model_validate(data)

    return read


def classes_in(base: type[Value], key: str) -> Callable[[ModuleType], Mapping[str, Any]]:
    """What finds a file's classes of a kind, by the value of the field that names them."""

    def find(module: ModuleType) -> dict[str, Any]:
        found = {}
        for part in vars(module).values():
            own = isinstance(part, type) and issubclass(part, base) and part.__module__ == module.__name__
            if own and isinstance(name := getattr(part.model_fields.get(key), "default", None), str):
                found[name] = part
        return found

    return find
