"""What runs a search: here, trial by trial, or where another engine does.

local.py      a search on this machine
limits.py     what a run is told beside its manifest
loop.py       propose, start, listen, decide
asking.py     what the sampler is asked, and what it may know
journal.py    every event as a line, so that a killed run goes on where it was
resuming.py   begun, gone on with, or found ended
stopping.py   when a trial stops before its end
ending.py     when a search ends, and with which of Katib's words
status.py     its state in Katib's shape
remote.py     a search that another engine runs: what such an engine offers, and how one is followed
narrow.py     from coarse to fine: the space of a next search
"""

from ctlr.tuning.engine.ending import BUDGET, GOAL, MAX_TRIALS
from ctlr.tuning.engine.journal import Completion, read_journal
from ctlr.tuning.engine.limits import Limits
from ctlr.tuning.engine.local import Outcome, ended_experiment, run_experiment
from ctlr.tuning.engine.loop import OUT_OF_TIME, SILENT
from ctlr.tuning.engine.narrow import narrowed, within
from ctlr.tuning.engine.remote import Fault, Pace, Policy, RemoteOutcome, SearchBackend, State, run_remotely
from ctlr.tuning.engine.status import best_trial, status_document
from ctlr.tuning.engine.stopping import better, reached

__all__ = [
    "BUDGET",
    "GOAL",
    "MAX_TRIALS",
    "OUT_OF_TIME",
    "SILENT",
    "Completion",
    "Fault",
    "Limits",
    "Outcome",
    "Pace",
    "Policy",
    "RemoteOutcome",
    "SearchBackend",
    "State",
    "best_trial",
    "better",
    "ended_experiment",
    "narrowed",
    "reached",
    "read_journal",
    "run_experiment",
    "run_remotely",
    "status_document",
    "within",
]
