"""The run that a workspace saw last: `last.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ctlr.config import BenchmarkConfig
from ctlr.durable import read_file
from ctlr.errors import ConfigError, WorkspaceError
from ctlr.specs import SearchResult, plugin_of
from ctlr.workspace import Workspace, write_aside

__all__ = ["Remembered", "last_run"]


class Remembered:
    """The run that a workspace saw last, for `ctlr resume` and `ctlr report`.

    Args:
        config: The benchmark, overrides applied.
        folder: Of its file.
        seconds: That runs of it have taken so far.
        arrays: Fingerprint of each dataset's stored images; empty as long as they are not stored.
        searches: What tuning found; empty as long as it has not ended.
    """

    def __init__(
        self,
        config: BenchmarkConfig,
        folder: Path,
        seconds: float = 0.0,
        arrays: Mapping[str, str] | None = None,
        searches: Sequence[SearchResult] = (),
    ) -> None:
        self.config = config
        self.folder = folder
        self.seconds = seconds
        self.arrays = dict(arrays or {})
        self.searches = list(searches)

    def write(self, workspace: Workspace) -> None:
        """Keep it in the workspace."""
        values = {
            "config": self.config.model_dump(mode="json"), "folder": str(self.folder.absolute()),
            "seconds": self.seconds, "arrays": self.arrays,
            "searches": [search.model_dump(mode="json") for search in self.searches],
            "plugins": {file: plugin_of(Path(file)).sha256 for file in self.config.plugins},
        }  # fmt: skip
        write_aside(workspace.root / "last.json", json.dumps(values, indent=1).encode())


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
        return Remembered(config, Path(values["folder"]), values["seconds"], values["arrays"], searches)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WorkspaceError(
            f"{path} is damaged, or another version of CTLR wrote it. Go on with `ctlr run FILE --workspace {root}`."
        ) from error
