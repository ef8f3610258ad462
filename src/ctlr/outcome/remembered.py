"""The runs that a workspace remembers: `last.json`; in `ran/` the last of each benchmark with each set of options."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ctlr.config import BenchmarkConfig
from ctlr.durable import read_file
from ctlr.errors import ConfigError, WorkspaceError, nearest
from ctlr.specs import SearchResult, plugin_of
from ctlr.workspace import Workspace, disk_faults_named, write_aside

__all__ = ["Remembered", "last_run", "like_run", "names_of_runs", "run_before"]


class Remembered:
    """A run that a workspace saw, for `ctlr resume`, `ctlr report` and `ctlr compare`.

    Args:
        config: The benchmark, overrides applied.
        folder: Of its file.
        seconds: That runs of it have taken so far.
        arrays: Fingerprint of each dataset's stored images; empty as long as they are not stored.
        searches: What tuning found; empty as long as it has not ended.
        command: That began it, as it was typed; empty of a run that Python began.
        environment: Versions, commit and machine of the last run of it that had something to do.
    """

    def __init__(
        self,
        config: BenchmarkConfig,
        folder: Path,
        seconds: float = 0.0,
        arrays: Mapping[str, str] | None = None,
        searches: Sequence[SearchResult] = (),
        *,
        command: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.config = config
        self.folder = folder
        self.seconds = seconds
        self.arrays = dict(arrays or {})
        self.searches = list(searches)
        self.command = command
        self.environment = dict(environment or {})

    def write(self, workspace: Workspace) -> None:
        """Keep it in the workspace as the last run, and as the last one of its benchmark with these options."""
        values = {
            "config": self.config.model_dump(mode="json"), "folder": str(self.folder.absolute()),
            "seconds": self.seconds, "arrays": self.arrays,
            "searches": [search.model_dump(mode="json") for search in self.searches],
            "plugins": {file: plugin_of(Path(file)).sha256 for file in self.config.plugins},
            "command": self.command, "environment": self.environment,
        }  # fmt: skip
        text = json.dumps(values, indent=1).encode()
        own = _file(workspace.root, self.config)
        with disk_faults_named(own):
            own.parent.mkdir(parents=True, exist_ok=True)
        write_aside(own, text)
        write_aside(workspace.root / "last.json", text)


def last_run(root: Path) -> Remembered:
    """The run that a workspace saw last.

    Raises:
        ConfigError: There was none, or a file of its parts has changed since.
        WorkspaceError: Another version wrote it.
    """
    path = root / "last.json"
    if not path.exists():
        raise ConfigError(f"{root} holds no run. Start one with `ctlr run FILE --workspace {root}`.")
    Workspace(root)
    return _read(path, root)


def like_run(root: Path, config: BenchmarkConfig) -> Remembered | None:
    """The run of the same benchmark that a workspace saw last; None where there is none that can be read."""
    for path in (_file(root, config), root / "last.json"):
        with contextlib.suppress(ConfigError, WorkspaceError):
            if path.exists() and (found := _read(path, root)).config.identity() == config.identity():
                return found
    return None


def run_before(root: Path, name: str = "", back: int = 0) -> Remembered:
    """A run of a workspace by its benchmark's name and its age.

    Args:
        root: Of the workspace.
        name: Of the benchmark; empty for any.
        back: How many runs with other options came after it; 0 for the last one.

    Raises:
        ConfigError: There is none.
        WorkspaceError: Another version wrote it.
    """
    if not name and not back:
        return last_run(root)
    known = names_of_runs(root)
    if name and name not in known:
        raise ConfigError(f"{root} holds no run of {name!r}. {nearest(name, known)}")
    files = sorted((root / "ran").glob(f"{name or '*'}.*.json"), key=lambda file: -file.stat().st_mtime_ns)
    if back < len(files):
        return _read(files[back], root)
    if not back:
        return last_run(root)  # of a workspace that an earlier version has filled
    most = f"Take `~{len(files) - 1}` at most." if len(files) > 1 else "Leave it out."
    raise ConfigError(
        f"{root} remembers {max(1, len(files))} runs{f' of {name}' if name else ''} with different options; "
        f"`~{back}` asks for one before them. {most}"
    )


def names_of_runs(root: Path) -> list[str]:
    """The benchmarks that were run in a workspace, as far as it remembers."""
    found = {file.name.partition(".")[0] for file in (root / "ran").glob("*.*.json")}
    with contextlib.suppress(ConfigError, WorkspaceError):
        found.add(last_run(root).config.name)
    return sorted(found)


def _file(root: Path, config: BenchmarkConfig) -> Path:
    return root / "ran" / f"{config.name}.{config.identity()}.json"


def _read(path: Path, root: Path) -> Remembered:
    try:
        values = json.loads(read_file(path))
        for file, sha256 in values.get("plugins", {}).items():
            if plugin_of(Path(file)).sha256 != sha256:
                raise ConfigError(
                    f"{Path(file).name} has changed since that run. Go on with `ctlr run FILE --workspace {root}`, "
                    "which does anew what its parts have a share in."
                )
        config = BenchmarkConfig.model_validate_json(json.dumps(values["config"]))
        searches = [SearchResult.model_validate_json(json.dumps(search)) for search in values["searches"]]
        return Remembered(
            config, Path(values["folder"]), values["seconds"], values["arrays"], searches,
            command=values.get("command", ""), environment=values.get("environment"),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WorkspaceError(
            f"{path} is damaged, or another version of CTLR wrote it. Go on with `ctlr run FILE --workspace {root}`."
        ) from error
