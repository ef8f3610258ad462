"""What may stand at a place of a benchmark file: keys and values for a shell that completes `--set`.

Read from the types of the values, since the JSON schema takes longer than a shell may wait.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from ctlr.config._benchmark import Frame, TrainingSpec
from ctlr.config._document import KeyPath
from ctlr.config._parts import METHOD_KINDS, SECTIONS, End, Transfer
from ctlr.specs import DATASETS, TaskSpec, Value, encoder_kind

__all__ = ["Key", "keys_at", "keys_of", "values_at", "values_of"]


@dataclass(frozen=True)
class Key:
    """A key that may be set.

    Attributes:
        name: The key, or a list's index.
        meaning: What it says of itself; empty where that goes without saying.
        deeper: Whether keys stand below it.
    """

    name: str
    meaning: str
    deeper: bool


@dataclass(frozen=True)
class _Place:
    """What a place of the file takes, what stands there, and which fields the reader fills in itself."""

    kind: Any
    data: Any
    filled: frozenset[str] = frozenset()


def keys_at(data: Mapping[str, Any], where: KeyPath) -> list[Key]:
    """The keys below a place of a benchmark file.

    Args:
        data: The file's content, as far as it could be read; names of the user's own come from it.
        where: The place; empty for the file itself.

    Returns:
        None where nothing can stand below it.
    """
    if not where:
        training = Key("training", TrainingSpec.about(), deeper=True)
        sections = [Key(name, "", deeper=True) for name in (*SECTIONS, "transfers")]
        return [*keys_of(Frame), *sections, training]
    if len(where) == 1 and where[0] in SECTIONS:
        return [Key(name, "", deeper=True) for name in _mapping(data.get(str(where[0])))]
    place = _place(data, where)
    return list(_below(place)) if place is not None else []


def values_at(data: Mapping[str, Any], where: KeyPath) -> list[str]:
    """The values that a place of a benchmark file takes, where they are few: choices, true and false, nothing."""
    above = _place(data, where[:-1])
    if above is not None and above.kind is End and where[-1] in ("data", "task"):
        return list(_mapping(data.get("datasets" if where[-1] == "data" else "tasks")))
    place = _place(data, where)
    return list(_values(place.kind)) if place is not None else []


def keys_of(kind: type[BaseModel], path: KeyPath = ()) -> list[Key]:
    """The keys of a part of a benchmark file, or of what stands at a path in it."""
    place = _walk(_Place(kind, None), path)
    return list(_below(place)) if place is not None else []


def values_of(kind: type[BaseModel], path: KeyPath) -> list[str]:
    """The values that a field of a part takes, as `values_at` has them."""
    place = _walk(_Place(kind, None), path)
    return list(_values(place.kind)) if place is not None else []


def _place(data: Mapping[str, Any], where: KeyPath) -> _Place | None:
    if not where:
        return None
    section, content = str(where[0]), data.get(str(where[0]))
    if section in SECTIONS:
        key = str(where[1]) if len(where) > 1 else ""
        entry = _mapping(_mapping(content).get(key))
        kind = _kind_of(section, key, entry) if key in _mapping(content) else None
        if kind is None:
            return None
        return _walk(_Place(kind, entry, _filled(section, kind)), where[2:])
    if section == "transfers":
        return _walk(_Place(tuple[Transfer, ...], content), where[1:])
    if section == "training":
        return _walk(_Place(TrainingSpec, content), where[1:])
    return _walk(_Place(Frame, data), where)


def _kind_of(section: str, key: str, entry: Mapping[str, Any]) -> type[BaseModel] | None:
    """The class of an entry's options; None where nobody knows it."""
    if section == "tasks":
        return TaskSpec
    if section == "datasets":
        return DATASETS.get(str(entry.get("kind")))
    if section == "methods":
        return METHOD_KINDS.get(str(entry.get("method", key)))
    return encoder_kind(str(entry.get("name", key)))[0]


def _filled(section: str, kind: type[BaseModel]) -> frozenset[str]:
    probed = section == "methods" and not getattr(kind, "trains_network", True)
    return frozenset({SECTIONS[section], "plugin"} | ({"finetune"} if probed else set()))


def _walk(place: _Place, path: KeyPath) -> _Place | None:
    for part in path:
        below = _step(place, part)
        if below is None:
            return None
        place = below
    return place


def _step(place: _Place, part: str | int) -> _Place | None:
    for kind in _alternatives(place.kind):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if part in kind.model_fields and part not in place.filled:
                return _Place(kind.model_fields[str(part)].annotation, _mapping(place.data).get(str(part)))
        elif get_origin(kind) is dict:
            return _Place(get_args(kind)[1], _mapping(place.data).get(str(part)))
        elif get_origin(kind) in (tuple, list) and isinstance(part, int):
            items = place.data if isinstance(place.data, list) else []
            return _Place(get_args(kind)[0], items[part] if part < len(items) else None)
    return None


def _below(place: _Place) -> Iterator[Key]:
    for kind in _alternatives(place.kind):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            meanings = kind.meanings() if issubclass(kind, Value) else {}
            for name, field in kind.model_fields.items():
                if name not in place.filled:
                    yield Key(name, " ".join(meanings.get(name, "").split()), _is_deep(field.annotation))
        elif get_origin(kind) is dict:
            yield from (Key(str(name), "", _is_deep(get_args(kind)[1])) for name in _mapping(place.data))
        elif get_origin(kind) in (tuple, list) and isinstance(place.data, list):
            yield from (Key(str(index), "", _is_deep(get_args(kind)[0])) for index in range(len(place.data)))


def _is_deep(annotation: Any) -> bool:
    """Whether something is set below it, one by one: lists of plain values are written whole."""
    for kind in _alternatives(annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return True
        if get_origin(kind) is dict or (get_origin(kind) in (tuple, list) and _is_deep(get_args(kind)[0])):
            return True
    return False


def _values(annotation: Any) -> Iterator[str]:
    """In YAML's words."""
    for kind in _alternatives(annotation):
        if kind is bool:
            yield from ("true", "false")
        elif kind is types.NoneType:
            yield "null"
        elif get_origin(kind) is Literal:
            yield from map(str, get_args(kind))


def _alternatives(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        for kind in get_args(annotation):
            yield from _alternatives(kind)
    elif get_origin(annotation) is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    else:
        yield annotation


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
