"""What is left of a run, and how long that takes: earlier runs' rates at first, soon what this one measures itself."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from ctlr.cost import Work
from ctlr.runs._fold import Run, Search, Step

__all__ = ["Outlook", "images_seen", "outlook"]

_FLOOR = 0.1
"""Of a step's expected seconds that are taken to be left for as long as it has not ended."""


@dataclass(frozen=True)
class Outlook:
    """How far a run is."""

    share: float
    """Of the work, from 0 to 1: by time where that can be told, else by steps."""
    left: float | None
    """Seconds on the clock; None where there is nothing to go by."""


def outlook(run: Run, now: float) -> Outlook:
    """How far a run is, and when it will be through.

    A step costs its images times the seconds of an image, which steps like it have shown in this run; before any has,
    those that an earlier run has shown, corrected by how far this one is off them elsewhere; else what an image costs
    here on average. What is left is shared out among the workers, and takes no less than its longest step.

    Args:
        run: As its events tell it.
        now: Seconds since 1970.
    """
    if run.planned is None:
        return _before_the_plan(run, now)
    if not run.work:
        return _by_steps(run, now)
    rates, spent, left = _Rates(run, now), 0.0, list[float]()
    for name, work in run.work.items():
        step, expected = run.steps.get(name), rates.seconds(work)
        if name in run.ended:
            spent += (step.worked or 0.0) if step else 0.0
        elif expected is None:
            return Outlook(run.settled / max(1, run.planned), None)
        elif step is not None and step.state == "running":
            worked = run.lasted(step.at_work, now)
            spent += worked
            part = step.done / step.total if step.total else min(1.0, worked / expected if expected else 1.0)
            left.append(expected * max(1 - part, _FLOOR))
        else:
            left.append(expected)
    if not left:
        return Outlook(1.0, 0.0)
    workers = max(1, min(int(run.began.get("workers") or 1), len(left)))
    total = sum(left)
    return Outlook(spent / (spent + total) if spent + total else 0.0, max(total / workers, *left))


class _Rates:
    """Seconds of an image, as a run shows them."""

    def __init__(self, run: Run, now: float) -> None:
        measured: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        known = [0.0, 0.0]
        for name, work in run.work.items():
            step = run.steps.get(name)
            seconds, images = _measured(run, name, step, work, now) if step is not None else (0.0, 0.0)
            if seconds and images:
                sums = measured[work.like]
                sums[0], sums[1] = sums[0] + seconds, sums[1] + images
                if work.seconds:
                    known[0], known[1] = known[0] + seconds, known[1] + work.seconds * images / max(1, work.images)
        self._rates = {like: seconds / images for like, (seconds, images) in measured.items()}
        self._factor = known[0] / known[1] if known[1] else 1.0
        total = [sum(sums[place] for sums in measured.values()) for place in (0, 1)]
        self._mean = total[0] / total[1] if total[1] else None

    def seconds(self, work: Work) -> float | None:
        """That a step takes a worker; None where nothing is known yet."""
        if work.like in self._rates:
            return self._rates[work.like] * work.images
        if work.seconds is not None:
            return work.seconds * self._factor
        return None if self._mean is None else self._mean * work.images


def _measured(run: Run, name: str, step: Step, work: Work, now: float) -> tuple[float, float]:
    """(seconds, images) of a step so far; of one under way without those up to the first epoch that it told."""
    if name in run.ended:
        return (step.worked or 0.0, work.images * _part(step)) if step.state == "finished" else (0.0, 0.0)
    since, before = step.first
    if step.state == "running" and step.total and step.done > before > 0:
        return run.lasted(since, step.told_at), work.images * (step.done - before) / step.total
    return 0.0, 0.0


def _part(step: Step) -> float:
    """Of a step's epochs that were trained; one that is over without having told any did all."""
    return step.done / step.total if step.done and step.total else 1.0


def images_seen(run: Run) -> float:
    """Images that the last run of a benchmark has passed through the loss, or preprocessed."""
    seen = 0.0
    for name, work in run.work.items():
        step = run.steps.get(name)
        if step is not None and (name in run.ended or (step.state == "running" and step.done)):
            seen += work.images * _part(step)
    since = run.began.get("time", 0.0)
    return seen + sum(step.done for step in run.steps.values() if step.of == "preprocess" and step.began >= since)


def _before_the_plan(run: Run, now: float) -> Outlook:
    """While images are stored, and while searches run."""
    racing = [search.step for search in run.under_way if search.step.facts.get("race_seconds")]
    if racing:
        seconds = float(racing[0].facts["race_seconds"])
        spent = run.lasted(min(step.began for step in racing), now)
        return Outlook(min(1.0, spent / seconds), max(0.0, seconds - spent))
    if run.under_way:
        return _searching(run, run.under_way, now)
    storing = [step for step in run.running if step.of == "preprocess" and step.total]
    done, total = sum(step.done for step in storing), sum(step.total for step in storing)
    since = [step.first for step in storing if step.first[1]]
    fresh = done - sum(before for _, before in since)
    if not fresh:
        return Outlook(done / total if total else 0.0, None)
    return Outlook(done / total, run.lasted(min(each for each, _ in since), now) * (total - done) / fresh)


def _searching(run: Run, searches: list[Search], now: float) -> Outlook:
    """Searches under way: by trials, or by the seconds that they may take of the device."""
    parts = []
    for search in searches:
        trials, budget = search.step.facts.get("trials"), search.step.facts.get("budget_seconds")
        of = [len(search.order) / trials] if trials else []
        of += [search.seconds / budget] if budget else []
        parts.append((min(1.0, max(of, default=0.0)), run.lasted(search.step.began, now)))
    share = sum(part for part, _ in parts) / len(parts)
    known = [took * (1 - part) / part for part, took in parts if part]
    return Outlook(share, max(known) if len(known) == len(parts) else None)


def _by_steps(run: Run, now: float) -> Outlook:
    """Of a run that did not tell what its steps cost."""
    planned, done = run.planned or 0, min(run.settled, run.planned or 0)
    if not planned or not done or done == planned:
        return Outlook(1.0 if done == planned else 0.0, 0.0 if done == planned else None)
    began = run.began["time"]
    first = min((step.began for step in run.steps.values() if step.of not in ("preprocess", "tune")), default=began)
    took = max(run.lasted(began, now) - max(0.0, first - began), 1.0)
    return Outlook(done / planned, took / done * (planned - done))
