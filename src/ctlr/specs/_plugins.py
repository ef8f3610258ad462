"""Where parts of others come from: installed packages, and files of Python code beside a benchmark.

Each is known by a hash of its code, which is among the values of its parts: what another version has made is not taken
for its own.
"""

from __future__ import annotations

import importlib.util
import inspect
import linecache
import os
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

from ctlr.errors import ConfigError
from ctlr.specs._value import fingerprint

__all__ = ["PLUGINS", "Plugin", "loads", "module_of", "named_files", "package_of", "place_of", "plugin_of", "use_files"]

PLUGINS = "CTLR_PLUGINS"
"""Variable of the environment that names files with parts, so that worker processes load them too."""


@dataclass(frozen=True)
class Plugin:
    """Where a part of others comes from.

    Attributes:
        name: Of the file, or of the package with its version.
        sha256: Of the file, or of all Python code of the package that defines the part; 16 hexadecimal digits.
    """

    name: str
    sha256: str


_loads = 0


def loads() -> int:
    """How often this process was told of files: whoever keeps their parts looks again when it has risen."""
    return _loads


def use_files(files: Iterable[Path]) -> None:
    """Load parts from these files too, here and in every process that this one starts.

    A file takes the place of one of the same name: it is a copy of it, or another benchmark's.

    Raises:
        ConfigError: A file does not load; names it, the line and what is wrong.
    """
    global _loads
    files = list(files)
    for file in files:
        module_of(str(file.absolute()), plugin_of(file))
    known = {Path(file).name: file for file in named_files()} | {file.name: str(file.absolute()) for file in files}
    os.environ[PLUGINS] = os.pathsep.join(known.values())
    _loads += 1


def named_files() -> tuple[str, ...]:
    """Files with parts that this process was told of."""
    return tuple(filter(None, os.environ.get(PLUGINS, "").split(os.pathsep)))


def plugin_of(file: Path) -> Plugin:
    """A file as the place where parts come from.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        if file.exists() and not file.is_file():
            raise OSError(0, "Is a folder, a pipe or a device")
        return Plugin(file.name, fingerprint(file.read_text(encoding="utf-8"))[:16])
    except OSError as error:
        raise ConfigError(
            f"{file.name}: the file of Python code cannot be read ({error.strerror}). Put it beside the benchmark."
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{file.name}, line {line}: Python code must be UTF-8 text. Save it so.") from error


@cache
def module_of(file: str, plugin: Plugin) -> ModuleType:
    """The module of a file, executed once a process and version.

    Raises:
        ConfigError: It does not load.
    """
    path = Path(file)
    name = f"ctlr_plugin_{path.stem}_{fingerprint(file, plugin.sha256)[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    linecache.checkcache(file)  # else an edited file's docstrings would be read from its former text
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ConfigError(_told(path, error)) from error
    return module


def _told(path: Path, error: BaseException) -> str:
    """`my_methods.py, line 7: NameError: name 'x' is not defined`, with the line's text."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else frames[-1].lineno if frames else None
    text = linecache.getline(str(path), line).strip() if line else ""
    what = error.msg if isinstance(error, SyntaxError) else next(iter(str(error).splitlines()), "")
    where = f"{path.name}, line {line}" if line else path.name
    remedy = ""
    if isinstance(error, ModuleNotFoundError):
        remedy = " Install that package; a file beside the benchmark cannot import its neighbours."
    return f"{where}: {type(error).__name__}: {what}" + (f" ({text})" if text else "") + remedy


def place_of(part: Any) -> str:
    """`my_methods.py, line 7` of a class or function; empty where it has none."""
    try:
        file, (_, line) = inspect.getsourcefile(part), inspect.getsourcelines(part)
    except (TypeError, OSError):
        return ""
    return f"{Path(file).name}, line {line}" if file else ""


# ---------------------------------------------------------------- packages


def package_of(entry: EntryPoint) -> Plugin:
    """An installed package as the place where a part comes from: name, version, and hash of its Python code."""
    name = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
    return Plugin(name, fingerprint(name, *_code(entry.module.partition(".")[0]))[:16])


@cache
def _code(name: str) -> tuple[str, ...]:
    """All Python code of a top-level package or module, without where it lies; empty where there is none."""
    found = importlib.util.find_spec(name)
    if found is None:
        return ()
    if not found.submodule_search_locations:
        return (Path(found.origin).read_text(encoding="utf-8"),) if found.has_location and found.origin else ()
    files = {
        str(file.relative_to(folder)): file
        for folder in map(Path, found.submodule_search_locations)
        for file in folder.rglob("*.py")
    }
    return tuple(text for file in sorted(files) for text in (file, files[file].read_text(encoding="utf-8")))
