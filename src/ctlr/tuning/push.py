"""Report metrics by a call, for trials of the Push collector."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from ctlr.errors import require

__all__ = ["METRICS_FILE", "report_metrics"]

METRICS_FILE = "CTLR_METRICS_FILE"
"""Environment variable that names the file of a trial's metrics; the local engine sets and reads it."""


def report_metrics(metrics: Mapping[str, float | str]) -> None:
    """Report a trial's metrics, at every epoch or at its end.

    Under `ctlr tune` they go to the engine; elsewhere, as in a cluster's pod, to Katib through its own SDK.

    Args:
        metrics: Value of each, by name.

    Raises:
        MissingExtraError: Outside `ctlr tune`, and Katib's SDK is not installed.
    """
    path = os.environ.get(METRICS_FILE)
    if path is None:
        require("kubeflow.katib", extra="katib-sdk").report_metrics(dict(metrics))
        return
    line = json.dumps({name: str(value) for name, value in metrics.items()}) + "\n"
    with open(path, "ab", buffering=0) as file:  # one write: processes of one trial do not mix their lines
        file.write(line.encode())
