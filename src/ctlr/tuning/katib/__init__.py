"""Experiments on a cluster with Katib. Nothing else in CTLR's tuning knows Kubernetes.

connection.py   the API server: what is asked of it, and its refusals in words
objects.py      Katib's objects as values
owner.py        whose end ends an Experiment
faults.py       why a trial failed or does not start
patience.py     waiting for a server that is away
search.py       the engine: create or take up, watch, delete
listing.py      all Experiments of a namespace
running.py      a search from its manifest to its end
"""

from ctlr.tuning.katib.connection import RIGHTS, Connection, Right, connect, kubeconfig_faults_named
from ctlr.tuning.katib.faults import explain_pod
from ctlr.tuning.katib.listing import Listed, Listing
from ctlr.tuning.katib.objects import RUN, SUBMISSION, completion_of
from ctlr.tuning.katib.running import remove_from_katib, run_on_katib, submit_to_katib
from ctlr.tuning.katib.search import KatibSearch

__all__ = [
    "RIGHTS",
    "RUN",
    "SUBMISSION",
    "Connection",
    "KatibSearch",
    "Listed",
    "Listing",
    "Right",
    "completion_of",
    "connect",
    "explain_pod",
    "kubeconfig_faults_named",
    "remove_from_katib",
    "run_on_katib",
    "submit_to_katib",
]
