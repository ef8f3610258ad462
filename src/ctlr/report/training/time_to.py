"""How long each method trains until its validation score first reaches a target (as Wu et al. 2019, LRBench)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from ctlr.report.numbers.contests import Contest
from ctlr.report.numbers.predictions import read_history
from ctlr.report.theme.formats import Cell, Table, duration
from ctlr.report.wording import factors, metric_label, table_name

__all__ = ["TimeToRow", "time_to_rows", "time_to_table"]


@dataclass(frozen=True, kw_only=True)
class TimeToRow:
    """When the trainings of a method at one size reached the target."""

    method: str
    n_train: int
    epochs: tuple[int | None, ...]
    """Of each seed; None where it never did."""
    seconds: tuple[float | None, ...]
    """Of training and validation until then."""

    @property
    def reached(self) -> int:
        """Seeds that reached it."""
        return sum(epoch is not None for epoch in self.epochs)

    @property
    def mean_seconds(self) -> float | None:
        """Over the seeds that reached it; None where none did."""
        known = [each for each in self.seconds if each is not None]
        return fmean(known) if known else None


def time_to_rows(contest: Contest, root: Path, target: float) -> list[TimeToRow]:
    """A row for each method and size that has a history, in the order of the contest.

    Args:
        contest: Studies of one transfer.
        root: Below which their histories lie.
        target: Of the headline metric on validation subjects.

    Raises:
        DataError: A history is damaged.
    """
    column, sign = f"validation_{contest.task.headline}", 1 if contest.task.direction == "max" else -1
    rows = []
    for method in contest.methods:
        for size in contest.sizes:
            cell = contest.cells.get((method, size), ())
            read = [read_history(root / done.result.path / "history.csv") for done in cell]
            histories = [history for history in read if {"epoch", "seconds", column} <= history.keys()]
            if not histories:
                continue
            first = [_first(sign * history[column] >= sign * target) for history in histories]
            rows.append(
                TimeToRow(
                    method=method, n_train=size,
                    epochs=tuple(None if at is None else int(history["epoch"][at])
                                 for at, history in zip(first, histories, strict=True)),
                    seconds=tuple(None if at is None else float(history["seconds"][: at + 1].sum())
                                  for at, history in zip(first, histories, strict=True)),
                )
            )  # fmt: skip
    return rows


def _first(reached: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int | None:
    return int(reached.argmax()) if reached.any() else None


def time_to_table(contest: Contest, rows: Sequence[TimeToRow], target: float) -> Table:
    """Epochs and seconds to the target, by method and size."""
    return Table(
        name=table_name("time-to", contest),
        caption=f"Time until {metric_label(contest)} on validation subjects first reaches {target:g}. Epochs of each "
        "seed, a dash where it never does; seconds of training and validation, mean over the seeds that reach it.",
        columns=("Method", "n", "Reached in", "Epochs", "Time"),
        rows=tuple(
            (Cell(row.method), Cell(contest.labelled(row.n_train)), Cell(f"{row.reached} of {len(row.epochs)} seeds"),
             Cell(", ".join("–" if epoch is None else str(epoch) for epoch in row.epochs)),
             Cell("–" if row.mean_seconds is None else duration(row.mean_seconds)))
            for row in rows
        ),
        records=tuple(
            factors(contest)
            | {"method": row.method, "n_train": row.n_train, "goal": target, "reached": row.reached,
               "seeds": len(row.epochs), "epochs": " ".join("" if e is None else str(e) for e in row.epochs),
               "seconds": row.mean_seconds}
            for row in rows
        ),
    )  # fmt: skip
