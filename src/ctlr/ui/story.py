"""What pages say of a run: rows and words, computed before they are drawn."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ctlr.runs import Run, Search, Step, Trial, duration, outlook, ranking
from ctlr.ui.drawing import curve, history

__all__ = ["COLUMNS", "PAGE", "Asked", "asked_for", "live", "said", "table"]

PAGE = 50
"""Rows of the trial table at once."""

_LONGEST = 200
"""Characters of an event in words."""

_SAID = 4
"""Numbers of a trial's last report that its row shows."""

COLUMNS: Mapping[str, Callable[[Trial], Any]] = {
    "number": lambda trial: trial.number,
    "search": lambda trial: trial.search,
    "status": lambda trial: trial.status,
    "value": lambda trial: trial.value,
    "seconds": lambda trial: trial.seconds,
    "ended": lambda trial: trial.ended or None,
}
"""What trials can be sorted by."""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


@dataclass(frozen=True)
class Running:
    """A step or a trial under way."""

    name: str
    drawn: Markup
    words: str
    for_seconds: float
    done: int = 0
    total: int = 0


def _under_way(run: Run, now: float) -> list[Running]:
    """Steps, and in the place of a search its trials."""
    found = [_running(run, step, now) for step in run.running if step.of != "tune"]
    for search in run.searches.values():
        for trial in search.trials.values():
            if trial.status == "Running":
                rows = [dict(row) for row in trial.rows]
                words = " ".join(f"{name}={_short(value)}" for name, value in trial.parameters.items())
                name = f"{search.step.name}, trial {trial.number}"
                found.append(Running(name, curve(rows, [search.metric]), words, run.lasted(trial.began, now)))
    return found


def _running(run: Run, step: Step, now: float) -> Running:
    rows = [dict(row) for row in step.rows]
    names = [name for name in (rows[-1] if rows else {}) if name not in ("epoch", "seconds", "lr")]
    losses = [name for name in names if name.endswith("_loss") and not name.endswith("log_loss")] or names[:2]
    last = " ".join(f"{name} {rows[-1][name]:.4g}" for name in names[:6]) if rows else ""
    drawn = curve(rows, losses[:3])
    return Running(step.name, drawn, last, run.lasted(step.began, now), step.done, step.total)


def live(run: Run, now: float | None = None) -> dict[str, Any]:
    """All that changes on a run's page, but for the table of trials."""
    now = time.time() if now is None else now
    planned = run.planned
    done = min(run.settled, planned or 0)
    since = run.lasted(run.began["time"], now) if run.began and run.end is None else 0.0
    return {
        "planned": planned,
        "done": done,
        "left": _left(run, now),
        "ranking": ranking(run),
        "running": _under_way(run, now),
        "race": _race(run, now),
        "failed": run.failed,
        "failed_trials": [trial for trial in run.trials if trial.status == "Failed"][-20:],
        "searches": [_search(search) for search in run.searches.values()],
        "counts": _counts(run),
        "seconds": run.seconds + since,
    }


def _counts(run: Run) -> dict[str, int]:
    trials = list(run.trials)
    return {
        "studies": sum(step.state == "finished" for step in run.studies),
        "trials": len(trials),
        "failed_trials": sum(trial.status == "Failed" for trial in trials),
    }


def _left(run: Run, now: float) -> str:
    """A guess of the time that is left, where there is something to go by."""
    if not run.planned or run.end is not None or not 0 < run.settled < run.planned:
        return ""
    left = outlook(run, now).left
    return "" if left is None else f"about {duration(left)}"


def _race(run: Run, now: float) -> str:
    """What is left of the seconds that searches race for."""
    arms = [search.step for search in run.searches.values() if search.step.facts.get("race_seconds")]
    if not arms or run.end is not None or all(arm.state != "running" for arm in arms):
        return ""
    seconds = float(arms[0].facts["race_seconds"])
    spent = run.lasted(min(arm.began for arm in arms), now)
    return f"{duration(max(0.0, seconds - spent))} of {duration(seconds)}"


def _search(search: Search) -> dict[str, Any]:
    values = [trial.value for trial in search.counted if trial.value is not None]
    trials, seconds = search.step.facts.get("trials"), search.step.facts.get("budget_seconds")
    ended, spent = len(search.order), search.seconds
    left = []
    if trials:
        left.append(f"{max(0, trials - ended)} of {trials} trials")
    if seconds is not None:
        left.append(f"{duration(max(0.0, seconds - spent))} of {duration(seconds)}")
    best = search.best
    return {
        "name": search.step.name,
        "state": search.step.state,
        "ended": ended,
        "failed": sum(trial.status == "Failed" for trial in search.order),
        "total": trials,
        "left": " and ".join(left),
        "best": best and _number(best.value),
        "best_trial": best,
        "metric": search.metric,
        "drawn": history(values, metric=search.metric, maximises=search.maximises),
    }


# ---------------------------------------------------------------- the table of trials


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which part of the table of trials is wanted."""

    sort: str = "ended"
    descending: bool = True
    status: str = ""
    search: str = ""
    words: str = ""
    """That occur in a parameter, its value or a reason."""
    page: int = 1


def asked_for(
    sort: str = "ended", order: str = "down", status: str = "", search: str = "", words: str = "", page: int = 1
) -> Asked:
    """What the query of an address asks for; what is no such thing is left as it is by default."""
    return Asked(
        sort=sort if sort in COLUMNS else "ended", descending=order != "up", status=status[:40],
        search=search[:300], words=words[:100], page=max(1, min(page, 10**6)),
    )  # fmt: skip


def table(run: Run, asked: Asked) -> dict[str, Any]:
    """A page of the trials that fit, sorted; those without the value come last."""
    found = [trial for trial in run.trials if _fits(trial, asked)]
    key = COLUMNS.get(asked.sort, COLUMNS["ended"])
    known = sorted((trial for trial in found if key(trial) is not None), key=key, reverse=asked.descending)
    rows = [*known, *(trial for trial in found if key(trial) is None)]
    pages = max(1, math.ceil(len(rows) / PAGE))
    page = min(max(1, asked.page), pages)
    return {
        "rows": [_row(trial, run) for trial in rows[(page - 1) * PAGE : page * PAGE]],
        "found": len(rows),
        "page": page,
        "pages": pages,
        "statuses": sorted({trial.status for trial in run.trials}),
        "searches": [(search.step.id, search.step.name) for search in run.searches.values()],
    }


def _fits(trial: Trial, asked: Asked) -> bool:
    if (asked.status and trial.status != asked.status) or (asked.search and trial.search != asked.search):
        return False
    words = asked.words.casefold()
    return not words or any(words in text.casefold() for text in _texts(trial))


def _texts(trial: Trial) -> Iterable[str]:
    yield trial.reason
    for name, value in trial.parameters.items():
        yield f"{name}={value}"


def _row(trial: Trial, run: Run) -> dict[str, Any]:
    return {
        "number": trial.number,
        "round": trial.round,
        "search": run.searches[trial.search].step.name if trial.search in run.searches else trial.search,
        "status": trial.status,
        "value": _number(trial.value),
        "seconds": duration(trial.seconds),
        "ended": trial.ended,
        "reason": trial.reason,
        "last": " ".join(f"{name} {value:.4g}" for name, value in list(trial.last.items())[:_SAID]),
        "parameters": " ".join(f"{name}={_short(value)}" for name, value in trial.parameters.items()),
    }


def _short(text: str) -> str:
    try:
        return f"{float(text):.4g}" if len(text) > 8 else text
    except ValueError:
        return text


# ---------------------------------------------------------------- events in words


def said(events: Sequence[Mapping[str, Any]]) -> list[tuple[int, str]]:
    """Events in a few words each, the last one first."""
    return [(event["n"], _said(event)) for event in reversed(events)]


def _said(event: Mapping[str, Any]) -> str:
    kind = str(event.get("kind", ""))
    if kind.startswith("trial."):
        value = event.get("value")
        came = f" {event.get('status', '')} {_number(value) if value is not None else event.get('reason') or ''}"
        return f"{kind} {event.get('number')}{came if kind == 'trial.ended' else ''}"
    what = event.get("name") or event.get("step") or event.get("benchmark") or ""
    more = event.get("reason") or event.get("text") or ""
    if kind == "step.progress":
        more = f"{event.get('done')}/{event.get('total')}"
    words = " ".join(part for part in (kind, str(what), str(more).partition("\n")[0]) if part)
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"
