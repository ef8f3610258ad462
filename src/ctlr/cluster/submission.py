"""A submitted benchmark in the workspace: what its steps hand to one another beside the results themselves.

submissions/<id>/benchmark.json     the benchmark, folders and manifests placed in the volume
submissions/<id>/manifests/         Katib manifests of a tuned benchmark, and files with parts of one's own
submissions/<id>/arrays/<name>      stored arrays of a dataset, or why there are none
submissions/<id>/searches/all       what tuning found
submissions/<id>/faults/<stage>     what ended a stage that no other attempt can mend
submissions/<id>/refused            why it cannot be run, where its benchmark breaks a rule
submissions/<id>/runs/<run>.json    where a run of it runs, and the only study that it wants
submissions/<id>/runs/<run>         there when its data are checked: what fails from then on has failed in it
submissions/<id>/logs/              what its tasks said
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ctlr.config import BenchmarkConfig
from ctlr.errors import ConfigError, DataError, WorkspaceError
from ctlr.plan import Plan, make_plan
from ctlr.specs import PlatformSpec, SearchResult, StoredArrays, dns_name, fingerprint
from ctlr.workspace import Workspace, disk_faults_named, write_aside

__all__ = ["Submission", "packed", "shut_to_strangers", "submission_name", "submitted", "unpacked"]

KIND = "submissions"
MOST_SENT = 90_000
"""Characters of a packed submission: Linux takes 128 KiB as one argument of a pod's command, which holds more."""
MOST_READ = 64 * 2**20
"""Bytes that a packed submission may grow to."""


class Submission:
    """A submitted benchmark.

    Args:
        workspace: That holds it.
        name: Its id.

    Raises:
        WorkspaceError: There is none of this name.
        ConfigError: Its benchmark breaks a rule.
    """

    def __init__(self, workspace: Workspace, name: str) -> None:
        self.workspace, self.name = workspace, name
        self.folder = workspace.folder(KIND, name)
        try:
            text = (self.folder / "benchmark.json").read_text()
        except FileNotFoundError as error:
            with contextlib.suppress(FileNotFoundError):
                raise ConfigError((self.folder / "refused").read_text()) from error
            raise WorkspaceError(
                f"{workspace.root} holds no submission {name}: the task that preprocesses leaves it there. "
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
            DataError: Datasets could not be stored, for the reasons that their step gave.
            WorkspaceError: A dataset's step has not been run.
        """
        found = {}
        for dataset in self.plan.datasets:
            value = self.kept("arrays", dataset.name)
            if value is None:
                raise WorkspaceError(f"Dataset {dataset.name!r} is not stored in {self.workspace.root}. Submit again.")
            found[dataset.name] = value
        if faults := [value for value in found.values() if "reason" in value]:
            reason, told = ("\n".join(fault[kind] for fault in faults) for kind in ("reason", "told"))
            raise DataError(reason, told=told)
        return {name: StoredArrays.model_validate_json(json.dumps(value)) for name, value in found.items()}

    def searches(self) -> list[SearchResult]:
        """What tuning found; nothing as long as it has not ended."""
        return [SearchResult.model_validate_json(json.dumps(value)) for value in self.kept("searches", "all") or []]

    def place(self, run: str, platform: PlatformSpec, study: str) -> None:
        """Note where a run's pods are, and the only study that it wants."""
        self.keep("runs", run, {"platform": platform.model_dump(mode="json"), "study": study})

    def placed(self, run: str) -> tuple[PlatformSpec, str]:
        """What `place` noted.

        Raises:
            WorkspaceError: It noted nothing for such a run.
        """
        kept = self.kept("runs", run)
        if kept is None:
            raise WorkspaceError(f"Submission {self.name} knows no run {run!r}. Submit the benchmark again.")
        return PlatformSpec.model_validate_json(json.dumps(kept["platform"])), str(kept["study"])

    def begin(self, run: str) -> None:
        """Note that a run of this submission goes on to train."""
        place = self.folder / "runs" / dns_name(run, 60)
        with disk_faults_named(place):
            place.parent.mkdir(exist_ok=True)
        write_aside(place, b"")

    def began(self, run: str) -> float | None:
        """When a run began to train, by the clock of the workspace's file system; None where its data were refused."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "runs" / dns_name(run, 60)).stat().st_mtime
        return None

    def log_file(self, name: str) -> Path:
        """Where a task's log goes."""
        with disk_faults_named(self.folder):
            (self.folder / "logs").mkdir(exist_ok=True)
        return self.folder / "logs" / f"{name}.log"

    def _path(self, kind: str, name: str) -> Path:
        return self.folder / kind / f"{dns_name(name, 40)}-{fingerprint(name)[:8]}.json"


def shut_to_strangers() -> None:
    """Have only the pods' own user write what a task leaves: Argo starts it with a mask that opens files to all."""
    os.umask(os.umask(0o022) | 0o022)


def packed(benchmark: str, manifests: Mapping[str, str], platform: str, study: str = "") -> str:
    """What a submission sends, in a quarter of its size: Kubeflow Pipelines keeps it in some ten places.

    Args:
        benchmark: `BenchmarkConfig` as JSON.
        manifests: Katib manifests and plug-ins, by the names that the benchmark has for them.
        platform: `PlatformSpec` as JSON.
        study: Id of the only study that is wanted; empty for all of them.

    Raises:
        ConfigError: It is more than a pod's command takes.
    """
    plain = {"benchmark": benchmark, "manifests": dict(manifests), "platform": platform, "study": study}
    text = base64.b64encode(zlib.compress(json.dumps(plain).encode(), 9)).decode()
    if len(text) > MOST_SENT:
        largest = max(manifests, key=lambda name: len(manifests[name]), default="the benchmark")
        raise ConfigError(
            f"The benchmark, its manifests and plug-ins have {len(text)} characters, compressed; a pod's command takes "
            f"{MOST_SENT}. Shorten them (the largest file is {largest}), or put parts of your own into a package of "
            "the image."
        )
    return text


def unpacked(text: str) -> tuple[str, dict[str, str], str, str]:
    """Benchmark, manifests, platform and study of what `packed` gave.

    Raises:
        ConfigError: It gave no such text.
    """
    try:
        inflate = zlib.decompressobj()
        plain = json.loads(inflate.decompress(base64.b64decode(text, validate=True), MOST_READ))
        return plain["benchmark"], plain["manifests"], plain["platform"], plain["study"]
    except (ValueError, zlib.error, KeyError, TypeError) as error:
        raise ConfigError(
            f"The parameter `sent` is not what `ctlr submit` sends ({error}). Submit the benchmark's file with it."
        ) from error


def submission_name(benchmark: str, manifests: Mapping[str, str]) -> str:
    """The same for the same benchmark and manifests, and for no others."""
    digest = fingerprint(benchmark, json.dumps(dict(manifests), sort_keys=True))
    return f"{dns_name(str(_mapping(benchmark).get('name')), 40)}-{digest[:10]}"


def submitted(name: str, benchmark: str, manifests: Mapping[str, str], workspace: Workspace) -> Submission:
    """Place a benchmark in a workspace.

    Args:
        name: Of the submission.
        benchmark: `BenchmarkConfig` as JSON; datasets' folders lie below the workspace, and manifests go by name.
        manifests: Katib manifests by that name, and the benchmark's plug-ins by theirs.
        workspace: Where to.

    Raises:
        ConfigError: The benchmark breaks a rule, a manifest is missing, or another benchmark has that name.
    """
    plain = _mapping(benchmark)
    folder = workspace.folder(KIND, dns_name(name, 60))
    with disk_faults_named(folder):
        (folder / "manifests").mkdir(parents=True, exist_ok=True)
    for file, text in manifests.items():
        write_aside(folder / "manifests" / Path(file).name, text.encode())
    # Their files have to lie there before anything asks for their parts.
    if plugins := plain.get("plugins"):
        benchmark = json.dumps(plain | {"plugins": [str(folder / "manifests" / Path(file).name) for file in plugins]})
    try:
        config = BenchmarkConfig.model_validate_json(benchmark)
        placed = _placed(config, workspace.root, folder / "manifests", manifests)
    except ValidationError as error:
        faults = "\n".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        reason = f"The benchmark breaks a rule: {faults}\nSubmit its file with `ctlr submit`."
        write_aside(folder / "refused", reason.encode())
        raise ConfigError(reason) from error
    except ConfigError as error:
        write_aside(folder / "refused", error.reason.encode())
        raise
    place, text = folder / "benchmark.json", placed.model_dump_json()
    if not place.exists():
        write_aside(place, text.encode())
    elif place.read_text() != text:
        raise ConfigError(
            f"The submission {name!r} in {workspace.root} is another benchmark's. Give this one another name."
        )
    return Submission(workspace, folder.name)


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
