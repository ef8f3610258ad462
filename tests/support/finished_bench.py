"""A finished benchmark from results that a test made up, as `read_finished` would read it from a workspace."""

import functools
import tempfile
from pathlib import Path
from typing import Any

from tiny_bench import TINY

from ctlr.config import BenchmarkConfig, ReportSpec, TuningSpec, load
from ctlr.report.finished import Budget, Finished

__all__ = ["finished"]


def finished(
    benchmark: Any, *, name: str = "Brain age", level: float = 0.95, budget: Budget = "trials", **more: Any
) -> Finished:
    """The results of a made-up benchmark with all else that a report needs.

    Args:
        benchmark: With `results` and the `root` that they lie below.
        name: Of the benchmark, whatever it holds.
        level: Share of intervals that hold the true value.
        budget: What every search was given the same of.
        more: Other fields of `Finished`.
    """
    tuning = TuningSpec(experiments={}, **{budget: 60})
    report = ReportSpec(bootstrap=200, confidence=level)
    changed = {"name": name, "description": "Does pretraining help?", "report": report, "tuning": tuning}
    given: dict[str, Any] = {"root": benchmark.root, "results": tuple(benchmark.results)}
    return Finished(config=_config().model_copy(update=changed), **given | more)


@functools.cache
def _config() -> BenchmarkConfig:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tiny.yaml"
        file.write_text(TINY)
        return load(file)
