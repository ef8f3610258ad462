"""What stands in for a cluster: the benchmark's pipeline run by kfp.local, without a container."""

import json
import sys
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from kfp import components, local
from kfp.local import subprocess_task_handler

from ctlr.cluster.kubeflow import pipeline_documents
from ctlr.cluster.request import Request
from ctlr.specs import PlatformSpec

__all__ = ["Cloud", "label"]


@dataclass(frozen=True)
class Cloud:
    """What stands in for a cluster: a volume, and a store of artefacts.

    Attributes:
        warm: Folder of a `warm-python` (`warm.py`), for its tasks.
    """

    volume: Path
    store: Path
    warm: Path | None = None

    def run(self, request: Request) -> list[str]:
        """Run the pipeline that is submitted; the names of the tasks that worked."""
        platform = PlatformSpec.model_validate_json(request.arguments["platform"])
        pipeline = components.load_component_from_text(pipeline_documents(platform, request.workers))
        before = set(self.store.rglob("executor_output.json"))
        local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(self.store), raise_on_error=False)
        python = str(self.warm / "warm-python") if self.warm else sys.executable
        with (
            warnings.catch_warnings(),
            mock.patch.object(subprocess_task_handler, "environment", return_value=nullcontext(python)),
        ):
            warnings.filterwarnings("ignore", "You may be attemping to run a task that uses custom")
            warnings.filterwarnings("ignore", "Task .* have no effect in the current local runner")
            pipeline(**{**request.parameters(), "workspace": str(self.volume)})
        made = set(self.store.rglob("executor_output.json")) - before
        return sorted(path.parent.name for path in made)

    def results(self) -> dict[str, dict[str, Any]]:
        """Results of studies by id, failed ones too."""
        places = [*self.volume.glob("studies/*/result.json"), *self.volume.glob("failed/*.json")]
        values = [json.loads(path.read_text()) for path in places]
        return {label(value): value for value in values}


def label(result: Mapping[str, Any]) -> str:
    """A study by method, size and seed."""
    study = result["study"]
    return f"{study['method']['label']} n{study['n_train']} s{study['seed']}"
