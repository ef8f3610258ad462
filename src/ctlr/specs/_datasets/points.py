"""Points, as a benchmark file names them: rows of a table, and generated ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ctlr.specs._datasets.base import DatasetSpec, Preprocessing

__all__ = [
    "GENERATORS",
    "GeneratedPointsSpec",
    "Generator",
    "Measure",
    "PointsPreprocess",
    "PointsSpec",
    "TablePreprocess",
]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A parameter of a generator: a number from `low` to `high`."""

    default: float
    low: float
    high: float
    about: str
    whole: bool = False
    """Whether it counts something."""


@dataclass(frozen=True, kw_only=True)
class Generator:
    """What a generator of points says of itself; files, pages and the guide know nothing else of it."""

    about: str
    classes: tuple[str, ...]
    """In the order of their codes; where a parameter `classes` asks for another number of them, they are numbered."""
    parameters: Mapping[str, Measure]


def _noise(default: float, about: str = "standard deviation of the white noise that blurs it") -> Measure:
    return Measure(default=default, low=0.03, high=1, about=about)


GENERATORS: Mapping[str, Generator] = {
    "gaussians": Generator(
        about="tight Gaussians in a row, one apart, of the classes in turn; two of five validate and test",
        classes=("even", "odd"),
        parameters={
            "noise": _noise(0.22, "standard deviation of each Gaussian"),
            "count": Measure(default=5, low=2, high=12, whole=True, about="Gaussians"),
            "classes": Measure(default=2, low=2, high=8, whole=True, about="classes, at most as many as Gaussians"),
            "tested": Measure(default=2, low=1, high=12, whole=True,
                              about="Gaussians that validate and test: so many from the second on, or all of them"),
        },
    ),
    "toroid": Generator(
        about="a Gaussian core, and a ring around it",
        classes=("core", "ring"),
        parameters={
            "noise": _noise(0.2, "standard deviation across the ring"),
            "core": _noise(0.35, "standard deviation of the core"),
            "radius": Measure(default=1, low=0.2, high=3, about="of the ring"),
        },
    ),
    "yin_yang": Generator(
        about="the halves of yin and yang with their eyes",
        classes=("yin", "yang"),
        parameters={"noise": _noise(0.06), "eye": Measure(default=0.16, low=0.02, high=0.45, about="radius of an eye")},
    ),
    "pinwheel": Generator(
        about="twisted blades with a gap after each",
        classes=("first", "second", "third"),
        parameters={
            "noise": _noise(0.06),
            "classes": Measure(default=3, low=2, high=8, whole=True, about="blades"),
            "turn": Measure(default=130, low=0, high=540, about="degrees by which a blade turns, from hub to rim"),
        },
    ),
    "blurred_cat": Generator(
        about="a cat's head and the square around it", classes=("cat", "ground"), parameters={"noise": _noise(0.12)}
    ),
}  # fmt: skip

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
    parameters: Annotated[dict[str, float], Field(exclude_if=lambda value: not value)] = Field(default_factory=dict)
    """Of the generator, e.g. {noise: 0.1}; what is not named is as the guide says."""

    reader: ClassVar[str] = "ctlr.data.kinds.points:GeneratedReader"
    ndim: ClassVar[int] = 0
    apart: ClassVar[bool] = True
    classes_only: ClassVar[bool] = True
    public: ClassVar[bool] = True
    least_error: ClassVar[str] = "ctlr.data.kinds.points.generating:least_error"
    class_densities: ClassVar[str] = "ctlr.data.kinds.points.generating:class_densities"
    meant_for: ClassVar[str] = "trying CTLR out: the points are synthetic"

    @model_validator(mode="after")
    def _check_parameters(self) -> Self:
        known = GENERATORS[self.generator].parameters
        for name, value in self.parameters.items():
            if name not in known:
                raise ValueError(f"`parameters`: {self.generator} has no {name!r}; it has {', '.join(known)}")
            rule = known[name]
            if not rule.low <= value <= rule.high or (rule.whole and value != int(value)):
                kind = "a whole number" if rule.whole else "a number"
                raise ValueError(
                    f"`parameters.{name}` must be {kind} from {rule.low:g} to {rule.high:g}; got {value:g}"
                )
        if self.generator == "gaussians" and self.shape["classes"] > self.shape["count"]:
            raise ValueError(
                f"`parameters`: {self.shape['count']:g} Gaussians cannot be of {self.shape['classes']:g} classes"
            )
        return self

    @property
    def shape(self) -> dict[str, float]:
        """All parameters of the generator."""
        known = GENERATORS[self.generator].parameters
        return {name: float(self.parameters.get(name, rule.default)) for name, rule in known.items()}

    @property
    def classes(self) -> tuple[str, ...]:
        """Names by code."""
        usual = GENERATORS[self.generator].classes
        count = int(self.shape.get("classes", len(usual)))
        return usual if count == len(usual) else tuple(f"class-{number}" for number in range(1, count + 1))

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
        return frozenset(self.classes)

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """A place in the plane."""
        return (2,)

    def to_time(self, count: int) -> None:
        """It is drawn as a whole."""
