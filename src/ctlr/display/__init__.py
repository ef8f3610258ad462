"""What a person sees of a run or a search under way, on stderr."""

from ctlr.display._run import Display
from ctlr.display._search import SearchDisplay, short

__all__ = ["Display", "SearchDisplay", "short"]
