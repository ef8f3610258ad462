"""What published sets of pictures have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from ctlr.errors import nearest
from ctlr.specs._datasets.base import DatasetSpec

__all__ = ["CollectionSpec"]


class CollectionSpec(DatasetSpec):
    """Classes of a published set of pictures; each picture is a subject."""

    classes: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    """Keep these classes only; two datasets of one set may so hold different classes. By default all."""
    per_class: Annotated[int, Field(ge=1)] | None = None
    """At most so many pictures a class; fewer lie inside more. By default all."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Draws them."""

    ndim: ClassVar[int] = 2
    apart: ClassVar[bool] = True
    classes_only: ClassVar[bool] = True
    raised_by: ClassVar[str] = "per_class"
    public: ClassVar[bool] = True

    @property
    def people(self) -> str:
        """Pictures are numbered as the set has them."""
        return " ".join(self.held())

    @model_validator(mode="after")
    def _check_classes(self) -> Self:
        held = self.held()
        for place, name in enumerate(self.classes or ()):
            if name not in held:
                raise ValueError(f"`classes`: there is no class {name!r}. {nearest(name, held)}")
            if name in (self.classes or ())[:place]:
                raise ValueError(f"`classes` must name each class once; {name!r} stands there twice")
        return self

    def held(self) -> Mapping[str, int]:
        """Pictures by class of the whole set."""
        raise NotImplementedError

    @property
    def known_subjects(self) -> int:
        """Pictures that are kept; a picture that stands in the set twice counts twice."""
        counts = [count for name, count in self.held().items() if self.classes is None or name in self.classes]
        return sum(count if self.per_class is None else min(count, self.per_class) for count in counts)

    @property
    def known_classes(self) -> frozenset[str]:
        """Those that are kept."""
        return frozenset(self.classes or self.held())

    def to_time(self, count: int) -> None:
        """It is read as a whole."""
