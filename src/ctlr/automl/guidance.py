"""What a user may tell a search for a model; everything may be left."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from ctlr.errors import ConfigError, nearest
from ctlr.specs import METRICS, Value, dns_name

__all__ = ["Guidance", "Weights"]


class Weights(Value):
    """Pretrained weights, in a file that the user has."""

    file: str
    """safetensors, or a `.pth` of torchvision's that holds tensors alone."""
    encoder: str
    """By name, e.g. `resnet18`."""
    licence: str = "not said"
    trained_on: tuple[str, ...] = ("not said",)
    """Cohorts; a folder of that name is refused."""


class Guidance(Value):
    """How a model is looked for."""

    name: str = ""
    """Of the benchmark; empty: the folder's."""
    target: str = "class"
    """What is predicted: the folder that a picture lies in, or a column of `table`."""
    table: str | None = None
    """CSV or TSV below the folder, a line a picture."""
    file_column: str = "file"
    """Of `table`: the picture."""
    group_column: str | None = None
    """Of `table`: who it belongs to."""
    inputs: tuple[str, ...] = ()
    """Columns of `table` that the answer is computed from beside the picture."""
    also: tuple[str, ...] = ()
    """More columns of `table`, or `class`, that the same model answers; `target` alone decides who wins."""
    regression: bool | None = None
    """Whether the target is a number; None: as its values look."""
    metric: str | None = None
    """By which models are compared; None: accuracy, balanced accuracy where classes are far from equally many, or the
    mean absolute error."""
    minutes: Annotated[float, Field(gt=0, le=100_000)] = 10.0
    """On the clock, from the first search to the end of the last training."""
    trials: Annotated[int, Field(ge=1)] = 100
    """The most that any search may have: more of them choose by luck what fits the validation pictures, and the seconds
    are better spent on searches that have had few."""
    goal: float | None = None
    """Validation score at which all searching ends."""
    families: tuple[str, ...] = ()
    """Searches that compete; empty: all that there is time for."""
    features: tuple[str, ...] = ()
    """What models without a network see; empty: a question of their searches."""
    algorithm: str | None = None
    """That searches, by Katib's name; None: `tpe`, and for an encoder that states another one, that."""
    weights: tuple[Weights, ...] = ()
    """Networks that begin from them, beside those from scratch."""
    most_megabytes: Annotated[float, Field(gt=0)] | None = None
    """Largest model."""
    most_milliseconds: Annotated[float, Field(gt=0)] | None = None
    """Longest time for one picture."""
    warm_start: str | None = None
    """Workspace whose searches of the most similar pictures start these."""
    side: Annotated[int, Field(ge=8, le=1024)] | None = None
    """Pixels that pictures are brought to; None: as they are, from 32 to 64."""
    test: Annotated[float, Field(gt=0, lt=0.9)] = 0.2
    """Share of the pictures that nobody looks at before the end, where the folder gives no test side."""
    validation: Annotated[float, Field(gt=0, lt=0.9)] = 0.2
    """Share of the others by which trials are judged, where the folder gives no side for it."""
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.metric is not None and self.metric not in METRICS:
            raise ValueError(f"`metric` must be one of {', '.join(METRICS)}; got {self.metric!r}")
        if self.table is None and self.target != "class":
            raise ValueError(f"`target: {self.target}` is a column of a table; name it in `table`")
        for name, columns in (("inputs", self.inputs), ("also", self.also)):
            if self.table is None and columns:
                raise ValueError(f"`{name}: {', '.join(columns)}` are columns of a table; name it in `table`")
        roles = (self.target, *self.also, *self.inputs)
        if twice := sorted({column for column in roles if roles.count(column) > 1}):
            raise ValueError(
                f"`target`, `also` and `inputs` must name different columns; {twice[0]!r} is there twice. Leave one out"
            )
        if self.name and dns_name(self.name, 40) != self.name:
            raise ValueError(f"`name` must be a-z, 0-9 and '-'; got {self.name!r}. Write {dns_name(self.name, 40)!r}")
        return self

    @classmethod
    def of(cls, options: Mapping[str, Any], *, spelled: Callable[[str], str] = str) -> Self:
        """Read plain values, as they come from a command line, a form or Python.

        Args:
            options: By name; lists for what holds several.
            spelled: How the user wrote an option's name.

        Raises:
            ConfigError: An option is unknown, or a value breaks its rule; one a line.
        """
        unknown = [name for name in options if name not in cls.model_fields]
        if unknown:
            raise ConfigError(f"`{unknown[0]}`: there is no such option. {nearest(unknown[0], cls.model_fields)}")
        try:
            return cls.model_validate_json(json.dumps(dict(options), default=str))
        except ValidationError as error:
            raise ConfigError("\n".join(_told(fault, spelled) for fault in error.errors(include_url=False))) from error

    def called(self, folder: Path) -> str:
        """Name of the benchmark."""
        return self.name or dns_name(folder.resolve().name, 40)


def _told(fault: ErrorDetails, spelled: Callable[[str], str]) -> str:
    rule = fault["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if not fault["loc"]:
        return f"{rule}."
    return f"`{spelled(str(fault['loc'][0]))}`: {rule}; got {fault['input']!r}."
