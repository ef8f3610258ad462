"""Tables of parts by name: methods, encoders, kinds of data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Generic, TypeVar

from pydantic import ValidationInfo

from ctlr.errors import nearest
from ctlr.specs._value import Value

__all__ = ["Table", "one_of"]

T = TypeVar("T")


class Table(Mapping[str, T], Generic[T]):
    """The parts of a kind by name; a part's module is loaded when it is first asked for.

    Args:
        what: What they are, in a message.
        places: Name -> `module:attribute`.
    """

    def __init__(self, what: str, places: Mapping[str, str]) -> None:
        self.what = what
        self._places = dict(places)
        self._found: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._found:
            module, _, attribute = self._places[name].partition(":")
            self._found[name] = getattr(import_module(module), attribute)
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


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
        if name not in table:
            raise ValueError(f"unknown {table.what} {name!r}. {nearest(str(name), table)}")
        kind: type[Value] = table[str(name)]
        return kind.model_validate_json(json.dumps(data)) if info.mode == "json" else kind.model_validate(data)

    return read
