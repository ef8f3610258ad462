"""Tables of parts by name: built-in ones, then those of installed packages and of the files that a benchmark names.

A package of others names its parts as entry points; a file is Python code beside the benchmark, and its classes are
parts.
"""

from __future__ import annotations

import json
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, Literal, TypeVar, cast

from pydantic import ValidationInfo, create_model

from ctlr.errors import ConfigError, nearest
from ctlr.specs._plugins import Plugin, loads, module_of, named_files, package_of, place_of, plugin_of
from ctlr.specs._value import Value

__all__ = ["Table", "classes_in", "fault_of_class", "one_of"]

T = TypeVar("T")


class Table(Mapping[str, T], Generic[T]):
    """The parts of a kind by name; a part's module is loaded when it is first asked for.

    Args:
        what: What they are, in a message.
        builtin: Name -> the part, or `module:attribute`.
        group: Entry points that name more.
        parts_in: What a file's module holds of the kind, with its names.
        fault_of: Why something cannot be the part of a name, with the remedy; empty where it can.
    """

    def __init__(
        self,
        what: str,
        builtin: Mapping[str, T | str],
        group: str,
        parts_in: Callable[[ModuleType], Iterable[tuple[str, Any]]],
        fault_of: Callable[[str, Any], str],
    ) -> None:
        self.what = what
        self.builtin = tuple(builtin)
        self.group = group
        self._places: dict[str, T | str] = dict(builtin)
        self._parts_in, self._fault_of = parts_in, fault_of
        self._plugins: dict[str, Plugin] = {}
        self._looked: tuple[Any, ...] = ()
        self._sources: tuple[Any, ...] | None = None

    def __getitem__(self, name: str) -> T:
        if name not in self:
            raise KeyError(name)
        place = self._places[name]
        if isinstance(place, str):
            place = self._places[name] = cast("T", pkgutil.resolve_name(place))
        return place

    def __contains__(self, name: object) -> bool:
        if name in self.builtin:
            return True
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
        """Take in what packages and files bring, unless that is done."""
        looked = (named_files(), loads(), *sys.path)
        if looked == self._looked:
            return
        named = _entry_points(tuple(sys.path)).select(group=self.group)
        entries = tuple(sorted(named, key=lambda entry: (entry.name, entry.value)))
        files = tuple((file, plugin_of(Path(file))) for file in named_files())
        if self._sources != (entries, files):
            found = self._found(entries, files)
            for name in self._plugins:
                del self._places[name]
            self._places |= {name: part for name, (part, _) in found.items()}
            self._plugins = {name: plugin for name, (_, plugin) in found.items()}
        self._looked, self._sources = looked, (entries, files)

    def _found(self, entries: Iterable[EntryPoint], files: Iterable[tuple[str, Plugin]]) -> dict[str, tuple[T, Plugin]]:
        found: dict[str, tuple[T, Plugin]] = {}
        for name, part, plugin in self._others(entries, files):
            if fault := self._fault_of(name, part):
                raise ConfigError(f"{place_of(part) or plugin.name}: {fault}")
            if name in found or name in self.builtin:
                first = f"of {found[name][1].name}" if name in found else "built in"
                place = place_of(part) or plugin.name
                raise ConfigError(
                    f"{place}: there is a {self.what} {name!r} already, {first}. Rename one of them."
                )  # fmt: skip
            found[name] = (stamped(part, plugin), plugin)
        return found

    def _others(
        self, entries: Iterable[EntryPoint], files: Iterable[tuple[str, Plugin]]
    ) -> Iterator[tuple[str, Any, Plugin]]:
        for entry in entries:
            yield entry.name, _loaded(entry), package_of(entry)
        for file, plugin in files:
            for name, part in self._parts_in(module_of(file, plugin)):
                yield name, part, plugin


@lru_cache(maxsize=1)  # to read what every installed package says takes 20 ms, for whichever group
def _entry_points(path: tuple[str, ...]) -> EntryPoints:
    return cast("EntryPoints", entry_points())  # Python 3.11 calls it SelectableGroups


@cache  # one class a part and version: values of two classes would never be equal
def stamped(part: Any, plugin: Plugin) -> Any:
    """The part with the hash of its file among its values: identities and stored results then hold it."""
    if isinstance(part, type) and issubclass(part, Value):
        stamp: Any = Literal[plugin.sha256]
        return create_model(
            part.__name__, __base__=part, __module__=part.__module__, __doc__=part.__doc__,
            plugin=(stamp, plugin.sha256),
        )  # fmt: skip
    return replace(part, plugin=plugin.sha256)


def _loaded(entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except Exception as error:
        name = package_of(entry).name
        raise ConfigError(
            f"{name}: its entry point {entry.name} = {entry.value} does not load: {type(error).__name__}: {error}. "
            "Mend the package, or uninstall it."
        ) from error


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


def classes_in(base: type[Value], key: str) -> Callable[[ModuleType], Iterator[tuple[str, Any]]]:
    """What finds a file's classes of a kind, by the value of the field that names them."""

    def find(module: ModuleType) -> Iterator[tuple[str, Any]]:
        for part in vars(module).values():
            own = isinstance(part, type) and issubclass(part, base) and part.__module__ == module.__name__
            if own and isinstance(name := getattr(part.model_fields.get(key), "default", None), str):
                yield name, part

    return find


def fault_of_class(base: type[Value], key: str, needed: str = "") -> Callable[[str, Any], str]:
    """What says why something cannot be a part of a name.

    Args:
        base: Class that it is one of.
        key: Field that names it.
        needed: Attribute of the class that it cannot do without.
    """

    def fault(name: str, part: Any) -> str:
        if not (isinstance(part, type) and issubclass(part, base)):
            return f"{name!r} must be a class that inherits from `{base.__name__}`; got {part!r}."
        own = getattr(part.model_fields.get(key), "default", None)
        if own != name:
            return f'{part.__name__} must say its name: `{key}: Literal["{name}"] = "{name}"`; got {own!r}.'
        if not (part.__doc__ or "").strip():
            return f"{part.__name__} needs a docstring, whose first line says what it is wherever it is listed. Add it."
        if "plugin" in part.model_fields:
            return f"{part.__name__} must have no option `plugin`: the hash of its file goes by that name. Rename it."
        if needed and not hasattr(part, needed):
            return f"{part.__name__} must name its `{needed}`. Add it: `{needed}: ClassVar[…] = …`."
        return ""

    return fault
