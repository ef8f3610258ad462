"""Folds: the subjects of train and validation side, validated on in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ctlr.data.development import Development
from ctlr.data.splits import Split, rows_of
from ctlr.data.strata import Codes, column_codes, linked_groups, quantile_codes, stratified_order
from ctlr.data.table import Table
from ctlr.errors import ConfigError
from ctlr.specs import SplitSpec

__all__ = ["fold_development"]


def fold_development(development: Development, spec: SplitSpec, *, folds: int, seed: int) -> list[Development]:
    """Divide a study's train and validation subjects into folds, each validated on once; the test set stays shut.

    Folds are consecutive pieces of one stratified order, so that each is as stratified as the study's own sides; whole
    groups stay together where `spec.group` names some. What a fold validates on is in no pool of that fold.

    Raises:
        ConfigError: A fold would have fewer than two subjects.
    """
    table = development.store.table
    subjects = sorted({*development.split.train, *development.split.validation})
    if len(subjects) < 2 * folds:
        raise ConfigError(
            f"`--validation kfold:{folds}` needs two subjects a fold; train and validation side have {len(subjects)}. "
            f"Ask for at most {len(subjects) // 2} folds."
        )
    first = _first_rows(development, subjects)
    everyone = sorted(table.subject.values)
    group = _groups(table, everyone, spec.group)
    group_of = dict(zip(everyone, group, strict=True))
    fold_of = _assign(
        _strata(development, first, spec), np.array([group_of[subject] for subject in subjects]),
        grouped=spec.group is not None, folds=folds, seed=seed,
    )  # fmt: skip
    made = []
    for fold in range(folds):
        held = {subject for subject, number in zip(subjects, fold_of, strict=True) if number == fold}
        closed = {group_of[subject] for subject in held}
        split = Split(
            train=tuple(subject for subject in subjects if subject not in held),
            validation=tuple(sorted(held)),
            test=development.split.test,
            unlabelled=tuple(s for s in development.split.unlabelled if group_of[s] not in closed),
        )
        known = development.targets.known
        train, validation = rows_of(table, split.train), rows_of(table, split.validation)
        made.append(
            replace(
                development,
                split=split,
                train=train[known[train]],
                validation=validation[known[validation]],
                pool=rows_of(table, [*split.train, *split.unlabelled]),
            )
        )
    return made


def _first_rows(development: Development, subjects: Sequence[str]) -> Codes:
    """(S,) each subject's first image with a known target, in the table's order."""
    first: dict[str, int] = {}
    names, codes = development.store.table.subject.values, development.store.table.subject.codes
    for row in [*development.train.tolist(), *development.validation.tolist()]:
        subject = names[codes[row]]
        first[subject] = min(row, first.get(subject, row))
    return np.array([first[subject] for subject in subjects])


def _strata(development: Development, rows: Codes, spec: SplitSpec) -> list[Codes]:
    """Codes of the target, then of the columns to balance."""
    values = development.targets.values[rows]
    target = values.astype(np.int64) if development.targets.classes else quantile_codes(values, spec.bins)
    others = []
    for name in spec.stratify:
        cells = development.store.table.cells(name)
        others.append(column_codes([cells[row] for row in rows.tolist()], spec.bins))
    return [target, *others]


def _groups(table: Table, subjects: Sequence[str], column: str | None) -> Codes:
    """(S,) group of each subject; everyone is a group where there is no column."""
    if column is None:
        return np.arange(len(subjects))
    number_of = {subject: number for number, subject in enumerate(subjects)}
    owners = np.array([number_of[subject] for subject in table.subject.values])[table.subject.codes]
    values = np.unique(table.cells(column), return_inverse=True)[1].astype(np.int64)
    return linked_groups(owners, values, len(subjects))


def _assign(strata: Sequence[Codes], groups: Codes, *, grouped: bool, folds: int, seed: int) -> Codes:
    """(S,) fold of each subject."""
    fold_of = np.empty(len(groups), np.int64)
    if grouped:
        from sklearn.model_selection import StratifiedGroupKFold  # slow to load, and seldom needed

        chooser = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        for fold, (_, held) in enumerate(chooser.split(groups, strata[0], groups)):
            fold_of[held] = fold
        if (np.bincount(fold_of, minlength=folds) < 2).any():
            raise ConfigError(
                f"`--validation kfold:{folds}`: the groups of `split.group` leave a fold with fewer than two subjects. "
                "Ask for fewer folds."
            )
        return fold_of
    order = stratified_order(strata, np.random.default_rng(seed))
    for fold, piece in enumerate(np.array_split(order, folds)):
        fold_of[piece] = fold
    return fold_of
