"""A YAML 1.2 file as plain data that knows the line of every key.

YAML 1.2 reads what a person means: `1e-4` is a number, `on` and `22:30` are texts, `012` is twelve.
"""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.composer import ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ctlr.errors import ConfigError, Fault, nearest

__all__ = ["Document", "KeyPath", "assign", "dotted", "parse_text", "read_document", "read_text"]

KeyPath = tuple[str | int, ...]
"""Keys and indices from the top of the file."""

_SET = "--set "

MAX_BYTES = 256 * 1024
"""Far above any benchmark; a larger file is something else (ruamel.yaml reads about 50 kB a second)."""
MAX_NODES = 50_000
"""Values after aliases are written out: what refuses a file of aliases of aliases."""
MAX_DEPTH = 30

_TAG = "tag:yaml.org,2002:"
_BITS = 64
"""Of whole numbers."""
_HALF = "a text holds half a character (U+D800 to U+DFFF). Write the whole one."
_NAMES = {"": None, "~": None, "null": None, "true": True, "false": False}
_READ_OTHERWISE = re.compile(r"(?i:y|yes|n|no|on|off)|[-+]?0[0-9][0-9_]*|[-+]?0[bo][0-7_]+|[-+]?[0-9][0-9_]*_[0-9_]*")
"""What YAML 1.1 takes for another value than YAML 1.2, and kubectl with it."""


def dotted(where: KeyPath) -> str:
    """`methods.simclr.temperature`, as in a fault's message and in `--set`."""
    return ".".join(map(str, where))


class _Noted(NamedTuple):
    """A fault as it was found: before its message, then its key, its message, and what programs want to know."""

    before: str
    where: KeyPath
    message: str
    kind: str = "config"
    place: str = ""


@dataclass
class Document:
    """A file's content, and what was found wrong with it.

    Args:
        name: The file as the user named it; empty where the content has none.
        data: Its top-level mapping.
        lines: Line of each key and list item, from 1; empty where the content came from no file.
        columns: Likewise its column.
    """

    name: str
    data: dict[str, Any]
    lines: dict[KeyPath, int]
    overrides: dict[KeyPath, str] = field(default_factory=dict)
    faults: list[_Noted] = field(default_factory=list)
    columns: dict[KeyPath, int] = field(default_factory=dict)

    def fault(self, where: KeyPath, message: str, *, kind: str = "config", place: str = "") -> None:
        """Note that a rule is broken at a key (or below it, where the key is missing).

        Args:
            where: The key.
            message: Rule, value, remedy, and the place if there is one.
            kind: See `ctlr.errors.Fault`.
            place: Of the data.
        """
        self.faults.append(_Noted(self._place(where), where, message, kind, place))

    def raise_faults(self) -> None:
        """Report every fault at once, in the order of the file.

        Raises:
            ConfigError: There is at least one.
        """
        if self.faults:
            raise ConfigError(self.told(), faults=self.listed())

    def told(self) -> str:
        """Every fault, one a line with its place, in the order of the file."""
        parts = (
            (f"{each.before}: " if each.before else "", dotted(each.where) or "file", each) for each in self._ordered()
        )
        return "\n".join(f"{before}{key}: {each.message}" for before, key, each in parts)

    def listed(self) -> tuple[Fault, ...]:
        """Every fault, for programs, in the order of the file."""
        return tuple(self._for_programs(noted) for noted in self._ordered())

    def _ordered(self) -> list[_Noted]:
        return sorted(dict.fromkeys(self.faults), key=lambda each: self.lines.get(self._known(each.where), 0))

    def _for_programs(self, noted: _Noted) -> Fault:
        typed = noted.before if noted.before.startswith(_SET) else ""
        line = None if typed or not self.lines else int(noted.before.rpartition(":")[2])
        known = self._known(noted.where)
        same = line is not None and self.lines.get(known, 1) == line  # else the key stands there a second time
        return Fault(
            message=noted.message.removeprefix(f"{noted.place}: "), kind=noted.kind, file=self.name, line=line,
            column=self.columns.get(known, 1) if same else None, key=dotted(noted.where), place=noted.place or typed,
        )  # fmt: skip

    def alias(self, place: KeyPath, other: KeyPath) -> None:
        """Let faults at another place name the lines of this one, for what is written once and stands for several."""
        below = {where: line for where, line in self.lines.items() if where[: len(place)] == place}
        for where, line in below.items():
            self.lines.setdefault((*other, *where[len(place) :]), line)
            self.columns.setdefault((*other, *where[len(place) :]), self.columns.get(where, 1))
        given = {where: setting for where, setting in self.overrides.items() if where[: len(place)] == place}
        for where, setting in given.items():
            self.overrides.setdefault((*other, *where[len(place) :]), setting)

    def override(self, setting: str, named: Collection[str]) -> None:
        """Apply one `--set a.b=value`; the value is read as YAML 1.2.

        Args:
            setting: Keys and indices joined by dots, `=`, value. Faults are noted, not raised.
            named: Top-level keys whose entries bear the user's own names: an entry that is not there has no
                keys to set.
        """
        path, equals, text = setting.partition("=")
        where: KeyPath = tuple(int(part) if part.isdecimal() else part for part in path.strip().split("."))
        place = f"{_SET}{setting}"
        if not equals or "" in where:
            self.faults.append(_Noted(place, (), "must be KEY=VALUE, e.g. --set split.test=0.3"))
            return
        try:
            value = parse_text(text, place).data
        except ConfigError as error:
            message = str(error).removeprefix(f"{place}:1: ")
            self.faults.append(_Noted(place, where, f"{message} A text with signs in it needs quotes."))
            return
        fault = assign(self.data, where, value, named)
        if fault:
            self.faults.append(_Noted(place, where, fault))
        self.overrides[where] = place

    def _place(self, where: KeyPath) -> str:
        for length in range(len(where), 0, -1):
            if where[:length] in self.overrides:
                return self.overrides[where[:length]]
        return f"{self.name}:{self.lines.get(self._known(where), 1)}" if self.lines else self.name

    def _known(self, where: KeyPath) -> KeyPath:
        return next((where[:n] for n in range(len(where), 0, -1) if where[:n] in self.lines), ())


def read_document(
    path: Path,
    *,
    text: str | None = None,
    what: str = "benchmark file",
    remedy: str = "`ctlr init` writes one to start from.",
    kubectl: bool = False,
) -> Document:
    """Read a file that holds one mapping.

    Args:
        path: YAML 1.2.
        text: What it shall hold, in place of what it holds.
        what: What the file should be, for messages.
        remedy: What to do where there is none.
        kubectl: Refuse what YAML 1.1 reads otherwise, since kubectl reads that.

    Raises:
        ConfigError: It cannot be read, is no YAML, or holds no mapping; names the line.
    """
    if text is None:
        text = read_text(path, what=what, remedy=remedy)
    tree = parse_text(text, str(path), kubectl)
    if not isinstance(tree.data, dict):
        raise _refused(str(path), 1, f"a {what} is a mapping of `key: value`. {remedy}")
    faults = [_Noted(f"{path}:{line}", where, message) for line, where, message in tree.faults]
    return Document(str(path), tree.data, tree.lines, faults=faults, columns=tree.columns)


def read_text(path: Path, *, what: str = "benchmark file", remedy: str = "`ctlr init` writes one.") -> str:
    """A file's text, without the mark that Windows puts first.

    Raises:
        ConfigError: It cannot be read, is too large, or no UTF-8.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise _unreadable(path, f"a {what} is a file, and this is a pipe or a device. Write it into a file.")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        near = _neighbour(path)
        hint = f" Did you mean {near}?" if near else f" {remedy}"
        raise _unreadable(path, f"the {what} cannot be read ({error.strerror}).{hint}") from error
    if len(content) > MAX_BYTES:
        raise _unreadable(path, f"a {what} has at most {MAX_BYTES} bytes; this has more. Name another file.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        byte = f"{content[error.start]:#04x}"
        raise _refused(str(path), line, f"the file must be UTF-8 text; the byte {byte} is not. Save it so.") from error


def _unreadable(path: Path, message: str) -> ConfigError:
    return ConfigError(f"{path}: {message}", faults=[Fault(message=message, file=str(path))])


def _refused(name: str, line: int, message: str, column: int = 1) -> ConfigError:
    """Of a text that is no document, or none that is read."""
    fault = Fault(message=message, kind="syntax", file=name, line=line, column=column)
    return ConfigError(f"{name}:{line}: {message}", faults=[fault])


def _neighbour(path: Path) -> str:
    names = [entry.name for entry in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=1)
    return str(path.with_name(close[0])) if close else ""


@dataclass
class _Tree:
    """Plain data from YAML nodes."""

    data: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    columns: dict[KeyPath, int] = field(default_factory=dict)
    faults: list[tuple[int, KeyPath, str]] = field(default_factory=list)
    nodes: int = 0

    def line(self, where: KeyPath) -> int:
        """Of a key; of what it stands below, where it is not there."""
        return next((self.lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in self.lines), 1)


def parse_text(text: str, name: str, kubectl: bool = False) -> _Tree:
    """Plain data of a text, with the lines of its keys and what is wrong with them.

    Raises:
        ConfigError: It is no YAML; names the line.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        node = yaml.compose(io.StringIO(text))
    except ComposerError as error:
        if "single document" not in str(error.context):
            raise _invalid(name, error, f"{error.problem}. Name an anchor above.") from error
        message = "a file holds one document; here a second one begins. Give each its own file."
        raise _invalid(name, error, message) from error
    except MarkedYAMLError as error:
        about = f"{error.problem} {error.context or ''}".strip()
        raise _invalid(name, error, f"{about}. Check indentation, colons and quotes.") from error
    except YAMLError as error:  # a character that YAML forbids; it bears no mark
        about = " ".join(str(error).split())
        raise _refused(name, 1, f"no valid YAML: {about}. Remove the character.") from error
    except RecursionError as error:
        raise _refused(name, 1, f"nested deeper than {MAX_DEPTH} levels. Write it flatter.") from error
    tree = _Tree()
    if node is not None:
        tree.data = _Reader(yaml, tree, name, kubectl).value(node, (), 0)
    return tree


def _invalid(name: str, error: MarkedYAMLError, about: str) -> ConfigError:
    mark = error.problem_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return _refused(name, line, f"no valid YAML: {about}", column)


class _Reader:
    """Turns nodes into plain data, noting lines and faults as it goes."""

    def __init__(self, yaml: YAML, tree: _Tree, name: str, kubectl: bool) -> None:
        self.yaml, self.tree, self.name, self.kubectl = yaml, tree, name, kubectl

    def value(self, node: Node, where: KeyPath, depth: int) -> Any:
        """Plain data of a node and of all below it."""
        self.tree.nodes += 1
        line = node.start_mark.line + 1
        if self.tree.nodes > MAX_NODES:
            raise _refused(self.name, line, f"aliases unfold to more than {MAX_NODES} values. Write fewer.")
        if depth > MAX_DEPTH:
            raise _refused(self.name, line, f"nested deeper than {MAX_DEPTH} levels. Write it flatter.")
        self.tree.lines.setdefault(where, line)
        self.tree.columns.setdefault(where, node.start_mark.column + 1)
        if isinstance(node, MappingNode):
            return dict(self._items(node, where, depth))
        if isinstance(node, SequenceNode):
            return [self.value(item, (*where, i), depth + 1) for i, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return self._scalar(node, where)

    def _items(self, node: MappingNode, where: KeyPath, depth: int) -> Iterator[tuple[str, Any]]:
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._scalar(key_node, where) if key_node.ctag == f"{_TAG}str" else _shown(key_node)
            if key is None:
                continue
            if key_node.ctag == f"{_TAG}merge":
                remedy = "Write the keys out." if self.kubectl else "Put what is shared under `training`."
                self._fault((*where, key), line, f"YAML 1.2 has no `<<`. {remedy}")
                continue
            if not isinstance(key_node, ScalarNode) or key_node.ctag != f"{_TAG}str":
                self._fault((*where, key), line, f"a key is a text; got {key}. Put it in quotes.")
                continue
            if key in first:
                self._fault((*where, key), line, f"this key stands in line {first[key]} already. Keep one of them.")
                continue
            first[key] = line
            self.tree.lines[*where, key] = line
            self.tree.columns[*where, key] = key_node.start_mark.column + 1
            yield key, self.value(value_node, (*where, key), depth + 1)

    def _fault(self, where: KeyPath, line: int, message: str) -> None:
        self.tree.lines.setdefault(where, line)
        self.tree.faults.append((line, where, message))

    def _scalar(self, node: ScalarNode, where: KeyPath) -> Any:
        readers: dict[str, Callable[[ScalarNode], Any]] = {
            "str": _text,
            "timestamp": _text,  # a date is no type of YAML 1.2
            "null": lambda found: _NAMES[found.value.lower()],
            "bool": lambda found: _NAMES[found.value.lower()],
            "int": self._whole,
            "float": self.yaml.constructor.construct_yaml_float,
        }
        tag = str(node.ctag)
        if self.kubectl and node.style is None and _READ_OTHERWISE.fullmatch(str(node.value)):
            message = f"kubectl, which reads YAML 1.1, takes {node.value} for another value. Put it in quotes."
            self._fault(where, node.start_mark.line + 1, message)
        reader = readers.get(tag.removeprefix(_TAG))
        if reader is None:
            self._fault(where, node.start_mark.line + 1, f"the tag {tag} is not known here. Write a plain value.")
            return None
        try:
            return reader(node)
        except UnicodeError:
            self._fault(where, node.start_mark.line + 1, _HALF)
            return None
        except (ValueError, LookupError):  # by a tag anything may call itself a number
            what = "value" if tag.removeprefix(_TAG) in ("null", "bool") else "number"
            self._fault(where, node.start_mark.line + 1, f"{str(node.value)[:40]!r} is no {what} that can be read.")
            return None

    def _whole(self, node: ScalarNode) -> int:
        """A whole number; what no machine counts to would take long to write down again."""
        number: int = self.yaml.constructor.construct_yaml_int(node)
        if number.bit_length() > _BITS:
            raise ValueError(f"more than {_BITS} bits")
        return number


def _text(node: ScalarNode) -> str:
    """A text; what JSON writes as two halves of a character (`\\ud83d\\ude00`) is one.

    Raises:
        UnicodeError: One half is missing.
    """
    return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16")


def _shown(key: Node) -> str:
    """A key that is no text, in words."""
    return str(key.value) if isinstance(key, ScalarNode) else "a list or a mapping"


def assign(data: Any, where: KeyPath, value: Any, named: Collection[str]) -> str:
    """Set a value deep inside plain data; returns what is wrong, or an empty text."""
    for depth, part in enumerate(where):
        last = depth == len(where) - 1
        if isinstance(data, list):
            if not isinstance(part, int) or part >= len(data):
                return f"`{dotted(where[:depth])}` is a list with indices 0 to {len(data) - 1}; got {part!r}."
        elif isinstance(data, dict):
            part = str(part)
            if part not in data and not last and depth == 1 and where[0] in named:
                return f"`{where[0]}` has no {part!r}. {nearest(part, data)}"
        else:
            return f"`{dotted(where[:depth])}` holds a single value ({data!r}), so there is nothing below it to set."
        if last:
            data[part] = value
        else:
            if isinstance(data, dict) and data.get(part) is None:
                data[part] = {}
            data = data[part]
    return ""
