"""Values put into a YAML file whose other characters stay as they are: comments, quotes, line breaks, blank lines.

ruamel.yaml tells where each value begins and ends; its own round trip would write the whole file anew, in its own form.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from ctlr.config._document import KeyPath, assign, dotted, parse_text
from ctlr.errors import ConfigError

__all__ = ["Scalar", "edited", "nested", "scalar_text", "yaml_block"]

Scalar = str | int | float | bool | None

WIDE = 100
"""Characters of a line up to which a mapping is written on it, in braces."""

Tree = Mapping[str, Any]
"""Scalars' texts by key, mappings below."""


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def scalar_text(value: Scalar, written: str = "") -> str:
    """A single value as YAML 1.2, fit to stand in braces.

    Args:
        value: What it means.
        written: As it was written elsewhere; kept where it is a plain number or word, so that no digit changes.
    """
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z_][\w./-]*", value) is not None and parse_text(value, "").data == value
        return value if plain else json.dumps(value, ensure_ascii=False)
    return written if re.fullmatch(r"[-+.\w]+", written) else json.dumps(value)


def nested(values: Mapping[KeyPath, str]) -> dict[str, Any]:
    """Texts by place as mappings inside each other."""
    tree: dict[str, Any] = {}
    for where, text in values.items():
        below = tree
        for key in where[:-1]:
            below = below.setdefault(str(key), {})
        below[str(where[-1])] = text
    return tree


def yaml_block(tree: Tree, indent: int = 0, *, wide: int = 0) -> Iterator[str]:
    """Lines of a mapping, a key each; mappings inside stand in braces where the line stays that short."""
    pad = " " * indent
    for key, value in tree.items():
        name = scalar_text(key)
        if not isinstance(value, Mapping):
            yield f"{pad}{name}: {value}"
        elif len(line := f"{pad}{name}: {_braces(value)}") <= wide:
            yield line
        else:
            yield f"{pad}{name}:"
            yield from yaml_block(value, indent + 2, wide=wide)


def edited(text: str, values: Mapping[KeyPath, str], *, name: str) -> str:
    """A file's text with other values at some places; values that stand there already keep their form.

    Args:
        text: YAML 1.2, one mapping.
        values: Text of a scalar, fit to stand in braces, by the keys that lead to it.
        name: Of the file, for messages.

    Raises:
        ConfigError: A place cannot be written without changing others (an anchor stands there, or a list or a single
            value where keys should lead on); names file, line and remedy.
    """
    before = parse_text(text, name)
    expected = parse_text(text, name).data
    for where, written in values.items():
        if fault := assign(expected, where, parse_text(written, name).data, ()):
            raise ConfigError(f"{name}:{before.line(where)}: {fault}")
    root = YAML(typ="safe", pure=True).compose(io.StringIO(text))
    edits = list(_Editor(text, name).edits(root, nested(values), ()))
    # From the end on, so that places stay right; of one place the outer first, since the inner stands before it.
    for _, edit in sorted(enumerate(edits), key=lambda each: (each[1].start, each[0]), reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    if not _says(text, expected):
        block = "; ".join(f"{dotted(where)}: {written}" for where, written in values.items())
        raise ConfigError(f"{name}: its form leaves no safe place for these values. Write them by hand: {block}.")
    return text


def _says(text: str, expected: Any) -> bool:
    try:
        after = parse_text(text, "")
    except ConfigError:
        return False
    return not after.faults and _alike(after.data, expected)


class _Editor:
    """Finds what to replace and where to insert; nothing is changed yet."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name
        self.newline = "\r\n" if "\r\n" in text else "\n"

    def edits(self, node: Node, tree: Tree, where: KeyPath) -> Iterator[_Edit]:
        """Edits of a mapping and of all below it; inner ones before outer ones of the same place."""
        assert isinstance(node, MappingNode)
        children = {str(key.value): (key, value) for key, value in node.value}
        missing: dict[str, Any] = {}
        for key, wanted in tree.items():
            if key not in children:
                missing[key] = wanted
                continue
            key_node, value = children[key]
            self._refuse_shared(key_node, value, (*where, key))
            if isinstance(wanted, Mapping) and isinstance(value, MappingNode) and value.value:
                yield from self.edits(value, wanted, (*where, key))
            elif isinstance(wanted, Mapping):
                yield self._filled(node, key_node, value, wanted)
            elif self._differs(value, wanted):
                yield self._replaced(*self._span(key_node, value), wanted)
        if missing:
            yield self._inserted(node, missing)

    def _refuse_shared(self, key: Node, value: Node, where: KeyPath) -> None:
        alias = value.start_mark.index < key.end_mark.index
        if alias or value.anchor is not None:
            what = "an alias of what stands elsewhere" if alias else "an anchor, which others use"
            line = key.start_mark.line + 1
            raise ConfigError(f"{self.name}:{line}: {dotted(where)}: is {what}. Write its values out here.")

    def _differs(self, value: Node, wanted: str) -> bool:
        if not isinstance(value, ScalarNode):
            return True
        now = self.text[value.start_mark.index : value.end_mark.index]
        return not _alike(parse_text(now, "").data, parse_text(wanted, "").data)

    def _span(self, key: Node, value: Node) -> tuple[int, int]:
        """From where to where a value stands; one that is not there stands behind its colon."""
        if isinstance(value, ScalarNode) and value.style is None and not value.value:
            place = self.text.index(":", key.end_mark.index) + 1
            return place, place
        return value.start_mark.index, value.end_mark.index

    def _replaced(self, start: int, end: int, text: str) -> _Edit:
        return _Edit(start, end, text if self.text[start - 1] in " [{,\n" else f" {text}")

    def _filled(self, parent: MappingNode, key: Node, value: Node, tree: Tree) -> _Edit:
        """Keys below one that has none: `{}`, `null` or nothing stands there."""
        start, end = self._span(key, value)
        ends = self._line_end(end)
        line = self.text[self.text.rfind("\n", 0, start) + 1 : ends]
        if parent.flow_style or len(line) - (end - start) + len(_braces(tree)) + 1 <= WIDE:
            return self._replaced(start, end, _braces(tree))
        lines = yaml_block(tree, key.start_mark.column + 2, wide=WIDE)
        rest = self.text[end:ends]  # a comment stays on the key's line
        head = self.text[start - 1 : start] if self.text[start - 1] == " " else ""
        return _Edit(start - len(head), ends, rest.rstrip() + "".join(f"{self.newline}{each}" for each in lines))

    def _inserted(self, node: MappingNode, tree: Tree) -> _Edit:
        """Keys behind the last one of a mapping."""
        place = self._last(node)
        column = node.value[0][0].start_mark.column
        if node.flow_style:
            return _Edit(place, place, self._listed(tree, column, place))
        lines = list(yaml_block(tree, column, wide=WIDE))
        if self.text[place - 1] == "\n":  # behind a block of text, which ends where the next line begins
            return _Edit(place, place, "".join(f"{each}{self.newline}" for each in lines))
        place = self._line_end(place)
        return _Edit(place, place, "".join(f"{self.newline}{each}" for each in lines))

    def _listed(self, tree: Tree, column: int, place: int) -> str:
        """Entries behind others in braces; a line that would become long is broken before an entry."""
        text, at = "", place - self.text.rfind("\n", 0, place) - 1
        for pair in _pairs(tree):
            if at + len(pair) + 3 > WIDE:
                text, at = f"{text},{self.newline}{' ' * column}{pair}", column + len(pair)
            else:
                text, at = f"{text}, {pair}", at + len(pair) + 2
        return text

    def _end(self, node: Node) -> int:
        """Where the last character of a node stands; a block's own mark lies behind comments and blank lines."""
        if isinstance(node, CollectionNode) and node.value and not node.flow_style:
            return self._last(node) if isinstance(node, MappingNode) else self._end(node.value[-1])
        return int(node.end_mark.index)

    def _last(self, node: MappingNode) -> int:
        """Where the last entry of a mapping ends."""
        key, value = node.value[-1]
        if value.start_mark.index < key.end_mark.index:  # an alias: its node stands elsewhere
            return self._line_end(key.end_mark.index)
        return self._span(key, value)[1] if isinstance(value, ScalarNode) else self._end(value)

    def _line_end(self, place: int) -> int:
        found = self.text.find(self.newline, place)
        return len(self.text) if found < 0 else found


def _pairs(tree: Tree) -> Iterator[str]:
    for key, value in tree.items():
        yield f"{scalar_text(key)}: {_braces(value) if isinstance(value, Mapping) else value}"


def _braces(tree: Tree) -> str:
    return f"{{{', '.join(_pairs(tree))}}}"


def _alike(left: Any, right: Any) -> bool:
    """Equal, and of one type but for numbers: 1 is 1.0, and neither is true."""
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(_alike(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_alike, left, right))
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    numbers = (int, float)
    if type(left) in numbers and type(right) in numbers:
        return bool(left == right)
    return type(left) is type(right) and bool(left == right)
