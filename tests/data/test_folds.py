"""Folds of the development data."""

from collections import Counter

import numpy as np
import pytest
from tiny_bench import Bench

from ctlr.data.development import Development, open_development
from ctlr.data.folds import fold_development
from ctlr.data.splits import rows_of
from ctlr.errors import ConfigError, LeakageError
from ctlr.specs import SplitSpec


def opened(bench: Bench, split: SplitSpec, n_train: int = 10) -> Development:
    study = bench.study("scratch", 10)
    return open_development(
        study.target, bench.arrays["cohort"], bench.workspace, split=split, n_train=n_train, n_reserved=n_train, seed=0
    )


def test_everyone_validates_once_and_trains_otherwise(bench: Bench) -> None:
    whole = opened(bench, bench.config.split)
    folds = fold_development(whole, bench.config.split, folds=3, seed=0)
    everyone = {*whole.split.train, *whole.split.validation}
    assert Counter(subject for fold in folds for subject in fold.split.validation) == Counter(everyone)
    for fold in folds:
        assert {*fold.split.train, *fold.split.validation} == everyone
        assert not set(fold.pool) & set(fold.validation)
        assert set(fold.train) <= set(fold.pool)
        assert len(fold.validation) in (6, 7)


def test_the_test_set_stays_shut_in_every_fold(bench: Bench) -> None:
    whole = opened(bench, bench.config.split)
    test = rows_of(whole.store.table, whole.split.test)
    for fold in fold_development(whole, bench.config.split, folds=2, seed=0):
        assert not set(test) & {*fold.train, *fold.validation, *fold.pool}
        assert np.isnan(fold.targets.values[test]).all()
        with pytest.raises(LeakageError):
            fold.store.read(test[:1])


def test_folds_are_as_stratified_as_the_sides(bench: Bench) -> None:
    split = bench.config.split.model_copy(update={"bins": 2, "stratify": ()})
    whole = opened(bench, split)
    rows = np.concatenate([whole.train, whole.validation])
    middle = np.median(whole.targets.values[rows])
    for fold in fold_development(whole, split, folds=5, seed=0):
        older = np.count_nonzero(whole.targets.values[fold.validation] > middle)
        assert abs(older - len(fold.validation) / 2) <= 1


def test_the_seed_draws_the_folds(bench: Bench) -> None:
    whole = opened(bench, bench.config.split)

    def drawn(seed: int) -> list[tuple[str, ...]]:
        return [fold.split.validation for fold in fold_development(whole, bench.config.split, folds=3, seed=seed)]

    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)


def test_groups_stay_together_and_leave_the_pool_with_their_fold(bench: Bench) -> None:
    whole = opened(bench, bench.config.split)
    table = whole.store.table
    column = next(name for name in table[0].columns if 3 <= len({record.columns[name] for record in table}) <= 12)
    split = bench.config.split.model_copy(update={"group": column})
    of = {record.subject: record.columns[column] for record in table}
    for fold in fold_development(whole, split, folds=2, seed=0):
        held = {of[subject] for subject in fold.split.validation}
        assert not held & {of[subject] for subject in fold.split.train}
        assert not held & {of[subject] for subject in fold.split.unlabelled}


def test_more_folds_than_pairs_of_subjects_are_refused(bench: Bench) -> None:
    whole = opened(bench, bench.config.split)
    with pytest.raises(ConfigError, match="Ask for at most 10 folds"):
        fold_development(whole, bench.config.split, folds=11, seed=0)
