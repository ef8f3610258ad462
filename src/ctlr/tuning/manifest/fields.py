"""A mapping of a manifest, read field by field; what is wrong is noted, so that one fault hides no other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from ctlr.config import Document, KeyPath
from ctlr.errors import nearest

__all__ = ["Fields"]

_LARGEST = 2**31 - 1  # Katib's counts are int32


class Fields:
    """One mapping of a document.

    A field that is missing, null, empty text or broken reads as its empty value: a fault is told once, at its place.

    Args:
        document: Takes the faults.
        data: The mapping.
        where: Its place in the document.
    """

    def __init__(self, document: Document, data: Mapping[str, Any], where: KeyPath = ()) -> None:
        self.document, self.data, self.where = document, data, where

    def __contains__(self, key: str) -> bool:
        return self.data.get(key) not in (None, "")

    def fault(self, key: str | int | None, message: str) -> None:
        """Note that a field breaks a rule; None means the mapping itself."""
        self.document.fault(self.where if key is None else (*self.where, key), message)

    def only(self, *known: str) -> None:
        """Refuse fields of other names: the API server would keep them and Katib would never look at them."""
        for key in self.data:
            if key not in known:
                self.fault(key, f"Katib knows no such field. {nearest(key, known)}")

    def need(self, key: str, remedy: str) -> bool:
        """Whether a field is there; if not, that is a fault."""
        if key in self:
            return True
        self.fault(key, f"is missing. {remedy}")
        return False

    def text(self, key: str, choices: Sequence[str] = ()) -> str:
        """A text, one of `choices` where there are any."""
        value = self.data.get(key)
        if value is None or value == "":
            return ""
        if not isinstance(value, str):
            self.fault(key, f"must be a text; got {_shown(value)}. {_quoted(value)}")
        elif choices and value not in choices:
            self.fault(key, f"must be one of {', '.join(choices)}; got {value!r}. {nearest(value, choices)}")
        else:
            return value
        return ""

    def count(self, key: str, least: int) -> int | None:
        """A whole number of at least `least`."""
        value = self.data.get(key)
        if value is None:
            return None
        if not _is_whole(value):
            self.fault(key, f"must be a whole number; got {_shown(value)}. Write it without quotes, e.g. `{key}: 3`.")
        elif not least <= value <= _LARGEST:
            self.fault(key, f"must be from {least} to {_LARGEST}; got {value}. Choose another number.")
        else:
            return value
        return None

    def whole(self, key: str, *, bits: int) -> None:
        """A whole number of so many bits."""
        value = self.data.get(key)
        if value is not None and not _is_whole(value):
            self.fault(key, f"must be a whole number; got {_shown(value)}. Write it without quotes, e.g. `{key}: 3`.")
        elif value is not None and not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            self.fault(key, f"must fit into {bits} bits; got {value}. Choose a number closer to 0.")

    def wholes(self, key: str) -> None:
        """A list of whole numbers."""
        for index, value in enumerate(self._list(key)):
            if not _is_whole(value):
                where = (*self.where, key, index)
                self.document.fault(where, f"must be a whole number; got {_shown(value)}. Write it without quotes.")

    def number(self, key: str) -> float | None:
        """A finite number."""
        value = self.data.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.fault(key, f"must be a number; got {_shown(value)}. Write it without quotes, e.g. `{key}: 0.9`.")
            return None
        return float(value)

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.data.get(key)
        if value is not None and not isinstance(value, bool):
            self.fault(key, f"must be true or false; got {_shown(value)}. Write `{key}: true`.")
        return value is True

    def mapping(self, key: str) -> Fields:
        """The mapping below a key; an empty one where there is none."""
        value = self.data.get(key)
        if value is not None and not isinstance(value, dict):
            self.fault(key, f"must be a mapping of `key: value`; got {_shown(value)}. Write its fields below it.")
        return Fields(self.document, value if isinstance(value, dict) else {}, (*self.where, key))

    def texts(self, key: str) -> list[str]:
        """A list of texts; those that are none are left out."""
        found = []
        for index, value in enumerate(self._list(key)):
            if isinstance(value, str):
                found.append(value)
            else:
                where = (*self.where, key, index)
                self.document.fault(where, f"must be a text; got {_shown(value)}. {_quoted(value)}")
        return found

    def items(self, key: str) -> list[Fields]:
        """A list of mappings; those that are none are left out."""
        found = []
        for index, value in enumerate(self._list(key)):
            where = (*self.where, key, index)
            if isinstance(value, dict):
                found.append(Fields(self.document, value, where))
            else:
                self.document.fault(
                    where, f"must be a mapping of `key: value`; got {_shown(value)}. Write `- name: …`."
                )
        return found

    def _list(self, key: str) -> Sequence[Any]:
        value = self.data.get(key)
        if value is not None and not isinstance(value, list):
            self.fault(key, f"must be a list; got {_shown(value)}. Write each entry after a dash.")
        return value if isinstance(value, list) else ()


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _quoted(value: Any) -> str:
    if isinstance(value, bool):
        return f'Put it in quotes: "{str(value).lower()}".'
    return f'Put it in quotes: "{value}".' if isinstance(value, int | float) else "Write a single text."
