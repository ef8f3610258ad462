"""The `tuning` section of a benchmark."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ctlr.specs import AlgorithmSpec, Value

__all__ = ["TuningSpec"]


class TuningSpec(Value):
    """How hyperparameters are searched: alike, and at the same cost, for every method.

    Each line of the learning curve is tuned at each sample size by itself, on the first seed's validation subjects;
    what is found is retrained over all seeds.
    """

    experiments: dict[str, Annotated[tuple[str, ...], Field(min_length=1, max_length=2)]]
    """Katib manifest of each method, which holds its search space; with `source_then_target` that of the pretraining
    first, then that of the finetuning. Only their spaces and trial commands count where the options below are set."""
    trials: Annotated[int, Field(ge=1)] | None = None
    """Budget of a search, all its stages and rounds together."""
    seconds: Annotated[float, Field(gt=0)] | None = None
    """Budget of a search in device seconds, its share of a fixed pretraining included."""
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
    """Workspace whose finished searches of the same space start this one."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.trials is None) == (self.seconds is None):
            raise ValueError("needs a budget: either `trials` or `seconds`, the same for every method")
        stages = self.rounds * (2 if self.order == "source_then_target" else 1)
        if self.trials is not None and self.trials < stages:
            raise ValueError(f"`trials: {self.trials}` are too few for {stages} stages and rounds; raise it")
        if self.settings and self.algorithm is None:
            raise ValueError("`settings` belong to an `algorithm`; name it")
        return self

    def algorithm_of(self, label: str) -> AlgorithmSpec | None:
        """What searches a method, by the key that it has; None leaves it to its manifest."""
        if label in self.algorithms:
            return self.algorithms[label]
        return AlgorithmSpec(name=self.algorithm, settings=self.settings) if self.algorithm is not None else None
