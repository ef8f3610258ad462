"""A drawing of a sweep: gain over scratch against one option of finetuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from ctlr.report.numbers.sweeps import PLAIN, Option, Setting, Sweep, option_words, value_words
from ctlr.report.theme.formats import decimals, number
from ctlr.report.theme.styles import Style, label_ends, styles
from ctlr.report.theme.svg import MUTED, SURFACE, Panel, canvas, panel
from ctlr.report.wording import interval, metric_label

__all__ = ["sweep_plot"]

WIDTH, HEIGHT = 480, 330


def sweep_plot(sweep: Sweep, size: int, *, name: str) -> Panel:
    """Gain against the sweep's first option with intervals, a line for each combination of the others.

    Values stand at equal distances; hollow points are no verdict.

    Args:
        sweep: Settings of one transfer.
        size: n_train.
        name: Of the drawing on its page.
    """
    option, settings = sweep.options[0], sweep.at(size)
    values = _ordered([setting.options[option] for setting in settings])
    lines = _lines(settings, option)
    looks = styles(list(lines), [], [])
    with canvas(WIDTH, HEIGHT, left=56, right=150 if len(lines) > 1 else 14, bottom=46) as axes:
        axes.axhline(0, color=MUTED, linewidth=1.2)
        for index, (label, own) in enumerate(lines.items()):
            # Side by side, so that intervals do not hide each other.
            dodge = (index - (len(lines) - 1) / 2) * min(0.06, 0.5 / len(lines))
            places = {values.index(setting.options[option]) + dodge: setting for setting in own}
            _draw(axes, places, looks[label], joined=not any(isinstance(value, str) for value in values))
        if len(lines) > 1:
            ends = [(label, _last(own, values, option).gain.gain.mean) for label, own in lines.items()]
            label_ends(axes, ends, looks, height=HEIGHT, limit=20)
        axes.set_xticks(range(len(values)), [value_words(value) for value in values])
        axes.set_xlim(-0.5, len(values) - 0.5)
        axes.grid(axis="x", visible=False)
        axes.set_xlabel(f"{option} (n = {sweep.contest.labelled(size)})")
        axes.set_ylabel(f"Gain, {metric_label(sweep.contest)}")
        return panel(axes, name=name, alt=_in_words(sweep, size))


def _ordered(values: Sequence[Option]) -> list[Option]:
    """Each value once: numbers ascending, texts as they came."""
    known = list(dict.fromkeys(values))
    numbers = sorted(value for value in known if isinstance(value, int | float))
    return [*(value for value in known if not isinstance(value, int | float)), *numbers]


def _lines(settings: Sequence[Setting], option: str) -> dict[str, list[Setting]]:
    """Settings by what they have besides the option on the axis; plain values but the strategy are left unsaid."""
    found: dict[str, list[Setting]] = {}
    for setting in settings:
        rest = [
            value_words(value) if isinstance(value, str) else option_words(key, value)
            for key, value in setting.options.items()
            if key != option and (key == "strategy" or key not in PLAIN or value != PLAIN[key])
        ]
        found.setdefault(", ".join(rest) or "gain", []).append(setting)
    return found


def _last(own: Sequence[Setting], values: Sequence[Option], option: str) -> Setting:
    return max(own, key=lambda setting: values.index(setting.options[option]))


def _draw(axes: Axes, places: Mapping[float, Setting], style: Style, *, joined: bool) -> None:
    ordered = sorted(places)
    gains = [places[x].gain for x in ordered]
    axes.vlines(ordered, [g.gain.low for g in gains], [g.gain.high for g in gains], color=style.colour, linewidth=1.8,
                alpha=0.5)  # fmt: skip
    if joined:
        axes.plot(ordered, [g.gain.mean for g in gains], color=style.colour, linewidth=1.6)
    for x, gain in zip(ordered, gains, strict=True):
        fill = style.colour if gain.stands else SURFACE
        axes.plot([x], [gain.gain.mean], style.marker, color=style.colour, markersize=8, markerfacecolor=fill,
                  markeredgewidth=1.8)  # fmt: skip


def _in_words(sweep: Sweep, size: int) -> str:
    gains = [(setting, setting.gain.gain) for setting in sweep.at(size)]
    digits = decimals(end for _, gain in gains for end in (gain.mean, gain.low, gain.high))
    lines = [
        f"{', '.join(option_words(k, v) for k, v in setting.options.items())}: "
        f"{number(gain.mean, digits, sign=True)} ({interval(gain, digits, sign=True)})"
        for setting, gain in gains
    ]
    return f"Gain over scratch at n = {sweep.contest.labelled(size)}. {'; '.join(lines)}."
