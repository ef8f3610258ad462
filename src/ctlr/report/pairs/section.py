"""What the page shows of pairs of source and target: which of them gained, and whether a score told beforehand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctlr.report.findings import Findings
from ctlr.report.pairs.foretelling import FEWEST_PAIRS, chance_of_perfection
from ctlr.report.pairs.matrix import gain_matrix
from ctlr.report.pairs.pictures import PairPictures, pair_pictures
from ctlr.report.pairs.plots import score_plot
from ctlr.report.pairs.rows import (
    Computed,
    Foretold,
    Pair,
    PairGain,
    Race,
    foretold,
    pair_gains,
    pair_names,
    pair_of,
    races,
)
from ctlr.report.pairs.tables import (
    SCORE_WORDS,
    distance_table,
    foretold_table,
    left_out_table,
    pair_gains_table,
    pair_label,
    scores_beside_gains,
)
from ctlr.report.section import Section
from ctlr.report.theme.formats import Table, decimals, listed, number
from ctlr.report.theme.svg import Panel
from ctlr.report.wording import METRIC_WORDS, metric_label, n_tested, p_phrase, percent
from ctlr.specs import TransferScores

__all__ = ["PairView", "ScorePanels", "pair_view", "pairs"]


@dataclass(frozen=True)
class ScorePanels:
    """Drawings of all scores of one race."""

    heading: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, kw_only=True)
class PairView:
    """Pairs of source and target, ready for the page."""

    verdict: str
    """How many pairs gained, and which lost."""
    findings: tuple[str, ...]
    """Whether a score foretold the gain; empty where nothing was scored."""
    tables: Mapping[str, Table]
    distances: tuple[Table, ...]
    panels: tuple[ScorePanels, ...]
    pictures: tuple[PairPictures, ...]


def pairs(found: Findings) -> Iterator[Section]:
    """Nothing unless gains of two transfers can be set side by side."""
    finished = found.finished
    bootstrap = finished.config.report.bootstrap
    view = pair_view(found.views, finished.transfers, finished.root, bootstrap=bootstrap, level=finished.level)
    matrix = gain_matrix(found.views)
    if view is not None or matrix is not None:
        yield Section(
            anchor="pairs", heading="Which transfers gain", template="pairs/pairs.html.j2", folded=False,
            shows={"pairs": view, "matrix": matrix},
            tables=(*([matrix] if matrix else ()), *((*view.tables.values(), *view.distances) if view else ())),
        )  # fmt: skip


def pair_view(
    views: Sequence[Computed], transfers: Sequence[TransferScores], root: Path, *, bootstrap: int, level: float
) -> PairView | None:
    """Compute and draw; None unless gains of two pairs can be set side by side.

    Args:
        views: Sections of the report.
        transfers: Scores of their transfers.
        root: Of the workspace, for the pictures.
        bootstrap: Draws of pairs behind the interval of a rank correlation.
        level: Share of intervals that hold the true value.
    """
    gains = pair_gains(views, level=level)
    if len({each.pair for each in gains}) < 2:
        return None
    names = pair_names([*(each.pair for each in gains), *(pair_of(each.source, each.target) for each in transfers)])
    found = races(gains, transfers)
    rows = foretold(found, bootstrap=bootstrap, level=level)
    tables = {"pairs": pair_gains_table(gains, names, level=level)}
    if rows:
        tables["scores"] = scores_beside_gains(found, names, level=level)
        tables["foretold"] = foretold_table(rows, level=level)
    if any(each.left_out for each in transfers):
        tables["left_out"] = left_out_table(transfers, names)
    return PairView(
        verdict=_verdict(gains, names), findings=tuple(_findings(rows, level)), tables=tables,
        distances=tuple(distance_table(each, names) for each in transfers if each.tables),
        panels=tuple(_panels(found, rows, names)), pictures=pair_pictures(transfers, names, root),
    )  # fmt: skip


# ---------------------------------------------------------------- sentences


_BY_VALIDATION = ", of each pair, kind and size by the method that is best on validation"


def _verdict(gains: Sequence[PairGain], names: Mapping[Pair, str]) -> str:
    encoders = len({each.contest.encoder.label for each in gains}) > 1
    standing = {way: [g for g in gains if g.row.stands and g.row.direction == way] for way in ("gain", "negative")}
    counts = [len(standing[way]) or "none" for way in ("gain", "negative")]
    tested = n_tested([each.row for each in gains])
    if not tested:
        return "One seed supports no verdict, so no gain is called one."
    chosen = any(each.candidates > 1 for each in gains)
    words = (
        f"Of {tested} comparisons with training from scratch{_BY_VALIDATION if chosen else ''}, all taken together, "
    )
    words += f"gains: {counts[0]}; negative transfer: {counts[1]}."
    if not standing["negative"]:
        return words
    where = [f"{pair_label(g, names, encoders=encoders)} at n = {g.contest.labelled(g.row.n_train)} (‘{g.row.method}’)"
             for g in standing["negative"]]  # fmt: skip
    return f"{words} It is negative for {listed(where)}."


def _findings(rows: Sequence[Foretold], level: float) -> list[str]:
    """One sentence a race; races in which no score was of use share one."""
    by_race: dict[int, list[Foretold]] = {}
    for row in rows:
        by_race.setdefault(id(row.race), []).append(row)
    groups = list(by_race.values())
    useless = [group for group in groups if _most(group) >= FEWEST_PAIRS and _best(group) is None]
    said = [_useful(group, level) for group in groups if _best(group) is not None]
    few = [group for group in groups if _most(group) < FEWEST_PAIRS]
    if useless:
        where = listed(list(dict.fromkeys(_where(group[0].race) for group in useless)))
        said.insert(0, f"No score predicted the gain better than the mean of the other pairs at {where}.")
    if few:
        where = listed(list(dict.fromkeys(_where(group[0].race) for group in few)))
        said.append(
            f"At {where} fewer than {FEWEST_PAIRS} pairs can be compared: too few to tell whether a score foretold "
            "anything."
        )
    pairs = max(map(_most, groups), default=0)
    if pairs >= FEWEST_PAIRS and chance_of_perfection(pairs) > 1 - level:
        said.append(
            f"With {pairs} pairs scores and gains fall into one order, or its opposite, by chance once in "
            f"{math.factorial(pairs) // 2} times. No score can be shown to predict here, and no interval says more "
            "than −1 to 1; more pairs could tell."
        )
    return said


def _most(group: Sequence[Foretold]) -> int:
    return max(len(row.pairs) for row in group)


def _where(race: Race) -> str:
    return f"n = {race.labelled} ({METRIC_WORDS[race.metric]}, {race.encoder})"


def _best(group: Sequence[Foretold]) -> Foretold | None:
    """The score that foretold left-out pairs best, where one did better than their mean."""
    better = [row for row in group if row.left_out is not None and row.left_out.better]
    return min(better, key=lambda row: row.left_out.error if row.left_out else math.inf, default=None)


def _useful(group: Sequence[Foretold], level: float) -> str:
    best = _best(group)
    assert best is not None
    assert best.left_out is not None
    digits = decimals([best.left_out.error_of_mean])
    words = (
        f"At {_where(best.race)} {SCORE_WORDS[best.score]} foretold left-out pairs best: off by "
        f"{number(best.left_out.error, digits)} on average, where the mean of the other pairs is off by "
        f"{number(best.left_out.error_of_mean, digits)}."
    )
    if best.ranks is None or best.p_holm is None:
        return words
    ends = [number(end, 2, sign=True) for end in (best.ranks.low, best.ranks.high)]
    spread = f"{percent(level)} interval {' to '.join(ends)}" if math.isfinite(best.ranks.low) else "no interval"
    words += f" Its rank correlation with the gain is {number(best.ranks.spearman, 2, sign=True)} ({spread}, "
    words += f"{p_phrase(best.p_holm)} with all scores taken together): "
    tried = sum(row.left_out is not None for row in group)
    if best.p_holm < 1 - level and best.ranks.spearman > 0:
        return words + "more than chance would do."
    return words + f"with {len(best.pairs)} pairs, the best of {tried} scores may do as well by chance."


# ---------------------------------------------------------------- drawings


def _panels(found: Sequence[Race], rows: Sequence[Foretold], names: Mapping[Pair, str]) -> list[ScorePanels]:
    """Of each group of pairs at its largest size."""
    largest: dict[tuple[str, str, str], Race] = {}
    for race in found:
        target = race.gains[0].pair[1] if len({each.pair[1] for each in race.gains}) == 1 else ""
        largest[race.encoder, race.metric, target] = race  # sizes ascend
    drawn = []
    for number_, race in enumerate(largest.values()):
        label = f"Gain, {metric_label(race.gains[0].contest)}"
        panels = [
            score_plot(row, names, label=label, name=f"pairs-{number_}-{row.score}")
            for row in rows
            if row.race is race and row.ranks is not None
        ]
        drawn.append(ScorePanels(f"At {_where(race)}", tuple(panels)))
    return drawn
