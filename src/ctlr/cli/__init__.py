"""The command line: `ctlr check|plan|run|resume|report|tune|trial|suggest|cohort|doctor|init|schema|explain|plugins`.

Data goes to stdout, everything else to stderr. Exit codes: 0 ok, 1 failed, 2 config or usage, 3 some studies failed,
4 the cluster cannot be reached or refuses, 130 interrupted. Commands import what
they need when they run, so that `ctlr --help` answers at once.
"""

import signal
import threading

if threading.current_thread() is threading.main_thread():  # whoever interrupts us while we load wants no traceback
    _before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ctlr.cli.app import main

    signal.signal(signal.SIGINT, _before)
else:
    from ctlr.cli.app import main

__all__ = ["main"]
