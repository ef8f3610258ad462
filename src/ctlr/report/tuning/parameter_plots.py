"""Drawings of what a search tried: importance of parameters, slices, parallel coordinates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from ctlr.report.theme.formats import decimals, number
from ctlr.report.theme.styles import short
from ctlr.report.theme.svg import INK, MUTED, SURFACE, Panel, canvas, panel
from ctlr.report.tuning.course_plots import HEIGHT, MANY, MARGINS, WIDTH, marks
from ctlr.report.tuning.importance import Importance
from ctlr.report.tuning.stages import StageTrials, Tried, value_of, window
from ctlr.specs import Parameter

__all__ = ["importance_plot", "parallel_plot", "slice_plot"]


def importance_plot(found: Importance, *, names: Mapping[str, str], colour: str, name: str) -> Panel:
    """Shares of the variance of trials' values, the ten largest from the top."""
    shares = [(names.get(parameter, parameter), share) for parameter, share in found.shares[:10]]
    with canvas(WIDTH, 30 * len(shares) + 62, left=118, right=36, top=8, bottom=44) as axes:
        places = range(len(shares))
        axes.barh(places, [share for _, share in shares], height=0.52, color=colour, linewidth=0)
        for place, (_, share) in zip(places, shares, strict=True):
            axes.text(share + 0.02, place, f"{100 * share:.0f} %", va="center_baseline", color=INK, fontsize=11)
        axes.set_yticks(places, [short(_leaf(option)) for option, _ in shares])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(shares) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.5, 1], ["0", "50", "100"])
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("Share of the variance, %")
        words = ", ".join(f"{option} {100 * share:.0f} %" for option, share in shares)
        return panel(axes, name=name, alt=f"Importance of parameters, share of the variance of values: {words}.")


def _leaf(option: str) -> str:
    """`finetune.lr` -> `lr` where space is short."""
    return option.rpartition(".")[2]


class _Scale:
    """Where a parameter's values stand on an axis."""

    def __init__(self, parameter: Parameter, values: Sequence[str]) -> None:
        self.listed = tuple(dict.fromkeys((*parameter.values, *values)))
        self.numeric = parameter.kind in ("int", "double")
        ends = [float(text) for text in (parameter.low, parameter.high, *values)] if self.numeric else [0.0]
        self.ends = (min(ends), max(ends)) if self.numeric else (0.0, max(len(self.listed) - 1.0, 1.0))
        self.logarithmic = self.numeric and parameter.distribution.startswith("log") and self.ends[0] > 0
        self.whole = parameter.kind == "int"

    def place(self, text: str) -> float:
        """The value, or its place in the list."""
        return float(text) if self.numeric else float(self.listed.index(text))

    def share(self, text: str) -> float:
        """0-1 along the axis, on its own scale."""
        low, high, value = (
            math.log(each) if self.logarithmic else each for each in (*self.ends, self.place(text))
        )  # fmt: skip
        return (value - low) / (high - low) if high > low else 0.5


def slice_plot(stage: StageTrials, parameter: Parameter, *, colour: str, label: str, name: str) -> Panel:
    """Value against one parameter; on a logarithmic axis where it was searched on one. The best trial has a ring."""
    scored = [each for each in stage.scored if parameter.name in each.trial.assignments]
    scale = _Scale(parameter, [each.trial.assignments[parameter.name] for each in scored])
    limits = window([value_of(each) for each in scored], stage.objective.direction == "minimize")
    option = stage.names.get(parameter.name, parameter.name)
    with canvas(WIDTH, HEIGHT, **MARGINS) as axes:
        points = [(scale.place(each.trial.assignments[parameter.name]) + _aside(scale, each), each) for each in scored]
        marks(axes, points, limits, colour)
        best = stage.best
        for x, each in points:
            if best is not None and each.order == best.order:
                axes.plot(
                    [x], [value_of(each)], "o", color=INK, markerfacecolor="none", markersize=11, markeredgewidth=1.6
                )  # fmt: skip
        _parameter_axis(axes, scale)
        axes.set_ylim(*limits)
        axes.set_xlabel(f"{short(option, 30)}{' (log scale)' if scale.logarithmic else ''}")
        axes.set_ylabel(label)
        at = f"; the best trial has {option} = {best.trial.assignments[parameter.name]}" if best else ""
        return panel(axes, name=name, alt=f"{label} of {len(scored)} trials against {option}{at}.")


def _aside(scale: _Scale, tried: Tried) -> float:
    """Points of one category side by side, so that they do not hide each other."""
    return 0.0 if scale.numeric else 0.36 * ((tried.order * 0.618) % 1 - 0.5)


def _parameter_axis(axes: Axes, scale: _Scale) -> None:
    low, high = scale.ends
    if scale.logarithmic:
        axes.set_xscale("log")
        decades = math.log10(high / low) if high > low else 0.0
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0,) if decades >= 2 else (1.0, 2.0, 5.0), numticks=6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        room = (high / low) ** 0.05 if high > low else 2.0
        axes.set_xlim(low / room, high * room)
        return
    if scale.numeric:
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=scale.whole, steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
        room = 0.05 * (high - low) or 1.0
        axes.set_xlim(low - room, high + room)
        return
    limit = max(3, 34 // max(len(scale.listed), 1))
    axes.set_xticks(range(len(scale.listed)), [short(text, limit) for text in scale.listed])
    axes.set_xlim(-0.5, len(scale.listed) - 0.5)


def _plain(value: float) -> str:
    """`0.01`, `1e−5`."""
    text = f"{value:.3g}"
    mantissa, exponent, power = text.partition("e")
    return f"{mantissa}{exponent}{int(power)}".replace("-", "−") if exponent else text.replace("-", "−")


def parallel_plot(stage: StageTrials, *, colour: str, label: str, name: str) -> Panel:
    """One line a trial through its options to its value; the better, the stronger, the best in full."""
    names = [parameter.name for parameter in stage.parameters]
    ranked = [each for each in stage.ranked if set(names) <= set(each.trial.assignments)]
    scales = [_Scale(p, [each.trial.assignments[p.name] for each in ranked]) for p in stage.parameters]
    low, high = window([value_of(each) for each in ranked], stage.objective.direction == "minimize")
    with canvas(max(480, 96 * (len(names) + 1)), 320, left=58, right=62, top=30, bottom=50) as axes:
        thin = min(1.0, MANY / max(len(ranked), 1))
        for rank, each in reversed(list(enumerate(ranked))):
            value = min(max((value_of(each) - low) / (high - low), 0.0), 1.0)
            texts = (each.trial.assignments[parameter] for parameter in names)
            heights = [scale.share(text) for scale, text in zip(scales, texts, strict=True)] + [value]
            strength = 1 - rank / max(len(ranked) - 1, 1)
            axes.plot(
                range(len(heights)), heights, color=INK if rank == 0 else colour,
                linewidth=2.4 if rank == 0 else 0.9 + 0.4 * thin,
                alpha=1.0 if rank == 0 else 0.08 * thin + 0.62 * strength ** (2 / thin),
            )  # fmt: skip
        for place, scale in enumerate(scales):
            _rail(axes, place, list(_rail_labels(scale)))
        digits = decimals((low, high))
        _rail(axes, len(names), [(0.0, number(low, digits)), (1.0, number(high, digits))])
        shown = [_leaf(stage.names.get(parameter, parameter)) for parameter in names]
        axes.set_xticks(range(len(names) + 1), [short(text, 12) for text in (*shown, label)])
        axes.tick_params(axis="x", labelcolor=INK, labelsize=10.5, length=0, pad=12)
        axes.set_yticks([])
        axes.set_xlim(-0.02, len(names) + 0.02)
        axes.set_ylim(-0.05, 1.05)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        return panel(axes, name=name, alt=_parallel_in_words(stage, ranked, label))


def _rail(axes: Axes, place: int, labels: Sequence[tuple[float, str]]) -> None:
    axes.plot([place, place], [0, 1], color=MUTED, linewidth=1.2, zorder=0.5)
    for height, text in labels:
        below, above = height == 0.0, height == 1.0
        axes.annotate(
            text, (place, height), xytext=(0 if below or above else 5, -4 if below else 4 if above else 0),
            textcoords="offset points", ha="center" if below or above else "left",
            va="top" if below else "bottom" if above else "center", color=MUTED, fontsize=10.5,
            bbox=None if below or above else {"facecolor": SURFACE, "alpha": 0.75, "linewidth": 0, "pad": 1},
        )  # fmt: skip


def _rail_labels(scale: _Scale) -> Iterator[tuple[float, str]]:
    if scale.numeric:
        yield from ((float(end), _plain(value)) for end, value in enumerate(scale.ends))
        return
    last = max(len(scale.listed) - 1, 1)
    yield from ((place / last, short(text, 12)) for place, text in enumerate(scale.listed))


def _parallel_in_words(stage: StageTrials, ranked: Sequence[Tried], label: str) -> str:
    words = f"Options and {label} of {len(ranked)} trials, one line each."
    if not ranked:
        return words
    best = ", ".join(f"{stage.names.get(k, k)} = {v}" for k, v in ranked[0].trial.assignments.items())
    return f"{words} The best has {best}."
