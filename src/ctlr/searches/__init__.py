"""Tune a benchmark: every method's search at the same budget, and the plan with what was found.

A search is tuned on the first seed's validation subjects. Its experiments take their spaces from the method's Katib
manifests and lie in the workspace under `searches/<identity>`.
"""

from ctlr.searches._manifests import check_manifests, manifest_faults
from ctlr.searches._race import round_sizes
from ctlr.searches._run import ended_searches, first_pretrainings, run_searches, stage_count
from ctlr.searches._stage import Bench
from ctlr.searches._tuned import tuned_plan

__all__ = [
    "Bench",
    "check_manifests",
    "ended_searches",
    "first_pretrainings",
    "manifest_faults",
    "round_sizes",
    "run_searches",
    "stage_count",
    "tuned_plan",
]
