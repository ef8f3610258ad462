"""What every worker needs, loaded once by the process that workers are forked from (`ctlr.crew`).

It takes seconds: PyTorch, and what scores are computed with. Nothing here may start a thread, run a parallel loop or
touch a GPU: a fork would not survive it.
"""

import importlib
import os

# Before OpenMP is loaded: threads that spin while they wait would take the cores of the other workers.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_PARENT = os.getppid()
_MODULES = (
    "torch",
    "scipy.stats",
    "sklearn.metrics",
    "ctlr.steps.pretrain",
    "ctlr.steps.finetune",
    "ctlr.steps.evaluate",
    "ctlr.steps.transferability",
    "ctlr.steps.trial",
)

for _module in _MODULES:
    if os.getppid() != _PARENT:  # whoever wanted workers is gone
        os._exit(0)
    importlib.import_module(_module)
