"""What autotuners find in the same space with as many trials, and what they make of trials that come to nothing.

    python -m bench autotuners                  # one set of points, one seed, twelve trials
    python bench/autotuners.py --seeds 2        # two sets, 24 trials: the figures that the documentation states

CTLR as `ctlr run` of a benchmark file and as `ctlr.tune` of a function; Optuna, Ray Tune with its OptunaSearch, Keras
Tuner on PyTorch and Vizier as their documentation shows them. What cannot be imported is left out.

All train a perceptron of the same space on the same points (`_SPACE`, `_EPOCHS`) and are judged by the best accuracy on
the dev points after any epoch; what was chosen is trained once more and meets the eval points. CTLR's function, Optuna,
Ray Tune and Vizier call one function in plain PyTorch, `ctlr run` has CTLR's `mlp` without norms, Keras Tuner a Keras
model. Layers, first weights' distribution, optimisers, epochs and batch sizes are the same; random numbers are not.

The space is as wide as people write it who do not know better: some settings raise an error (Nesterov's momentum
without any), some diverge until the loss is no number, and some end by predicting one class for all.
Seconds are those of the search's process and of all that it starts.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import itertools
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["jobs", "main"]

_SETS = ("toroid", "pinwheel")
_POINTS = (1000, 1000, 4000)
_SIDES = {"train": "train", "val": "dev", "test": "eval"}
_EPOCHS = 8
_TRIALS, _FEW = 24, 12

_SPACE: dict[str, dict[str, Any]] = {
    "layers": {"low": 1, "high": 6},
    "units": {"low": 4, "high": 256, "log": True},
    "activation": {"values": ["relu", "tanh"]},
    "dropout": {"low": 0.0, "high": 0.6},
    "optimiser": {"values": ["adamw", "momentum", "nesterov"]},
    "momentum": {"values": [0.0, 0.5, 0.9]},
    "lr": {"low": 1e-4, "high": 1e2, "log": True},
    "weight_decay": {"low": 1e-6, "high": 1.0, "log": True},
    "batch_size": {"values": [32, 128, 512, 2048]},
}
_HOPELESS = {"lr": {"low": 1e4, "high": 1e6, "log": True}}
"""In place of the rates above: nothing that is tried can learn."""

Settings = dict[str, Any]
Space = Mapping[str, Mapping[str, Any]]


@dataclass
class Trained:
    """One training.

    Attributes:
        value: Best accuracy on the dev points after any epoch.
        errors: Shares of wrong answers by side, of the weights of that epoch.
        fault: `diverged`, `one class`, or nothing.
    """

    value: float
    errors: dict[str, float]
    fault: str


@dataclass
class Found:
    """What came of a search.

    Attributes:
        errors: By side, of what was chosen, trained once more; none where nothing was chosen.
        faults: How many trials raised an error, diverged, or predicted one class.
        failed: How many trials the tuner took for failed.
        ended: Trials after which an error ended the search; None where none did.
        chosen: The fault of the trial that was chosen; None where none was.
    """

    errors: dict[str, float]
    faults: dict[str, int]
    failed: int
    ended: int | None
    chosen: str | None
    wall: float = 0.0
    cpu: float = 0.0

    @property
    def mistaken(self) -> int:
        """Trials that came to nothing and count as good."""
        return sum(self.faults.values()) - self.failed


# ---------------------------------------------------------------- one training in plain PyTorch


def _points(name: str) -> dict[str, tuple[Any, Any]]:
    from ctlr.data.kinds.points.generating import draw

    return {_SIDES[side]: draw(name, side, count, seed=0) for side, count in zip(_SIDES, _POINTS, strict=True)}


def _train(settings: Settings, points: Mapping[str, tuple[Any, Any]], seed: int) -> Trained:
    """As a user writes it.

    Raises:
        ValueError: PyTorch's, of Nesterov's momentum without any.
    """
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    sides = {side: (torch.from_numpy(rows), torch.from_numpy(codes)) for side, (rows, codes) in points.items()}
    rows, codes = sides["train"]
    classes = int(codes.max()) + 1
    layers: list[nn.Module] = []
    for number in range(settings["layers"]):
        linear = nn.Linear(settings["units"] if number else rows.shape[1], settings["units"])
        gain = 2.0 if settings["activation"] == "relu" else 1.0
        nn.init.normal_(linear.weight, std=math.sqrt(gain / linear.in_features))
        nn.init.zeros_(linear.bias)
        activation = nn.ReLU() if settings["activation"] == "relu" else nn.Tanh()
        layers += [linear, activation, nn.Dropout(settings["dropout"])]
    head = nn.Linear(settings["units"], classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    network = nn.Sequential(*layers, head)
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    biases = [parameter for parameter in network.parameters() if parameter.ndim == 1]
    groups = [{"params": weights, "weight_decay": settings["weight_decay"]}, {"params": biases, "weight_decay": 0.0}]
    optimiser: torch.optim.Optimizer
    if settings["optimiser"] == "adamw":
        optimiser = torch.optim.AdamW(groups, lr=settings["lr"])
    else:
        optimiser = torch.optim.SGD(
            groups, lr=settings["lr"], momentum=settings["momentum"], nesterov=settings["optimiser"] == "nesterov"
        )
    best, loss = Trained(-1.0, {}, ""), torch.zeros(())
    for _ in range(_EPOCHS):
        network.train()
        for chunk in torch.randperm(len(rows)).split(settings["batch_size"]):
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(network(rows[chunk]), codes[chunk])
            loss.backward()
            optimiser.step()
        network.eval()
        with torch.no_grad():
            said = {side: network(each).argmax(1) for side, (each, _) in sides.items()}
        errors = {side: float((said[side] != sides[side][1]).double().mean()) for side in sides}
        if 1 - errors["dev"] > best.value:
            best = Trained(1 - errors["dev"], errors, "one class" if len(said["dev"].unique()) == 1 else "")
    return best if torch.isfinite(loss) else Trained(best.value, best.errors, "diverged")


class _Notes:
    """What a user's function met, a line a trial; a file, since trials may run in other processes."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def add(self, settings: Settings, fault: str) -> None:
        with self.file.open("a") as file:
            file.write(json.dumps({"fault": fault, "settings": settings}) + "\n")

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []

    def found(self, chosen: Settings | None, errors: dict[str, float], failed: int, ended: int | None) -> Found:
        met = self.read()
        of_chosen = next((note["fault"] for note in met if note["settings"] == chosen), None)
        return Found(errors, dict(Counter(note["fault"] for note in met if note["fault"])), failed, ended, of_chosen)


@dataclass
class _Objective:
    """A setting's accuracy on the dev points, as a tuner calls for it; what it meets is noted."""

    data: str
    seed: int
    file: Path

    def __call__(self, settings: Settings) -> float:
        try:
            trained = _train(settings, _points(self.data), self.seed)
        except ValueError:
            _Notes(self.file).add(settings, "raised")
            raise
        _Notes(self.file).add(settings, trained.fault)
        return trained.value

    def found(self, chosen: Settings | None, failed: int, ended: int | None) -> Found:
        errors = {} if chosen is None else _train(chosen, _points(self.data), self.seed + 1000).errors
        return _Notes(self.file).found(chosen, errors, failed, ended)


# ---------------------------------------------------------------- searches: space, data, trials, seed, folder


def _function(space: Space, data: str, trials: int, seed: int, folder: Path) -> Found:
    import ctlr
    from ctlr.errors import TrainingError
    from ctlr.space import Range

    objective = _Objective(data, seed, folder / "notes")

    def dimension(of: Mapping[str, Any]) -> Any:
        if "values" in of:
            return of["values"]
        scale = "logUniform" if of.get("log") else "uniform"
        return Range(low=of["low"], high=of["high"], whole=isinstance(of["low"], int), distribution=scale)

    tuned = ctlr.tune(
        lambda **settings: objective(settings), {name: dimension(of) for name, of in space.items()},
        trials=trials, direction="maximize", seed=seed,
    )  # fmt: skip
    failed = sum(trial.status == "Failed" for trial in tuned.trials)
    try:
        return objective.found(tuned.best, failed, None)
    except TrainingError:
        return objective.found(None, failed, None)


def _optuna(space: Space, data: str, trials: int, seed: int, folder: Path) -> Found:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    objective = _Objective(data, seed, folder / "notes")

    def call(trial: optuna.Trial) -> float:
        settings: Settings = {}
        for name, of in space.items():
            if "values" in of:
                settings[name] = trial.suggest_categorical(name, of["values"])
            else:
                suggest: Any = trial.suggest_int if isinstance(of["low"], int) else trial.suggest_float
                settings[name] = suggest(name, of["low"], of["high"], log=of.get("log", False))
        return objective(settings)

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    ended = None
    try:
        study.optimize(call, n_trials=trials)
    except ValueError:
        ended = len(study.trials)
        study.optimize(call, n_trials=trials - ended, catch=(ValueError,))
    failed = sum(trial.state == optuna.trial.TrialState.FAIL for trial in study.trials)
    return objective.found(study.best_params if failed < trials else None, failed, ended)


def _ray(space: Space, data: str, trials: int, seed: int, folder: Path) -> Found:
    os.environ |= {"RAY_AIR_NEW_OUTPUT": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    import ray
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    objective = _Objective(data, seed, folder / "notes")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")

    def dimension(of: Mapping[str, Any]) -> Any:
        if "values" in of:
            return tune.choice(of["values"])
        if isinstance(of["low"], int):
            return (tune.lograndint if of.get("log") else tune.randint)(of["low"], of["high"] + 1)
        return (tune.loguniform if of.get("log") else tune.uniform)(of["low"], of["high"])

    grid = tune.Tuner(
        lambda settings: {"accuracy": objective(dict(settings))},
        param_space={name: dimension(of) for name, of in space.items()},
        tune_config=tune.TuneConfig(
            metric="accuracy", mode="max", num_samples=trials, search_alg=OptunaSearch(seed=seed),
            max_concurrent_trials=1,
        ),
        run_config=tune.RunConfig(storage_path=str(folder / "ray"), verbose=0),
    ).fit()  # fmt: skip
    failed = grid.num_errors
    chosen = None if failed == trials else dict(grid.get_best_result().config)
    ray.shutdown()
    return objective.found(chosen, failed, None)


def _vizier(space: Space, data: str, trials: int, seed: int, folder: Path) -> Found:
    from vizier.service import clients
    from vizier.service import pyvizier as vz

    objective = _Objective(data, seed, folder / "notes")
    problem = vz.ProblemStatement()
    root = problem.search_space.root
    for name, of in space.items():
        scale = vz.ScaleType.LOG if of.get("log") else vz.ScaleType.LINEAR
        if "values" not in of:
            add: Any = root.add_int_param if isinstance(of["low"], int) else root.add_float_param
            add(name, of["low"], of["high"], scale_type=scale)
        elif isinstance(of["values"][0], str):
            root.add_categorical_param(name, of["values"])
        else:
            root.add_discrete_param(name, of["values"])
    problem.metric_information.append(vz.MetricInformation("accuracy", goal=vz.ObjectiveMetricGoal.MAXIMIZE))
    config = vz.StudyConfig.from_problem(problem)
    config.algorithm = "DEFAULT"
    study = clients.Study.from_study_config(config, owner="bench", study_id=f"{data}-{seed}-{time.time_ns()}")
    ended, failed = None, 0
    whole = {name for name, of in space.items() if isinstance((of.get("values") or [of["low"]])[0], int)}

    def read(parameters: Mapping[str, Any]) -> Settings:
        return {name: int(value) if name in whole else value for name, value in parameters.items()}

    for number in range(trials):
        (trial,) = study.suggest(count=1)
        try:
            accuracy = objective(read(trial.parameters))
        except ValueError as error:
            ended = number + 1 if ended is None else ended
            failed += 1
            trial.complete(infeasible_reason=str(error))  # what the loop of the documentation does not do
        else:
            trial.complete(vz.Measurement({"accuracy": accuracy}))
    best = [read(trial.parameters) for trial in study.optimal_trials()] if failed < trials else [None]
    return objective.found(best[0], failed, ended)


def _keras(space: Space, data: str, trials: int, seed: int, folder: Path) -> Found:
    os.environ |= {"KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": ""}
    import keras
    import keras_tuner
    import numpy as np
    import torch

    torch.set_num_threads(1)
    points, notes = _points(data), _Notes(folder / "notes")
    (rows, codes), (held, wanted) = points["train"], points["dev"]
    classes = int(codes.max()) + 1

    def suggested(choices: Any) -> Settings:
        settings: Settings = {}
        for name, of in space.items():
            if "values" in of:
                settings[name] = choices.Choice(name, of["values"])
            else:
                suggest = choices.Int if isinstance(of["low"], int) else choices.Float
                settings[name] = suggest(name, of["low"], of["high"], sampling="log" if of.get("log") else "linear")
        return settings

    class Model(keras_tuner.HyperModel):
        def build(self, hp: Any) -> Any:
            settings = suggested(hp)
            model = keras.Sequential([keras.Input((rows.shape[1],))])
            gain = 2.0 if settings["activation"] == "relu" else 1.0
            for _ in range(settings["layers"]):
                spread = keras.initializers.VarianceScaling(gain, "fan_in", "untruncated_normal")
                model.add(keras.layers.Dense(settings["units"], settings["activation"], kernel_initializer=spread))
                model.add(keras.layers.Dropout(settings["dropout"]))
            small = keras.initializers.RandomNormal(stddev=0.01)
            model.add(keras.layers.Dense(classes, kernel_initializer=small))
            if settings["optimiser"] == "adamw":
                optimiser = keras.optimizers.AdamW(settings["lr"], weight_decay=settings["weight_decay"])
            else:
                nesterov = settings["optimiser"] == "nesterov"
                optimiser = keras.optimizers.SGD(
                    settings["lr"], settings["momentum"], nesterov=nesterov, weight_decay=settings["weight_decay"]
                )
            optimiser.exclude_from_weight_decay(var_names=["bias"])
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(optimiser, loss, metrics=["accuracy"])
            return model

        def fit(self, hp: Any, model: Any, *points: Any, **options: Any) -> Any:
            watch = _watch(keras, held, wanted)
            options["callbacks"] = [*options.get("callbacks", ()), watch]
            history = model.fit(*points, batch_size=hp.get("batch_size"), **options)
            notes.add(dict(hp.values), watch.fault(history.history["loss"][-1]))
            return history

    tuner = keras_tuner.BayesianOptimization(
        Model(), objective="val_accuracy", max_trials=trials, seed=seed, directory=folder, project_name="keras"
    )
    ended = None
    try:
        tuner.search(rows, codes, epochs=_EPOCHS, validation_data=(held, wanted), verbose=0)
    except (RuntimeError, ValueError):
        ended = len(tuner.oracle.trials)
    status = [trial.status for trial in tuner.oracle.trials.values()]
    failed = sum(each in ("FAILED", "INVALID") for each in status)
    best = tuner.get_best_hyperparameters()
    if not best:
        return notes.found(None, {}, failed, ended)
    keras.utils.set_random_seed(seed + 1000)
    model, watch = tuner.hypermodel.build(best[0]), _watch(keras, held, wanted)
    model.fit(
        rows, codes, batch_size=best[0].get("batch_size"), epochs=_EPOCHS, verbose=0, callbacks=[watch],
        validation_data=(held, wanted),
    )  # fmt: skip
    model.set_weights(watch.weights)
    errors = {
        side: float((np.argmax(model.predict(each, verbose=0), 1) != truth).mean())
        for side, (each, truth) in points.items()
    }
    return notes.found(dict(best[0].values), errors, failed, ended)


def _watch(keras: Any, held: Any, wanted: Any) -> Any:
    """What the dev points say after each epoch; keeps the weights of the best."""

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        best, weights, one_class = -1.0, None, False

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            accuracy = logs["val_accuracy"]
            if accuracy > self.best:
                said = self.model(held, training=False).argmax(1)
                self.best, self.weights = accuracy, self.model.get_weights()
                self.one_class = len(said.unique()) == 1

        def fault(self, loss: float) -> str:
            return "one class" if self.one_class and math.isfinite(loss) else "" if math.isfinite(loss) else "diverged"

    return Watch()


_BENCHMARK = """
name: autotuners
datasets:
  points: {{kind: generated_points, generator: {data}, points: {points}}}
tasks:
  kind: {{target: class, kind: classification, metric: accuracy}}
transfers: [{{target: {{data: points, task: kind}}}}]
encoders:
  mlp: {{norm: none}}
methods:
  tuned: {{method: scratch}}
baselines: []
sample_sizes: [{n}]
seeds: [{seed}]
training:
  finetune: {{epochs: {epochs}, schedule: constant, warmup: 0, clip: null}}
tuning: {{experiments: {{tuned: space.yaml}}, trials: {trials}, parallel: 1, share: false}}
compute: {{precision: float32}}
tracking: {{backend: none}}
"""


def _ctlr(space: Space, data: str, trials: int, seed: int, folder: Path) -> Found:
    text = _BENCHMARK.format(data=data, points=list(_POINTS), n=_POINTS[0], seed=seed, epochs=_EPOCHS, trials=trials)
    (folder / "autotuners.yaml").write_text(text)
    (folder / "space.yaml").write_text(json.dumps(_manifest(space, trials, seed)))
    command = [sys.executable, "-m", "ctlr", "run", str(folder / "autotuners.yaml"), "--workers", "1"]
    done = subprocess.run([*command, "-w", str(folder / "ws")], check=False, capture_output=True, text=True)
    reports = folder / "ws" / "reports" / "autotuners"
    tried = _rows(reports / "trials.csv")
    if not tried:
        raise RuntimeError(done.stderr)
    results = [row for row in _rows(reports / "results.csv") if row["method"] == "tuned" and row["status"] == "ok"]
    faults = Counter(_named(row["reason"]) for row in _rows(reports / "tables" / "tuning-failed.csv"))
    names = {"train": "train", "validation": "dev", "test": "eval"}
    errors = {name: 1 - float(results[0][f"{side}_accuracy"]) for side, name in names.items()} if results else {}
    failed = sum(row["status"] == "Failed" for row in tried)
    return Found(errors, dict(faults), failed, None, "" if results else None)


def _manifest(space: Space, trials: int, seed: int) -> dict[str, Any]:
    """The space as a Katib Experiment, with CTLR's names of the options."""
    network = {"layers", "units", "activation", "dropout"}
    names = {name: f"encoder.{name}" if name in network else name for name in space}

    def feasible(of: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        if "values" in of:
            kind = "categorical" if isinstance(of["values"][0], str) else "discrete"
            return kind, {"list": [str(value) for value in of["values"]]}
        scale = {"distribution": "logUniform"} if of.get("log") else {}
        return "int" if isinstance(of["low"], int) else "double", {
            "min": str(of["low"]), "max": str(of["high"]), **scale
        }  # fmt: skip

    command = ["ctlr", "trial", "autotuners.yaml", "--study=tuned"]
    command += [f"--set={name}=${{trialParameters.{name}}}" for name in names.values()]
    container = {"name": "trial", "image": "none", "command": command}
    pod = {"restartPolicy": "Never", "containers": [container]}
    kinds = {names[name]: feasible(of) for name, of in space.items()}
    return {
        "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "metadata": {"name": "autotuners"},
        "spec": {
            "objective": {
                "type": "maximize", "objectiveMetricName": "val_accuracy",
                "metricStrategies": [{"name": "val_accuracy", "value": "max"}],
            },
            "algorithm": {
                "algorithmName": "tpe", "algorithmSettings": [{"name": "random_state", "value": str(seed)}]
            },
            "parallelTrialCount": 1, "maxTrialCount": trials, "maxFailedTrialCount": trials,
            "parameters": [
                {"name": name, "parameterType": kind, "feasibleSpace": of} for name, (kind, of) in kinds.items()
            ],
            "trialTemplate": {
                "primaryContainerName": "trial",
                "trialParameters": [{"name": name, "reference": name} for name in names.values()],
                "trialSpec": {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": pod}}},
            },
        },
    }  # fmt: skip


def _rows(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.open())) if file.exists() else []


def _named(reason: str) -> str:
    """A trial's fault by the words of its reason."""
    if "loss became" in reason or "not finite" in reason:
        return "diverged"
    return "one class" if "one class" in reason or "constant" in reason else "raised"


SEARCHES: Mapping[str, tuple[str, Callable[[Space, str, int, int, Path], Found]]] = {
    "CTLR, ctlr run": ("ctlr", _ctlr),
    "CTLR, ctlr.tune": ("ctlr", _function),
    "Optuna": ("optuna", _optuna),
    "Ray Tune": ("ray", _ray),
    "Keras Tuner": ("keras_tuner", _keras),
    "Vizier": ("vizier", _vizier),
}


# ---------------------------------------------------------------- measured


def _there() -> list[str]:
    """Searches that can be imported."""
    return [name for name, (module, _) in SEARCHES.items() if find_spec(module) is not None]


def _search(name: str, data: str, trials: int, seed: int, *, hopeless: bool = False) -> Found:
    """One search in a process of its own, with what it took.

    Raises:
        RuntimeError: It came to no end; says its last words.
    """
    # What a search leaves behind (Ray's servers, CTLR's workers) becomes ours, so that its time is counted.
    set_child_subreaper = 36
    ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)
    command = [sys.executable, "-m", "bench.autotuners", "--one", name, data, str(trials), str(seed), str(hopeless)]
    root = str(Path(__file__).parent.parent)
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    wall = time.perf_counter() - began
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        time.sleep(0.05)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{name}: {' '.join(done.stderr.strip().splitlines()[-1:])}")
    found = Found(**json.loads(done.stdout.strip().splitlines()[-1]))
    found.wall = wall
    found.cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return found


def jobs() -> Iterator[tuple[str, Callable[[], Iterable[dict[str, Any]]]]]:
    """What the rows take, by a name for the case that it fails: one set, one seed, twelve trials.

    Without Vizier, whose Gaussian process takes minutes.
    """
    data, names = _SETS[0], [name for name in _there() if name != "Vizier"]
    ours: list[Found] = []

    def compared(name: str) -> Iterator[dict[str, Any]]:
        theirs = _search(name, data, _FEW, 0)
        if not ours:
            ours.append(theirs)
            return
        title, (own,) = f"{_FEW} trials on {data}, one seed", ours
        error, other = own.errors["eval"], theirs.errors.get("eval", math.nan)
        yield {"name": f"{title}, eval error: {name}", "ours": error, "theirs": other, "ratio": other / error,
               "target": None}  # fmt: skip
        yield {"name": f"{title}, CPU s: {name}", "ours": own.cpu, "theirs": theirs.cpu,
               "ratio": theirs.cpu / own.cpu, "target": None}  # fmt: skip
        yield {"name": f"{title}, bad trials that count as good: {name}", "ours": own.mistaken,
               "theirs": theirs.mistaken, "ratio": None, "target": None}  # fmt: skip

    for name in names:
        yield f"{_FEW} trials: {name}", partial(compared, name)


def main() -> None:
    """Every search on every set with every seed, summed up; then a space in which nothing learns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=_TRIALS)
    parser.add_argument("--search", choices=SEARCHES, action="append", help="only this one; may be repeated")
    parser.add_argument("--log", type=Path, help="file of searches, a line each; those that are there are not repeated")
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        _one(*arguments.one)
        return
    names = arguments.search or _there()
    print(f"left out, since they cannot be imported: {', '.join(set(SEARCHES) - set(_there())) or 'none'}")
    cases = [
        *((name, data, seed, False) for seed, data, name in itertools.product(range(arguments.seeds), _SETS, names)),
        *((name, _SETS[0], 0, True) for name in names),
    ]
    found: dict[tuple[str, str, int, bool], Found] = {}
    if arguments.log and arguments.log.exists():
        for line in arguments.log.read_text().splitlines():
            case, values = json.loads(line)
            found[tuple(case)] = Found(**values)
    for case in cases:
        if case in found:
            continue
        name, data, seed, hopeless = case
        try:
            found[case] = _search(name, data, 6 if hopeless else arguments.trials, seed, hopeless=hopeless)
        except RuntimeError as error:
            print(f"{data}, seed {seed}: {error}", flush=True)
            continue
        print(f"{name:16s} {data:9s} {seed} {'hopeless' if hopeless else ''} {asdict(found[case])}", flush=True)
        if arguments.log:
            with arguments.log.open("a") as file:
                file.write(json.dumps([case, asdict(found[case])]) + "\n")
    _print(names, found)


def _print(names: Iterable[str], found: Mapping[tuple[str, str, int, bool], Found]) -> None:
    print(f"{'':16s} {'set':9s} {'n':>2s} {'train':>6s} {'dev':>6s} {'eval %':>6s} {'least':>6s} {'most':>6s} "
          f"{'wall s':>7s} {'CPU s':>6s}")  # fmt: skip
    for name, data in itertools.product(names, _SETS):
        runs = [run for case, run in found.items() if case[:2] == (name, data) and not case[3] and run.errors]
        if runs:
            means = [100 * statistics.mean(run.errors[side] for run in runs) for side in _SIDES.values()]
            ends = [100 * end(run.errors["eval"] for run in runs) for end in (min, max)]
            took = [statistics.median(getattr(run, field) for run in runs) for field in ("wall", "cpu")]
            print(f"{name:16s} {data:9s} {len(runs):2d} {means[0]:6.1f} {means[1]:6.1f} {means[2]:6.1f} {ends[0]:6.1f} "
                  f"{ends[1]:6.1f} {took[0]:7.0f} {took[1]:6.1f}")  # fmt: skip
    print(f"{'':16s} {'searches':>8s} {'ended early':>11s} {'raised':>7s} {'diverged':>8s} {'one class':>9s} "
          f"{'taken for failed':>16s} {'for good':>8s}   where nothing learns")  # fmt: skip
    for name in names:
        runs = [run for case, run in found.items() if case[0] == name and not case[3]]
        if not runs:
            continue
        faults = Counter[str]()
        for run in runs:
            faults.update(run.faults)
        ended = sum(run.ended is not None for run in runs)
        last = found.get((name, _SETS[0], 0, True))
        words = "-" if last is None else "says so" if last.chosen is None else f"chooses one: {last.chosen or 'good'}"
        print(f"{name:16s} {len(runs):8d} {ended:11d} {faults['raised']:7d} {faults['diverged']:8d} "
              f"{faults['one class']:9d} {sum(run.failed for run in runs):16d} "
              f"{sum(run.mistaken for run in runs):8d}   {words}")  # fmt: skip


def _one(name: str, data: str, trials: str, seed: str, hopeless: str) -> None:
    """Search, and print what came of it as the last line."""
    space = _SPACE | (_HOPELESS if hopeless == "True" else {})
    with tempfile.TemporaryDirectory() as folder:
        found = SEARCHES[name][1](space, data, int(trials), int(seed), Path(folder))
    print(json.dumps(asdict(found)), flush=True)


if __name__ == "__main__":
    main()
