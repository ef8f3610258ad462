"""Estimates of the Bayes error: the least error that any classifier could have on a set, known of generated ones alone.

Two of them deserve trust as far as they agree: bounds from the nearest neighbour's error (Cover & Hart 1967, IEEE
Transactions on Information Theory 13, 21-27), and the error that follows from neighbours' shares. A third is what the
field often quotes, `closed_loop`: it is optimistic, since a model is asked about what it was shown. All are judged by
labels made wrong on purpose, after which the Bayes error is known from the one before (FeeBee: Renggli et al. 2021,
arXiv:2108.13034).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ctlr.specs import Assessment, ErrorEstimate, NoiseCheck

__all__ = ["assess", "closed_loop", "estimates", "most_rows", "noisy", "under_noise"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Of the labels that are drawn anew, to see whether an estimate notices."""
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Neighbours whose shares are tried."""

_KNOWN = {True: 200_000, False: 20_000}
"""Rows among which neighbours are looked for, at most: with few features, and with many, where it takes long."""
_FEW = 15
"""Features up to which a tree finds neighbours quickly."""
_ASKED = 20_000
"""Rows whose neighbours are looked for."""
_BLOCK = 2000
_LOOPED = 2000
"""Rows that closed loops are fitted to once for every share of wrong labels."""
_TREES = 25
"""Of a forest there."""
_STREAM = 2108_13034
"""Of wrong labels: a set that was drawn with the same seed has others."""

_WIDE = 0.15
"""Distance of the bounds from which they say nothing."""
_DEAF = 0.05
"""Distance from the error that noise must give."""
_UNSETTLED = 0.02
"""Change by twice as many rows, and how much better a forest may do."""
_FEWEST = 30
"""Rows of a class."""
_REPEATED = 0.01
"""Share of the rows that stand there twice."""


def under_noise(error: float, share: float, n_classes: int) -> float:
    """The Bayes error after a share of the labels was drawn anew, all classes alike (FeeBee, lemma 1)."""
    return error + share * (1 - 1 / n_classes - error)


def noisy(codes: Codes, share: float, n_classes: int, rng: np.random.Generator) -> Codes:
    """The labels, a share of them drawn anew from all classes, the true one too."""
    anew = rng.random(len(codes)) < share
    return np.where(anew, rng.integers(0, n_classes, len(codes)), codes)


def most_rows(n_features: int) -> int:
    """Rows of a set that are used at most, drawn at random: neighbours among many features take long to find."""
    return _KNOWN[n_features <= _FEW]


def closed_loop(features: NDArray[np.floating], codes: Codes) -> dict[str, float]:
    """Errors of five nearest neighbours and of a random forest on the rows that they were fitted to.

    Every row is its own nearest neighbour, and most trees of a forest have seen it: these numbers lie below the Bayes
    error wherever classes overlap, near 0 for the forest whatever the labels are. At most 20,000 rows are used.
    """
    rows = _drawn(len(codes), _ASKED, 0)
    return _fitted(np.asarray(features[rows], np.float64), codes[rows])[0]


def _fitted(
    points: Floats, labels: Codes, *, trees: int = 100, oob_score: bool = False
) -> tuple[dict[str, float], float]:
    """Errors of models on the rows that they were fitted to, and of the forest on those that its trees have not met."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neighbors import KNeighborsClassifier

    neighbours = KNeighborsClassifier(min(5, len(points))).fit(points, labels)
    forest = RandomForestClassifier(trees, oob_score=oob_score, random_state=0).fit(points, labels)
    found = {
        "nearest": float((neighbours.predict(points) != labels).mean()),
        "random_forest": float((forest.predict(points) != labels).mean()),
    }
    return found, float(1 - forest.oob_score_) if oob_score else float("nan")


def estimates(
    features: NDArray[np.floating], labellings: Sequence[Codes], n_classes: int, seed: int = 0
) -> list[tuple[ErrorEstimate, ErrorEstimate]]:
    """`nearest` and `posterior` for each of several labellings of one set; neighbours are looked for once.

    Of a large set, neighbours of 20,000 rows are looked for among 200,000, or among 20,000 where there are more than
    15 features. Distances are Euclidean: scale the features first.

    Args:
        features: (N, D), finite.
        labellings: (N,) codes below `n_classes` each.
        n_classes: K.
        seed: Draws the rows that are used.
    """
    known, asked = _rows(features, seed)
    found = _neighbours(features, known, asked)[0]
    return [_estimates(labels[known][found], labels[asked], n_classes) for labels in labellings]


def assess(features: NDArray[np.floating], codes: Codes, n_classes: int, seed: int = 0) -> Assessment:
    """Estimate a set's Bayes error in all ways, and say why the result would be worthless.

    It is so where the bounds lie far apart, the methods contradict each other, a forest does better than is said to be
    possible, half as many rows tell something else, wrong labels go unnoticed, a class has few rows, or rows stand
    there repeatedly.

    Args:
        features: (N, D), finite, scaled alike.
        codes: (N,) classes below `n_classes`.
        n_classes: K.
        seed: Draws rows and wrong labels.
    """
    known, asked = _rows(features, seed)
    found, distances = _neighbours(features, known, asked)
    nearest, posterior = _estimates(codes[known][found], codes[asked], n_classes)
    looped = known[_drawn(len(known), _LOOPED, seed)]
    places, noise = np.asarray(features[looped], np.float64), []
    for number, share in enumerate(SHARES):
        labels = noisy(codes, share, n_classes, np.random.default_rng([_STREAM, seed, number]))
        one, other = _estimates(labels[known][found], labels[asked], n_classes)
        noise.append(
            NoiseCheck(
                share=share, due=under_noise(posterior.value, share, n_classes), nearest=one.value,
                posterior=other.value, closed_loop=_fitted(places, labels[looped], trees=_TREES)[0],
            )
        )  # fmt: skip
    half = known[np.sort(np.random.default_rng(seed).permutation(len(known))[: len(known) // 2])]
    fewer = _estimates(codes[half][_neighbours(features, half, asked)[0]], codes[asked], n_classes)[1]
    rarest = int(np.bincount(codes, minlength=n_classes).min())
    rows = _drawn(len(codes), _ASKED, 0)
    shown, out_of_bag = _fitted(np.asarray(features[rows], np.float64), codes[rows], oob_score=True)
    doubts = _doubts(nearest, posterior, fewer, out_of_bag, noise, rarest, float((distances[:, 0] == 0).mean()))
    return Assessment(
        rows=len(known), nearest=nearest, posterior=posterior, closed_loop=shown, out_of_bag=out_of_bag,
        under_noise=tuple(noise), doubts=tuple(doubts),
    )  # fmt: skip


def _doubts(
    nearest: ErrorEstimate,
    posterior: ErrorEstimate,
    fewer: ErrorEstimate,
    out_of_bag: float,
    noise: Sequence[NoiseCheck],
    rarest: int,
    repeated: float,
) -> list[str]:
    doubts = []
    if nearest.high - nearest.low > _WIDE:
        doubts.append(
            f"the nearest neighbour's bounds lie {nearest.high - nearest.low:.1%} apart, more than {_WIDE:.0%}"
        )
    if posterior.high < nearest.low or posterior.low > nearest.high:
        doubts.append(
            f"neighbours' shares give {posterior.low:.1%} to {posterior.high:.1%}, outside the nearest neighbour's "
            f"bounds of {nearest.low:.1%} to {nearest.high:.1%}"
        )
    if out_of_bag < min(nearest.low, posterior.low) - _UNSETTLED:
        doubts.append(
            f"a random forest errs in {out_of_bag:.1%} of rows that it has not met, less than is said to be possible"
        )
    if abs(fewer.value - posterior.value) > _UNSETTLED:
        doubts.append(
            f"half as many rows give {fewer.value:.1%} in place of {posterior.value:.1%}: more would change it again"
        )
    worst = max(noise, key=lambda each: abs(each.posterior - each.due))
    if abs(worst.posterior - worst.due) > _DEAF:
        doubts.append(
            f"with {worst.share:.0%} of the labels drawn anew the error must be {worst.due:.1%}; "
            f"{worst.posterior:.1%} is estimated"
        )
    if rarest < _FEWEST:
        doubts.append(f"a class has {rarest} rows, fewer than {_FEWEST}")
    if repeated > _REPEATED:
        doubts.append(f"{repeated:.1%} of the rows stand there twice: they are their own neighbours")
    return doubts


# ---------------------------------------------------------------- neighbours


def _estimates(neighbours: Codes, truth: Codes, n_classes: int) -> tuple[ErrorEstimate, ErrorEstimate]:
    """Both, from the (Q, M) labels of each asked row's neighbours, nearest first, and its own label."""
    wrong = float((neighbours[:, 0] != truth).mean())
    spread = 2 * (wrong * (1 - wrong) / len(truth)) ** 0.5
    low = _least(wrong, n_classes)
    nearest = ErrorEstimate(
        value=low, low=_least(wrong - spread, n_classes), high=min(wrong + spread, 1 - 1 / n_classes)
    )
    counted = np.zeros((len(truth), n_classes))
    best: tuple[float, float, float] | None = None
    counts = [count for count in COUNTS if count <= neighbours.shape[1]]
    for start, count in zip([0, *counts], counts, strict=False):
        for column in neighbours[:, start:count].T:
            counted[np.arange(len(truth)), column] += 1
        shares = (counted + 1 / n_classes) / (count + 1)  # a class that was not met is possible still
        loss = -float(np.log(shares[np.arange(len(truth)), truth]).mean())
        if best is None or loss < best[0]:
            best = loss, float((counted.argmax(axis=1) != truth).mean()), float(1 - counted.max(axis=1).mean() / count)
    assert best is not None
    _, held_out, foretold = best
    # Who follows the shares errs more often than the best, and thinks to err less: the largest share is chosen.
    low, high = sorted((foretold, held_out))
    spread = 2 * (held_out * (1 - held_out) / len(truth)) ** 0.5
    return nearest, ErrorEstimate(value=(low + high) / 2, low=max(low - spread, 0), high=high + spread)


def _least(wrong: float, n_classes: int) -> float:
    """The least Bayes error that a nearest neighbour's error allows, with rows without end (Cover & Hart, eq. 12)."""
    most = 1 - 1 / n_classes
    return float(most * (1 - max(1 - max(wrong, 0) / most, 0) ** 0.5))


def _rows(features: NDArray[np.floating], seed: int) -> tuple[Codes, Codes]:
    """Rows among which neighbours are looked for, and some of them whose neighbours are."""
    known = _drawn(len(features), _KNOWN[features.shape[1] <= _FEW], seed)
    return known, known[_drawn(len(known), _ASKED, seed + 1)]


def _drawn(count: int, most: int, seed: int) -> Codes:
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def _neighbours(features: NDArray[np.floating], known: Codes, asked: Codes) -> tuple[Codes, Floats]:
    """(Q, M) places among `known` of the nearest other rows, and (Q, M) how far they are."""
    from sklearn.neighbors import NearestNeighbors

    points = np.asarray(features[known], np.float64)
    count = min(COUNTS[-1], len(known) - 1)
    model = NearestNeighbors(algorithm="kd_tree" if points.shape[1] <= _FEW else "brute").fit(points)
    places, distances = np.empty((len(asked), count), np.int64), np.empty((len(asked), count))
    for start in range(0, len(asked), _BLOCK):
        rows = asked[start : start + _BLOCK]
        far, near = model.kneighbors(np.asarray(features[rows], np.float64), count + 1)
        # Itself, wherever it stands among rows as near; where it is not known at all, the last one goes.
        own = known[near] == rows[:, None]
        own[~own.any(axis=1), -1] = True
        places[start : start + _BLOCK], distances[start : start + _BLOCK] = (
            each[~own].reshape(len(rows), count) for each in (near, far)
        )
    return places, distances
