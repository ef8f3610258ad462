"""A submitted benchmark in the workspace: what its steps hand to one another beside the results themselves.

submissions/<id>/benchmark.json     the benchmark, folders and manifests placed in the volume
submissions/<id>/manifests/         Katib manifests of a tuned benchmark, and files with parts of one's own
submissions/<id>/arrays/<name>      stored arrays of a dataset, or why there are none
submissions/<id>/searches/<group>   what a group of searches found
submissions/<id>/faults/<name>      why a pretraining failed
submissions/<id>/work.json          what is left to train, by readable name
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ctlr.config import BenchmarkConfig
from ctlr.errors import ConfigError, DataError, WorkspaceError
from ctlr.plan import Plan, make_plan
from ctlr.specs import SearchResult, StoredArrays, dns_name, fingerprint
from ctlr.workspace import Workspace, disk_faults_named, write_aside

__all__ = ["Submission", "submitted"]

KIND = "submissions"


class Submission:
    """A submitted benchmark.

    Args:
        workspace: That holds it.
        name: Its id.

    Raises:
        WorkspaceError: There is none of this name.
    """

    def __init__(self, workspace: Workspace, name: str) -> None:
        self.workspace, self.name = workspace, name
        self.folder = workspace.folder(KIND, name)
        try:
            text = (self.folder / "benchmark.json").read_text()
        except FileNotFoundError as error:
            raise WorkspaceError(
                f"{workspace.root} holds no submission {name}: the step that plans a benchmark leaves it there. "
                "Mount the same volume in every step."
            ) from error
        self.config = BenchmarkConfig.model_validate_json(text)
        self.plan: Plan = make_plan(self.config)

    def keep(self, kind: str, name: str, value: Any) -> None:
        """Leave a value for later steps."""
        path = self._path(kind, name)
        with disk_faults_named(path.parent):
            path.parent.mkdir(exist_ok=True)
        write_aside(path, json.dumps(value).encode())

    def kept(self, kind: str, name: str) -> Any:
        """The value that an earlier step left; None where it left none."""
        try:
            return json.loads(self._path(kind, name).read_text())
        except FileNotFoundError:
            return None

    def forget(self, kind: str, name: str) -> None:
        """Take back what an earlier attempt left."""
        self._path(kind, name).unlink(missing_ok=True)

    def arrays(self) -> dict[str, StoredArrays]:
        """Stored arrays by the dataset's name.

        Raises:
            DataError: A dataset could not be stored, for the reason that its step gave.
            WorkspaceError: A dataset's step has not been run.
        """
        found = {}
        for dataset in self.plan.datasets:
            value = self.kept("arrays", dataset.name)
            if value is None:
                raise WorkspaceError(f"Dataset {dataset.name!r} is not stored in {self.workspace.root}. Submit again.")
            if "reason" in value:
                raise DataError(value["reason"], told=value["told"])
            found[dataset.name] = StoredArrays.model_validate_json(json.dumps(value))
        return found

    def searches(self) -> list[SearchResult]:
        """What tuning found so far, in the order of the plan's searches."""
        found: list[SearchResult] = []
        for path in sorted((self.folder / "searches").glob("*.json")):
            found += [SearchResult.model_validate_json(json.dumps(value)) for value in json.loads(path.read_text())]
        order = {study.without_folders().model_dump_json(): place for place, study in enumerate(self.plan.searches)}
        return sorted(found, key=lambda search: order[search.study.model_dump_json()])

    def _path(self, kind: str, name: str) -> Path:
        return self.folder / kind / f"{dns_name(name, 40)}-{fingerprint(name)[:8]}.json"


def submitted(benchmark: str, manifests: Mapping[str, str], workspace: Workspace) -> Submission:
    """Place a benchmark in a workspace.

    Args:
        benchmark: `BenchmarkConfig` as JSON; datasets' folders lie below the workspace, and manifests go by name.
        manifests: Katib manifests by that name, and the benchmark's plug-ins by theirs.
        workspace: Where to.

    Raises:
        ConfigError: The benchmark breaks a rule, or a manifest is missing.
    """
    plain = _mapping(benchmark)
    digest = fingerprint(benchmark, json.dumps(dict(manifests), sort_keys=True))
    name = f"{dns_name(str(plain.get('name')), 40)}-{digest[:10]}"
    folder = workspace.folder(KIND, name)
    with disk_faults_named(folder):
        (folder / "manifests").mkdir(parents=True, exist_ok=True)
    for file, text in manifests.items():
        write_aside(folder / "manifests" / Path(file).name, text.encode())
    # Their files have to lie there before anything asks for their parts.
    if plugins := plain.get("plugins"):
        benchmark = json.dumps(plain | {"plugins": [str(folder / "manifests" / Path(file).name) for file in plugins]})
    try:
        config = BenchmarkConfig.model_validate_json(benchmark)
    except ValidationError as error:
        faults = "\n".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ConfigError(f"The benchmark breaks a rule: {faults}\nSubmit its file with `ctlr submit`.") from error
    placed = _placed(config, workspace.root, folder / "manifests", manifests)
    write_aside(folder / "benchmark.json", placed.model_dump_json().encode())
    return Submission(workspace, name)


def _mapping(text: str) -> dict[str, Any]:
    """A text's JSON object, of which nothing has been checked yet; empty where it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _placed(config: BenchmarkConfig, root: Path, folder: Path, manifests: Mapping[str, str]) -> BenchmarkConfig:
    """The benchmark with datasets' folders and manifests where the steps find them."""
    datasets = {
        name: data.model_copy(update={"root": str(root / data.root)}) if hasattr(data, "root") else data
        for name, data in config.datasets.items()
    }
    tuning = config.tuning
    if tuning is not None:
        missing = {path for paths in tuning.experiments.values() for path in paths} - manifests.keys()
        if missing:
            raise ConfigError(
                f"`tuning.experiments` names {', '.join(sorted(missing))}, and the submission holds no such manifest. "
                "Submit the benchmark's file with `ctlr submit`, which sends them along."
            )
        paths = {
            label: tuple(str(folder / Path(path).name) for path in each) for label, each in tuning.experiments.items()
        }
        tuning = tuning.model_copy(update={"experiments": paths})
    return config.model_copy(update={"datasets": datasets, "tuning": tuning})
