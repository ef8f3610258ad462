"""Points, as a benchmark file names them: rows of a table, and generated ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ctlr.specs._datasets.base import DatasetSpec, Preprocessing

__all__ = ["GENERATORS", "GeneratedPointsSpec", "PointsPreprocess", "PointsSpec", "TablePreprocess"]

GENERATORS: Mapping[str, tuple[str, ...]] = {
    "gaussians": ("even", "odd"),
    "toroid": ("core", "ring"),
    "yin_yang": ("yin", "yang"),
    "pinwheel": ("first", "second", "third"),
    "blurred_cat": ("cat", "ground"),
}
"""Classes by generator, in the order of their codes."""

Place = Annotated[str, Field(min_length=1)]

_STARTER = """\
# ctlr run $name.yaml
#
# Your own table, $root/points.csv: a line a point, numbers to learn from and what is predicted. Change "yours".
name: $name
description: What you want to know, in a sentence.

datasets:
  points:
    kind: points
    root: $root # yours; relative folders start at this file
    table: points.csv # yours; or train, validation and test, a table each
    features: [x, y] # yours: the columns that are learned from

tasks:
  kind: {target: class, kind: classification} # yours: the column that is predicted

transfers:
  - {target: {data: points, task: kind}}

encoders:
  mlp: {}
"""


class PointsPreprocess(Preprocessing):
    """How points become one array."""

    dtype: Literal["float32", "float16"] = "float32"
    """How values are stored."""
    on_bad_subject: Literal["stop", "exclude"] = "stop"
    """What a row with an unusable cell does: stop the run, or be listed and left out."""


class TablePreprocess(PointsPreprocess):
    """How a table's points become one array: as they stand, or by constants that you know beforehand.

    Nothing is estimated from the rows, since most of them must not be seen before the test.
    """

    centre: dict[str, float] = Field(default_factory=dict)
    """Feature -> what is taken off it, e.g. {age: 50}; 0 where it is not named."""
    spread: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Feature -> what it is divided by afterwards, e.g. {age: 20}; 1 where it is not named."""


class PointsSpec(DatasetSpec):
    """A table of points in CSV, TSV or Parquet, or one for each side: features and what is predicted from them."""

    kind: Literal["points"] = "points"
    preprocess: TablePreprocess = TablePreprocess()
    root: str
    """Folder; relative paths start at the benchmark file."""
    features: Annotated[tuple[Place, ...], Field(min_length=1)]
    """Columns that are learned from, all numbers."""
    table: Place | None = None
    """One table of all points, relative to `root`; .csv, .tsv, .txt (tabs) or .parquet."""
    train: Place | None = None
    """Table of the points that are trained on; in place of `table`."""
    validation: Place | None = None
    """Table of the points that are validated on; drawn from `train` where there is none."""
    test: Place | None = None
    """Table of the points that are tested on; drawn from `train` where there is none."""
    split: Place | None = None
    """Column of `table` that says the side: train, validation (or val, dev) and test (or eval)."""
    id: Place | None = None
    """Column that says whose point it is: those of one id stay on one side. By default each point is its own."""
    columns: tuple[Place, ...] | None = None
    """Columns that are kept besides the features: targets, groups; by default all."""
    separator: Literal["comma", "semicolon", "tab"] | None = None
    """What stands between cells; by default a tab in .tsv and .txt, else a comma."""
    decimal: Literal["point", "comma"] = "point"
    """Sign of fractions in features."""
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    """Of the text, unless it begins with a byte-order mark, which tells UTF-8 and UTF-16."""

    reader: ClassVar[str] = "ctlr.data.kinds.points:PointsReader"
    ndim: ClassVar[int] = 0
    lies_as: ClassVar[str] = "tables"
    starter: ClassVar[str] = _STARTER
    meant_for: ClassVar[str] = "points with the same features as those it was trained on"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.table is None) == (self.train is None):
            raise ValueError("name either `table`, or `train` with `validation` and `test` where you have them")
        if self.table is not None and (self.validation or self.test):
            raise ValueError("`validation` and `test` go with `train`, not with `table`: use `split` there")
        if self.split is not None and self.table is None:
            raise ValueError("`split` is a column of `table`; `train`, `validation` and `test` say the side already")
        named = [*self.features, *(name for name in (self.id, self.split) if name)]
        if twice := next((name for name, count in Counter(named).items() if count > 1), None):
            raise ValueError(f"a column has one use; {twice!r} is named twice in `features`, `id` and `split`")
        for option in ("centre", "spread"):
            for name in getattr(self.preprocess, option):
                if name not in self.features:
                    raise ValueError(f"`preprocess.{option}`: {name!r} is none of the `features`")
        return self

    @property
    def tables(self) -> Mapping[str, str]:
        """File -> the side of all its points; empty where a column, or CTLR, decides."""
        sides = {"train": self.train, "val": self.validation, "test": self.test}
        return {self.table: ""} if self.table else {file: side for side, file in sides.items() if file}

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """As many numbers as features."""
        return (len(self.features),)

    @classmethod
    def example(cls, folder: Path) -> Self:
        """Five points."""
        rows = "".join(f"{number},{number % 2}.5,{'ab'[number % 2]}\n" for number in range(5))
        (folder / "points.csv").write_text("x,y,class\n" + rows)
        return cls(root=str(folder), table="points.csv", features=("x", "y"))

    def to_time(self, count: int) -> None:
        """It is read as a whole."""


class GeneratedPointsSpec(DatasetSpec):
    """Points in the plane from densities that are known, and with them the least error that is possible."""

    kind: Literal["generated_points"] = "generated_points"
    preprocess: PointsPreprocess = PointsPreprocess()
    generator: Literal["gaussians", "toroid", "yin_yang", "pinwheel", "blurred_cat"]
    """Five tight Gaussians in a row, of which two validate and test; a ring around a core; yin and yang; three twisted
    blades; a cat's head blurred by white noise."""
    points: Annotated[tuple[Annotated[int, Field(ge=10, le=5_000_000)], ...], Field(min_length=3, max_length=3)] = (
        10_000, 5_000, 5_000,
    )  # fmt: skip
    """That train, validate and test; fewer lie inside more."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Draws them."""

    reader: ClassVar[str] = "ctlr.data.kinds.points:GeneratedReader"
    ndim: ClassVar[int] = 0
    apart: ClassVar[bool] = True
    classes_only: ClassVar[bool] = True
    public: ClassVar[bool] = True
    least_error: ClassVar[str] = "ctlr.data.kinds.points.generating:least_error"
    class_densities: ClassVar[str] = "ctlr.data.kinds.points.generating:class_densities"
    meant_for: ClassVar[str] = "trying CTLR out: the points are synthetic"

    @classmethod
    def example(cls, folder: Path) -> Self:
        """A few points around a core."""
        return cls.model_validate({"name": "example", "generator": "toroid", "points": (10, 10, 10)})

    @property
    def people(self) -> str:
        """Which point it is depends on the generator, the seed and its number."""
        return f"{self.kind} {self.generator} {self.seed}"

    @property
    def known_subjects(self) -> int:
        """As many as are drawn."""
        return sum(self.points)

    @property
    def known_classes(self) -> frozenset[str]:
        """Of the generator."""
        return frozenset(GENERATORS[self.generator])

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """A place in the plane."""
        return (2,)

    def to_time(self, count: int) -> None:
        """It is drawn as a whole."""
