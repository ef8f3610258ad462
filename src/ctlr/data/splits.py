"""Who trains, validates and tests: by subject, stratified, nested along the sample sizes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from ctlr.data.listing import SIDES
from ctlr.data.strata import (
    Codes,
    Mask,
    column_codes,
    draw_groups,
    is_missing,
    linked_groups,
    quantile_codes,
    stratified_order,
)
from ctlr.data.table import Column, ImageRecord, Table
from ctlr.data.targets import Targets, read_targets
from ctlr.errors import ConfigError, DataError, LeakageError, nearest
from ctlr.specs import SplitSpec, Value

__all__ = ["Split", "Targets", "draw_split", "read_targets", "rows_of"]

_TEST, _VALIDATION, _TRAIN = range(3)  # streams of random numbers
_SIDES = ("train", "val", "test")


class Split(Value):
    """The subjects of each side, sorted; no subject stands on two."""

    train: tuple[str, ...]
    """With a known target."""
    validation: tuple[str, ...]
    """With a known target."""
    test: tuple[str, ...]
    """With a known target."""
    unlabelled: tuple[str, ...]
    """All others who may be pretrained on: neither tested nor set aside for validation; the target may be unknown."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        sides = [*self.train, *self.validation, *self.test, *self.unlabelled]
        if len(set(sides)) < len(sides):
            twice = next(subject for subject in sides if sides.count(subject) > 1)
            raise ValueError(f"a subject may stand on one side only, and once; {twice!r} stands there twice")
        return self


def rows_of(table: Sequence[ImageRecord], subjects: Collection[str]) -> npt.NDArray[np.int64]:
    """Rows of all images of those subjects, ascending; some may lack the target."""
    return Table.of(table).rows_of(subjects)


def draw_split(
    table: Sequence[ImageRecord], targets: Targets, spec: SplitSpec, *, n_train: int, n_reserved: int, seed: int
) -> Split:
    """Draw the sides of one study.

    The test set depends on the table, `spec` and nothing else. What is left is ordered twice, each time so that every
    prefix is stratified on the target (quantile bins or classes) and within it on the columns of `spec.stratify`
    (`ctlr.data.strata.stratified_order`). The first `n_reserved` of one order are the validation reserve; the first
    `n_train` of the other, over those who remain, are trained on. A study validates on the first subjects of the
    reserve. So n = 20 lies inside n = 50 of the same seed on both sides, and other sizes matter through `n_reserved`
    alone.

    A subject's scans go together; its first one with a known target decides its stratum. With `spec.group` whole groups
    go to the test set, then to the reserve, in numbers as near to what is asked as groups allow; the orders are drawn
    within what each side got, and members of a side's groups that it does not need stand on no side. A column `split`
    of train, val and test (image folders have one) overrules the drawing of those sides that it names.

    Args:
        table: One record an image, in any order.
        targets: By row of the table.
        spec: How to split.
        n_train: Labelled training subjects.
        n_reserved: Validation subjects of the largest size (`SplitSpec.n_validation`).
        seed: Of the study.

    Raises:
        ConfigError: Fewer subjects than asked for, no subject of a class left to train on, or an unknown column.
        DataError: A cell of the group or split column is empty or unknown, or the given test side holds one class.
        LeakageError: The split column puts a subject on two sides.
    """
    people = _read_subjects(Table.of(table), targets, spec)
    test, closed = _draw_test(people, spec)
    validation, reserve = _draw_reserve(people, people.labelled & ~closed, spec, n_reserved, seed)
    pool = ~(closed | reserve)
    left = people.labelled & pool
    if np.count_nonzero(left) < n_train:
        raise ConfigError(_too_few(people, spec, len(test), closed, left, n_train, n_reserved))
    _check_classes(people, left)
    _check_test(people, test)
    train = people.order(left, np.random.default_rng([_TRAIN, spec.seed, seed]))[:n_train]
    pool[train] = False
    return Split(
        train=people.names(train),
        validation=people.names(validation[: min(spec.n_validation(n_train), n_reserved)]),
        test=people.names(test),
        unlabelled=people.names(np.flatnonzero(pool)),
    )


def given_sides(table: Sequence[ImageRecord], dataset: str) -> npt.NDArray[Any]:
    """(N,) train, val or test of each image where the table's column `split` says so, else empty.

    Raises:
        DataError: A cell is none of them.
        LeakageError: A subject stands on two sides.
    """
    known = Table.of(table)
    return np.asarray(_predefined(known, known.subject.codes, dataset)[known.subject.codes])


# ---------------------------------------------------------------- subjects


@dataclass(frozen=True, kw_only=True, eq=False)
class _Subjects:
    """What splitting has to know of S subjects, sorted by id."""

    ids: npt.NDArray[Any]
    labelled: Mask
    strata: tuple[Codes, ...]
    """(S,) codes of the target, then of the columns to balance."""
    held: npt.NDArray[np.bool_]
    """(S, classes) whether one of the subject's images has the class."""
    groups: Codes | None
    sides: npt.NDArray[Any]
    """(S,) train, val or test where the table says so, else empty."""
    targets: Targets

    def order(self, among: Mask, rng: np.random.Generator) -> Codes:
        rows = np.flatnonzero(among)
        return rows[stratified_order([codes[rows] for codes in self.strata], rng)]

    def names(self, rows: Codes) -> tuple[str, ...]:
        return tuple(str(name) for name in np.sort(self.ids[rows]))


def _read_subjects(table: Table, targets: Targets, spec: SplitSpec) -> _Subjects:
    ids = sorted(table.subject.values)
    place_of = {subject: place for place, subject in enumerate(ids)}
    owners = np.fromiter((place_of[subject] for subject in table.subject.values), np.int64)[table.subject.codes]
    chosen = _first_rows(table, owners, targets.known)
    values = targets.values[chosen]
    target = values.astype(np.int64) if targets.classes else quantile_codes(values, spec.bins)
    others = []
    for name in _existing(table, spec.stratify, "split.stratify", targets.dataset):
        cells = table.cells(name)
        others.append(column_codes([cells[row] for row in chosen.tolist()], spec.bins))
    held = np.zeros((len(ids), len(targets.classes)), bool)
    if targets.classes:
        held[owners[targets.known], targets.values[targets.known]] = True
    return _Subjects(
        ids=np.array(ids),
        labelled=targets.known[chosen],
        strata=(target, *others),
        held=held,
        groups=_groups(table, owners, spec.group, targets.dataset),
        sides=_predefined(table, owners, targets.dataset),
        targets=targets,
    )


def _first_rows(table: Table, owners: Codes, known: Mask) -> Codes:
    """(S,) of each subject the first row with a known target, or else its first one, by session and file."""
    if int(owners.max(initial=-1)) + 1 == len(owners):
        return np.argsort(owners)
    order = np.lexsort((_ranks(table.file), _ranks(table.session), ~known, owners))
    return order[np.unique(owners[order], return_index=True)[1]]


def _ranks(column: Column) -> Codes:
    """(N,) place of each cell among all in alphabetical order."""
    rank = np.empty(len(column.values), np.int64)
    rank[sorted(range(len(rank)), key=column.values.__getitem__)] = np.arange(len(rank))
    return rank[column.codes]


def _existing(table: Table, columns: Sequence[str], key: str, dataset: str) -> Sequence[str]:
    for column in columns:
        if column not in table.columns:
            raise ConfigError(
                f"`{key}`: dataset {dataset!r} has no column {column!r}. {nearest(column, table.columns)}"
            )
    return columns


def _groups(table: Table, owners: Codes, column: str | None, dataset: str) -> Codes | None:
    if column is None:
        return None
    _existing(table, [column], "split.group", dataset)
    cells = table.cells(column)
    missing = {cell for cell in set(cells) if is_missing(cell)}
    if missing:
        row = next(row for row, cell in enumerate(cells) if cell in missing)
        raise DataError(
            f"`split.group` needs a value for every subject in column {column!r} of dataset {dataset!r}. "
            "Fill it in; a subject without a group gets a value of its own.",
            told=f"`split.group` needs a value for every subject; column {column!r} of dataset {dataset!r} has "
            f"{cells[row]!r} for {table[row].subject!r}. Fill it in; a subject without a group gets a value of its "
            "own.",
        )
    values = np.unique(cells, return_inverse=True)[1].astype(np.int64)
    return linked_groups(owners, values, int(owners.max(initial=-1)) + 1)


def _predefined(table: Table, owners: Codes, dataset: str) -> npt.NDArray[Any]:
    """Side of each subject by the column `split`; a column of that name with other values only is none of ours."""
    column, count = table.columns.get("split"), int(owners.max(initial=-1)) + 1
    named = [SIDES.get(value.strip().lower(), "") for value in column.values] if column is not None else []
    if column is None or not any(named):
        return np.full(count, "", "U5")
    sides = np.array([*named, ""])[column.codes]
    if (strange := np.flatnonzero(sides == "")).size:
        record = table[int(strange[0])]
        raise DataError(
            f"Column 'split' of dataset {dataset!r} must hold {', '.join(_SIDES)} for every image. "
            "Correct it, or give the column another name if CTLR shall split.",
            told=f"Column 'split' of dataset {dataset!r} must hold {', '.join(_SIDES)} for every image; "
            f"{record.file!r} has {record.columns.get('split', '').strip()!r}. Correct it, or give the column another "
            "name if CTLR shall split.",
        )
    first = np.full(count, len(owners))
    np.minimum.at(first, owners, np.arange(len(owners)))
    if (moved := np.flatnonzero(sides != sides[first[owners]])).size:
        row, before = int(moved[0]), int(first[owners[moved[0]]])
        record, other = table[row], table[before]
        raise LeakageError(
            f"A subject of dataset {dataset!r} stands in split {sides[before]!s} and {sides[row]!s}. Move all its "
            "images to one of them.",
            told=f"Subject {record.subject!r} of dataset {dataset!r} stands in split {str(sides[before])!r} "
            f"({other.file}) and {str(sides[row])!r} ({record.file}). Move all its images to one of them.",
        )
    return np.asarray(sides[first])


# ---------------------------------------------------------------- sides


def _draw_test(people: _Subjects, spec: SplitSpec) -> tuple[Codes, Mask]:
    """Test subjects, and everyone who may not be learned from because of them."""
    closed = people.sides == "test"
    if closed.any():
        return _given(people, closed, "test"), closed
    among = people.labelled & (people.sides != "val")
    n_labelled = np.count_nonzero(among)
    wanted = max(1, round(spec.test * n_labelled if spec.test < 1 else spec.test))
    if wanted >= n_labelled:
        raise ConfigError(
            f"`split.test` asks for {wanted} test subjects; dataset {people.targets.dataset!r} has {n_labelled} "
            f"subjects with target {people.targets.column!r}, and some must be left to train on. Lower it."
        )
    return _take(people, among, wanted, np.random.default_rng([_TEST, spec.seed]))


def _draw_reserve(people: _Subjects, open_: Mask, spec: SplitSpec, wanted: int, seed: int) -> tuple[Codes, Mask]:
    """The validation reserve in the order of its use, and everyone who may not be learned from because of it."""
    rng = np.random.default_rng([_VALIDATION, spec.seed, seed])
    reserved = people.sides == "val"
    if reserved.any():
        _given(people, reserved, "val")
        return people.order(open_ & reserved, rng), reserved
    return _take(people, open_, wanted, rng)


def _given(people: _Subjects, members: Mask, side: str) -> Codes:
    found = np.flatnonzero(members & people.labelled)
    if not len(found):
        raise DataError(
            f"Split {side!r} of dataset {people.targets.dataset!r} holds no subject with target "
            f"{people.targets.column!r}. Add some, or remove the split: CTLR then draws one."
        )
    return found


def _take(people: _Subjects, among: Mask, wanted: int, rng: np.random.Generator) -> tuple[Codes, Mask]:
    """The first `wanted` of a stratified order; with groups all of as many groups as hold them."""
    if people.groups is None:
        chosen = people.order(among, rng)[:wanted]
        return chosen, np.isin(np.arange(len(among)), chosen)
    members = draw_groups(people.groups, people.strata[0], among, wanted, rng)
    return people.order(among & members, rng), members


# ---------------------------------------------------------------- refusals


def _too_few(
    people: _Subjects, spec: SplitSpec, n_test: int, closed: Mask, left: Mask, n_train: int, n_reserved: int
) -> str:
    n_open, n_left = np.count_nonzero(people.labelled & ~closed), np.count_nonzero(left)
    if spec.group is not None:
        most = f"whole groups of {spec.group!r} leave {n_left} to train on"
    elif np.any(people.sides == "val"):
        most = f"its validation split leaves {n_left} to train on"
    else:
        fitting = [n for n in range(1, n_open + 1) if n + spec.n_validation(n) <= n_open]
        most = f"at most {max(fitting, default=0)} can be trained on"
    return (
        f"`sample_sizes` asks for n_train={n_train} + {n_reserved} validation; dataset {people.targets.dataset!r} has "
        f"{np.count_nonzero(people.labelled)} subjects with target {people.targets.column!r}, {n_test} of them for the "
        f"test set: {most}. Lower `sample_sizes`, `split.test` or `split.validation`."
    )


def _check_classes(people: _Subjects, left: Mask) -> None:
    """A class that no one is left to be trained on could never be predicted."""
    for code, name in enumerate(people.targets.classes):
        if not np.any(left & people.held[:, code]):
            raise ConfigError(
                f"Class {name!r} of target {people.targets.column!r} in dataset {people.targets.dataset!r} has "
                f"{np.count_nonzero(people.labelled & people.held[:, code])} subjects, all on the test and validation "
                "sides: none is left to train on. Leave it out with the task's `classes`, or lower `split.test` or "
                "`split.validation`."
            )


def _check_test(people: _Subjects, test: Codes) -> None:
    """Whoever says one class to everyone would score best on a given test side that holds no other one."""
    held = people.held[test].any(axis=0)
    if (people.sides == "test").any() and people.targets.classes and np.count_nonzero(held) < 2:
        told = [repr(people.targets.classes[code]) for code in np.flatnonzero(held)]
        raise DataError(
            f"The test side that dataset {people.targets.dataset!r} gives must hold two classes of "
            f"{people.targets.column!r} at least; it holds {', '.join(told) or 'none'}. Add images of others, or let "
            "CTLR draw the sides."
        )
