"""Small experiments, and what runs them, for tests of the engine."""

import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from ctlr.specs import AlgorithmSpec, Collector, Experiment, Objective, Parameter, TrialCommand
from ctlr.tuning.engine import Limits, Outcome, run_experiment
from ctlr.tuning.launchers import ProcessLauncher

Place = Callable[..., Outcome]


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pid: int, seconds: float = 10.0) -> bool:
    """Whether a process ends within the time."""
    until = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not alive(pid)


def shell(script: str) -> TrialCommand:
    """A trial that runs a script of the shell."""
    return TrialCommand(image="none", command=("sh", "-c", script.replace("$$", "$$$$")))  # Kubernetes halves them


def python(script: str) -> TrialCommand:
    """A trial that runs a script of Python."""
    return TrialCommand(image="none", command=(sys.executable, "-S", "-c", script))


def search(trial: TrialCommand | None = None, *, seed: int | None = 1, **changes: Any) -> Experiment:
    """A search for the least loss over one number; a trial reports that number unless another one is given."""
    settings = {} if seed is None else {"random_state": str(seed)}
    algorithm = AlgorithmSpec(name=changes.pop("algorithm", "random"), settings=settings)
    goal = changes.pop("goal", None)
    metric = changes.pop("metric", "loss")
    strategy = changes.pop("strategy", "latest")
    defaults: dict[str, Any] = {
        "name": "small",
        "objective": Objective(metric=metric, direction="minimize", goal=goal, strategies={metric: strategy}),
        "algorithm": algorithm,
        "parameters": (Parameter(name="x", kind="double", low="0", high="1"),),
        "max_trials": 4,
        "parallel": 1,
        "max_failed": 2,
        "references": {"x": "x"},
        "trial": trial or shell("echo loss=${trialParameters.x}"),
        "collector": Collector(),
    }
    made = Experiment(**(defaults | changes))
    return made.model_copy(update={"manifest": made.manifest or manifest_of(made)})


def manifest_of(experiment: Experiment) -> dict[str, Any]:
    """A manifest that holds what a status needs."""
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": experiment.name},
        "spec": {"objective": {"type": "minimize", "objectiveMetricName": experiment.objective.metric}},
    }


def run_programs(experiment: Experiment, folder: Path, *, grace_seconds: float = 0.5, **options: Any) -> Outcome:
    """Run an experiment's command."""
    limits = Limits(**{name: options.pop(name) for name in list(options) if name in Limits.__annotations__})
    with closing(ProcessLauncher(experiment, folder, grace_seconds=grace_seconds)) as launcher:
        return run_experiment(experiment, folder, launcher, limits=limits, **options)


if __name__ == "__main__":
    document, place, resume = sys.argv[1:]
    run_programs(Experiment.model_validate_json(document), Path(place), resume=resume == "resume")
