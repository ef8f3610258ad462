"""What runs trials: the port that the engine speaks to, its two launchers, and the metrics of what they run.

launcher.py    the port: what a launcher promises, and the events that it tells
processes.py   trials that are programs
programs.py    a program: started, signalled, and why it has ended
guard.py       the watchman that ends programs when the engine is killed
output.py      what a program prints, kept bounded
functions.py   trials that are calls of a Python function
collect.py     metrics out of what is printed or written
"""

from ctlr.tuning.launchers.collect import (
    Metrics,
    MetricsReader,
    Tally,
    check_collector,
    lacks_value,
    metric_names,
    no_value,
)
from ctlr.tuning.launchers.functions import FunctionLauncher
from ctlr.tuning.launchers.launcher import Ended, Launcher, Reported
from ctlr.tuning.launchers.processes import TRIAL_NAME, ProcessLauncher
from ctlr.tuning.launchers.programs import passed_over

__all__ = [
    "TRIAL_NAME",
    "Ended",
    "FunctionLauncher",
    "Launcher",
    "Metrics",
    "MetricsReader",
    "ProcessLauncher",
    "Reported",
    "Tally",
    "check_collector",
    "lacks_value",
    "metric_names",
    "no_value",
    "passed_over",
]
