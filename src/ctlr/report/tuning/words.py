"""What the tuning section says in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ctlr.report.finished import Budget
from ctlr.report.numbers.contests import Done
from ctlr.report.theme.formats import listed
from ctlr.report.tuning.rows import LIMIT, LedgerRow, SpreadRow
from ctlr.report.tuning.stages import Line, metric_of
from ctlr.report.tuning.tables import share_words
from ctlr.report.wording import capital, metric_words
from ctlr.specs import Objective, SearchResult, Study, StudyResult

__all__ = [
    "ambiguous",
    "budget_words",
    "failures",
    "failures_at_defaults",
    "objective_label",
    "race_name",
    "searched",
    "title",
]

_ORDERS = {
    "joint": "the options of pretraining and finetuning together in every trial, where a method pretrains",
    "pretrain": "the options of the pretraining by its own score, then those of the finetuning",
    "finetune": "the options of the finetuning, on a fixed pretraining where a method has one",
}


def searched(
    searches: Sequence[SearchResult], ledger: Sequence[LedgerRow], *, budget: Budget, validation: str = "holdout"
) -> str:
    """What was searched, and how."""
    stages = [stage for search in searches for stage in search.stages]
    if not stages:
        return "Tuning was asked for, and no search began."
    kinds = {stage.stage for stage in stages}
    order = next(words for kind, words in _ORDERS.items() if kind in kinds)
    if not any(search.study.method.trains_network for search in searches):
        order = "the options of methods without a network"
    algorithms = listed(sorted({stage.algorithm.name for stage in stages}))
    rounds = max(stage.round for stage in stages)
    parallel = listed(sorted({stage.parallel for stage in stages}), "or")
    coarse = f" in {rounds} rounds from coarse to fine" if rounds > 1 else ""
    return (
        f"For each method and sample size, {algorithms} searched {order}{coarse}: {_amount(ledger, budget)} a search, "
        f"{parallel} {'trial' if parallel == '1' else 'trials'} at a time. {_judged(searches, validation)} What was "
        "chosen was trained anew for every seed; no trial read the test set."
    )


def _judged(searches: Sequence[SearchResult], validation: str) -> str:
    seeds = listed(sorted({search.study.seed for search in searches}))
    kind, _, count = validation.partition(":")
    if kind == "kfold":
        return (
            f"Each trial was trained on {count} folds of the train and validation subjects of the first seed ({seeds})."
        )
    if kind == "repeats":
        return f"Each trial was trained with the splits of {count} seeds, from the first ({seeds}) on."
    return f"Trials were judged on validation subjects of the first seed ({seeds}) only."


def _amount(ledger: Sequence[LedgerRow], budget: Budget) -> str:
    rows = [row for row in ledger if row.n_train is not None]
    if budget == "trials":
        low, high = (round(pick(row.trials for row in rows)) for pick in (min, max))
        return f"{low} trials" if low == high else f"{low} to {high} trials"
    low, high = (round(pick(row.total for row in rows)) for pick in (min, max))
    return f"{low} device seconds" if low == high else f"{low} to {high} device seconds"


_UNITS: Mapping[Budget, str] = {"trials": "trials", "seconds": "device seconds"}


def budget_words(
    spread: Sequence[SpreadRow], budget: Budget, labelled: Mapping[int, str] = MappingProxyType({})
) -> str:
    """Which budget was set, whether methods kept to it, and the other one for information."""
    if not spread:
        return "There is a single method, so there is no budget to compare."
    other: Budget = "seconds" if budget == "trials" else "trials"
    worst = max(spread, key=lambda row: getattr(row, budget).share)
    found = share_words(getattr(worst, budget))
    at = "over all sizes" if worst.n_train is None else f"at n = {labelled.get(worst.n_train, worst.n_train)}"
    limit = f"{100 * LIMIT:g}\u00a0%"
    if worst.exceeds(budget):
        verdict = (
            f"Uneven budget: methods differ by {found} in {_UNITS[budget]} {at}, more than {limit}. They were not "
            "tuned at the same cost, and gains may owe something to that."
        )
    elif not getattr(worst, budget).share:
        verdict = "Every method was given the same."
    else:
        verdict = f"Methods differ by at most {found} in it, within {limit}."
    also = share_words(max((getattr(row, other) for row in spread), key=lambda each: each.share))
    return (
        f"The budget was set in {_UNITS[budget]}. {verdict} For information: in {_UNITS[other]} they differ by at "
        f"most {also}."
    )


def failures(searches: Sequence[SearchResult]) -> list[str]:
    """Searches that chose nothing, and why."""
    more = ambiguous(searches)
    return [
        f"‘{title(search.study, more)}’ at n = {search.study.labelled} chose nothing: {search.reason}"
        for search in searches
        if search.reason
    ]


def failures_at_defaults(loaded: Sequence[StudyResult | Done]) -> list[str]:
    """Studies without a result for the options in the file, and why."""
    failed = [item for item in loaded if isinstance(item, StudyResult)]
    return [
        f"‘{item.study.method.label}’ at n = {item.study.n_train}, seed {item.study.seed}, with the options in the "
        f"file failed: {item.reason}"
        for item in failed
    ]


def ambiguous(searches: Sequence[SearchResult]) -> bool:
    """Whether the method's name does not tell a search of one size from all others."""
    names = {(search.study.method.label, search.study.n_train) for search in searches}
    return len(names) < len(searches)


def race_name(study: Study) -> str:
    """A search's name in a race: the method, and its encoder where it has one."""
    return f"{study.method.label}, {study.encoder.label}" if study.method.has_encoder else study.method.label


def title(study: Study, more: bool) -> str:
    """The method, and where that is not enough its transfer and encoder."""
    line = Line.of(study)
    return f"{line.method} ({line.transfer}, {line.encoder})" if more else line.method


def objective_label(objective: Objective, unit: str) -> str:
    """`MAE (years)`; a training loss under its own name."""
    metric = metric_of(objective)
    return objective.metric if metric is None else capital(metric_words(metric, unit))
