"""Which parameters a trial's value hangs on: fANOVA over the trials of a search."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ctlr.report.tuning.stages import StageTrials, Tried, value_of, window
from ctlr.specs import Parameter

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["LEAST_TRIALS", "Importance", "importance"]

LEAST_TRIALS = 8
"""Below, the forest behind fANOVA has nothing to split."""
STEADY_TRIALS = 20
"""Trials a parameter, below which another handful of trials may well change the order of the shares."""
MOST_TRIALS = 400
"""Above, every k-th trial from best to worst is taken: the forest's time grows with their number."""


@dataclass(frozen=True)
class Importance:
    """Shares of the variance of trials' values."""

    shares: tuple[tuple[str, float], ...]
    """(parameter, 0-1) from the largest, summing to 1; empty where they cannot be told."""
    reason: str = ""
    """Why there are none."""
    note: str = ""
    """How far they are to be trusted."""


def importance(stage: StageTrials) -> Importance:
    """Share of each parameter that took more than one value (Hutter et al. 2014, An efficient approach for assessing
    hyperparameter importance, ICML).

    Succeeded trials only: an early stopped one has the value of another epoch. Values far worse than most count as the
    worst of the others: the variance of all would be that of a few diverged trials.
    """
    tried = [each for each in stage.ranked if each.trial.status == "Succeeded"]
    varied = [p for p in stage.parameters if len({each.trial.assignments[p.name] for each in tried}) > 1]
    if len(tried) < LEAST_TRIALS:
        return Importance((), f"{len(tried)} trials succeeded; it takes {LEAST_TRIALS} to tell")
    if len(varied) < 2:
        return Importance((), "fewer than two parameters took more than one value")
    if value_of(tried[0]) == value_of(tried[-1]):
        return Importance((), "all trials have the same value")
    limits = window([value_of(each) for each in tried], stage.objective.direction == "minimize")
    shares = _fanova(tried[:: -(-len(tried) // MOST_TRIALS)], varied, limits)
    if shares is None:
        return Importance((), "no parameter explains any of the differences")
    note = f"fANOVA over the {len(tried)} trials that succeeded, for {len(varied)} options that varied"
    if len(tried) < STEADY_TRIALS * len(varied):
        note += ": a rough guide, since a few more trials may change the order"
    return Importance(tuple(sorted(shares.items(), key=lambda each: -each[1])), note=f"{note}.")


def _fanova(tried: list[Tried], parameters: list[Parameter], limits: tuple[float, float]) -> dict[str, float] | None:
    # Slow to load, and of no use to reports without a search.
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.study import create_study
    from optuna.trial import create_trial

    distributions = {p.name: _distribution(p, [each.trial.assignments[p.name] for each in tried]) for p in parameters}
    with _quiet():
        study = create_study()
        study.add_trials(
            [
                create_trial(
                    params={p.name: _read(p, each.trial.assignments[p.name]) for p in parameters},
                    distributions=distributions,
                    value=min(max(value_of(each), limits[0]), limits[1]),
                )
                for each in tried
            ]
        )
    try:
        found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    except RuntimeError:  # no tree found a split worth making
        return None
    shares = {name: float(share) for name, share in found.items()}
    return shares if sum(shares.values()) > 0 else None


def _distribution(parameter: Parameter, values: list[str]) -> BaseDistribution:
    """The searched range, with whatever trials had outside of it; steps do not matter to the forest."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if parameter.kind in ("discrete", "categorical"):
        return CategoricalDistribution(sorted(set(values)))
    numbers = [_read(parameter, text) for text in (parameter.low, parameter.high, *values)]
    logarithmic = parameter.distribution.startswith("log")
    if parameter.kind == "int":
        return IntDistribution(min(numbers), max(numbers), log=logarithmic and min(numbers) > 0)
    return FloatDistribution(min(numbers), max(numbers), log=logarithmic and min(numbers) > 0)


def _read(parameter: Parameter, text: str) -> Any:
    if parameter.kind in ("discrete", "categorical"):
        return text
    return int(text) if parameter.kind == "int" else float(text)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from announcing the study on stderr."""
    from optuna.logging import WARNING, get_verbosity, set_verbosity

    before = get_verbosity()
    set_verbosity(WARNING)
    try:
        yield
    finally:
        set_verbosity(before)
