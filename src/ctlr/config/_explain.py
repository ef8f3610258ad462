"""pydantic's errors in the words of a benchmark file: the rule, the value, the remedy."""

from __future__ import annotations

import types
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ctlr.config._document import KeyPath
from ctlr.errors import nearest
from ctlr.specs import Value

__all__ = ["explain"]

_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "model_type": "a mapping of `key: value`",
    "dict_type": "a mapping of `key: value`",
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
    "too_short": ("at least", "min_length"),
    "too_long": ("at most", "max_length"),
}


def explain(error: ErrorDetails, model: type[BaseModel], filled: str = "") -> tuple[KeyPath, str]:
    """Where an error stands below the model's place, and what it says.

    Args:
        error: From pydantic.
        model: What was validated.
        filled: Field that the reader fills in, so that it is no key to name.
    """
    where: KeyPath = error["loc"]
    parent, info = _walk(model, where)
    meant = _meaning(parent, where)
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        known = set(parent.model_fields if parent else ()) - {filled if len(where) == 1 else ""}
        return where, f"unknown key. {nearest(str(where[-1]), known)}"
    if kind == "missing":
        meaning = f" It is: {meant}." if meant else ""
        return where, f"is missing.{meaning} Write `{where[-1]}: …`."
    if kind == "value_error":
        return where, f"{str(context['error']).rstrip('.')}."
    if kind == "string_pattern_mismatch" and info is not None and info.examples:
        examples = ", ".join(f"`{example}`" for example in info.examples)
        context = {"examples": examples}
    return where, _broken(kind, value, context, error["msg"]) + (f" ({meant}.)" if meant else "")


def _broken(kind: str, value: Any, context: dict[str, Any], message: str) -> str:
    if kind == "literal_error":
        expected = str(context["expected"])
        known = [name.strip("'") for name in expected.replace(" or ", ", ").split(", ")]
        hint = nearest(value, known) if isinstance(value, str) else f"Known: {', '.join(known)}."
        return f"must be {expected}; got {_shown(value)}. {hint}"
    if "examples" in context:
        return f"must be written like {context['examples']}; got {_shown(value)}."
    if kind in _KINDS:
        return f"must be {_KINDS[kind]}; got {_shown(value)}.{_unquoted(kind, value)}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        if kind.startswith("too_"):
            return f"must have {words} {context[bound]} item{'s' * (context[bound] != 1)}; got {_shown(value)}."
        return f"must be {words} {context[bound]}; got {_shown(value)}."
    return f"{message[:1].lower()}{message[1:]}; got {_shown(value)}."


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _unquoted(kind: str, value: Any) -> str:
    if kind == "string_type":
        return " Put it in quotes." if isinstance(value, bool | int | float) else ""
    if not isinstance(value, str):
        return ""
    if kind == "bool_type" and value.lower() in {"yes", "on", "no", "off"}:
        return f" Write {str(value.lower() in {'yes', 'on'}).lower()}."
    try:
        float(value)
    except ValueError:
        return ""
    return " Remove the quotes."


def _meaning(parent: type[BaseModel] | None, where: KeyPath) -> str:
    words = parent.meanings() if parent is not None and issubclass(parent, Value) else {}
    key = next((part for part in reversed(where) if isinstance(part, str)), "")
    return " ".join(words.get(key, "").split()).rstrip(".")


def _walk(model: type[BaseModel], where: KeyPath) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """The model that holds the last key, and the key's field where it has one."""
    parent: type[BaseModel] | None = model
    info: FieldInfo | None = None
    for part in where:
        if isinstance(part, int):
            continue
        if info is not None:
            parent = _model_in(info.annotation)
        info = parent.model_fields.get(part) if parent else None
    return parent, info


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The one model among an annotation's alternatives."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {Union, types.UnionType, Annotated, tuple}:
        return next((found for found in map(_model_in, get_args(annotation)) if found), None)
    return None
