"""Whether methods were trained alike, and long enough; what to change where not, with its place in the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ctlr.report.numbers.contests import Contest, Done
from ctlr.report.numbers.predictions import Predictions
from ctlr.report.numbers.rows import GapRow
from ctlr.report.theme.formats import Cell, Table, number
from ctlr.specs import layer_role

__all__ = ["TrainingRow", "training_notes", "training_rows", "training_table"]

SLOPE = -0.9
"""Of the gap on the truth; -1 says that predictions know nothing of it."""
SPREAD = 0.1
"""Least standard deviation of predictions, as a share of the truth's."""
NEARLY_MEAN = "predicts nearly the mean"
LAST = "was best in its last epoch"
MANY = 3
"""So many methods that were best in their last epoch are told in one sentence."""
ONE_CLASS = 0.98
"""Largest share of test images that are told one and the same class."""


@dataclass(frozen=True, kw_only=True)
class TrainingRow:
    """What the training of a method at one size looked like."""

    method: str
    n_train: int
    epochs: int
    """Asked for."""
    best_epochs: tuple[int, ...]
    """Of each seed."""
    at_end: int
    """Seeds whose best epoch was the last one."""
    slope: float | None
    """Of the gap on the truth; None for classes."""
    constant: bool
    """Whether predictions on the test set are nearly the same for everybody."""

    @property
    def signs(self) -> tuple[str, ...]:
        """What says that it learned little, or not to the end."""
        found = []
        if self.constant:
            found.append("predicts nearly the same for everybody")
        elif self.slope is not None and self.slope <= SLOPE:
            found.append(NEARLY_MEAN)
        if self.at_end > len(self.best_epochs) / 2:
            found.append(LAST)
        return tuple(found)


def training_rows(contest: Contest, gaps: Sequence[GapRow]) -> list[TrainingRow]:
    """A row for each method and size that has trained something, in the order of the contest.

    Args:
        contest: Studies of one transfer.
        gaps: Of its cells, where the task is a regression.
    """
    slopes = {(row.method, row.n_train): row.gap.slope for row in gaps}
    return [
        _row(method, size, cell, slopes.get((method, size)))
        for method in contest.methods
        for size in contest.sizes
        if method != contest.floor
        and (cell := contest.cells.get((method, size)))
        and all(done.result.epochs for done in cell)
    ]


def _row(method: str, size: int, cell: Sequence[Done], slope: float | None) -> TrainingRow:
    results = [done.result for done in cell]
    return TrainingRow(
        method=method, n_train=size, epochs=results[0].study.method.finetune.epochs,
        best_epochs=tuple(result.best_epoch for result in results),
        at_end=sum(r.best_epoch == r.epochs == r.study.method.finetune.epochs for r in results),
        slope=slope, constant=all(_nearly_constant(done.predictions["test"]) for done in cell),
    )  # fmt: skip


def _nearly_constant(test: Predictions) -> bool:
    if test.probabilities is None:
        return bool(test.prediction.std() < SPREAD * test.truth.std())
    _, counts = np.unique(test.prediction, return_counts=True)
    _, true = np.unique(test.truth, return_counts=True)
    return bool(counts.max() >= ONE_CLASS * counts.sum() > true.max())


# ---------------------------------------------------------------- sentences


def training_notes(contest: Contest, rows: Sequence[TrainingRow]) -> list[str]:
    """What is unfair unless meant, then who learned little or not to the end, and which option to change."""
    return [*_unlike(contest), *dict.fromkeys(_advice(contest, rows).values())]


def _unlike(contest: Contest) -> Iterator[str]:
    """Methods of one table that see their labelled images, or use their labels, in different ways."""
    methods = {result.study.method.label: result.study.method for result in contest.results}
    trained = {label: method for label, method in methods.items() if method.trains_network}
    views = {label: method.views_by_stage.get("finetune") for label, method in trained.items()}
    ndim = contest.target.data.ndim
    seen = {label: each.at(ndim).words if each else "none" for label, each in views.items()}
    if len(set(seen.values())) > 1:
        yield (
            f"Unfair unless meant: methods do not see the same views while finetuning ({_groups(seen)}). "
            "`training.finetune.views` sets them for all."
        )
    refit = {label: "yes" if method.refits else "no" for label, method in trained.items()}
    if len(set(refit.values())) > 1:
        yield (
            f"Unfair unless meant: not all methods were trained again on their validation subjects too "
            f"(refit: {_groups(refit)}). `training.refits` sets it for all."
        )


def _groups(values: dict[str, str]) -> str:
    groups: dict[str, list[str]] = {}
    for label, value in values.items():
        groups.setdefault(value, []).append(f"‘{label}’")
    return "; ".join(f"{value}: {', '.join(labels)}" for value, labels in groups.items())


def _advice(contest: Contest, rows: Sequence[TrainingRow]) -> dict[str, str]:
    """A sentence for each method that learned little, or not to the end.

    Those that have nothing but their last epoch against them share one, if they are many.
    """
    told: dict[str, dict[str, list[TrainingRow]]] = {}
    for row in rows:
        for sign in row.signs:
            told.setdefault(row.method, {}).setdefault(sign, []).append(row)
    late = {method: signs[LAST] for method, signs in told.items() if set(signs) == {LAST}}
    found = {}
    for method, signs in told.items():
        words = ", and ".join(f"{_sign(sign, rows)} at n = {_sizes(contest, rows)}" for sign, rows in signs.items())
        place = _place(contest, method)
        found[method] = f"‘{method}’ {words}: raise `{place}.epochs`, or `{place}.lr`."
    if len(late) >= MANY:
        groups = _groups({method: f"n = {_sizes(contest, rows)}" for method, rows in late.items()})
        found |= dict.fromkeys(
            late,
            f"{len(late)} methods were best in their last epoch ({groups}): raise `training.finetune.epochs`, or "
            "`training.finetune.lr`.",
        )
    return found


def _sizes(contest: Contest, rows: Sequence[TrainingRow]) -> str:
    return ", ".join(contest.labelled(row.n_train) for row in rows)


def _sign(sign: str, rows: Sequence[TrainingRow]) -> str:
    if sign != NEARLY_MEAN:
        return sign
    slopes = [row.slope for row in rows if row.slope is not None]
    ends = dict.fromkeys(number(end, 2) for end in (min(slopes), max(slopes)))
    return f"{sign} (slope of the gap {' to '.join(ends)})"


def _place(contest: Contest, method: str) -> str:
    """Where the finetuning of a method stands in the benchmark's file."""
    spec = next(result.study.method for result in contest.results if result.study.method.label == method)
    return f"methods.{'layer_transfer' if layer_role(spec) is not None else method}.finetune"


# ---------------------------------------------------------------- table


def training_table(contest: Contest, rows: Sequence[TrainingRow]) -> Table:
    """Best epochs and signs of too little training, by method and size."""
    notes = _advice(contest, rows)
    return Table(
        name=f"training-{contest.slug}",
        caption="Training: the epoch that was best on validation subjects, and what says that more of it may help.",
        columns=("Method", "n", "Best epoch", "Of", "Sign of too little training"),
        rows=tuple(
            (Cell(row.method), Cell(contest.labelled(row.n_train)), Cell(", ".join(map(str, row.best_epochs))),
             Cell(str(row.epochs)), Cell("; ".join(_sign(sign, [row]) for sign in row.signs) or "–"))
            for row in rows
        ),
        records=tuple(
            {"method": row.method, "n_train": row.n_train, "labelled": contest.labelled(row.n_train),
             "epochs": row.epochs, "best_epochs": " ".join(map(str, row.best_epochs)), "best_is_last": row.at_end,
             "slope": row.slope, "constant": "yes" if row.constant else "no", "advice": notes.get(row.method, "")}
            for row in rows
        ),
    )  # fmt: skip
