"""The base of all values, and their identity."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic_core import CoreSchema

__all__ = ["Value", "dns_name", "fingerprint"]


def fingerprint(*parts: str) -> str:
    """Digest of the parts in order: 24 hexadecimal digits (96 bits) of SHA-256."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()[:24]


def dns_name(text: str, limit: int = 63) -> str:
    """Turn text into a DNS-1123 label: lower case, digits and '-', a letter first, at most `limit` long."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if not name or not name[0].isalpha():
        name = f"x-{name}".rstrip("-")
    return name[:limit].rstrip("-")


class Value(BaseModel):
    """A frozen value. Equal content has an equal identity, on every machine.

    Types are strict (`"20"` is no number); validate untrusted input with `model_validate_json`,
    which takes JSON's lists for tuples.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        defer_build=True,
    )

    def __hash__(self) -> int:
        """Of the content, mappings among it too."""
        try:
            return hash(tuple(self.__dict__.values()))
        except TypeError:
            return hash(json.dumps(self.model_dump(mode="json"), sort_keys=True))

    @classmethod
    def about(cls) -> str:
        """The first line of what it says of itself."""
        return next(iter((cls.__doc__ or "").strip().splitlines()), "")

    @classmethod
    def meanings(cls) -> dict[str, str]:
        """What each field says of itself below its line, by name; fields without a word are left out.

        Read from the source when it is asked for: pydantic's `use_attribute_docstrings` does so at every start.
        """
        met: dict[str, str] = {}
        for kind in reversed(cls.__mro__):
            file = getattr(sys.modules.get(kind.__module__), "__file__", None)
            if issubclass(kind, Value) and file is not None:
                met |= _words(file).get(kind.__qualname__.replace(".<locals>", ""), {})
        return {name: met[name] for name in cls.model_fields if name in met}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """With the words of the fields."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, words in cls.meanings().items():
            if name in properties:
                properties[name].setdefault("description", words)
        return schema

    def identity(self) -> str:
        """Digest of the content, in field order; 24 hexadecimal digits."""
        return fingerprint(self.model_dump_json())


@cache
def _words(file: str) -> dict[str, dict[str, str]]:
    """What stands below the attributes of each class of a file, by its qualified name and theirs."""
    try:
        return dict(_classes(ast.parse(Path(file).read_text(encoding="utf-8")), ""))
    except (OSError, SyntaxError):
        return {}


def _classes(tree: ast.AST, outer: str) -> Iterator[tuple[str, dict[str, str]]]:
    for node in ast.iter_child_nodes(tree):
        inner = outer
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inner = f"{outer}{node.name}."
        if isinstance(node, ast.ClassDef):
            yield inner.removesuffix("."), dict(_attributes(node.body))
        yield from _classes(node, inner)


def _attributes(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for line, below in pairwise(body):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and isinstance(below, ast.Expr):
            words = below.value.value if isinstance(below.value, ast.Constant) else None
            if isinstance(words, str):
                yield line.target.id, inspect.cleandoc(words)
