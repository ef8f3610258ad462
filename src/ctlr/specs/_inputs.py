"""Columns that an answer may be computed from, beside the image."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from ctlr.specs._value import Value

__all__ = ["InputColumn", "Inputs", "Text"]

Text = Annotated[str, AfterValidator(partial(unicodedata.normalize, "NFC"))]
"""A column or a class, as tables are read: accents composed."""


def _listed(inputs: Any) -> Any:
    """Names alone, whose columns say what they hold."""
    if not isinstance(inputs, Sequence) or isinstance(inputs, str) or not all(isinstance(name, str) for name in inputs):
        return inputs
    if len(set(inputs)) < len(inputs):
        raise ValueError(f"`inputs` must name a column once; got {list(inputs)}")
    return dict.fromkeys(inputs, "auto")


_Kind = Literal["auto", "category", "number"]
Inputs = Annotated[dict[Text, _Kind], BeforeValidator(_listed, json_schema_input_type=dict[str, _Kind] | list[str])]
"""Column -> what it holds; in a file a list of names will do."""


class InputColumn(Value):
    """How a column becomes numbers, as training subjects have it."""

    name: str
    kind: Literal["category", "number"]
    categories: tuple[str, ...] = ()
    """Those that were met: a number each, 1 where the cell is the category. Any other cell is all zeros."""
    mean: float = 0.0
    """Taken off a number; what a missing one counts as."""
    std: float = 0.0
    """A number is divided by it; 0 where the training subjects' were all alike, so that nothing is known of others."""
    flagged: bool = False
    """Whether a second number, 1 where the cell is missing, stands beside it: some training subjects' were."""

    @property
    def width(self) -> int:
        """Numbers that it becomes."""
        return len(self.categories) if self.kind == "category" else 1 + self.flagged
