"""What a terminal shows of a run, as lines: a bar, what the workers do, the best so far."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rich.text import Text

from ctlr.runs import Outlook, Ranked, Run, Step, duration, ranking

__all__ = ["Sight", "best", "board", "status"]

_BAR = (8, 40)
"""Fewest and most columns of the bar."""
_NAME = (14, 48)
"""Fewest and most columns of a step's name."""
_METRICS = 3
"""Lines of the best so far, at the most."""
_NARROW = 50
"""Columns below which a place is its numbers alone."""
_HIDDEN = ("epoch", "seconds", "lr")


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What is known of a run besides its events."""

    now: float
    """Seconds since 1970."""
    outlook: Outlook
    images: float | None = None
    """A second; None as long as that is not known."""
    memory: str = ""
    note: str = ""
    """What is said below all."""


def board(run: Run, sight: Sight, width: int, height: int) -> list[Text]:
    """Lines of at most so many columns and rows; what matters least is left out first."""
    lines = [_bar(run, sight, width), *_best_lines(run, width)]
    last = [Text(_cut(sight.note, width), style="yellow")] if sight.note else []
    if run.failed:
        last.insert(0, Text(_cut(f"{len(run.failed)} failed, for the reasons above", width), style="red"))
    room = max(0, height - len(lines) - len(last))
    work = _work_lines(run, sight.now, width)
    if len(work) > room:
        kept = max(0, room - 1)
        work = [*work[:kept], Text(f"  and {len(work) - kept} more", style="dim")] if room else []
    return [lines[0], *work, *lines[1:], *last][:height]


def status(run: Run, sight: Sight) -> str:
    """The same in a line, for a log."""
    parts = [f"{_count(run)}, {100 * sight.outlook.share:.0f} %", _left(run, sight), _speed(sight), sight.memory]
    work = [" ".join(filter(None, (name, place))) for name, place, _, _ in itertools.islice(_under_way(run, 0.0), 4)]
    found = best(run)
    tops = [f"{metric} {rows[0].shown} by {rows[0].name}" for metric, rows in itertools.islice(found.items(), _METRICS)]
    said = [", ".join(filter(None, parts)), ", ".join(work), f"best by validation: {', '.join(tops)}" if tops else ""]
    return f"{_whole(_elapsed(run, sight.now))}: " + "; ".join(filter(None, said))


def best(run: Run) -> dict[str, list[Ranked]]:
    """What is measured -> the best of each method by validation, the best first; of each target and metric."""
    found: dict[str, list[Ranked]] = {}
    for metric, rows in ranking(run).items():
        for what in dict.fromkeys(row.what for row in rows):
            of = [row for row in rows if row.what == what]
            several = len({row.what for row in rows if row.what != "search"}) > 1 and what != "search"
            name = f"{metric} of {what.removeprefix('study of ')}" if several else metric
            firsts = {row.method: row for row in reversed(of)}
            found.setdefault(name, []).extend(row for row in of if firsts[row.method] is row)
    return found


# ---------------------------------------------------------------- the bar


def _bar(run: Run, sight: Sight, width: int) -> Text:
    """Done of all, a bar, and what else there is room for: the time that is left before the rest."""
    share = min(1.0, max(0.0, sight.outlook.share))
    count, time_left = _count(run), _left(run, sight)
    # In the order of their worth; they stand in another one.
    wanted = {
        "left": time_left, "percent": f"{100 * share:.0f} %", "elapsed": _whole(_elapsed(run, sight.now)),
        "images": _speed(sight), "memory": sight.memory, "name": run.name,
    }  # fmt: skip
    kept: dict[str, str] = {}
    used = len(count) + 1 + _BAR[0]
    for key, words in wanted.items():
        if words and used + 2 + len(words) <= width:
            kept[key] = words
            used += 2 + len(words)
    columns = max(0, min(_BAR[1], width - used + _BAR[0]))
    line = Text()
    if "name" in kept:
        line.append(f"{kept['name']}  ", style="bold")
    line.append(f"{count} ")
    full = round(share * columns)
    line.append("━" * full, style="green")
    line.append("─" * (columns - full), style="dim")
    for key, style in {"percent": "", "elapsed": "", "left": "cyan", "images": "", "memory": "dim"}.items():
        if key in kept:
            line.append(f"  {kept[key]}", style=style)
    return line


def _count(run: Run) -> str:
    if run.planned is not None:
        return f"{run.settled}/{run.planned}"
    if searches := run.under_way:
        trials = [int(search.step.facts.get("trials") or 0) for search in searches]
        ended = sum(len(search.order) for search in searches)
        return f"{ended}/{sum(trials)} trials" if all(trials) else f"{ended} trials"
    storing = [step for step in run.running if step.of == "preprocess" and step.total]
    return f"{sum(step.done for step in storing)}/{sum(step.total for step in storing)} images" if storing else "0"


def _left(run: Run, sight: Sight) -> str:
    """Of the whole run; as long as it does not know its steps, of what it is at."""
    if not sight.outlook.left:
        return ""
    of = "left" if run.planned is not None else "for the searches" if run.under_way else "for the images"
    return f"about {_whole(max(1.0, sight.outlook.left))} {of}"


def _whole(seconds: float) -> str:
    return duration(float(round(seconds))).replace(".0 s", " s")


def _speed(sight: Sight) -> str:
    if not sight.images:
        return ""
    return f"{sight.images:,.0f} images/s" if sight.images >= 10 else f"{sight.images:.2g} images/s"


def _elapsed(run: Run, now: float) -> float:
    return run.lasted(run.began.get("time", now), now)


# ---------------------------------------------------------------- the best so far


def _best_lines(run: Run, width: int) -> Iterable[Text]:
    for metric, rows in itertools.islice(best(run).items(), _METRICS):
        head = f"{metric} {rows[0].shown} "
        words = "best by validation  " if width >= len(head) + 44 else ""
        line = Text(f"{words}", style="dim")
        line.append(head, style="bold green")
        room = width - line.cell_len
        name = rows[0].name if len(rows[0].name) <= room else rows[0].method
        line.append(_cut(name, room), style="bold")
        for row in rows[1:]:
            more = f" · {row.shown} {row.method}"
            if line.cell_len + len(more) > width:
                break
            line.append(more, style="dim")
        yield line


# ---------------------------------------------------------------- what the workers do


def _under_way(run: Run, now: float) -> Iterable[tuple[str, str, float, str]]:
    """(name, place, seconds, numbers) of steps under way, and in the place of a search of its trials."""
    for step in run.running:
        if step.of != "tune":
            yield step.name, _place(step), run.lasted(step.at_work, now), _numbers(step.rows[-1] if step.rows else {})
    for search in run.under_way:
        for trial in search.trials.values():
            if trial.status == "Running":
                name = f"{search.step.name}, trial {trial.number}" if len(run.searches) > 1 else f"trial {trial.number}"
                options = " ".join(f"{key}={_short(value)}" for key, value in trial.parameters.items())
                place = f"report {trial.reports}" if trial.reports else "no report yet"
                yield name, place, run.lasted(trial.began, now), " ".join((_numbers(trial.last), options)).strip()


def _place(step: Step) -> str:
    if step.waits:
        return "worker starts"
    if not step.total:
        return ""
    return f"{'image' if step.of == 'preprocess' else 'epoch'} {step.done}/{step.total}"


def _work_lines(run: Run, now: float, width: int) -> list[Text]:
    waiting = [step for step in run.running if step.waits]
    if waiting and not any(step.done for step in run.steps.values() if step.of not in ("preprocess", "tune")):
        since = _whole(now - min(step.began for step in waiting))
        return [Text(_cut(f"  starting workers: PyTorch is loading, {since}", width), style="cyan")]
    if run.planned is not None and run.settled == run.planned and not run.running and run.planned:
        return [Text(_cut("  writing the report", width), style="cyan")]
    rows = [(name, place, _clock(seconds), numbers) for name, place, seconds, numbers in _under_way(run, now)]
    if width < _NARROW:
        rows = [(name, place.removeprefix("epoch "), clock, numbers) for name, place, clock, numbers in rows]
    names, places, clocks = (max((len(row[column]) for row in rows), default=0) for column in range(3))
    # The name gives way to the place and the seconds.
    columns = max(_NAME[0], min(_NAME[1], names, width - places - clocks - 6))
    lines = []
    for name, place, clock, numbers in rows:
        line = Text(f"  {_cut(name, columns):<{columns}}  ")
        line.append(f"{place:<{places}}", style="cyan")
        if width >= line.cell_len + 2 + clocks:
            line.append(f"  {clock:>{clocks}}", style="dim")
        if width - line.cell_len > 12 and numbers:
            line.append(f"  {_cut(numbers, width - line.cell_len - 2)}", style="dim")
        line.truncate(width, overflow="crop")
        line.rstrip()
        lines.append(line)
    return lines


def _clock(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def _numbers(row: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value:.4g}" for name, value in row.items() if name not in _HIDDEN)


def _short(text: str) -> str:
    try:
        return f"{float(text):.4g}" if len(text) > 8 else text
    except ValueError:
        return text


def _cut(text: str, columns: int) -> str:
    return text if len(text) <= columns else text[: max(0, columns - 1)] + "…" if columns > 0 else ""
