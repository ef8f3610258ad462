"""Fit a benchmark into a time on this machine: begin small, and add what there is time for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ctlr.config import BenchmarkConfig, bound
from ctlr.cost import RUN, Size, costs
from ctlr.data.listing import Listing
from ctlr.engine import known_rates
from ctlr.errors import ConfigError, DataError
from ctlr.foresight import measure_together, sizes
from ctlr.plan import Plan, make_plan
from ctlr.proposal.choosing import Choice
from ctlr.proposal.drafting import EFFORTS, Draft

__all__ = ["Fitted", "fit"]

_REPORT = 10.0
"""Seconds that writing a report takes, and collecting its tables."""
_SHARE = 0.85
"""Of the time, what is planned: other work slows a machine."""
_ROUNDS = 4
"""Of measuring."""
_DOUBTED = 2.5
"""Times the time up to which what was told from coarser images is measured: it grows slower than their voxels."""
_READ = 1e-3
"""Seconds an image where a dataset is read as a whole, so that a few of its images cannot be timed."""
_SHRINK = 0.9
_TRIES = 12

Rates = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A draft that fits, and what it takes.

    Attributes:
        draft: The benchmark.
        config: The same, checked.
        seconds: Of its run on this machine, at most.
        rates: Seconds an image, as they were measured or are known.
        cut: What there was no time for, a phrase each.
    """

    draft: Draft
    config: BenchmarkConfig
    seconds: float
    rates: Rates
    cut: tuple[str, ...]


def fit(
    name: str, choice: Choice, *, minutes: float, folder: Path, workspace: Path, workers: int, device: str
) -> Fitted:
    """Choose preprocessing, sizes, seeds and epochs for a time.

    Args:
        name: Of the benchmark.
        choice: What is asked.
        minutes: That the whole run shall take.
        folder: Where the file will lie.
        workspace: Whose earlier runs show what an image costs; measured where they do not.
        workers: Processes that share the work.
        device: cpu or cuda.

    Raises:
        ConfigError, DataError: No split of the dataset can be drawn.
    """
    shapes = type(choice.data.spec).preprocessings(choice.data.measured)
    draft = Draft(name=name, choice=choice, preprocess=shapes[0], sizes=_first(choice.sizes), seeds=1, effort=0)
    clock = _Clock(
        folder, {each.name: each.listing for each in draft.datasets}, workers, device, known_rates(workspace)
    )
    draft = replace(draft, choice=replace(choice, sizes=clock.drawn(replace(draft, sizes=choice.sizes))))
    draft = replace(draft, sizes=_first(draft.choice.sizes))
    budget = _SHARE * 60 * minutes
    clock.measure(draft)
    for _ in range(_ROUNDS):
        best, cut, doubted = _grown(draft, shapes, clock, budget)
        if not clock.knows(best):
            clock.measure(best)  # what was told from coarser images before
        elif doubted is not None:
            clock.measure(doubted)
        else:
            break
    best, cut, _ = _grown(draft, [shape for shape in shapes if clock.knows(replace(draft, preprocess=shape))], clock,
                          budget)  # fmt: skip
    return Fitted(draft=best, config=clock.config(best), seconds=clock.seconds(best), rates=clock.rates, cut=tuple(cut))


def _grown(
    draft: Draft, shapes: Sequence[dict[str, Any]], clock: _Clock, budget: float
) -> tuple[Draft, list[str], Draft | None]:
    """Add one thing after the other as long as the time lasts.

    Returns:
        What comes out, what the time did not last for, and the first of the latter of which that was only told from
        coarser images, and may be wrong.
    """
    cut: list[str] = []
    doubted: Draft | None = None
    for told, grow in _wishes(draft.choice, shapes):
        larger = grow(draft)
        if larger == draft:
            continue
        seconds = clock.seconds(larger)
        if seconds <= budget:
            draft = larger
            continue
        cut.append(told)
        if doubted is None and seconds <= _DOUBTED * budget and not clock.knows(larger):
            doubted = larger
    return draft, cut, doubted


def _wishes(choice: Choice, shapes: Sequence[dict[str, Any]]) -> Iterator[tuple[str, Callable[[Draft], Draft]]]:
    """What makes a small benchmark larger, the most telling first."""
    yield "longer training", lambda draft: replace(draft, effort=max(draft.effort, 1))
    yield "three seeds", lambda draft: replace(draft, seeds=max(draft.seeds, 3))
    yield "a second sample size", lambda draft: replace(draft, sizes=choice_sizes(draft.choice.sizes, 2))
    yield "longer training", lambda draft: replace(draft, effort=max(draft.effort, 2))
    yield "five seeds, which support verdicts", lambda draft: replace(draft, seeds=max(draft.seeds, 5))
    yield "much longer training", lambda draft: replace(draft, effort=len(EFFORTS) - 1)
    yield "a third sample size", lambda draft: replace(draft, sizes=choice_sizes(draft.choice.sizes, 3))
    for shape in shapes[1:]:
        yield f"images of {_words(shape)}", partial(_with_images, shape=shape)


def _with_images(draft: Draft, shape: dict[str, Any]) -> Draft:
    return replace(draft, preprocess=shape)


def _words(shape: Mapping[str, Any]) -> str:
    sides = " x ".join(map(str, shape.get("shape", ())))
    return f"{sides} voxels of {shape['spacing']:g} mm" if "spacing" in shape else f"{sides} pixels"


def _first(found: Sequence[int]) -> tuple[int, ...]:
    return choice_sizes(found, 1)


def choice_sizes(found: Sequence[int], count: int) -> tuple[int, ...]:
    """So many of the sizes: the middle one first, then the largest, then the smallest."""
    middle = len(found) // 2
    order = [found[middle], *(size for size in reversed(found) if size != found[middle])]
    return tuple(sorted(order[:count]))


class _Clock:
    """Tells how long a draft would run.

    Args:
        folder: Where its file would lie.
        listings: Of its datasets, by name.
        workers, device: Of the run.
        rates: Known seconds an image.
    """

    def __init__(self, folder: Path, listings: Mapping[str, Listing], workers: int, device: str, rates: Rates) -> None:
        self._folder, self._listings, self._workers, self._device = folder, listings, workers, device
        self.rates: dict[str, float] = dict(rates)
        self._sizes: dict[str, Size] = {}

    def config(self, draft: Draft) -> BenchmarkConfig:
        """The benchmark, checked."""
        return bound(draft.document(self._folder), self._folder)

    def drawn(self, draft: Draft) -> tuple[int, ...]:
        """Sizes for which every split can be drawn; they are lowered until it can.

        Raises:
            ConfigError, DataError: None can.
        """
        for attempt in range(_TRIES):
            try:
                self._sizes = sizes(make_plan(self.config(draft)), self._listings)
                return draft.sizes
            except (ConfigError, DataError):
                lower = tuple(sorted({math.floor(size * _SHRINK) for size in draft.sizes}))
                if attempt == _TRIES - 1 or lower[0] < 2:
                    raise
                draft = replace(draft, sizes=lower)
        return draft.sizes

    def measure(self, draft: Draft) -> None:
        """Time a few steps of a draft, unless they are known."""
        if self.knows(draft):
            return
        plan = make_plan(self.config(draft))
        found = measure_together(plan, self._sizes, self._listings, workers=self._workers, device=self._device)
        found[RUN] += _REPORT
        self.rates = {**found, **self.rates}

    def seconds(self, draft: Draft) -> float:
        """Of the whole run, at most."""
        plan = make_plan(self.config(draft))
        rows = costs(plan, self._sizes, self._rates(plan), workers=self._workers)
        read = sum(row.images or 0 for row in rows if row.stage == "preprocess" and row.seconds is None) * _READ
        return self.rates.get(RUN, 0.0) + (read + sum(row.seconds or 0.0 for row in rows)) / self._workers

    def knows(self, draft: Draft) -> bool:
        """Whether what its images cost was measured, or shown by earlier runs."""
        rows = costs(make_plan(self.config(draft)), self._sizes, self.rates, workers=self._workers)
        trained = [row for row in rows if row.stage in ("pretrain", "finetune")]
        return RUN in self.rates and all(row.seconds is not None for row in trained)

    def _rates(self, plan: Plan) -> dict[str, float]:
        """Rates of a plan's images; those that were not measured are told from the nearest by the voxels."""
        wanted = _shape(plan)
        others = {shape for key in self.rates if len(shape := _of_key(key)) == len(wanted) and shape != wanted}
        found = dict(self.rates)
        for other in sorted(others, key=lambda shape: abs(math.log(_ratio(wanted, shape)))):
            for key, rate in self.rates.items():
                if _of_key(key) == other:
                    start = key.rpartition(" ")[0]
                    factor = 1.0 if start.startswith("preprocess") else _ratio(wanted, other)
                    found.setdefault(f"{start} {'x'.join(wanted)}", rate * factor)
        return found


def _ratio(shape: Sequence[str], other: Sequence[str]) -> float:
    """How many times as many voxels one shape has as another."""
    return math.prod(map(int, shape)) / math.prod(map(int, other))


def _shape(plan: Plan) -> tuple[str, ...]:
    return tuple(map(str, plan.studies[0].target.data.stored_shape))


def _of_key(key: str) -> tuple[str, ...]:
    parts = tuple(key.rpartition(" ")[2].split("x"))
    return parts if all(part.isdecimal() for part in parts) else ()
