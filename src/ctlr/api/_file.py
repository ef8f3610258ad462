"""A benchmark's file: read, looked at, run."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctlr.api._html import paragraphs, table
from ctlr.api._watching import Progress, watcher

if TYPE_CHECKING:
    from ctlr.api._benchmark import Benchmark
    from ctlr.api._preview import Preview
    from ctlr.config import BenchmarkConfig

__all__ = ["BenchmarkFile", "load"]


def load(file: Path | str, *, overrides: Sequence[str] | Mapping[str, Any] = ()) -> BenchmarkFile:
    """Read and check a benchmark file, as `ctlr check` does.

    Args:
        file: YAML; folders in it that are not absolute start at its own folder.
        overrides: Values that count as if they stood in the file: `{"seeds": [0, 1], "training.finetune.epochs": 5}`,
            or texts as after `--set`: `["seeds=[0,1]"]`.

    Returns:
        The benchmark, checked. Nothing is run yet.

    Raises:
        ConfigError: The file cannot be read or breaks rules: every fault at once, one a line, each with its place.
    """
    from ctlr.config import load as load_config

    if isinstance(overrides, Mapping):
        overrides = [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
    return BenchmarkFile(config=load_config(Path(file), overrides), file=Path(file))


@dataclass(frozen=True, kw_only=True)
class BenchmarkFile:
    """A benchmark as its file describes it; `ctlr.load` reads one."""

    config: BenchmarkConfig
    """Every option of every dataset, task, encoder and method, overrides and defaults filled in."""
    file: Path
    """Where it was read."""

    @property
    def name(self) -> str:
        """Of the benchmark."""
        return self.config.name

    def plan(
        self,
        workspace: Path | str = "workspace",
        *,
        workers: int | None = None,
        device: str = "cpu",
        measured: bool = False,
    ) -> Preview:
        """Say what `run` would do, as `ctlr plan` does: studies, shared steps, what is left, the time it takes.

        Of the data, names and tables alone are read, and a few images where they are timed.

        Args:
            workspace: Folder that `run` would use. It need not exist, and is not made.
            workers: Processes that would share the work; None for one a core or GPU.
            device: cpu, cuda or cuda:N.
            measured: Time a few images and training steps where no earlier run has shown what they take, in as many
                processes: some ten seconds.

        Raises:
            ConfigError: A dataset is smaller than what is asked of it.
            DataError: A dataset cannot be listed, or a target not used.
        """
        from ctlr.api._preview import preview

        return preview(self.config, Path(workspace), workers=workers, device=device, measured=measured)

    def run(
        self,
        workspace: Path | str = "workspace",
        *,
        workers: int | None = None,
        device: str = "cpu",
        progress: bool | Callable[[Progress], object] | None = None,
    ) -> Benchmark:
        """Run what is not finished yet and write the report, as `ctlr run` does; a second run costs nothing.

        A study that fails is a row of the results with its reason, and no exception; the next run tries it again. Runs
        that are tracked by an MLflow server which fails warn (`UserWarning`): results are safe in the workspace.

        Args:
            workspace: Folder that holds what steps make; made where it does not exist. Benchmarks may share one.
            workers: Processes at most; None for one a core or GPU.
            device: cpu, cuda (one study a GPU) or cuda:N.
            progress: True shows what happens on stderr, a function is called with a `Progress` for everything that
                happens, None is silent.

        Raises:
            ConfigError: There is no such device, or a manifest or a dataset does not fit the benchmark.
            DataError: A dataset cannot be used; a `LeakageError` where two sides of a split share a subject or image.
            MissingExtraError: The benchmark is tracked, and MLflow is not installed.
            WorkspaceError: The workspace is in use by another run, of another version, or full.
            KeyboardInterrupt: Passed on once every worker has ended. Finished steps are safe: run again to go on.
        """
        from ctlr.api._benchmark import Benchmark
        from ctlr.running import run_benchmark

        folder, root = self.file.parent, Path(workspace)
        ran = run_benchmark(self.config, folder, root, workers=workers, device=device, watcher=watcher(progress))
        assert ran is not None
        if ran.fault is not None:
            warnings.warn(f"{ran.fault} Run again to record what is missing.", UserWarning, stacklevel=2)
        return Benchmark(ran.finished)

    def __repr__(self) -> str:
        return f"<ctlr.BenchmarkFile {self.name!r}: {self.file}>"

    def _repr_html_(self) -> str:
        config = self.config
        rows: list[tuple[str, Iterable[object]]] = [
            ("datasets", config.datasets), ("tasks", config.tasks), ("encoders", config.encoders),
            ("methods", config.methods), ("sample sizes", config.sample_sizes), ("seeds", config.seeds),
        ]  # fmt: skip
        shown = [{"part": part, "values": ", ".join(map(str, values))} for part, values in rows]
        return table(f"{self.name} ({self.file})", shown) + paragraphs(config.description)
