"""What a person sees of a run or a search under way, on stderr."""

from ctlr.display._run import Display, JsonLines, following
from ctlr.display._search import SearchDisplay, SearchLines, SearchSilent, SearchWatcher, short

__all__ = [
    "Display",
    "JsonLines",
    "SearchDisplay",
    "SearchLines",
    "SearchSilent",
    "SearchWatcher",
    "following",
    "short",
]
