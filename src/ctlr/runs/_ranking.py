"""The best so far, by validation: test scores are for the report."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from ctlr.runs._fold import Run, Step
from ctlr.runs._words import duration

__all__ = ["Ranked", "headline", "ranking"]


@dataclass(frozen=True)
class Ranked:
    """A row of the ranking so far."""

    name: str
    what: str
    metric: str
    value: float
    maximises: bool
    note: str
    method: str = ""
    """Of studies, the method's label; the name of a search."""

    @property
    def shown(self) -> str:
        """The value for people."""
        return f"{self.value:.4g}"


def ranking(run: Run) -> dict[str, list[Ranked]]:
    """Metric -> what has the best validation scores by it, best first: searches' best trials, and studies' means."""
    rows: list[Ranked] = []
    for search in run.searches.values():
        best = search.best
        if best is not None and best.value is not None:
            note = f"trial {best.number}, {len(search.order)} ended, {duration(search.seconds)} of the device"
            name = search.step.name
            rows.append(Ranked(name, "search", search.metric, best.value, search.maximises, note, name))
    groups: dict[tuple[str, str, str, str, int], list[Step]] = defaultdict(list)
    sources: dict[tuple[str, str], set[str]] = defaultdict(set)
    for step in run.studies:
        if step.validation is not None:
            facts = step.facts
            target, method, source = facts["target"], facts["method"], facts.get("source", "")
            groups[target, source, method, facts["encoder"], facts["n_train"]].append(step)
            sources[target, method].add(source)
    for (target, source, method, encoder, size), steps in groups.items():
        value = math.fsum(step.validation or 0.0 for step in steps) / len(steps)
        facts = steps[0].facts
        seeds = "1 seed" if len(steps) == 1 else f"mean of {len(steps)} seeds"
        named = f"{method} from {source}" if source and len(sources[target, method]) > 1 else method
        words, maximises = f"{named}, {encoder}, n = {size}", facts["direction"] == "max"
        rows.append(Ranked(words, f"study of {target}", f"val_{facts['metric']}", value, maximises, seeds, method))
    found: dict[str, list[Ranked]] = defaultdict(list)
    for row in rows:
        found[row.metric].append(row)
    for metric, group in found.items():
        found[metric] = sorted(group, key=lambda row: -row.value if row.maximises else row.value)
    return dict(found)


def headline(run: Run) -> str:
    """The best so far, in a few words."""
    for metric, rows in ranking(run).items():
        return f"{metric} {rows[0].shown} by {rows[0].name}"
    failed = len(run.failed)
    return f"{failed} steps failed" if failed else ""
