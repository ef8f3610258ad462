"""What a study may learn from: its dataset with the test set sealed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ctlr.data.splits import Split, draw_split, rows_of
from ctlr.data.store import ArrayStore, read_table
from ctlr.data.strata import quantile_codes, stratified_order
from ctlr.data.table import Table
from ctlr.data.targets import Targets, read_targets
from ctlr.specs import DataTask, SplitSpec, StoredArrays
from ctlr.workspace import Workspace

__all__ = ["Development", "SourceData", "open_development", "open_source", "seal"]

SOURCE_BINS = 5
"""Quantile bins over which a numeric source target is balanced between them and the others."""


@dataclass(frozen=True)
class Development:
    """A dataset with a task, split for one study; test images cannot be read and test targets are blank.

    Attributes:
        store: Images; reading a test row raises LeakageError.
        targets: By row of the store; unknown in the test set.
        split: Subjects of each side.
        train, validation: Rows with a known target.
        pool: Rows of all subjects outside test and validation reserve, `train` included.
        also: The task's other targets, by row; unknown in the test set, and wherever the table does not say them.
    """

    store: ArrayStore
    targets: Targets
    split: Split
    train: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    pool: npt.NDArray[np.int64]
    also: tuple[Targets, ...] = ()


@dataclass(frozen=True)
class SourceData:
    """Labelled images of the source task.

    Attributes:
        store: Images.
        targets: By row of the store.
        train, validation: Rows with a known label, subjects apart.
    """

    store: ArrayStore
    targets: Targets
    train: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]


def open_development(
    end: DataTask,
    arrays: StoredArrays,
    workspace: Workspace,
    *,
    split: SplitSpec,
    n_train: int,
    n_reserved: int,
    seed: int,
) -> Development:
    """Split a dataset for a study and seal its test set."""
    table = read_table(arrays, workspace)
    targets = read_targets(table, end.task, end.data.name)
    sides = draw_split(table, targets, split, n_train=n_train, n_reserved=n_reserved, seed=seed)
    test = rows_of(table, sides.test)
    return Development(
        store=ArrayStore(arrays, workspace, sealed=test.tolist()),
        targets=seal(targets, test),
        split=sides,
        train=_known(targets, table, sides.train),
        validation=_known(targets, table, sides.validation),
        pool=rows_of(table, [*sides.train, *sides.unlabelled]),
        also=tuple(seal(read_targets(table, other.task, end.data.name), test) for other in end.others),
    )


def open_source(
    end: DataTask,
    arrays: StoredArrays,
    workspace: Workspace,
    *,
    among: Development | None,
    seed: int,
    validation: float = SplitSpec().source_validation,
) -> SourceData:
    """Labelled images of a source task.

    Args:
        end: Source dataset and task.
        arrays: Its images.
        workspace: Where they lie.
        among: The target's development data when source and target are one dataset: only its pool is used then.
        seed: Draws the subjects that watch over pretraining.
        validation: Their share.
    """
    store = among.store if among is not None else ArrayStore(arrays, workspace)
    targets = read_targets(store.table, end.task, end.data.name)
    rows = among.pool if among is not None else np.arange(len(store))
    rows = rows[targets.known[rows]]
    owners = store.table.subject.codes[rows]
    met, first = np.unique(owners, return_index=True)
    names = [store.table.subject.values[code] for code in met.tolist()]
    order = sorted(range(len(met)), key=names.__getitem__)
    values = targets.values[rows[first[order]]]
    strata = values if targets.classes else quantile_codes(values, SOURCE_BINS)
    drawn = stratified_order([strata], np.random.default_rng(seed))[: max(2, round(validation * len(met)))]
    watching = np.isin(owners, met[np.array(order)[drawn]])
    return SourceData(store, targets, train=rows[~watching], validation=rows[watching])


def seal(targets: Targets, rows: Collection[int] | npt.NDArray[np.int64]) -> Targets:
    """The targets with those rows blanked."""
    values = targets.values.copy()
    values[np.asarray(rows, dtype=np.int64)] = -1 if targets.classes else np.nan
    return replace(targets, values=values)


def _known(targets: Targets, table: Table, subjects: Sequence[str]) -> npt.NDArray[np.int64]:
    """Rows of those subjects whose target is known."""
    rows = rows_of(table, subjects)
    return rows[targets.known[rows]]
