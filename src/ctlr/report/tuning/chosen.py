"""What searches chose, as lines of a benchmark's file."""

from __future__ import annotations

from collections.abc import Sequence

from ctlr.config import KeyPath, dotted
from ctlr.specs import SearchResult
from ctlr.tuning.applying import options_yaml, places

__all__ = ["chosen_yaml"]


def chosen_yaml(searches: Sequence[SearchResult]) -> str:
    """Options of one transfer, encoder and size; empty where nothing was chosen.

    An encoder is every method's: where searches chose different options of it, a comment says which.
    """
    by_place: dict[KeyPath, dict[str, str]] = {}
    for search in searches:
        for where, text in places(search.study, search.assignments).items():
            by_place.setdefault(where, {})[search.study.method.label] = text
    agreed = {where: next(iter(by.values())) for where, by in by_place.items() if len(set(by.values())) == 1}
    told = "".join(
        f"# {dotted(where)}: {', '.join(f'{text} for {label}' for label, text in by.items())}\n"
        for where, by in by_place.items()
        if where not in agreed
    )
    return f"{options_yaml(agreed)}{told}"
