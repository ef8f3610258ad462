"""Runs on sets of points: their benchmark files, and what their networks have said of the plane so far."""

from __future__ import annotations

import functools
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from ruamel.yaml import YAML

from ctlr.errors import ConfigError, DataError, WorkspaceError
from ctlr.specs import FitSpec, MlpSpec, dns_name
from ctlr.ui.points import FAMILIES, SIDES, PointSet, refused
from ctlr.ui.processes import benchmark_file
from ctlr.workspace import write_aside

__all__ = ["Learned", "learned", "write_points_benchmark"]

_CELLS = 80
"""Of a drawing, along each axis."""
_ROWS = 60
"""Of a curve."""
_NETWORK = ("layers", "units", "activation", "dropout")
_TRAINING = ("epochs", "batch_size", "lr")


@dataclass(frozen=True, eq=False)
class Learned:
    """What a network has learned.

    Attributes:
        epoch: After which.
        codes: (G, G) class of each cell of the set's view, rows from below.
        rows: Of a curve: the error of each side that has points, by epoch, read off the grid.
    """

    epoch: int
    codes: NDArray[np.uint8]
    rows: list[dict[str, float]]


def learned(root: Path, step: str, found: PointSet) -> Learned | None:
    """What the network of a study says now; None where it has said nothing yet.

    Args:
        root: Workspace.
        step: Of the study, as its events name it.
        found: The points, of whose classes all must be known to it.
    """
    key = step.removeprefix("study ")
    if not key.isalnum():
        return None
    return _seen(root, key, found) or _seen(root, key, found)  # the folder may have got its last name meanwhile


def _seen(root: Path, key: str, found: PointSet) -> Learned | None:
    folders = sorted((root / "finetuned").glob(f"{key}*/surfaces"), key=_changed)
    files = sorted(folders[-1].glob("*.npz")) if folders else []
    if not files:
        return None
    step_size = -(-len(files) // _ROWS)
    chosen = [*files[:-1:step_size], files[-1]]
    names = tuple(sorted({found.classes[code] for code in np.unique(found.codes[found.sides == 0]).tolist()}))
    order = np.array([found.classes.index(name) for name in names])
    rows = []
    for file in chosen:
        grid = _read(file)
        if grid is None or grid.shares.shape[-1] != len(order):
            continue
        said = order[grid.at(found.points).argmax(axis=1)]
        errors = {
            side: float((said != found.codes)[found.sides == place].mean())
            for place, side in enumerate(SIDES)
            if (found.sides == place).any()
        }
        rows.append({"epoch": float(grid.epoch), **errors})
    if not rows or grid is None:
        return None
    left, right, low, high = found.view
    lines = (np.arange(_CELLS) + 0.5) / _CELLS
    x, y = left + lines * (right - left), low + lines * (high - low)
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    codes = order[grid.at(places).argmax(axis=1)].astype(np.uint8).reshape(_CELLS, _CELLS)
    return Learned(grid.epoch, codes, rows)


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
        form: `name`, options of the network, `network` and families where they are ticked, `seconds` of a search.

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
    encoder = _checked(MlpSpec, {key: form[key] for key in _NETWORK if form.get(key, "").strip()}, name="mlp")
    training = _checked(FitSpec, {key: form[key] for key in _TRAINING if form.get(key, "").strip()})
    methods = [family for family in FAMILIES if form.get(family) == "yes"]
    methods += ["scratch"] if form.get("network") == "yes" else []
    if not methods:
        raise ConfigError("a run needs a model: tick the network, or one without.")
    epochs = int(training.get("epochs", 100))
    values: dict[str, Any] = {
        "name": name,
        "description": f"Points of {len(found.classes)} classes from {found.name}.",
        "datasets": {"points": {"kind": "points", "root": ".", "table": "points.csv", "features": ["x", "y"],
                                "columns": ["class"], "split": "split"}},
        "tasks": {"kind": {"target": "class", "kind": "classification", "metric": "accuracy"}},
        "transfers": [{"target": {"data": "points", "task": "kind"}}],
        "encoders": {"mlp": encoder},
        "methods": {method: {} for method in methods},
        "baselines": [],
        "sample_sizes": [counts[0]],
        "split": {"validation": min(10.0, counts[1] / counts[0])},
        "seeds": [0],
        "training": {"finetune": {"epochs": 100, "batch_size": 32, "lr": 0.01, **training}},
        "compute": {"surfaces": max(1, epochs // 50)},
        "tracking": {"backend": "none"},
    }  # fmt: skip
    if seconds := form.get("seconds", "").strip():
        values["tuning"] = {"seconds": _seconds(seconds), "race": {}, "share": False}
    text = io.StringIO()
    text.write(f"# Written by `ctlr ui` for {json.dumps(found.name)}. Without it: ctlr run FILE -w WORKSPACE\n")
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(values, text)
    file = benchmark_file(root, name)
    file.parent.mkdir(parents=True)
    write_aside(file.with_name("points.csv"), table.read_bytes())
    write_aside(file, text.getvalue().encode())
    return name


def _checked(spec: Any, given: Mapping[str, str], **fixed: str) -> dict[str, Any]:
    """Options as their spec reads them."""
    try:
        made = spec.model_validate({**fixed, **given}, strict=False)
    except ValidationError as error:
        raise refused(error) from error
    return {name: getattr(made, name) for name in given}


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 5 <= value <= 3600:
        raise ConfigError(f"`seconds` must be from 5 to 3600; got {text[:40]!r}.")
    return value
