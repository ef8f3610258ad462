"""What a benchmark cost: seconds by step and by method, where shared work counts once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from ctlr.report.findings import Findings
from ctlr.report.section import Section
from ctlr.report.theme.formats import Cell, Table, duration, number
from ctlr.specs import SearchResult, StudyResult

__all__ = ["StepRow", "TimeRow", "cost", "step_rows", "steps_table", "time_rows", "time_table"]


def cost(found: Findings) -> Iterator[Section]:
    """Always there, as far as steps recorded their time."""
    steps = step_rows(found.results)
    by_step, by_method = steps_table(steps), time_table(time_rows(found.results))
    words = _time_words(steps, found.finished.seconds) + _tuning_words(found.finished.searches)
    yield Section(
        anchor="time", heading="Time and cost", template="cost/cost.html.j2",
        hint=f"{duration(found.finished.seconds)} on the clock" if found.finished.seconds else "",
        shows={"words": words, "steps": by_step, "methods": by_method}, tables=(by_step, by_method),
    )  # fmt: skip


def _time_words(steps: Sequence[StepRow], wall_seconds: float) -> str:
    total = sum(row.seconds for row in steps)
    if not total:
        return "No step recorded its time."
    saved = sum(row.seconds_unshared for row in steps) - total
    words = f"All steps together worked for {duration(total)}"
    words += f", in {duration(wall_seconds)} on the clock." if wall_seconds else "."
    if saved > 0:
        words += f" Sharing what several studies need saved {duration(saved)}."
    return words


def _tuning_words(searches: Sequence[SearchResult]) -> str:
    trials = sum(trial.seconds / stage.shared_by for s in searches for stage in s.stages for trial in stage.trials)
    return f" Before them, the trials of tuning took {duration(trials)} of device time." if searches else ""


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """What one kind of step cost over the whole benchmark; shared ones counted once."""

    step: str
    runs: int
    seconds: float
    shared_by: int
    """Studies that used these runs."""
    seconds_unshared: float
    """Had every study done it for itself."""


@dataclass(frozen=True, kw_only=True)
class TimeRow:
    """What one method cost on one transfer."""

    target: str
    source: str
    encoder: str
    method: str
    studies: int
    pretrainings: int
    pretrain: float
    """Seconds of all pretrainings, each once."""
    finetune: float
    """Seconds of all studies, of fitting a model without a network too."""
    evaluate: float
    parameters: int
    seconds_per_image: float
    """Mean over the studies, to predict an image of the test set; 0 where nothing was measured."""

    @property
    def total(self) -> float:
        """Seconds, without preprocessing, which no method owns."""
        return self.pretrain + self.finetune + self.evaluate


_SHARED: dict[str, Callable[[StudyResult], str]] = {
    "preprocess": lambda result: result.arrays,
    "pretrain": lambda result: result.pretraining,
}
"""Steps that several studies share, and what tells one of their runs from another."""


def step_rows(results: Sequence[StudyResult]) -> list[StepRow]:
    """Seconds by kind of step, in the order in which steps run."""
    order = ["preprocess", "tune", "pretrain", "fit", "finetune", "evaluate"]
    steps = dict.fromkeys(step for result in results for step in result.seconds)
    return [_step(step, results) for step in sorted(steps, key=lambda s: (order.index(s) if s in order else 99, s))]


def _step(step: str, results: Sequence[StudyResult]) -> StepRow:
    users = [result for result in results if step in result.seconds]
    runs = _runs(step, users)
    return StepRow(
        step=step, runs=len(runs), seconds=sum(runs.values()), shared_by=len(users),
        seconds_unshared=sum(result.seconds[step] for result in users),
    )  # fmt: skip


def _runs(step: str, results: Sequence[StudyResult]) -> dict[str, float]:
    """Identity of a run -> its seconds; a study that shares nothing is a run of its own."""
    identify = _SHARED.get(step)
    runs: dict[str, float] = {}
    for result in results:
        if step in result.seconds:
            run = (identify(result) if identify else "") or result.study.id
            runs[run] = max(runs.get(run, 0.0), result.seconds[step])
    return runs


def time_rows(results: Sequence[StudyResult]) -> list[TimeRow]:
    """Seconds by method, in the order of the results."""
    groups: dict[tuple[str, str, str, str], list[StudyResult]] = {}
    for result in results:
        record = result.record()
        key = (record["target"], record["source"], record["encoder"], record["method"])
        groups.setdefault(key, []).append(result)
    rows = []
    for (target, source, encoder, method), group in groups.items():
        seconds = {step: _runs(step, group) for step in ("pretrain", "fit", "finetune", "evaluate")}
        rows.append(
            TimeRow(
                target=target, source=source, encoder=encoder, method=method, studies=len(group),
                pretrainings=len(seconds["pretrain"]), pretrain=sum(seconds["pretrain"].values()),
                finetune=sum((seconds["finetune"] | seconds["fit"]).values()),
                evaluate=sum(seconds["evaluate"].values()),
                parameters=max(result.parameters for result in group),
                seconds_per_image=fmean(result.seconds_per_image for result in group),
            )
        )  # fmt: skip
    return rows


# ---------------------------------------------------------------- tables


def _spent(seconds: float) -> str:
    return duration(seconds) if seconds > 0 else "–"


def steps_table(steps: Sequence[StepRow]) -> Table:
    """Time by kind of step, shared ones counted once."""
    total = sum(row.seconds for row in steps)
    lines = [
        (Cell(r.step), Cell(str(r.runs)), Cell(str(r.shared_by)), Cell(duration(r.seconds / max(r.runs, 1))),
         Cell(duration(r.seconds), share=r.seconds / total if total else 0.0),
         Cell(_spent(r.seconds_unshared - r.seconds)))
        for r in steps
    ]  # fmt: skip
    saved = sum(r.seconds_unshared for r in steps) - total
    blank = Cell("")
    lines.append((Cell("all"), blank, blank, blank, Cell(duration(total)), Cell(_spent(saved))))
    return Table(
        name="steps", caption="Time by step; what studies share is counted once.",
        columns=("Step", "Runs", "Studies that used them", "A run", "All runs", "Saved by sharing"),
        rows=tuple(lines), records=tuple(vars(r) for r in steps),
    )  # fmt: skip


def time_table(times: Sequence[TimeRow]) -> Table:
    """Time by method."""
    several = len({(r.target, r.source, r.encoder) for r in times if r.source}) > 1
    longest = max((r.total for r in times), default=0.0) or 1.0

    def named(row: TimeRow) -> str:
        transfer = f"{row.target} from {row.source}" if row.source else row.target
        return f"{row.method} ({transfer}, {row.encoder})" if several else row.method

    return Table(
        name="time",
        caption="Time by method, without preprocessing; finetuning and prediction are means of a study. A test image: "
        "to read and predict one, in batches, on the thread or device that the study ran on.",
        columns=(
            "Method", "Studies", "Pretrainings", "Pretraining, all", "Finetuning", "Prediction", "A test image",
            "Total", "Parameters",
        ),
        rows=tuple(
            (Cell(named(r)), Cell(str(r.studies)), Cell(str(r.pretrainings or "–")), Cell(_spent(r.pretrain)),
             Cell(_spent(r.finetune / r.studies)), Cell(_spent(r.evaluate / r.studies)),
             Cell(f"{number(1e3 * r.seconds_per_image, 3)} ms" if r.seconds_per_image else "–"),
             Cell(duration(r.total), share=r.total / longest),
             Cell(f"{r.parameters:,}".replace(",", "\u202f") if r.parameters else "–"))
            for r in times
        ),
        records=tuple(vars(r) | {"total": r.total} for r in times),
    )  # fmt: skip
