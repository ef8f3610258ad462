"""The one figure beside the answer: what every method gains over training from scratch at one size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from ctlr.report.findings import View
from ctlr.report.gains.forest import arm, gain_tip, reach
from ctlr.report.numbers.rows import GainRow, gains_between, verdicts
from ctlr.report.theme.formats import number
from ctlr.report.theme.styles import Style, short
from ctlr.report.theme.svg import INK, MUTED, Panel, canvas, mark, panel
from ctlr.report.wording import gain_digits, interval, metric_label

__all__ = ["beyond", "lead_figure", "lead_rows"]

WIDTH, LINE = 400, 23
MOST = 12
"""Rows that the first screen has room for: of more methods those that gain most."""


def lead_rows(view: View, size: int) -> list[GainRow]:
    """Gains over scratch at a size, largest first: methods, then what trains no network, as far as there is room."""
    contest = view.contest
    own = sorted((row for row in view.rows.gains if row.n_train == size), key=lambda row: -row.gain.mean)
    apart = [label for label in (*contest.references, contest.floor) if label and (label, size) in contest.cells]
    baseline = contest.baseline
    found: list[GainRow] = []
    if own and baseline is not None and apart:
        gains = gains_between(contest, [(label, baseline, size) for label in apart], view.rows)
        known = [(label, size, gain) for label, gain in zip(apart, gains, strict=True) if gain is not None]
        found = sorted(verdicts(known, view.rows.level), key=lambda row: -row.gain.mean)
    room = max(MOST - len(found), MOST // 2)
    return [*own[:room], *found[: MOST - len(own[:room])]]


def beyond(view: View, rows: Sequence[GainRow]) -> dict[str, Literal["<", ">"]]:
    """What trains no network and lies so far from all methods that these would shrink to a line: on which side."""
    apart = {*view.contest.references, view.contest.floor}
    low, high = reach(_ends(row for row in rows if row.method not in apart))
    room = high - low
    return {
        row.method: "<" if row.gain.mean < low else ">"
        for row in rows
        if row.method in apart and not low - room <= row.gain.mean <= high + room
    }


def _ends(rows: Iterable[GainRow]) -> list[float]:
    return [end for row in rows for end in (row.gain.low, row.gain.mean, row.gain.high)]


def lead_figure(view: View, size: int, style: Mapping[str, Style]) -> Panel | None:
    """Draw those rows with their numbers; None where nobody can be held against a training from scratch."""
    rows = lead_rows(view, size)
    if not rows:
        return None
    contest, digits, label = view.contest, gain_digits(view.rows), metric_label(view.contest)
    apart = {*contest.references, contest.floor}
    places: dict[str, float] = {}
    for index, row in enumerate(rows):
        first = index and row.method in apart and rows[index - 1].method not in apart
        places[row.method] = (places[rows[index - 1].method] + (1.5 if first else 1)) if index else 0.0
    bottom, far = max(places.values()) + 0.7, beyond(view, rows)
    low, high = reach(_ends(row for row in rows if row.method not in far))
    height = round(LINE * (bottom + 0.6))
    with canvas(WIDTH, height + 64, left=132, right=62, top=4, bottom=60) as axes:
        axes.axvline(0, color=MUTED, linewidth=1.2)
        for row in rows:
            look = style[row.method]
            if row.method in apart:
                look = replace(look, colour=MUTED, marker=look.marker or "o", dashed=False)
            tip = gain_tip(row, contest.labelled(size), label, contest.baseline or "", view.rows.level, rows)
            if row.method in far:
                end, inwards = (low, 0.03) if far[row.method] == "<" else (high, -0.03)
                (arrow,) = axes.plot(
                    [end + inwards * (high - low)], [places[row.method]], far[row.method], color=look.colour,
                    markersize=8,
                )  # fmt: skip
                mark(arrow, tip, of=row.method)
            else:
                arm(axes, places[row.method], row, look, tip)
            value = axes.text(
                1.03, places[row.method], number(row.gain.mean, digits, sign=True),
                transform=axes.get_yaxis_transform(), va="center_baseline", color=INK if row.stands else MUTED,
                weight="bold" if row.stands else "normal",
            )  # fmt: skip
            mark(value, of=row.method)
        axes.set_yticks([places[row.method] for row in rows], [short(row.method, 18) for row in rows])
        for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
            tick.set_color(MUTED if row.method in apart else INK)
        axes.set_ylim(bottom, -0.6)
        axes.set_xlim(low, high)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"Gain over {short(contest.baseline or '')}, {label}", labelpad=21)
        for place, side, words in ((0.0, "left", "← worse"), (1.0, "right", "better →")):
            axes.text(
                place, -22 / height, words, transform=axes.transAxes, ha=side, va="top", color=MUTED, fontsize=10.5
            )
        said = "; ".join(
            f"{row.method} {number(row.gain.mean, digits, sign=True)} ({interval(row.gain, digits, sign=True)})"
            for row in rows
        )
        alt = f"Gain over {contest.baseline} at n = {contest.labelled(size)} in {label}, positive is better. {said}."
        return panel(axes, name=f"{view.slug}-lead", alt=alt)
