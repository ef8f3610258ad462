"""A search whose trials are calls of a Python function."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ctlr.api._frames import frame
from ctlr.api._html import paragraphs, table
from ctlr.errors import ConfigError, TrainingError
from ctlr.space import Choice, Range

if TYPE_CHECKING:
    import pandas as pd

    from ctlr.specs import Experiment, Trial, TrialReport

__all__ = ["Dimension", "Tuned", "tune"]

Answer: TypeAlias = float | Mapping[str, float]
Dimension: TypeAlias = Range | Choice | list[Any] | tuple[Any, ...]

_METRIC = "value"
_TRIALS = 30


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What came of a search; `ctlr.tune` returns one."""

    experiment: Experiment
    """What was searched, as a value with the manifest in it."""
    trials: tuple[Trial, ...] = field(repr=False)
    """All that were proposed, by number; failed ones too, with their reasons."""
    optimum: Trial | None
    """The best trial; None where none has a value."""
    reason: str
    """Why the search ended, by Katib's word, e.g. `ExperimentMaxTrialsReached`."""
    message: str
    """The same in one line for a reader."""
    seed: int
    """Of the sampler: with `seed=` the same search again."""
    _values: Mapping[int, Mapping[str, Any]] = field(repr=False)

    @property
    def best(self) -> dict[str, Any]:
        """The best trial's parameters, as the objective was called with them.

        Raises:
            TrainingError: No trial has a value; says what the first failure was.
        """
        return dict(self._values[self._optimum.number])

    @property
    def value(self) -> float:
        """The best trial's value of the objective.

        Raises:
            TrainingError: No trial has a value; says what the first failure was.
        """
        value = self._optimum.value
        assert value is not None
        return value

    @property
    def table(self) -> pd.DataFrame:
        """One row a trial.

        Columns: `number`, `status` (Katib's words), `value` (of the objective), `seconds`, `reason` (of a failure),
        then one a parameter.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        columns = (
            "number",
            "status",
            "value",
            "seconds",
            "reason",
            *(each.name for each in self.experiment.parameters),
        )
        return frame(self._rows, columns)

    @property
    def _optimum(self) -> Trial:
        if self.optimum is None:
            reasons = [trial.reason for trial in self.trials if trial.reason]
            raise TrainingError(f"No trial has a value: {(reasons or [self.message])[0]}")
        return self.optimum

    @property
    def _rows(self) -> list[dict[str, Any]]:
        from ctlr.specs import trial_row

        return [
            trial_row(
                {"number": each.number, "status": each.status, "value": each.value, "seconds": each.seconds}
                | {"reason": each.reason},
                self._values[each.number],
            )
            for each in self.trials
        ]

    def __repr__(self) -> str:
        found = f"best {self.value:.4g} with {self.best}" if self.optimum is not None else "none has a value"
        return f"<ctlr.Tuned: {len(self.trials)} trials, {found}>"

    def _repr_html_(self) -> str:
        sign = 1 if self.experiment.objective.direction == "minimize" else -1
        good = sorted((row for row in self._rows if row["value"] is not None), key=lambda row: sign * row["value"])
        shown = [{key: value for key, value in row.items() if key != "reason"} for row in good[:5]]
        metric = self.experiment.objective.metric
        return table(f"The best of {len(self.trials)} trials by {metric}", shown) + paragraphs(self.message)


def tune(
    objective: Callable[..., Answer | Iterator[Answer]],
    search: Mapping[str, Any] | Path | str,
    *,
    trials: int | None = None,
    direction: Literal["minimize", "maximize"] | None = None,
    metric: str | None = None,
    algorithm: str | None = None,
    seed: int | None = None,
    goal: float | None = None,
    seconds: float | None = None,
    folder: Path | str | None = None,
    resume: bool = False,
    progress: bool | Callable[[Trial], object] | None = None,
) -> Tuned:
    """Search for the parameters with which a function is best, as `ctlr tune` does for programs.

    The function is called in this process with one keyword argument a parameter: numbers as int or float, choices as
    they stand in the space. It returns the objective's value, or a mapping of metrics with the objective's among them;
    a generator yields them as it goes on, and an early-stopping rule may end it. What it raises fails that trial, and
    no other.

    Args:
        objective: What a trial calls.
        search: A Katib Experiment (its file, its YAML text, or the mapping that it holds; what its trials would run is
            not used), or a space: parameter -> list of values, or `ctlr.space.uniform`, `loguniform`, `integers`.
        trials: At most so many; of a space 30 by default. It may lower a manifest's `maxTrialCount`.
        direction: Of a space: whether small values are good (`minimize`, the default) or large ones.
        metric: Of a space: name of the objective among the metrics, where the function returns a mapping.
        algorithm: Of a space: by Katib's name, e.g. `tpe` (the default), `random`, `grid`, `bayesianoptimization`,
            `cmaes`.
        seed: Of a space: the same seed proposes the same again.
        goal: The search ends when a trial reaches it.
        seconds: After so many on the clock no trial starts any more.
        folder: For the journal, from which `resume` goes on; None keeps none.
        resume: Go on with the search whose journal lies in `folder`.
        progress: True shows trials on stderr, a function is called with each `Trial` that starts, reports or ends, None
            is silent.

    Raises:
        ConfigError: The manifest or the space breaks a rule, an option belongs to a space and a manifest was given, or
            a journal stands in the way.
        WorkspaceError: Another process runs in this folder, or it can take no more.
        KeyboardInterrupt: Passed on; with a `folder`, `resume` goes on.
    """
    from ctlr.interrupts import held
    from ctlr.tuning.engine import Limits, run_experiment
    from ctlr.tuning.launchers import FunctionLauncher

    space = _space(search)
    if space is None:
        own = {"direction": direction, "metric": metric, "algorithm": algorithm, "seed": seed}
        given = [name for name, value in own.items() if value is not None]
        if given:
            raise ConfigError(f"`{given[0]}` belongs to a space; a manifest says it itself. Change it there.")
        experiment = _experiment(search)
    else:
        count = _TRIALS if trials is None else trials
        manifest = _manifest(space, count, direction=direction, metric=metric, algorithm=algorithm, seed=seed)
        experiment = _experiment(manifest)
    if resume and folder is None:
        raise ConfigError("`resume` goes on with a journal; name its `folder`.")
    reading = _reading(experiment, space)
    launcher = FunctionLauncher(lambda assignments: objective(**reading(assignments)), experiment.objective.metric)
    limits = Limits(max_trials=trials, goal=goal, max_seconds=seconds)
    with (
        _folder(folder) as place,
        _told(progress, experiment, trials) as tell,
        held(),
        contextlib.closing(launcher),
    ):
        outcome = run_experiment(experiment, place, launcher, limits=limits, resume=resume, on_event=tell)
    values = {trial.number: reading(trial.assignments) for trial in outcome.trials}
    return Tuned(
        experiment=experiment, trials=outcome.trials, optimum=outcome.optimum, reason=outcome.reason,
        message=outcome.message, seed=outcome.seed, _values=values,
    )  # fmt: skip


# ---------------------------------------------------------------- what is searched


def _space(search: Mapping[str, Any] | Path | str) -> dict[str, Range | Choice] | None:
    """The space; None for a manifest."""
    if not isinstance(search, Mapping) or {"apiVersion", "kind", "spec"} & search.keys():
        return None
    if not search:
        raise ConfigError('A space needs a parameter, e.g. `{"lr": ctlr.space.loguniform(1e-4, 1e-1)}`.')
    found: dict[str, Range | Choice] = {}
    for name, dimension in search.items():
        if isinstance(dimension, Range | Choice):
            found[name] = dimension
        elif isinstance(dimension, list | tuple):
            found[name] = Choice(tuple(dimension))
        else:
            raise ConfigError(
                f"{name}: a dimension is a list of values or one of `ctlr.space`; got {dimension!r}. "
                f"Write e.g. `ctlr.space.uniform(0, 1)`."
            )
    return found


def _experiment(search: Mapping[str, Any] | Path | str) -> Experiment:
    from ctlr.tuning.manifest import parse_experiment, read_experiment

    if isinstance(search, str) and "\n" in search:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        try:
            search = YAML(typ="safe").load(search)
        except YAMLError as error:
            raise ConfigError(f"The manifest is no YAML: {error}") from error
        if not isinstance(search, Mapping):
            raise ConfigError("The manifest must be a mapping; `kind: Experiment` stands in one.")
    if isinstance(search, Mapping):
        return parse_experiment(search, "the search", template=False)
    return read_experiment(Path(search))


def _manifest(
    space: Mapping[str, Range | Choice],
    trials: int,
    *,
    direction: str | None,
    metric: str | None,
    algorithm: str | None,
    seed: int | None,
) -> dict[str, Any]:
    """A space as an Experiment; one trial at a time, so that each proposal knows all before it."""
    from ctlr.tuning.manifest import parameters_of

    count: Any = trials  # a caller gives anything
    if not isinstance(count, Integral) or count < 1:
        raise ConfigError(f"`trials` must be a whole number, 1 or more; got {trials!r}.")
    name = algorithm or "tpe"
    settings = [] if seed is None else [{"name": "random_state", "value": str(seed)}]
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": "search"},
        "spec": {
            "objective": {"type": direction or "minimize", "objectiveMetricName": metric or _METRIC},
            "algorithm": {"algorithmName": name} | ({"algorithmSettings": settings} if settings else {}),
            "parallelTrialCount": 1,
            "maxTrialCount": trials,
            "maxFailedTrialCount": trials,
            "parameters": parameters_of(space),
        },
    }


# ---------------------------------------------------------------- what the function is called with


def _reading(
    experiment: Experiment, space: Mapping[str, Range | Choice] | None
) -> Callable[[Mapping[str, str]], dict[str, Any]]:
    """From a trial's texts to the values that the function takes."""
    from ctlr.tuning.manifest import written

    chosen = {
        name: {written(value): value for value in dimension.values}
        for name, dimension in (space or {}).items()
        if isinstance(dimension, Choice)
    }
    kinds = {parameter.name: parameter.kind for parameter in experiment.parameters}

    def read(assignments: Mapping[str, str]) -> dict[str, Any]:
        return {
            name: chosen[name][text] if name in chosen else _value(kinds[name], text)
            for name, text in assignments.items()
        }

    return read


def _value(kind: str, text: str) -> int | float | str:
    if kind == "categorical":
        return text
    whole = kind == "int" or (kind == "discrete" and text.lstrip("+-").isdigit())
    return int(text) if whole else float(text)


# ---------------------------------------------------------------- where, and before whom


@contextlib.contextmanager
def _folder(folder: Path | str | None) -> Iterator[Path]:
    if folder is not None:
        yield Path(folder)
        return
    with tempfile.TemporaryDirectory(prefix="ctlr-") as place:
        yield Path(place)


@contextlib.contextmanager
def _told(
    progress: bool | Callable[[Trial], object] | None, experiment: Experiment, trials: int | None
) -> Iterator[Callable[[Trial, TrialReport | None], None]]:
    if callable(progress):
        tell = progress

        def follow(trial: Trial, report: TrialReport | None) -> None:
            tell(trial)

        yield follow
    elif progress:
        from ctlr.display import SearchDisplay  # rich is slow to load

        with SearchDisplay(experiment, trials) as display:
            yield display
    else:
        yield lambda trial, report: None
