"""Tables of pairs of source and target: gains by pair, scores beside gains, what scores foretold, class distances."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ctlr.report.pairs.rows import Foretold, Pair, PairGain, Race, pair_of
from ctlr.report.theme.formats import Cell, Table, Tone, decimals, number
from ctlr.report.wording import (
    METRIC_WORDS,
    VERDICTS,
    interval,
    interval_words,
    n_tested,
    p_words,
    percent,
    verdict_cell,
)
from ctlr.specs import TRANSFER_SCORES, TransferScores, dns_name

__all__ = [
    "SCORE_WORDS",
    "distance_table",
    "foretold_table",
    "left_out_table",
    "pair_gains_table",
    "pair_label",
    "scores_beside_gains",
]

SCORE_WORDS: Mapping[str, str] = {
    "leep": "LEEP", "nce": "NCE", "log_me": "LogME", "h_score": "H-score", "class_variance": "Class variance",
    "hausdorff_modified": "Modified Hausdorff", "hausdorff_plain": "Hausdorff",
}  # fmt: skip
"""How scores are written."""

Names = Mapping[Pair, str]


def _factors(each: PairGain) -> dict[str, object]:
    return {
        "source": each.pair[0], "target": each.pair[1], "encoder": each.contest.encoder.label,
        "metric": each.contest.task.headline, "n_train": each.row.n_train,
    }  # fmt: skip


def pair_label(each: PairGain, names: Names, *, encoders: bool) -> str:
    """Name of a pair, with the encoder where there are several."""
    return names[each.pair] + (f", {each.contest.encoder.label}" if encoders else "")


def _digits(gains: Sequence[PairGain]) -> dict[str, int]:
    """Digits of the gains in each metric."""
    ends: dict[str, list[float]] = {}
    for each in gains:
        gain = each.row.gain
        ends.setdefault(each.contest.task.headline, []).extend([gain.mean, gain.low, gain.high])
    return {metric: decimals(values) for metric, values in ends.items()}


def pair_gains_table(gains: Sequence[PairGain], names: Names, *, level: float) -> Table:
    """Gain over scratch of every pair, with a verdict for all pairs taken together."""
    digits = _digits(gains)
    encoders = len({each.contest.encoder.label for each in gains}) > 1

    def line(each: PairGain) -> tuple[Cell, ...]:
        row, places = each.row, digits[each.contest.task.headline]
        return (
            Cell(pair_label(each, names, encoders=encoders)), Cell(each.contest.labelled(row.n_train)),
            Cell(row.method, f"best of {each.candidates} on validation" if each.candidates > 1 else ""),
            Cell(number(row.gain.mean, places, sign=True), interval(row.gain, places, sign=True)),
            verdict_cell(row.gain, stands=row.stands), Cell(p_words(row.p_holm)),
        )  # fmt: skip

    return Table(
        name="pairs",
        caption=f"Gain over training from scratch in {_metrics(gains)} with its "
        f"{interval_words([each.row.gain for each in gains], level)}; positive is better. p is adjusted for "
        f"{n_tested([each.row for each in gains])} comparisons (Holm).",
        columns=("Pair", "n", "Method", "Gain", "Verdict", "p"), headers=1,
        rows=tuple(map(line, gains)),
        records=tuple(
            _factors(each)
            | {"kind": each.kind, "method": each.row.method, "candidates": each.candidates,
               "gain": each.row.gain.mean, "low": each.row.gain.low, "high": each.row.gain.high,
               "p": each.row.gain.p, "p_holm": each.row.p_holm, "verdict": VERDICTS[each.row.direction],
               "stands": "yes" if each.row.stands else "no"}
            for each in gains
        ),
    )  # fmt: skip


def _metrics(gains: Sequence[PairGain]) -> str:
    return " or ".join(dict.fromkeys(METRIC_WORDS[each.contest.task.headline] for each in gains))


def scores_beside_gains(races: Sequence[Race], names: Names, *, level: float) -> Table:
    """Every pair with its gain and its scores."""
    entries = [(race, each) for race in races for each in race.gains]
    gains = [each for _, each in entries]
    known = [name for name in TRANSFER_SCORES if any(name in race.scores[each.pair] for race, each in entries)]
    places = {name: decimals(race.scores[each.pair].get(name, math.nan) for race, each in entries) for name in known}
    gain_places, encoders = _digits(gains), len({race.encoder for race in races}) > 1

    def line(race: Race, each: PairGain) -> tuple[Cell, ...]:
        digits = gain_places[race.metric]
        gain = each.row.gain
        return (
            Cell(pair_label(each, names, encoders=encoders)), Cell(race.labelled),
            Cell(number(gain.mean, digits, sign=True), interval(gain, digits, sign=True)),
            *(_score(race, each.pair, name, places[name]) for name in known),
        )  # fmt: skip

    return Table(
        name="transfer-scores",
        caption=f"Scores beside the gain over training from scratch in {_metrics(gains)} ({percent(level)} interval). "
        f"Distances (Hausdorff) promise more where they are small, the others where they are large. A second line is "
        "the range over the seeds.",
        columns=("Pair", "n", "Gain", *(SCORE_WORDS[name] for name in known)),
        rows=tuple(line(race, each) for race, each in entries),
        records=tuple(
            _factors(each)
            | {"method": each.row.method, "gain": each.row.gain.mean, "low": each.row.gain.low,
               "high": each.row.gain.high}
            | dict(race.scores[each.pair])
            for race, each in entries
        ),
    )  # fmt: skip


def _score(race: Race, pair: Pair, name: str, digits: int) -> Cell:
    value = race.scores[pair].get(name)
    if value is None:
        return Cell("–", tone="muted")
    ends = race.ranges[pair].get(name)
    between = f"{number(ends[0], digits)} to {number(ends[1], digits)}" if ends else ""
    return Cell(number(value, digits), between)


def foretold_table(rows: Sequence[Foretold], *, level: float) -> Table:
    """Rank correlation, and the error of foretelling a left-out pair, of every score."""
    digits = {
        metric: decimals(r.left_out.error_of_mean for r in rows if r.left_out and r.race.metric == metric)
        for metric in {row.race.metric for row in rows}
    }
    encoders = len({row.race.encoder for row in rows}) > 1
    better = {True: Cell("yes", tone="gain"), False: Cell("no"), None: Cell("–", tone="muted")}

    def line(row: Foretold) -> tuple[Cell, ...]:
        ranks, left = row.ranks, row.left_out
        places = digits[row.race.metric]
        return (
            Cell(SCORE_WORDS[row.score] + (f", {row.race.encoder}" if encoders else "")), Cell(row.race.labelled),
            Cell(str(len(row.pairs))),
            Cell(number(ranks.spearman, 2, sign=True), _ends(ranks.low, ranks.high)) if ranks else better[None],
            Cell(number(ranks.kendall, 2, sign=True)) if ranks else better[None],
            Cell(p_words(row.p_holm)) if row.p_holm is not None else better[None],
            Cell(number(left.error, places)) if left else better[None],
            Cell(number(left.error_of_mean, places)) if left else better[None],
            better[left.better if left else None],
        )  # fmt: skip

    metrics = " or ".join(dict.fromkeys(METRIC_WORDS[row.race.metric] for row in rows))
    return Table(
        name="transfer-foretold",
        caption=f"How far each score foretold the gain. Spearman's rank correlation with its {percent(level)} interval "
        "over pairs, and Kendall's, signed so that 1 promises rightly; p is adjusted for "
        f"{sum(row.ranks is not None for row in rows)} scores (Holm). Errors, in {metrics}, are mean distances of the "
        "gain of each pair from what a line through the other pairs (rising with what the score promises), or their "
        "mean, says.",
        columns=("Score", "n", "Pairs", "Spearman", "Kendall", "p", "Error by score", "Error by mean", "Better"),
        rows=tuple(map(line, rows)),
        records=tuple(map(_foretold_record, rows)),
    )


def _ends(low: float, high: float) -> str:
    if not (math.isfinite(low) and math.isfinite(high)):
        return "no interval"
    return f"{number(low, 2, sign=True)} to {number(high, 2, sign=True)}"


def _foretold_record(row: Foretold) -> dict[str, object]:
    ranks, left = row.ranks, row.left_out
    return {
        "score": row.score, "encoder": row.race.encoder, "metric": row.race.metric, "n_train": row.race.n_train,
        "pairs": len(row.pairs), "promises": "more" if TRANSFER_SCORES[row.score] == "max" else "less",
        "spearman": ranks.spearman if ranks else None, "low": ranks.low if ranks else None,
        "high": ranks.high if ranks else None, "kendall": ranks.kendall if ranks else None,
        "p": ranks.p if ranks else None, "p_holm": row.p_holm, "error": left.error if left else None,
        "error_of_mean": left.error_of_mean if left else None,
        "better_than_mean": ("yes" if left.better else "no") if left else "",
    }  # fmt: skip


def left_out_table(transfers: Sequence[TransferScores], names: Names) -> Table:
    """Scores that could not be computed, and why."""
    found = dict.fromkeys(
        (name, pair_of(each.source, each.target), each.encoder.label if each.encoder else "", reason)
        for each in transfers
        for name, reason in each.left_out.items()
    )
    return Table(
        name="transfer-left-out", caption="Scores that could not be computed, and why.",
        columns=("Score", "Pair", "Reason"), headers=3,
        rows=tuple((Cell(SCORE_WORDS.get(name, name)), Cell(names[pair]), Cell(why)) for name, pair, _, why in found),
        records=tuple(
            {"score": name, "source": pair[0], "target": pair[1], "encoder": encoder, "reason": why}
            for name, pair, encoder, why in found
        ),
    )  # fmt: skip


def distance_table(each: TransferScores, names: Names) -> Table:
    """Modified Hausdorff distances, the larger of both directions, of each source class from each target class."""
    pair = pair_of(each.source, each.target)
    directions = {
        f"{kind}_{way}": np.array(getattr(table, way))
        for kind, table in each.tables.items()
        for way in ("forward", "backward")
    }
    shown = np.maximum(directions["modified_forward"], directions["modified_backward"])  # (S, T)
    nearest, digits = shown.argmin(axis=0), decimals(shown.ravel())

    def cell(row: int, column: int) -> Cell:
        tone: Tone = "best" if nearest[column] == row else ""
        return Cell(number(float(shown[row, column]), digits), tone=tone)

    return Table(
        name=f"distances-{dns_name('-'.join(pair))}",
        caption=f"{names[pair]}: modified Hausdorff distance of each source class (row) from each target class "
        f"(column), the larger of both directions; the nearest source class of each target class stands out. "
        f"{each.per_class} images a class on {each.components} joint principal components with "
        f"{100 * each.explained:.0f}\u00a0% of the variance; mean {number(float(shown.mean()), digits)}.",
        columns=("Source class", *each.target_classes),
        rows=tuple(
            (Cell(name), *(cell(row, column) for column in range(len(each.target_classes))))
            for row, name in enumerate(each.source_classes)
        ),
        records=tuple(
            {"source_class": first, "target_class": second}
            | {name: float(table[row, column]) for name, table in directions.items()}
            for row, first in enumerate(each.source_classes)
            for column, second in enumerate(each.target_classes)
        ),
    )  # fmt: skip
