"""Letters drawn from fonts, as a benchmark file names them."""

from __future__ import annotations

import string
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ctlr.specs._datasets.base import DatasetSpec

__all__ = ["FontsSpec"]


class FontsSpec(DatasetSpec):
    """Letters and digits drawn from the fonts of a folder; a family is a subject. It is type, not handwriting."""

    kind: Literal["fonts"] = "fonts"
    root: str
    """Folder of .ttf, .otf and .pfb files at any depth, e.g. /usr/share/fonts; relative paths start at the benchmark
    file."""
    letters: Annotated[str, Field(min_length=2, max_length=62, pattern="^[A-Za-z0-9]+$")] = (
        string.ascii_uppercase + string.ascii_lowercase + string.digits
    )
    """Which are drawn; each is a class."""

    reader: ClassVar[str] = "ctlr.data.kinds.fonts:FontsReader"
    ndim: ClassVar[int] = 2
    public: ClassVar[bool] = True
    lies_as: ClassVar[str] = "fonts"
    meant_for: ClassVar[str] = "comparing methods: the letters are type, and nothing follows for handwriting"

    def to_time(self, count: int) -> None:
        """It is drawn as a whole."""
