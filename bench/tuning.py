"""What the engine costs a trial, beside Optuna's ask and tell in memory and beside Ray Tune.

    python bench/tuning.py        # 3 minutes on a quiet core

The trials' function does nothing; all but Optuna's keep a record of what happened (we: the journal). They take turns,
and each figure is a median over rounds. Ray Tune is found in the Python that RAY_PYTHON names, or in this one; without
it its row is left out.
"""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["main", "rows"]

ROUNDS = 3
TRIALS = 200
MANY_TRIALS = 1000
NAMES = ("a", "b", "c")
"""Parameters, each from 0 to 1."""
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("RandomSampler", {}),
    "sobol": ("QMCSampler", {}),
    "tpe": ("TPESampler", {"multivariate": True}),
    "multivariate-tpe": ("TPESampler", {"multivariate": True}),
}
"""Optuna's samplers by Katib's names, each doing the same work."""

RAY = """
import tempfile, time
import ray
from ray import tune
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
space = {name: tune.uniform(0, 1) for name in "abc"}
config = tune.TuneConfig(num_samples=%d, max_concurrent_trials=1)
with tempfile.TemporaryDirectory() as folder:
    tuner = tune.Tuner(lambda config: {"loss": sum(config.values())}, param_space=space, tune_config=config,
                       run_config=tune.RunConfig(storage_path=folder, verbose=0))
    start = time.perf_counter()
    tuner.fit()
    print(time.perf_counter() - start)
"""
RAY_TRIALS = 12


def rows() -> Iterator[dict[str, Any]]:
    """One row a comparison; of an overhead the ratio is that of what it may be to what it is."""
    for _, job in jobs():
        yield from job()


def jobs() -> Iterator[tuple[str, Callable[[], Iterable[dict[str, Any]]]]]:
    """What each row takes, by a name for the case that it fails."""
    for algorithm, (peer, options) in PEERS.items():
        yield f"overhead of {TRIALS} trials, {algorithm}", partial(_overhead, algorithm, peer, options)
    yield f"overhead of {RAY_TRIALS} trials, random: Ray Tune", _rays_overhead
    yield "a `ctlr trial` in a warm worker", _trial
    for algorithm in ("random", "sobol", "tpe"):
        yield f"time a trial, {algorithm}", partial(_lengthening, algorithm)


def _overhead(algorithm: str, peer: str, options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    ours, theirs = _overheads(algorithm, peer, options)
    yield {
        "name": f"overhead of {TRIALS} trials, {algorithm}, ms a trial: Optuna's {peer} (at most 1.3 of it + 1 ms)",
        "ours": ours, "theirs": theirs, "ratio": (1.3 * theirs + 1) / ours, "target": 1.0,
    }  # fmt: skip


def _rays_overhead() -> Iterator[dict[str, Any]]:
    ours, ray = 1e3 * _seconds("random", TRIALS) / TRIALS, _ray()
    if ray is not None:
        yield {"name": f"overhead of {RAY_TRIALS} trials, random, ms a trial: Ray Tune", "ours": ours, "theirs": ray,
               "ratio": ray / ours, "target": 50.0}  # fmt: skip


def _trial() -> Iterator[dict[str, Any]]:
    start, trial = _python_with_torch(), _warm_trial()
    yield {"name": "a `ctlr trial` in a warm worker besides its training, s: a tenth of starting Python with torch",
           "ours": trial, "theirs": start, "ratio": start / trial, "target": 10.0}  # fmt: skip


def _lengthening(algorithm: str) -> Iterator[dict[str, Any]]:
    growth = statistics.median(_growth(algorithm) for _ in range(ROUNDS))
    yield {"name": f"time a trial, {algorithm}, of trial {MANY_TRIALS} to that of trial 100: below 2",
           "ours": growth, "theirs": 2.0, "ratio": 2 / growth, "target": 1.0}  # fmt: skip


def _overheads(algorithm: str, peer: str, options: Mapping[str, Any]) -> tuple[float, float]:
    """Milliseconds a trial: ours, Optuna's."""
    _run(algorithm, 20)  # imports
    pairs = [(_seconds(algorithm, TRIALS), _optuna(peer, options)) for _ in range(ROUNDS)]
    ours, theirs = (1e3 * statistics.median(column) / TRIALS for column in zip(*pairs, strict=True))
    return ours, theirs


def _seconds(algorithm: str, trials: int) -> float:
    start = time.perf_counter()
    _run(algorithm, trials)
    return time.perf_counter() - start


def _python_with_torch() -> float:
    """Seconds that each trial would take to start by itself."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import torch"], check=True)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


WARM = """
name: warm
datasets:
  cohort: {kind: cohort, subjects: 48, seed: 3, spacing: 6, preprocess: {spacing: 6, shape: [32, 32, 32]}}
tasks: {age: {target: age, kind: regression}}
transfers: [{target: {data: cohort, task: age}}]
encoders: {small_cnn: {}}
methods: {scratch: {}}
sample_sizes: [10]
seeds: [0]
split: {test: 12}
training: {finetune: {epochs: 3, batch_size: 8}}
"""


def _warm_trial() -> float:
    """Median seconds of a trial in a worker that has done one before, its training left out."""
    from ctlr.config import load
    from ctlr.data.preprocess import preprocess
    from ctlr.plan import make_plan
    from ctlr.specs import Trial
    from ctlr.trials import WarmLauncher
    from ctlr.tuning.launchers import Ended
    from ctlr.tuning.request import TrialJob
    from ctlr.workspace import Workspace

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "warm.yaml"
        file.write_text(WARM)
        plan, workspace = make_plan(load(file)), Workspace(Path(folder) / "workspace")
        arrays = {data.name: preprocess(data, workspace, workers=2) for data in plan.datasets}
        study = next(study for study in plan.studies if study.method.label == "scratch")
        launcher = WarmLauncher(lambda trial: TrialJob(study=study), arrays, workspace, workers=1, device="cpu")
        spent = []
        for number in range(8):
            launcher.start(Trial(number=number, name=f"t{number}", assignments={}))
            start = time.perf_counter()
            while not any(isinstance(event, Ended) for event in launcher.wait(None)):
                pass
            result = launcher.done[number].result
            assert result is not None
            spent.append(time.perf_counter() - start - result.seconds["finetune"])
        launcher.close()
    return statistics.median(spent[1:])


def _growth(algorithm: str) -> float:
    """Time of the trials about the last one to that of those about the hundredth."""
    times = _run(algorithm, MANY_TRIALS)
    seconds = [after - before for before, after in itertools.pairwise(times)]
    return statistics.median(seconds[-50:]) / statistics.median(seconds[75:125])


def _run(algorithm: str, trials: int) -> list[float]:
    """Run an experiment whose trials are calls; the moments at which they ended."""
    from ctlr.specs import AlgorithmSpec, Experiment, Objective, Parameter, TrialCommand
    from ctlr.tuning.engine import run_experiment
    from ctlr.tuning.launchers import FunctionLauncher

    experiment = Experiment(
        name="overhead",
        objective=Objective(metric="loss", direction="minimize", strategies={"loss": "latest"}),
        algorithm=AlgorithmSpec(name=algorithm, settings={"random_state": "0"}),
        parameters=tuple(Parameter(name=name, kind="double", low="0", high="1") for name in NAMES),
        max_trials=trials,
        parallel=1,
        trial=TrialCommand(image="none", command=()),
    )
    ended: list[float] = []

    def note(trial: Any, report: Any) -> None:
        if trial.ended:
            ended.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        run_experiment(experiment, Path(folder), FunctionLauncher(_loss, "loss"), on_event=note)
    return ended


def _loss(assignments: Mapping[str, str]) -> float:
    return sum(map(float, assignments.values()))


def _optuna(peer: str, options: Mapping[str, Any]) -> float:
    import optuna

    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    warnings.simplefilter("ignore", FutureWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    start = time.perf_counter()
    study = optuna.create_study(sampler=getattr(optuna.samplers, peer)(seed=0, **options))
    for _ in range(TRIALS):
        trial = study.ask()
        study.tell(trial, sum(trial.suggest_float(name, 0, 1) for name in NAMES))
    return time.perf_counter() - start


def _ray() -> float | None:
    """Milliseconds a trial of Ray Tune, its start left out; None where it is not installed."""
    python = os.environ.get("RAY_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import ray.tune"], capture_output=True, check=False).returncode:
        return None
    run = subprocess.run([python, "-c", RAY % RAY_TRIALS], capture_output=True, text=True, check=True)
    return 1e3 * float(run.stdout.split()[-1]) / RAY_TRIALS


def main() -> None:
    """Print the rows."""
    for row in rows():
        print(f"{row['name']:100s} {row['ours']:9.3g} {row['theirs']:9.3g} {row['ratio']:7.2f}")


if __name__ == "__main__":
    main()
