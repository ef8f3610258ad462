"""Layer-transfer curves (Yosinski et al. 2014, figure 2): score by the number of copied blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from ctlr.report.numbers.contests import Contest
from ctlr.report.numbers.rows import GainRow, Rows
from ctlr.report.statistics.estimates import Estimate
from ctlr.report.theme.formats import Cell, Table, listed, number
from ctlr.report.theme.styles import Style, label_ends
from ctlr.report.theme.svg import MUTED, SERIES, SURFACE, Panel, canvas, panel
from ctlr.report.wording import VERDICTS, factors, interval, interval_words, metric_label, score_digits
from ctlr.specs import METRICS, LayerRole

__all__ = ["FAMILIES", "LayerRow", "LayerView", "layer_plot", "layer_rows", "layer_table", "layer_view"]

FAMILIES: Mapping[str, str] = {
    "AnB": "from the source, kept", "AnB+": "from the source, moving",
    "BnB": "from the target, kept", "BnB+": "from the target, moving",
}  # fmt: skip
"""The curves, and what their copied blocks are."""
BASE = "base B"
"""Yosinski's name for the network that learns the target from random weights."""
_STYLES = {
    "AnB": Style(SERIES[1], "s", hollow=True), "AnB+": Style(SERIES[1], "D"),
    "BnB": Style(SERIES[2], "v", hollow=True), "BnB+": Style(SERIES[2], "o"), BASE: Style(MUTED, "", dashed=True),
}  # fmt: skip
WIDTH, HEIGHT = 480, 330


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """A network of the experiment at one size."""

    role: LayerRole
    n_train: int
    estimate: Estimate
    gain: GainRow | None
    """Over base B; None where the two share no seed."""


@dataclass(frozen=True, kw_only=True)
class LayerView:
    """What the page shows of a contest's layer transfer."""

    panels: tuple[Panel, ...]
    """One a sample size."""
    findings: tuple[str, ...]
    """A sentence a curve, at the largest size."""


def layer_rows(contest: Contest, rows: Rows) -> list[LayerRow]:
    """The networks' scores and gains: by size, then curve, then number of copied blocks."""
    roles = contest.layer_roles
    gains = {(row.method, row.n_train): row for row in rows.gains}
    found = [
        LayerRow(role=roles[row.method], n_train=row.n_train, estimate=row.estimate,
                 gain=gains.get((row.method, row.n_train)))
        for row in rows.scores if row.method in roles
    ]  # fmt: skip
    order = list(FAMILIES)
    return sorted(found, key=lambda row: (row.n_train, order.index(row.role.family), row.role.n_blocks))


def layer_view(contest: Contest, rows: Rows) -> LayerView | None:
    """Draw a contest's layer transfer; None where it has none."""
    found = layer_rows(contest, rows)
    if not found:
        return None
    base = _base(contest, rows)
    better = "lower" if METRICS[contest.task.headline] == "min" else "higher"
    sizes = sorted({row.n_train for row in found})
    return LayerView(
        panels=tuple(
            layer_plot(
                [row for row in found if row.n_train == size], base.get(size), label=metric_label(contest),
                better=better, name=f"{contest.slug}-layers-{size}", labelled=contest.labelled(size),
            )
            for size in sizes
        ),
        findings=tuple(_findings([row for row in found if row.n_train == sizes[-1]])),
    )  # fmt: skip


def _base(contest: Contest, rows: Rows) -> dict[int, Estimate]:
    return {row.n_train: row.estimate for row in rows.scores if row.method == contest.baseline}


def _findings(rows: Sequence[LayerRow]) -> list[str]:
    """What each curve's intervals say of it against base B, every comparison taken alone."""
    found = []
    for family, words in FAMILIES.items():
        own = [row for row in rows if row.role.family == family]
        verdicts = {
            direction: [row.role.n_blocks for row in own if row.gain is not None and row.gain.direction == direction]
            for direction in ("gain", "negative")
        }
        said = [
            f"{word} {BASE} with {listed(depths)} block{'s' * (depths != [1])}"
            for word, depths in (("better than", verdicts["gain"]), ("worse than", verdicts["negative"]))
            if depths
        ]
        tested = any(row.gain is not None and row.gain.gain.tested for row in own)
        nowhere = f"nowhere to be told from {BASE}" if tested else f"not tested against {BASE} (one seed)"
        if own:
            found.append(f"{family} ({words}): {', '.join(said) or nowhere}.")
    return found


def layer_table(contest: Contest, rows: Rows) -> Table:
    """Curve by number of copied blocks, one line each; gains over base B in the records."""
    found = layer_rows(contest, rows)
    digits = score_digits(rows.scores)
    cells = {(row.n_train, row.role.n_blocks, row.role.family): row for row in found}
    lines = sorted({(row.n_train, row.role.n_blocks) for row in found})

    def cell(n_train: int, n_blocks: int, family: str) -> Cell:
        row = cells.get((n_train, n_blocks, family))
        if row is None:
            return Cell("–", tone="muted")
        return Cell(number(row.estimate.mean, digits), interval(row.estimate, digits))

    better = "lower" if METRICS[contest.task.headline] == "min" else "higher"
    return Table(
        name=f"layers-{contest.slug}",
        caption=f"{metric_label(contest)} on the test set by number of copied blocks; {better} is better. Mean "
        f"over the seeds, with its {interval_words([row.estimate for row in found], rows.level)}.",
        columns=("n", "Copied blocks", *FAMILIES), headers=2,
        rows=tuple(
            (Cell(contest.labelled(n)), Cell(str(blocks)), *(cell(n, blocks, family) for family in FAMILIES))
            for n, blocks in lines
        ),
        records=tuple(_record(contest, row) for row in found),
    )  # fmt: skip


def _record(contest: Contest, row: LayerRow) -> dict[str, object]:
    gain = row.gain.gain if row.gain is not None else None
    return {
        **factors(contest),
        "curve": row.role.family, "copied_from": "source" if row.role.origin == "A" else "target",
        "copied_blocks": row.role.n_blocks, "moving": "yes" if row.role.moving else "no", "n_train": row.n_train,
        "metric": contest.task.headline, **row.estimate.record, "gain": gain and gain.mean,
        "gain_low": gain and gain.low, "gain_high": gain and gain.high, "p_holm": row.gain and row.gain.p_holm,
        "verdict": VERDICTS[row.gain.direction] if row.gain is not None else "",
    }  # fmt: skip


# ---------------------------------------------------------------- drawing


def layer_plot(
    rows: Sequence[LayerRow], base: Estimate | None, *, label: str, better: str, name: str, labelled: str
) -> Panel:
    """Score by the number of copied blocks, a curve for each origin and treatment, from base B on.

    Args:
        rows: Of one size, at least one.
        base: The score from scratch: all curves begin there, and a dashed line with its interval goes on.
        label: Of the metric, with its unit.
        better: `lower` or `higher`.
        name: Of the drawing on its page.
        labelled: The size in words, `20 + 20`.
    """
    depth = max(row.role.n_blocks for row in rows)
    families = [family for family in FAMILIES if any(row.role.family == family for row in rows)]
    with canvas(WIDTH, HEIGHT, left=52, right=84, top=28, bottom=46) as axes:
        axes.set_xlim(-0.25, depth + 0.3)
        ends = []
        if base is not None:
            axes.axhspan(base.low, base.high, color=MUTED, alpha=0.12, linewidth=0)
            axes.axhline(base.mean, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.4)
            ends.append((BASE, base.mean))
        for index, family in enumerate(families):
            own = [row for row in rows if row.role.family == family]
            _curve(axes, own, base, _STYLES[family], dodge=(index - (len(families) - 1) / 2) * 0.07)
            ends.append((family, own[-1].estimate.mean))
        axes.set_xticks(range(depth + 1))
        axes.grid(axis="x", visible=False)
        axes.set_xlabel(f"Copied blocks of {depth}, from the image on")
        axes.set_ylabel(f"{label}, {better} is better")
        axes.set_title(f"n = {labelled}", loc="left", fontsize=12, color=MUTED, pad=6)
        label_ends(axes, ends, _STYLES, height=HEIGHT)
        return panel(axes, name=name, alt=_in_words(rows, families, base, label, labelled))


def _curve(axes: Axes, rows: Sequence[LayerRow], base: Estimate | None, style: Style, *, dodge: float) -> None:
    x = np.array([row.role.n_blocks for row in rows]) + dodge
    y = np.array([row.estimate.mean for row in rows])
    axes.vlines(
        x, [row.estimate.low for row in rows], [row.estimate.high for row in rows], color=style.colour, linewidth=1.8,
        alpha=0.5,
    )  # fmt: skip
    line_x, line_y = (np.array([0.0, *x]), np.array([base.mean, *y])) if base is not None else (x, y)
    axes.plot(line_x, line_y, color=style.colour, linewidth=2, linestyle=(0, (1.6, 1.6)) if style.hollow else "-")
    axes.plot(
        x, y, style.marker, color=style.colour, markersize=8, markeredgecolor=style.colour if style.hollow else SURFACE,
        markerfacecolor=SURFACE if style.hollow else style.colour, markeredgewidth=2 if style.hollow else 1.4,
    )  # fmt: skip


def _in_words(
    rows: Sequence[LayerRow], families: Sequence[str], base: Estimate | None, label: str, labelled: str
) -> str:
    from_scratch = f"{BASE}: {number(base.mean, 3)}; " if base is not None else ""
    lines = [
        f"{family} ({FAMILIES[family]}): "
        + ", ".join(f"{number(r.estimate.mean, 3)} with {r.role.n_blocks}" for r in rows if r.role.family == family)
        for family in families
    ]
    return f"{label} by number of copied blocks, n = {labelled}. {from_scratch}{'; '.join(lines)}."
