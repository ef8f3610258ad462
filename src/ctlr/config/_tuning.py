"""The `tuning` section of a benchmark."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ctlr.specs import AlgorithmSpec, Value

__all__ = ["RaceSpec", "TuningSpec"]


class RaceSpec(Value):
    """Searches that compete for one budget: successive halving of Jamieson & Talwalkar (2016), with searches as arms.

    All get a little of it, cheap ones first; those whose best trial is behind are left as they are, and what is left of
    the budget goes to fewer and fewer.
    """

    keep: Annotated[float, Field(gt=0, lt=1)] = 1 / 3
    """Share of the searches that goes on to the next round."""
    goal: float | None = None
    """Validation score of a trial at which all searching ends, within an epoch."""
    finalists: Annotated[int, Field(ge=1, le=100)] = 3
    """Searches whose best options are trained once more and asked the test set. The best one without a network is
    among them: is it as good?"""
    most_megabytes: Annotated[float, Field(gt=0)] | None = None
    """Largest model, in millions of bytes of its weights; a trial of a larger one fails before it trains."""
    most_milliseconds: Annotated[float, Field(gt=0)] | None = None
    """Longest time for one image by itself on this machine, likewise."""


class TuningSpec(Value):
    """How hyperparameters are searched: alike, and at the same cost, for every method.

    Each line of the learning curve is tuned at each sample size by itself, on the first seed's validation subjects;
    what is found is retrained over all seeds.
    """

    experiments: dict[str, Annotated[tuple[str, ...], Field(min_length=1, max_length=2)]] = Field(default_factory=dict)
    """Katib manifest of each method, which holds its search space; with `source_then_target` that of the pretraining
    first, then that of the finetuning. Only their spaces and trial commands count where the options below are set.
    A method without one is searched in the space that it and its encoder state."""
    trials: Annotated[int, Field(ge=1)] | None = None
    """Budget of a search, all its stages and rounds together; with `race` the most that any of them may have."""
    seconds: Annotated[float, Field(gt=0)] | None = None
    """Budget of a search in device seconds, its share of a fixed pretraining included; with `race` seconds on the
    clock, of all searches of a target and size together."""
    race: RaceSpec | None = None
    """Let the searches of a target and size compete for one budget of `seconds`; null gives each the same."""
    algorithm: str | None = None
    """By Katib's name; null leaves the manifests' own."""
    settings: dict[str, str] = Field(default_factory=dict)
    """Of `algorithm`."""
    algorithms: dict[str, AlgorithmSpec] = Field(default_factory=dict)
    """Algorithm of single methods, in place of `algorithm`: one method stands under several names then, each searched
    by another one. By name, or with its `settings`."""
    by_hand: tuple[str, ...] = ()
    """Methods that keep the options in the file, an expert's: what the searches are held against."""
    parallel: Annotated[int, Field(ge=1, le=256)] = 2
    """Trials that are proposed and run at once."""
    order: Literal["target_only", "source_then_target", "joint"] = "target_only"
    """Tune the finetuning on a fixed pretraining; the pretraining by its own score and then the finetuning; or both in
    each trial."""
    validation: Annotated[
        str,
        Field(
            pattern=r"^(holdout|kfold:([2-9]|[1-9]\d)|repeats:([2-9]|[1-9]\d))$",
            examples=["holdout", "kfold:5", "repeats:3"],
        ),
    ] = "holdout"
    """How a trial is scored: holdout, kfold:K or repeats:R, K and R from 2 to 99."""
    rounds: Annotated[int, Field(ge=1, le=10)] = 1
    """Coarse to fine: each round after the first searches half of every numeric range, around the best so far."""
    share: bool = True
    """Also train every method with the options in the file, for tuning's share of its gain: one finetuning more for
    each study, and where pretrainings are tuned one pretraining more for each seed."""
    warm_start: str | None = None
    """Workspace whose finished searches of the same space start this one; in a race, those of the most similar data."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.race is not None:
            self._check_race()
        elif (self.trials is None) == (self.seconds is None):
            raise ValueError("needs a budget: either `trials` or `seconds`, the same for every method")
        stages = self.rounds * (2 if self.order == "source_then_target" else 1)
        if self.trials is not None and self.trials < stages:
            raise ValueError(f"`trials: {self.trials}` are too few for {stages} stages and rounds; raise it")
        if self.settings and self.algorithm is None:
            raise ValueError("`settings` belong to an `algorithm`; name it")
        return self

    def _check_race(self) -> None:
        if self.seconds is None:
            raise ValueError("`race` shares out seconds; say how many in `seconds`, for all searches together")
        if self.rounds > 1 or self.order != "target_only":
            raise ValueError("`race` narrows no space and pretrains nothing: `rounds: 1` and `order: target_only` only")
        if self.share:
            raise ValueError("`race` gives searches unequal budgets, of which there is no share; write `share: false`")

    def algorithm_of(self, label: str) -> AlgorithmSpec | None:
        """What searches a method, by the key that it has; None leaves it to its manifest."""
        if label in self.algorithms:
            return self.algorithms[label]
        return AlgorithmSpec(name=self.algorithm, settings=self.settings) if self.algorithm is not None else None
