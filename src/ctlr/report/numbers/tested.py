"""Which stored images predictions are of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctlr.data.store import ArrayStore
from ctlr.data.targets import read_targets
from ctlr.report.numbers.contests import Done
from ctlr.workspace import Workspace

__all__ = ["tested_rows"]

_NEAR = 1e-4
"""Relative difference of a true value to what predictions say of it, which are rounded."""


def tested_rows(done: Done, store: ArrayStore, workspace: Workspace) -> NDArray[np.int64]:
    """(N,) rows of the test images; -1 where one is not known.

    Predictions name subjects by pseudonyms, and list a subject's images in the order of the rows. A row whose true
    value is another one is not believed.

    Raises:
        CtlrError: The table has no such target.
    """
    test, end = done.predictions["test"], done.result.study.target
    targets = read_targets(store.table, end.task, end.data.name)
    names = workspace.pseudonyms(store.table.subject.values)
    wanted = set(test.subjects.tolist())
    codes = {code: name for code, name in enumerate(names) if name in wanted}
    own: dict[str, list[int]] = {}
    for row in np.flatnonzero(targets.known).tolist():
        if (name := codes.get(int(store.table.subject.codes[row]))) is not None:
            own.setdefault(name, []).append(row)
    counts = dict(zip(*np.unique(test.subjects, return_counts=True), strict=True))
    waiting = {name: iter(own.get(name, [])) for name in wanted if len(own.get(name, [])) == counts[name]}
    rows = np.array([next(waiting[name]) if name in waiting else -1 for name in test.subjects.tolist()], np.int64)
    values = targets.values[rows].astype(np.float64)
    return np.where(np.isclose(values, test.truth, rtol=_NEAR, atol=_NEAR), rows, -1)
