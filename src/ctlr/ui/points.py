"""Sets of points in the plane that a page draws, and models without a network that are fitted to them at once.

points/<name>/points.csv   x, y, class, split; what `kind: points` reads
points/<name>/set.json     names of the classes, and the generator while its points are as it made them
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ctlr.data.listing import ManyImages
from ctlr.errors import ConfigError, DataError, TrainingError, WorkspaceError
from ctlr.runs import NAME
from ctlr.shallow.families import FamilySpec
from ctlr.shallow.model import fit_family
from ctlr.shallow.sample import Sample
from ctlr.specs import METHODS, GeneratedPointsSpec, PointsSpec, StoredArrays, Value, dns_name
from ctlr.steps.surface import Places
from ctlr.workspace import write_aside

__all__ = [
    "FAMILIES",
    "MOST",
    "SIDES",
    "Field",
    "Fit",
    "PointSet",
    "PointSets",
    "family_fields",
    "family_of",
    "fields_of",
    "fit_to",
    "refused",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

SIDES = ("train", "dev", "eval")
"""As a table's column `split` says them."""
FAMILIES = tuple(name for name, spec in METHODS.items() if issubclass(spec, FamilySpec))
"""Models without a network."""
MOST = 3000
"""Points of a set."""
_CLASSES = 8
_GRID = 80
"""Lines along each axis on which a model is asked."""
_BOX = (-2.5, 2.5, -2.5, 2.5)
"""What an empty canvas shows: x, then y."""
_FARTHEST = 1e6
_SHARES = (0.6, 0.2, 0.2)
"""Of points without a side that train, validate and test."""
_CEILINGS = {"trees": 100, "iterations": 100, "leaves": 64, "slack": 100.0}
"""Of options whose time grows with them, while a page waits."""


@dataclass(frozen=True, eq=False)
class PointSet:
    """Points in the plane.

    Attributes:
        name: Of the set.
        classes: Names by code.
        points: (N, 2).
        codes: (N,) classes.
        sides: (N,) places in `SIDES`.
        view: Least and greatest x, then y, that are shown.
        generator: What drew them, while nothing was added or taken away.
    """

    name: str
    classes: tuple[str, ...]
    points: Floats
    codes: Codes
    sides: Codes
    view: tuple[float, float, float, float] = _BOX
    generator: GeneratedPointsSpec | None = None

    def counts(self) -> dict[str, list[int]]:
        """Points of each class, side by side."""
        return {
            name: [int(((self.codes == code) & (self.sides == side)).sum()) for side in range(len(SIDES))]
            for code, name in enumerate(self.classes)
        }

    def rows(self) -> list[list[float]]:
        """[x, y, class, side] of each point; numbers have nine digits."""
        return [
            [float(f"{x:.9g}"), float(f"{y:.9g}"), code, side]
            for (x, y), code, side in zip(
                self.points.tolist(), self.codes.tolist(), self.sides.tolist(), strict=True
            )
        ]  # fmt: skip

    def with_rows(self, rows: Any) -> PointSet:
        """The set with other points, as `rows` has them.

        Raises:
            DataError: They are none, or too many.
        """
        try:
            found = np.array(rows, np.float64).reshape(-1, 4)
            points, codes, sides = found[:, :2], found[:, 2].astype(np.int64), found[:, 3].astype(np.int64)
        except (ValueError, TypeError) as error:
            raise DataError("points must be lists of x, y, class and side.") from error
        if len(found) > MOST:
            raise DataError(f"a set has at most {MOST:,} points; got {len(found):,}. Leave some out.")
        if not np.isfinite(found).all() or (len(found) and np.abs(points).max() > _FARTHEST):
            raise DataError(f"x and y must be numbers between -{_FARTHEST:g} and {_FARTHEST:g}.")
        known = np.isin(codes, range(len(self.classes))) & np.isin(sides, range(len(SIDES)))
        if not known.all():
            raise DataError("a point has a class or a side that this set does not have. Open its page anew.")
        if rows == self.rows():
            return self
        return replace(
            self, points=points, codes=codes, sides=sides, view=_around(points, self.view), generator=None
        )  # fmt: skip


def _around(points: Floats, view: tuple[float, float, float, float] | None) -> tuple[float, float, float, float]:
    """A view that shows all points, and what it has shown before."""
    if not len(points):
        return view or _BOX
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.maximum((high - low) * 0.08, 1e-6 * np.maximum(1, np.abs(high)))
    if view is not None:
        outside = [low[0] < view[0], high[0] > view[1], low[1] < view[2], high[1] > view[3]]
        wanted = (low[0] - room[0], high[0] + room[0], low[1] - room[1], high[1] + room[1])
        found = [float(new if out else old) for old, new, out in zip(view, wanted, outside, strict=True)]
    else:
        found = [float(each) for each in (low[0] - room[0], high[0] + room[0], low[1] - room[1], high[1] + room[1])]
    return found[0], found[1], found[2], found[3]


class PointSets:
    """The sets of a workspace."""

    def __init__(self, root: Path) -> None:
        self._place = root / "points"

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(file.parent.name for file in self._place.glob("*/set.json")))

    def table(self, name: str) -> Path:
        """The table of a set.

        Raises:
            ConfigError: There is no such set.
        """
        if not re.fullmatch(NAME, name) or not (self._place / name / "set.json").is_file():
            raise ConfigError(f"There is no set of points {name[:60]!r} in this workspace.")
        return self._place / name / "points.csv"

    def get(self, name: str) -> PointSet:
        """A set by its name.

        Raises:
            ConfigError: There is none.
            DataError: Its files are damaged.
        """
        table = self.table(name)
        try:
            told = json.loads(table.with_name("set.json").read_bytes())
            classes, view = tuple(map(str, told["classes"])), tuple(map(float, told["view"]))
            generator = (
                GeneratedPointsSpec.model_validate(told["generator"], strict=False) if told["generator"] else None
            )
            with table.open(newline="") as file:
                rows = list(csv.reader(file))[1:]
            points = np.array([[float(row[0]), float(row[1])] for row in rows]).reshape(-1, 2)
            codes = np.array([classes.index(row[2]) for row in rows], np.int64)
            sides = np.array([SIDES.index(row[3]) for row in rows], np.int64)
            return PointSet(name, classes, points, codes, sides, (view[0], view[1], view[2], view[3]), generator)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise DataError(f"points/{name} is damaged ({type(error).__name__}). Delete it.") from error

    def keep(self, found: PointSet) -> None:
        """Write a set. Numbers have nine digits, and so come back as float32 reads them."""
        folder = self._place / found.name
        folder.mkdir(parents=True, exist_ok=True)
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["x", "y", "class", "split"])
        for (x, y), code, side in zip(
            found.points.tolist(), found.codes.tolist(), found.sides.tolist(), strict=True
        ):  # fmt: skip
            writer.writerow([f"{x:.9g}", f"{y:.9g}", found.classes[code], SIDES[side]])
        generator = found.generator.model_dump(mode="json") if found.generator else None
        told = {"classes": found.classes, "view": found.view, "generator": generator}
        write_aside(folder / "points.csv", text.getvalue().encode())
        write_aside(folder / "set.json", json.dumps(told).encode())

    def free(self, name: str) -> str:
        """A name that may be given to a new set.

        Raises:
            ConfigError: It is none, or taken.
        """
        if not name or dns_name(name, 40) != name:
            raise ConfigError(f"the name must be at most 40 of a-z, 0-9 and '-', a letter first; got {name[:60]!r}.")
        if (self._place / name).exists():
            raise ConfigError(f"A set of points {name!r} is there already. Choose another name, or delete it.")
        return name

    def empty(self, name: str) -> PointSet:
        """A new set to be drawn."""
        none = np.empty(0, np.int64)
        found = PointSet(self.free(name), ("a", "b"), np.empty((0, 2)), none, none)
        self.keep(found)
        return found

    def generated(self, name: str, spec: GeneratedPointsSpec, again: bool = False) -> PointSet:
        """A set that a generator draws.

        Args:
            name: Of a new set.
            spec: What is drawn.
            again: Whether it takes the place of the set of that name.

        Raises:
            ConfigError: The name is none, or taken.
            DataError: It would have too many points.
        """
        from ctlr.data.kinds.points import generating

        if sum(spec.points) > MOST:
            raise DataError(f"a set has at most {MOST:,} points; got {sum(spec.points):,}. Draw fewer.")
        drawn = [
            generating.draw(spec.generator, side, count, spec.seed, spec.parameters)
            for side, count in zip(generating.SIDES, spec.points, strict=True)
        ]
        points = np.concatenate([each for each, _ in drawn]).astype(np.float64)
        found = PointSet(
            name if again else self.free(name), spec.classes, points, np.concatenate([codes for _, codes in drawn]),
            np.repeat(np.arange(len(SIDES)), spec.points), _around(points, _BOX), spec,
        )  # fmt: skip
        self.keep(found)
        return found

    def uploaded(self, name: str, content: bytes, columns: Sequence[str]) -> PointSet:
        """A new set from a table, read as `kind: points` reads it; points without a side are given one at random.

        Args:
            name: Of the set.
            content: Of the file.
            columns: Of x, of y and of the class.

        Raises:
            ConfigError: The name is none, or taken; or a column is named twice.
            DataError: A cell cannot be used; names line and column.
        """
        import tempfile

        from ctlr.data.kinds.points.tables import read_tables

        self.free(name)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "points.csv").write_bytes(content)
            header = content.split(b"\n", 1)[0].decode("utf-8-sig", "replace").strip().split(",")
            split = "split" if "split" in [cell.strip().strip('"') for cell in header] else None
            try:
                spec = PointsSpec(
                    name="points", root=folder, table="points.csv", features=(columns[0], columns[1]),
                    columns=(columns[2],), split=split,
                )  # fmt: skip
            except ValidationError as error:
                raise ConfigError(f"the columns of x, y and the class: {error.errors()[0]['msg']}.") from error
            read = read_tables(spec)
        if read.listing.faults:
            fault = read.listing.faults[0]
            raise DataError(fault.reason, place=fault.place)
        points = np.frombuffer(read.values, np.float64).reshape(-1, 2)
        images = read.listing.images
        assert isinstance(images, ManyImages)
        table = images.columns
        names = table[columns[2]]
        classes = tuple(sorted(set(names)))
        if not 1 <= len(classes) <= _CLASSES or not all(classes) or max(map(len, classes)) > 40:
            raise DataError(f"there must be 1 to {_CLASSES} classes with names of 1 to 40 letters; got {len(classes)}.")
        if split:
            sides = np.array([("train", "val", "test").index(side) for side in table["split"]], np.int64)
        else:
            sides = np.random.default_rng(0).choice(len(SIDES), len(points), p=_SHARES)
        none = PointSet(name, classes, np.empty((0, 2)), sides[:0], sides[:0])
        codes = [classes.index(each) for each in names]
        found = none.with_rows(np.column_stack([points, codes, sides]).tolist())
        found = replace(found, view=_around(points, None))
        self.keep(found)
        return found

    def with_class(self, found: PointSet, name: str) -> PointSet:
        """A set with one more class.

        Raises:
            ConfigError: The name is none, or there; or there are as many as can be told apart.
        """
        if not 1 <= len(name) <= 40 or name in found.classes or not name.isprintable():
            raise ConfigError(f"a class needs a name of its own, of 1 to 40 letters; got {name[:60]!r}.")
        if len(found.classes) >= _CLASSES:
            raise ConfigError(f"a set has at most {_CLASSES} classes.")
        found = replace(found, classes=(*found.classes, name), generator=None)
        self.keep(found)
        return found

    def delete(self, name: str) -> None:
        """Remove a set; runs that have read it keep what they learned."""
        shutil.rmtree(self.table(name).parent)


# ---------------------------------------------------------------- models


@dataclass(frozen=True)
class Field:
    """An option in a form."""

    name: str
    value: Any
    """By default."""
    choices: tuple[str, ...] = ()
    """All of them; empty for a number."""
    empty: bool = False
    """Whether it may be left out."""


def fields_of(spec: type[Value], without: Collection[str] = ()) -> list[Field]:
    """The options of a part that are a word or a number, as a form asks for them."""
    found = []
    for name, field in spec.model_fields.items():
        if name in without:
            continue
        parts = get_args(field.annotation) if get_origin(field.annotation) in (Union, UnionType) else ()
        literal = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        found.append(Field(name, field.default, tuple(map(str, literal)), type(None) in parts))
    return found


def family_of(form: Mapping[str, str]) -> FamilySpec:
    """The model that a form asks for.

    Raises:
        ConfigError: There is none, or an option is not what it may be.
    """
    family = form.get("model", "")
    if family not in FAMILIES:
        raise ConfigError(f"There is no model {family[:40]!r} without a network.")
    values: dict[str, Any] = {"label": family, "method": family}
    for field in family_fields(family):
        if text := form.get(f"{family}.{field.name}", "").strip():
            values[field.name] = text
    try:
        spec = METHODS[family].model_validate(values, strict=False)
    except ValidationError as error:
        raise refused(error) from error
    assert isinstance(spec, FamilySpec)
    for name, ceiling in _CEILINGS.items():
        if (value := getattr(spec, name, 0)) > ceiling:
            raise ConfigError(f"`{name}` must be at most {ceiling:g} here; got {value:g}. A run may have more.")
    return spec


def refused(error: ValidationError) -> ConfigError:
    """What a form's value broke, in a line."""
    first = error.errors()[0]
    words = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return ConfigError(f"{words}.")
    return ConfigError(f"`{'.'.join(map(str, first['loc']))}`: {words}; got {str(first['input'])[:40]!r}.")


def family_fields(family: str) -> list[Field]:
    """The options that a family has for itself."""
    return fields_of(METHODS[family], {*FamilySpec.model_fields, "method", "epsilon"})  # that one is of regressions


@dataclass(frozen=True, eq=False)
class Fit:
    """What a model says of the plane.

    Attributes:
        model: In words.
        codes: (G, G) class where lines cross, rows by y from below; of the set's view.
        wrong: Side -> points that it gets wrong, and how many there are.
        seconds: That fitting took.
    """

    model: str
    codes: NDArray[np.uint8]
    wrong: Mapping[str, tuple[int, int]]
    seconds: float


_FITTING = threading.Lock()
_PATIENCE = 5.0
"""Seconds that a fit waits for another one."""


def fit_to(found: PointSet, spec: FamilySpec) -> Fit:
    """Fit a model to the points that train; one at a time.

    Raises:
        DataError: Too few points train.
        WorkspaceError: Another fit takes long.
    """
    train = np.flatnonzero(found.sides == 0)
    if len(np.unique(found.codes[train])) < 2:
        raise DataError("points of two classes must train. Draw some.")
    if not _FITTING.acquire(timeout=_PATIENCE):
        raise WorkspaceError("Another model is still being fitted. Try again.")
    try:
        began = time.perf_counter()
        store = _stored(found.points)
        try:
            model = fit_family(spec, Sample(store, train, found.codes[train], len(found.classes)))
        except TrainingError as error:
            raise DataError(f"{error}.") from error
        seconds = time.perf_counter() - began
        left, right, low, high = found.view
        lines = (np.arange(_GRID) + 0.5) / _GRID
        x, y = left + lines * (right - left), low + lines * (high - low)
        places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float32)
        codes = model.of_images(places).argmax(axis=1).astype(np.uint8).reshape(_GRID, _GRID)
        said = model.of_images(found.points.astype(np.float32)).argmax(axis=1)
    finally:
        _FITTING.release()
    wrong = {
        side: (int((said != found.codes)[found.sides == place].sum()), int((found.sides == place).sum()))
        for place, side in enumerate(SIDES)
    }
    told = ", ".join(f"{field.name} {getattr(spec, field.name)}" for field in family_fields(spec.label))
    return Fit(f"{spec.label} ({told})", codes, wrong, seconds)


def _stored(points: Floats) -> Places:
    """Points as a model reads them."""
    like = StoredArrays(fingerprint="", path="", rows=0, subjects=0, shape=(2,), dtype="float32")
    return Places(like, points.astype(np.float32))
