"""The best method of a transfer: how good, how sure, with which options, and the model to use."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctlr.api._html import table
from ctlr.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ctlr.api._reading import Contest
    from ctlr.report.finished import Finished
    from ctlr.report.numbers.rows import GainRow
    from ctlr.specs import StudyResult

__all__ = ["Best", "Estimated", "find_best"]


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """A number with its interval, in the metric's unit."""

    mean: float
    """Over the seeds."""
    low: float
    high: float
    """Ends of the interval, at the confidence that the benchmark's file asks for."""
    verdict: str = ""
    """Of a difference: what is shown, in words."""
    stands: bool = False
    """Of a difference: whether the verdict holds with all comparisons of the transfer taken together."""

    def __str__(self) -> str:
        return f"{self.mean:.4g} ({self.low:.4g} to {self.high:.4g})"


@dataclass(frozen=True, kw_only=True)
class Best:
    """A method that `Benchmark.best` found."""

    method: str
    """Its key in the file."""
    source: str
    """`dataset.task` that it was pretrained on; empty without one."""
    target: str
    """`dataset.task`."""
    encoder: str
    """Its key in the file."""
    n_train: int
    """Labelled training subjects."""
    labelled: str
    """Training and validation subjects in words: `20 + 20`."""
    metric: str
    """By which it is judged."""
    unit: str
    """Of the metric; empty where it has none."""
    validation: float | None
    """Mean validation score over the seeds, by which it was chosen; None where none was noted."""
    score: Estimated | None
    """On the test set; None where the metric is not defined there."""
    gain: Estimated | None
    """Over training from scratch, positive is better; None where there is none to hold it against."""
    over_baseline: Estimated | None
    """Over the best baseline of its size, positive is better; None where there is none."""
    options: Mapping[str, Any] = field(repr=False)
    """Of the method, by their places in the file, e.g. `finetune.lr`; as tuning has chosen them where it was tuned."""
    answer: str = field(repr=False)
    """The report's sentences on the transfer, all sizes."""
    notes: tuple[str, ...] = field(repr=False)
    """What weakens them."""
    seed: int
    """Of the seeds, the best by validation: that of `model`."""
    model: Path | None
    """Folder of its trained network, for `ctlr.serving`; None where it has left none."""

    @property
    def sure(self) -> bool:
        """Whether it is shown to be better than training from scratch, all comparisons taken together."""
        return self.gain is not None and self.gain.stands and self.gain.mean > 0

    def predict(
        self,
        files: Sequence[Path | str],
        *,
        masks: Sequence[Path | str | None] | None = None,
        inputs: Mapping[str, Sequence[Any]] | None = None,
        device: str = "cpu",
    ) -> npt.NDArray[np.float64]:
        """Predict the target of NIfTI volumes or pictures, as `ctlr.serving.predict_files` does.

        Args:
            files: Of the kind that the model was trained on.
            masks: Of the brain, one a file; by default those that BIDS names put beside the files.
            inputs: What the task reads beside the images, by the column's name: a value a file, None where unknown.
            device: cpu or cuda.

        Returns:
            (N,) values in the target's unit, or (N, K) probabilities in the order of the model card's classes.

        Raises:
            ConfigError: The method has left no network.
            DataError: A file does not fit the model; names it.
        """
        if self.model is None:
            raise ConfigError(f"{self.method} has left no network to predict with. Name another `method` of `best`.")
        from ctlr.serving import predict_files

        return predict_files(self.model, files, masks=masks, inputs=inputs, device=device)

    @property
    def _rows(self) -> list[dict[str, str]]:
        unit = f" {self.unit}" if self.unit else ""
        rows = {
            "method": self.method, "target": self.target, "source": self.source, "encoder": self.encoder,
            "labelled subjects (training + validation)": self.labelled,
            f"{self.metric}, validation": "" if self.validation is None else f"{self.validation:.4g}{unit}",
            f"{self.metric}, test": f"{self.score}{unit}" if self.score else "",
            "gain over scratch": f"{self.gain}; verdict: {self.gain.verdict}" if self.gain else "",
            "over the best baseline": f"{over}; verdict: {over.verdict}" if (over := self.over_baseline) else "",
            "model": str(self.model or ""),
        }  # fmt: skip
        return [{"": name, "value": value} for name, value in rows.items() if value]

    def __str__(self) -> str:
        return "\n".join(f"{row['']}: {row['value']}" for row in self._rows)

    def _repr_html_(self) -> str:
        return table(f"The best method for {self.target} by validation", self._rows)


def find_best(
    contests: Sequence[Contest],
    finished: Finished,
    *,
    target: str,
    source: str,
    encoder: str,
    method: str,
    n_train: int | None,
) -> Best:
    """See `Benchmark.best`."""
    contest = _only(contests, target=target, source=source, encoder=encoder)
    cells = contest.trained
    sizes = sorted({size for _, size in cells})
    if not sizes:
        raise ConfigError(f"No method has finished for {_told(contest)}. Run the benchmark again.")
    size = sizes[-1] if n_train is None else n_train
    labels = [label for label, n in cells if n == size]
    if not labels:
        raise ConfigError(f"`n_train={size}`: no method has finished there. There are: {', '.join(map(str, sizes))}.")
    if method and method not in labels:
        raise ConfigError(
            f"`method={method}` has no finished study at n_train = {size}. There are: {', '.join(labels)}."
        )
    sign = _sign(contest)
    means = {label: _validation(contest, cells[label, size]) for label in labels}
    known = {label: mean for label, mean in means.items() if mean is not None}
    label = method or (max(known, key=lambda label: sign * known[label]) if known else labels[0])
    return _described(contest, finished, label, size, cells[label, size], means[label])


def _only(contests: Sequence[Contest], *, target: str, source: str, encoder: str) -> Contest:
    found = [
        contest
        for contest in contests
        if (not target or target in (contest.target, contest.target.rpartition(".")[2]))
        and (not source or source in (contest.source, contest.source.rpartition(".")[2]))
        and (not encoder or encoder == contest.encoder)
    ]
    if len(found) != 1:
        there = "; ".join(map(_told, found or contests)) or "none"
        raise ConfigError(
            f"`target`, `source` and `encoder` must name one transfer on one encoder; {len(found)} fit. "
            f"There are: {there}."
        )
    return found[0]


def _told(contest: Contest) -> str:
    source = f", source {contest.source}" if contest.source else ""
    return f"target {contest.target}{source}, encoder {contest.encoder}"


def _sign(contest: Contest) -> int:
    from ctlr.specs import METRICS

    return 1 if METRICS[contest.contest.task.headline] == "max" else -1


def _validation(contest: Contest, cell: Sequence[StudyResult]) -> float | None:
    """Mean over the seeds that have it."""
    found = [result.chosen_by.get(contest.contest.task.headline) for result in cell]
    values = [value for value in found if value is not None and math.isfinite(value)]
    return sum(values) / len(values) if values else None


def _described(
    contest: Contest, finished: Finished, label: str, size: int, cell: Sequence[StudyResult], validation: float | None
) -> Best:
    section, rows, metric, sign = contest.contest, contest.rows, contest.contest.task.headline, _sign(contest)
    chosen = max(cell, key=lambda result: sign * result.chosen_by.get(metric, -sign * math.inf))
    scores = [row.estimate for row in rows.scores if (row.method, row.n_train) == (label, size)]
    folder = finished.root / chosen.path
    method = chosen.study.method
    return Best(
        method=label, source=contest.source if chosen.study.source else "", target=contest.target,
        encoder=contest.encoder, n_train=size, labelled=section.labelled(size), metric=metric, unit=contest.unit,
        validation=validation,
        score=Estimated(mean=scores[0].mean, low=scores[0].low, high=scores[0].high) if scores else None,
        gain=_difference(contest, rows.gains, label, size),
        over_baseline=_difference(contest, rows.over_references, label, size),
        options=dict(_flat(method.model_dump(mode="json", exclude={"method", "label"}))),
        answer=contest.answer, notes=contest.notes, seed=chosen.study.seed,
        model=folder if (folder / "model.json").exists() else None,
    )  # fmt: skip


def _difference(contest: Contest, rows: Sequence[GainRow], label: str, size: int) -> Estimated | None:
    row = next((row for row in rows if (row.method, row.n_train) == (label, size)), None)
    if row is None:
        return None
    gain = row.gain
    return Estimated(mean=gain.mean, low=gain.low, high=gain.high, verdict=contest.verdict(row), stands=row.stands)


def _flat(options: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
