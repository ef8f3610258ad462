"""Estimates of the Bayes error over the share of labels that were drawn anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ctlr.report.bayes_error.rows import EstimatorRow
from ctlr.report.theme.formats import number
from ctlr.report.theme.styles import Style, label_ends
from ctlr.report.theme.svg import INK, MUTED, SERIES, SURFACE, Panel, canvas, panel

__all__ = ["noise_plot"]

_DUE = "must be"
_STYLES: Mapping[str, Style] = {
    _DUE: Style(INK, "", dashed=True), "k-NN posterior": Style(SERIES[1], "o"), "1-NN bounds": Style(SERIES[3], "s"),
    "KNN, closed loop": Style(SERIES[2], "v", hollow=True), "forest, closed loop": Style(SERIES[4], "D", hollow=True),
}  # fmt: skip
_SHORT = {"KNN, closed loop": "KNN loop", "forest, closed loop": "forest loop"}
WIDTH, HEIGHT = 340, 270


def noise_plot(rows: Sequence[EstimatorRow], *, name: str) -> Panel:
    """Each estimator of one side beside the line that the error must follow.

    Args:
        rows: Of the side.
        name: Of the drawing on its page.
    """
    first = rows[0]
    with canvas(WIDTH, HEIGHT, left=48, top=28, right=116, bottom=44) as axes:
        axes.plot(first.shares, _percents(first.due), color=INK, linewidth=1.6, linestyle=(0, (4, 3)))
        for row in rows:
            look = _STYLES[row.estimator]
            axes.plot(
                row.shares, _percents(row.told), look.marker, linestyle="-" if row.trusted else (0, (1.6, 1.6)),
                color=look.colour, linewidth=1.8, markersize=6.5, markeredgewidth=1.6 if look.hollow else 0,
                markerfacecolor=SURFACE if look.hollow else look.colour,
            )  # fmt: skip
        axes.set_ylim(bottom=0)
        axes.set_xlabel("Share of labels drawn anew")
        axes.set_ylabel("Bayes error, %")
        axes.set_title(first.side, loc="left", fontsize=12, color=MUTED, pad=6)
        ends = [(_DUE, 100 * first.due[-1])]
        ends += [(_SHORT.get(row.estimator, row.estimator), 100 * row.told[-1]) for row in rows]
        looks = {_SHORT.get(label, label): look for label, look in _STYLES.items()}
        label_ends(axes, ends, looks, height=HEIGHT, limit=14)
        return panel(axes, name=name, alt=_in_words(rows))


def _percents(shares: Sequence[float]) -> list[float]:
    return [100 * share for share in shares]


def _in_words(rows: Sequence[EstimatorRow]) -> str:
    said = "; ".join(f"{row.estimator} {number(100 * row.told[-1], 1)} %" for row in rows)
    return (
        f"Estimates of the Bayes error of {rows[0].side} by the share of labels drawn anew. With all of them "
        f"drawn anew it must be {number(100 * rows[0].due[-1], 1)} %: {said}."
    )
