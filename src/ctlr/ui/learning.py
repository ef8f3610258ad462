"""Runs on sets of points: their benchmark files, and what their networks have said of the plane so far."""

from __future__ import annotations

import functools
import io
import json
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from ruamel.yaml import YAML

from ctlr.config import load
from ctlr.errors import ConfigError, DataError, WorkspaceError, nearest
from ctlr.plan import make_plan
from ctlr.runs import Run, Search, Trial
from ctlr.searches import check_manifests
from ctlr.specs import METHODS, FitSpec, MethodSpec, MlpSpec, dns_name
from ctlr.tuning.samplers import SAMPLERS
from ctlr.ui.points import SIDES, PointSet, fields_of, refused
from ctlr.ui.processes import benchmark_file
from ctlr.workspace import write_aside

__all__ = ["MODELS", "NETWORK", "Learned", "Learner", "learned", "learners", "write_points_benchmark"]

_CELLS = 80
"""Of a drawing, along each axis."""
_ROWS = 60
"""Of a curve."""
_AT_ONCE = 4
"""Trials under way that are shown."""
NETWORK = fields_of(MlpSpec, ("name", "label", "width"))
"""Options of the network, the multilayer perceptron."""
TRAINING = ("epochs", "batch_size", "lr")


def _learns_alone(name: str, spec: type[MethodSpec]) -> bool:
    """Whether a method learns from one set of points, without a source, weights or columns of one's own."""
    if spec.role != "method" or spec.example or "classification" not in spec.task_kinds:
        return False
    return not spec.model_validate({"label": name, "method": name}).needs_source


MODELS = {name: spec.about() for name, spec in METHODS.items() if _learns_alone(name, spec)}
"""What a run can learn points with, in words."""


@dataclass(frozen=True, eq=False)
class Learned:
    """What a model has learned.

    Attributes:
        epoch: After which; 0 where there are none.
        codes: (G, G) class of each cell of the set's view, rows from below.
        rows: Of a curve: the error of each side that has points, by epoch, read off the grid.
    """

    epoch: int
    codes: NDArray[np.uint8]
    rows: list[dict[str, float]]


@dataclass(frozen=True)
class Learner:
    """A study, or a trial of a search, that a page shows."""

    name: str
    state: str
    done: int
    total: int
    told: str
    """How well it did."""
    place: tuple[str, ...]
    """Patterns of the files, below the workspace, of which one or another says what it has learned."""


def learners(run: Run) -> list[Learner]:
    """The studies of a run, and of its searches the best trial so far and those under way."""
    found = [
        Learner(step.name, step.state, step.done, step.total, _told("validation", step.validation), _of_study(step.id))
        for step in run.studies
    ]
    if found:  # the searches are over
        return found
    best = [(search, search.best) for search in run.searches.values()]
    known = [(search, trial) for search, trial in best if trial is not None]
    known.sort(key=lambda pair: (pair[1].value or 0.0) * (-1 if pair[0].maximises else 1))
    found += [_of_trial(f"Best so far: {search.step.name}", search, trial) for search, trial in known[:1]]
    under_way = [
        (search, trial) for search in run.searches.values() for trial in search.trials.values()
        if trial.status == "Running"
    ]  # fmt: skip
    return found + [_of_trial(search.step.name, search, trial) for search, trial in under_way[:_AT_ONCE]]


def _told(what: str, value: float | None) -> str:
    return "" if value is None else f"{what} {value:.3f}"


def _of_study(step: str) -> tuple[str, ...]:
    key = step.removeprefix("study ")
    return (f"finetuned/{key}*/surfaces/*.npz", f"studies/{key}*/surface.npz") if key.isalnum() else ()


def _of_trial(name: str, search: Search, trial: Trial) -> Learner:
    place = (f"searches/*/{trial.name}/surfaces/*.npz",) if re.fullmatch(r"[a-z0-9-]+", trial.name) else ()
    done = int(trial.rows[-1]["epoch"]) if trial.rows else 0
    told = _told(search.metric, trial.value if trial.value is not None else trial.last.get(search.metric))
    return Learner(f"{name}, trial {trial.number}", trial.status.lower(), done, 0, told, place)


def learned(root: Path, learner: Learner, found: PointSet) -> Learned | None:
    """What a model says now; None where it has said nothing yet.

    Args:
        root: Workspace.
        learner: Of its run.
        found: The points, of whose classes all must be known to it.
    """
    for place in (*learner.place, *learner.place):  # a folder may have got its last name meanwhile
        files = sorted(root.glob(place), key=lambda file: file.name)
        folders = sorted({file.parent for file in files}, key=_changed)
        if files and (seen := _seen([file for file in files if file.parent == folders[-1]], found)) is not None:
            return seen
    return None


def _seen(files: Sequence[Path], found: PointSet) -> Learned | None:
    step_size = -(-len(files) // _ROWS)
    chosen = [*files[:-1:step_size], files[-1]]
    names = tuple(sorted({found.classes[code] for code in np.unique(found.codes[found.sides == 0]).tolist()}))
    order = np.array([found.classes.index(name) for name in names])
    rows, last = [], None
    for file in chosen:
        grid = _read(file)
        if grid is None or grid.shares.shape[-1] > len(order):
            continue
        said, last = order[grid.at(found.points).argmax(axis=1)], grid
        errors = {
            side: float((said != found.codes)[found.sides == place].mean())
            for place, side in enumerate(SIDES)
            if (found.sides == place).any()
        }
        rows.append({"epoch": float(grid.epoch), **errors})
    if last is None:
        return None
    left, right, low, high = found.view
    lines = (np.arange(_CELLS) + 0.5) / _CELLS
    x, y = left + lines * (right - left), low + lines * (high - low)
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    codes = order[last.at(places).argmax(axis=1)].astype(np.uint8).reshape(_CELLS, _CELLS)
    return Learned(last.epoch, codes, rows)


def _changed(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


@dataclass(frozen=True, eq=False)
class _Grid:
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    shares: NDArray[np.float32]
    epoch: int

    def at(self, points: NDArray[np.float64]) -> NDArray[np.float32]:
        """(N, K) shares between the lines, linearly; beyond the grid those of its edge."""
        spots, parts = [], []
        for axis, lines in enumerate((self.x, self.y)):
            place = np.interp(points[:, axis], lines, np.arange(len(lines), dtype=np.float64))
            spot = np.minimum(place.astype(np.int64), len(lines) - 2)
            spots.append(spot)
            parts.append((place - spot)[:, None])
        (i, j), (s, t) = spots, parts
        of = self.shares
        below = of[j, i] * (1 - s) + of[j, i + 1] * s
        above = of[j + 1, i] * (1 - s) + of[j + 1, i + 1] * s
        return np.asarray(below * (1 - t) + above * t)


@functools.lru_cache(maxsize=512)
def _grid(path: Path, content: tuple[int, int]) -> _Grid | None:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as held:
            if "codes" in held:  # of a study that has ended
                return _Grid(
                    held["x"], held["y"], np.eye(int(held["codes"].max()) + 1, dtype=np.float32)[held["codes"]], 0
                )
            return _Grid(held["x"], held["y"], held["shares"].astype(np.float32), int(held["epoch"]))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _read(path: Path) -> _Grid | None:
    """What was written after an epoch; None where it is gone, as its folder is renamed at the end."""
    try:
        status = path.stat()
    except OSError:
        return None
    return _grid(path, (status.st_mtime_ns, status.st_size))


# ---------------------------------------------------------------- the file


def write_points_benchmark(root: Path, table: Path, found: PointSet, form: Mapping[str, str]) -> str:
    """Write the benchmark of a set of points where the app's runs lie; the run learns from a copy of the table.

    Args:
        root: Workspace.
        table: Of the set.
        found: The set.
        form: `name`, the options of `NETWORK` and `TRAINING`, `labelled` points, each of `MODELS` that is ticked, and
            `seconds`, `trials` and the `algorithm` of searches.

    Returns:
        Its name.

    Raises:
        ConfigError: An option is not what it may be, or nothing is ticked.
        DataError: A side has too few points.
        WorkspaceError: There is such a run.
    """
    name = form.get("name", "").strip()
    if not name or dns_name(name, 40) != name:
        raise ConfigError(f"the name must be at most 40 of a-z, 0-9 and '-', a letter first; got {name[:60]!r}.")
    if (root / "runs" / name).exists():
        raise WorkspaceError(f"A run {name!r} is there already. Choose another name, or delete it.")
    counts = [int((found.sides == side).sum()) for side in range(len(SIDES))]
    if min(counts) < 2:
        raise DataError(f"a run needs two points or more on each side; {SIDES[int(np.argmin(counts))]} has fewer.")
    encoder = _checked(MlpSpec, form, [field.name for field in NETWORK], name="mlp")
    training = _checked(FitSpec, form, TRAINING)
    models = [model for model in MODELS if form.get(model) == "yes"]
    if not models:
        raise ConfigError("a run needs a model: tick one.")
    tuning = _tuning(form)
    if "race" not in tuning and "scratch" not in models:
        models = ["scratch", *models]  # which every gain is measured against
    labelled = int(_number(form, "labelled", 2, counts[0]) or counts[0])
    epochs = int(training.get("epochs", 100))
    values: dict[str, Any] = {
        "name": name,
        "description": f"Points of {len(found.classes)} classes from {found.name}.",
        "datasets": {"points": {"kind": "points", "root": ".", "table": "points.csv", "features": ["x", "y"],
                                "columns": ["class"], "split": "split"}},
        "tasks": {"kind": {"target": "class", "kind": "classification", "metric": "accuracy"}},
        "transfers": [{"target": {"data": "points", "task": "kind"}}],
        "encoders": {"mlp": encoder},
        "methods": {model: {} for model in models},
        "baselines": [],
        "sample_sizes": [labelled],
        "split": {"validation": min(10.0, counts[1] / labelled)},
        "seeds": [0],
        "training": {"pretrain": {"epochs": epochs},
                     "finetune": {"epochs": epochs, "batch_size": 32, "lr": 0.01, **training}},
        "compute": {"surfaces": max(1, epochs // 50)},
        "tracking": {"backend": "none"},
        **({"tuning": tuning} if tuning else {}),
    }  # fmt: skip
    text = io.StringIO()
    text.write(f"# Written by `ctlr ui` for {json.dumps(found.name)}. Without it: ctlr run FILE -w WORKSPACE\n")
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(values, text)
    file = benchmark_file(root, name)
    file.parent.mkdir(parents=True)
    try:
        write_aside(file.with_name("points.csv"), table.read_bytes())
        write_aside(file, text.getvalue().encode())
        config = load(file)
        check_manifests(config, make_plan(config))
    except Exception:
        shutil.rmtree(file.parent)
        raise
    return name


def _tuning(form: Mapping[str, str]) -> dict[str, Any]:
    """How options are searched; empty where they are not."""
    seconds, trials = _number(form, "seconds", 5, 3600), _number(form, "trials", 1, 1000)
    algorithm = form.get("algorithm", "").strip()
    if algorithm and algorithm not in SAMPLERS:
        raise ConfigError(f"`algorithm`: there is no {algorithm[:40]!r}. {nearest(algorithm, SAMPLERS)}")
    if seconds is None and trials is None:
        return {}
    chosen = {"algorithm": algorithm} if algorithm else {}
    most = {"trials": int(trials)} if trials is not None else {}
    if seconds is None:
        return {**most, **chosen, "share": False}
    return {**most, **chosen, "seconds": seconds, "race": {}, "share": False}


def _checked(spec: Any, form: Mapping[str, str], names: Sequence[str], **fixed: str) -> dict[str, Any]:
    """Options as their spec reads them."""
    given = {name: text for name in names if (text := form.get(name, "").strip())}
    try:
        made = spec.model_validate({**fixed, **given}, strict=False)
    except ValidationError as error:
        raise refused(error) from error
    return {name: getattr(made, name) for name in given}


def _number(form: Mapping[str, str], name: str, low: int, high: int) -> float | None:
    """A number of the form; None where it is left."""
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not low <= value <= high:
        raise ConfigError(f"`{name}` must be from {low} to {high}; got {text[:40]!r}.")
    return value
