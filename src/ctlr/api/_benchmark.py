"""What a run left: tables, the report, the best model."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctlr.api._frames import frame
from ctlr.api._html import paragraphs, table
from ctlr.cells import plain

if TYPE_CHECKING:
    import pandas as pd

    from ctlr.api._best import Best
    from ctlr.api._reading import Contest
    from ctlr.config import BenchmarkConfig
    from ctlr.report.finished import Finished

__all__ = ["Benchmark", "open"]

_CONTEST = ("data", "target", "source", "encoder")
_RESULTS = (
    "study", "method", *_CONTEST, "n_train", "n_validation", "seed", "status", "reason",
)  # fmt: skip
_SCORES = (
    *_CONTEST, "method", "n_train", "labelled", "metric", "unit", "mean", "low", "high",
)  # fmt: skip
_GAINS = (
    *_CONTEST, "method", "baseline", "n_train", "metric", "unit", "gain", "low", "high", "se", "freedom", "p", "p_holm",
    "verdict", "stands", "n_seeds", "n_subjects",
)  # fmt: skip
_PREDICTIONS = (
    "study", "method", *_CONTEST, "n_train", "seed", "split", "subject", "y_true", "y_pred",
)  # fmt: skip
_SEARCHES = (
    "source", "target", "encoder", "method", "n_train", "stage", "round", "number", "trial", "status", "metric",
    "value", "seconds", "started", "shared_by",
)  # fmt: skip


def open(workspace: Path | str = "workspace") -> Benchmark:
    """Open the benchmark that a workspace saw last, as far as it has been run; also beside a run under way.

    Args:
        workspace: Folder that `ctlr run` or `BenchmarkFile.run` used.

    Raises:
        ConfigError: No benchmark was run there, or none of its studies is finished.
        WorkspaceError: Another version of CTLR wrote it.
    """
    from ctlr.running import read_benchmark

    return Benchmark(read_benchmark(Path(workspace)))


class Benchmark:
    """A benchmark that was run, or a part of it: `ctlr.open` and `BenchmarkFile.run` return one.

    Tables are pandas DataFrames in long form, made anew at each access; they need `pip install 'ctlr[pandas]'`. Empty
    cells are missing values (NaN, None).

    Args:
        finished: What was read in a workspace.
    """

    def __init__(self, finished: Finished) -> None:
        self.finished = finished
        """All that a report is made from, as values."""

    @property
    def name(self) -> str:
        """Of the benchmark."""
        return self.finished.config.name

    @property
    def config(self) -> BenchmarkConfig:
        """Every option of every dataset, task, encoder and method."""
        return self.finished.config

    @property
    def workspace(self) -> Path:
        """Folder that holds what its steps made."""
        return self.finished.root

    @property
    def seconds(self) -> float:
        """That its runs have taken on the clock; 0 where that is not known."""
        return self.finished.seconds

    @property
    def failed(self) -> int:
        """Studies that failed; `results` says why."""
        results = (*self.finished.results, *self.finished.at_defaults)
        return sum(result.status == "failed" for result in results)

    @property
    def results(self) -> pd.DataFrame:
        """One row a study, failed ones too, in the order of the plan.

        Columns: `study` (id), `method`, `data` and `target` (dataset and task that it was finetuned on), `source`
        (`dataset.task` it was pretrained on; missing without one), `encoder`, `n_train` (labelled training subjects),
        `n_validation` (those who validate, on top), `seed`, `status` (ok or failed), `reason` (of a failure), then
        `<split>_<metric>` for the splits train, validation and test (`mae` and `rmse` in the target's unit; `auc`, `f1`
        and the like from 0 to 1), and `seconds_<step>` (on the clock; shared steps carry their whole cost).

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return frame([result.record() for result in self.finished.results], _RESULTS)

    @property
    def scores(self) -> pd.DataFrame:
        """The headline metric on the test set: one row a transfer, encoder, method and size.

        Columns: `data`, `target`, `source`, `encoder`, `method`, `n_train`, `labelled` (training + validation subjects
        in words), `metric`, `unit` (of metrics that have one), `mean` over the seeds, `low` and `high` (ends of its
        interval, at the confidence that the benchmark's file asks for), and what the interval was made from.

        Raises:
            DataError: Studies of one transfer were tested on different subjects.
            MissingExtraError: pandas is not installed.
        """
        return frame((record for contest in self._contests for record in contest.scores), _SCORES)

    @property
    def gains(self) -> pd.DataFrame:
        """Gains over training from scratch, paired by seed and subject: one row a transfer, encoder, method and size.

        Columns: `data`, `target`, `source`, `encoder`, `method`, `baseline` (what it is held against), `n_train`,
        `metric`, `unit`, `gain` (positive is better, whichever way the metric runs), `low` and `high` (ends of its
        interval), `se`, `freedom`, `p`, `p_holm` (adjusted for all comparisons of the transfer), `verdict` (in words),
        `stands` (True where the verdict holds with all comparisons taken together), `n_seeds`, `n_subjects` (tested),
        `false_claim` (probability that the claim is false) and `detectable` (gain that would have been seen).

        With one seed nothing is tested, and `p` is missing. Without training from scratch there is no row.

        Raises:
            DataError: Studies of one transfer were tested on different subjects.
            MissingExtraError: pandas is not installed.
        """
        return frame((record for contest in self._contests for record in contest.gains), _GAINS)

    @property
    def predictions(self) -> pd.DataFrame:
        """What every finished study said of every image: one row a study, split and image.

        Columns: `study`, `method`, `data`, `target`, `source`, `encoder`, `n_train`, `seed`, `split` (train, validation
        or test), `subject` (a pseudonym that only this workspace can make again), `y_true` and `y_pred` (in the
        target's unit, or names of classes), and `p_<class>` (probabilities of a classification).

        Raises:
            DataError: A study's predictions cannot be read; names it.
            MissingExtraError: pandas is not installed.
        """
        return frame(self._predicted(), _PREDICTIONS)

    @property
    def searches(self) -> pd.DataFrame:
        """What tuning tried: one row a trial. No row where nothing was tuned.

        Columns: `source`, `target`, `encoder`, `method`, `n_train`, `stage` (pretrain, finetune or joint), `round`,
        `number` and `trial` (its number and name), `status` (Katib's words), `metric` and `value` (of the objective, on
        validation subjects), `seconds` (of the device), `started` (seconds after the search began), `shared_by`
        (searches that use it), then one column an option that was tuned, e.g. `finetune.lr`.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        from ctlr.api._reading import trial_records

        return frame(trial_records(self.finished), _SEARCHES)

    @property
    def answer(self) -> str:
        """Who gains over training from scratch, where and by how much, or that nobody does: the report's sentences.

        Raises:
            DataError: Studies of one transfer were tested on different subjects.
        """
        found = self._contests
        if len(found) == 1:
            return found[0].answer
        return "\n".join(f"{contest.title} ({contest.encoder}): {contest.answer}" for contest in found)

    def report(self) -> Path:
        """Write the report, unless the one that stands there says the same.

        Returns:
            Path of `report.html`, one self-contained file; tables (CSV, Markdown, LaTeX) and a model card lie beside
            it.

        Raises:
            DataError: Studies of one transfer were tested on different subjects, or a history is damaged.
            WorkspaceError: The folder cannot be written.
        """
        from ctlr.outcome.reporting import write_report

        return write_report(self.finished)

    def best(
        self, *, target: str = "", source: str = "", encoder: str = "", method: str = "", n_train: int | None = None
    ) -> Best:
        """The best method of a transfer: how good, how sure, with which options, and the model to use.

        It is chosen by its mean validation score, as the report's model card does: choosing by the test set would
        flatter it. Baselines that train no network take no part.

        Args:
            target: `dataset.task`, or the task alone; needed where the benchmark has several.
            source: Likewise; needed where several transfers have one target.
            encoder: Its key in the file; needed where there are several.
            method: Take this method instead of the best.
            n_train: Labelled training subjects; None for the largest size that a study finished.

        Raises:
            ConfigError: Nothing fits what was asked for, or several transfers do; names what there is.
            DataError: Studies of one transfer were tested on different subjects.
        """
        from ctlr.api._best import find_best

        return find_best(
            self._contests, self.finished, target=target, source=source, encoder=encoder, method=method,
            n_train=n_train,
        )  # fmt: skip

    @cached_property
    def _contests(self) -> list[Contest]:
        from ctlr.api._reading import contests  # scikit-learn and scipy are slow to load

        return contests(self.finished)

    def _predicted(self) -> Iterator[dict[str, Any]]:
        from ctlr.errors import DataError

        for result in self.finished.results:
            if result.status == "failed":
                continue
            record = result.record()
            own = {key: record[key] for key in _PREDICTIONS if key in record}
            file = self.workspace / result.path / "predictions.csv"
            try:
                with file.open(newline="", encoding="utf-8") as stream:
                    yield from (own | _read(row, result.study.target.task.kind) for row in csv.DictReader(stream))
            except OSError as error:
                raise DataError(
                    f"{result.path}/predictions.csv cannot be read ({error.strerror}). Delete that folder and run "
                    "again: the study is done again."
                ) from error

    def __repr__(self) -> str:
        count = len(self.finished.results)
        return f"<ctlr.Benchmark {self.name!r}: {count} studies, {self.failed} failed, in {self.workspace}>"

    def _repr_html_(self) -> str:
        done = sum(result.status == "ok" for result in self.finished.results)
        count = f"{done} of {len(self.finished.results)} studies finished, in {self.workspace}."
        parts = [f"<p><b>{self.name}</b>: {count}</p>"]
        for contest in self._contests:
            parts.append(table(_caption(contest), _by_size(contest)))
            parts.append(paragraphs(contest.answer, *contest.notes))
        return "".join(parts)


def _read(row: dict[str, str], kind: str) -> dict[str, Any]:
    """A row of `predictions.csv`; classes stay the names that they are."""
    truth = ("y_true", "y_pred") if kind == "regression" else ()
    return {key: float(value) if key in truth or key.startswith("p_") else plain(value) for key, value in row.items()}


def _caption(contest: Contest) -> str:
    metric = contest.contest.task.headline
    return f"{contest.title}, encoder {contest.encoder}: {metric}{f' ({contest.unit})' if contest.unit else ''}, test"


def _by_size(contest: Contest) -> list[dict[str, str]]:
    """One row a method, one column a size: mean and interval."""
    rows: dict[str, dict[str, str]] = {}
    sizes = contest.contest.sizes
    for score in contest.rows.scores:
        row = rows.setdefault(score.method, {"method": score.method} | dict.fromkeys(_headings(contest), ""))
        found = score.estimate
        heading = _headings(contest)[sizes.index(score.n_train)]
        row[heading] = f"{found.mean:.3g} ({found.low:.3g} to {found.high:.3g})"
    return list(rows.values())


def _headings(contest: Contest) -> list[str]:
    return [f"n = {contest.contest.labelled(size)}" for size in contest.contest.sizes]
