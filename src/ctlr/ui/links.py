"""Where else a run is shown: MLflow, Kubeflow Pipelines, Katib.

Behind Kubeflow its pages are paths of the same address, which its dashboard shows in its frame below `/_/`; MLflow is
where the benchmark says that runs are recorded. Elsewhere nobody knows the addresses of Kubeflow's pages.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from ctlr.addresses import fault_of_address, public_address
from ctlr.errors import CtlrError
from ctlr.outcome.remembered import last_run
from ctlr.runs import Run
from ctlr.ui.options import Options

__all__ = ["Link", "katib_links", "pipelines_link", "run_links"]

Link = tuple[str, str]
"""Words and an address."""


def run_links(options: Options, run: Run) -> list[Link]:
    """Of a run of the workspace."""
    found = pipelines_link(options, str(run.began.get("run") or ""))
    address = public_address(_recorded_at(options.workspace, run) or "")
    if not fault_of_address(address):  # a local folder, or what no link may lead to
        found.append(("MLflow", address))
    return found


def pipelines_link(options: Options, run: str) -> list[Link]:
    """Of a run of Kubeflow Pipelines; none where the app is not behind Kubeflow."""
    if not (run and _behind_kubeflow(options)):
        return []
    return [("Kubeflow Pipelines", f"/_/pipeline/?ns={options.namespace}#/runs/details/{quote(run, safe='')}")]


def katib_links(options: Options, experiments: Sequence[str]) -> list[Link]:
    """Of Experiments; none where the app is not behind Kubeflow."""
    if not _behind_kubeflow(options):
        return []
    space = options.namespace
    return [
        (f"Katib: {name}", f"/_/katib/experiment/{space}/{quote(name, safe='')}?ns={space}") for name in experiments
    ]


def _behind_kubeflow(options: Options) -> bool:
    return bool(options.namespace and options.user_header)


def _recorded_at(root: Path, run: Run) -> str | None:
    """The tracking server of a run's benchmark, where the workspace knows it."""
    with contextlib.suppress(CtlrError, OSError, ValueError, KeyError, TypeError):
        if run.submission:
            text = (root / "submissions" / Path(run.submission).name / "benchmark.json").read_text()
            return str(json.loads(text)["tracking"]["uri"] or "")
        config = last_run(root).config
        return config.tracking.uri if config.name == run.name else None
    return None
