"""From a folder of somebody's own to a benchmark file: look, choose, fit into a time, write."""

from ctlr.proposal.choosing import Choice, choose
from ctlr.proposal.looking import Looked, look
from ctlr.proposal.timing import Fitted, fit
from ctlr.proposal.wording import proposed, seen
from ctlr.proposal.writing import text_of

__all__ = ["Choice", "Fitted", "Looked", "choose", "fit", "look", "proposed", "seen", "text_of"]
