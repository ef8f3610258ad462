"""From a folder of labelled pictures to a benchmark whose searches race for the best model.

Nothing here runs a search: what comes out is a benchmark file, which runs as any other one does.

guidance.py   what a user may set, or leave
looking.py    what the folder holds, and what is wrong with it
families.py   which searches there are, and which a budget has time for
proposing.py  the benchmark file
"""

from ctlr.automl.families import FAMILIES
from ctlr.automl.guidance import Guidance, Weights
from ctlr.automl.looking import Looked, look
from ctlr.automl.proposing import Prepared, Proposal, prepare, propose

__all__ = ["FAMILIES", "Guidance", "Looked", "Prepared", "Proposal", "Weights", "look", "prepare", "propose"]
