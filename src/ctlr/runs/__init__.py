"""What the runs of a workspace have told, for whoever shows it: a terminal, a browser, `ctlr ls`.

_fold.py      the state of a run, folded from its events
_ranking.py   the best so far, by validation
_forecast.py  what is left of it, and how long that takes
_headline.py  the best of a run whose report is written, by its test scores
_kept.py      what one that was interrupted keeps
_listing.py   the runs and the studies of a workspace
_words.py     lengths of time in words
"""

from ctlr.runs._fold import NAME, Life, Run, Runs, Search, Step, Trial
from ctlr.runs._forecast import Outlook, images_seen, outlook
from ctlr.runs._headline import Best, best_reported
from ctlr.runs._kept import Kept, kept
from ctlr.runs._listing import FoundStudy, Listed, find_study, listed
from ctlr.runs._ranking import Ranked, headline, ranking
from ctlr.runs._words import ago, duration

__all__ = [
    "NAME",
    "Best",
    "FoundStudy",
    "Kept",
    "Life",
    "Listed",
    "Outlook",
    "Ranked",
    "Run",
    "Runs",
    "Search",
    "Step",
    "Trial",
    "ago",
    "best_reported",
    "duration",
    "find_study",
    "headline",
    "images_seen",
    "kept",
    "listed",
    "outlook",
    "ranking",
]
