"""The events of a run with a search of many trials."""

import os
import socket
from pathlib import Path
from typing import Any

import numpy as np

from ctlr.events import EventLog, events_path, process_start
from ctlr.workspace import Workspace

__all__ = ["write_long_run"]


def write_long_run(root: Path, trials: int) -> None:
    """The run `many` of a workspace, which this process might be at; every fiftieth of its trials failed."""
    Workspace(root)
    log, rng = EventLog(events_path(root, "many")), np.random.default_rng(0)
    log.write("run.began", benchmark="many", identity="a", studies=1, workers=2, pid=os.getpid(),
              started=process_start(os.getpid()), host=socket.gethostname())  # fmt: skip
    log.write("run.planned", steps=3)
    log.write("step.started", step="t", name="tune scratch to kind small_cnn n20 (finetune)", of="tune",
              metric="val_balanced_accuracy", direction="max", trials=trials, budget_seconds=None)  # fmt: skip
    for number in range(trials):
        values = {"lr": f"{10 ** rng.uniform(-5, -1)}", "weight_decay": f"{rng.uniform()}", "epochs": "30"}
        place: dict[str, Any] = {"step": "t", "round": 1, "number": number, "parameters": values}
        log.write("trial.started", **place)
        log.write("trial.reported", step="t", round=1, number=number, report=1, seconds=1.0,
                  metrics={"val_balanced_accuracy": rng.uniform()})  # fmt: skip
        failed = number % 50 == 7
        log.write("trial.ended", **place, status="Failed" if failed else "Succeeded", seconds=rng.uniform(1, 9),
                  value=None if failed else rng.uniform(), reason="the loss is NaN" if failed else "")  # fmt: skip
    log.close()
