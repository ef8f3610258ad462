"""Experiments on a cluster with Katib. Nothing else in CTLR's tuning knows Kubernetes.

connection.py   the API server: what is asked of it, and its refusals in words
objects.py      Katib's objects as values
faults.py       why a trial failed or does not start
search.py       the engine: create or take up, watch, delete
"""

from ctlr.tuning.katib.connection import RIGHTS, Connection, Right, connect
from ctlr.tuning.katib.search import KatibSearch, run_on_katib, submit_to_katib

__all__ = ["RIGHTS", "Connection", "KatibSearch", "Right", "connect", "run_on_katib", "submit_to_katib"]
