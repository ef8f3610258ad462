"""Are claims false as often as the report says? `python bench/claims.py` prints a table, in about two minutes.

Simulated tables of nine comparisons: three methods against one scratch at three sizes, on 100 test subjects. A fifth, a
half or four fifths of the true gains are 0, the others normal with a standard deviation of 2.5 standard errors (at five
seeds). The report's own functions see the scores alone.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ctlr.report.statistics.claim_check import comparison
from ctlr.report.statistics.claims import false_claims
from ctlr.report.statistics.estimates import Gain, VarianceParts, gains_together

EDGES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 1.0)
SUBJECTS = 100
SEED_VARIANCE, SUBJECT_VARIANCE = 1.0, 0.1
"""Of a difference in one seed, and of the mean over the test subjects."""


def table(seeds: int, rng: np.random.Generator) -> tuple[list[Gain], np.ndarray]:
    """Gains of one table, and the true ones (9,)."""
    scale = 2.5 * np.sqrt(SEED_VARIANCE / 5 + SUBJECT_VARIANCE)
    true = np.where(rng.uniform(size=(3, 3)) < rng.choice([0.2, 0.5, 0.8]), 0.0, rng.normal(0, scale, (3, 3)))
    # Methods of one size share the scratch: half of a difference's variance.
    scratch = rng.normal(0, np.sqrt(SEED_VARIANCE / 2), (3, 1, seeds))
    own = rng.normal(0, np.sqrt(SEED_VARIANCE / 2), (3, 3, seeds))
    tested = rng.normal(0, np.sqrt(SUBJECT_VARIANCE), (3, 3))
    scores = true[..., None] + own - scratch + tested[..., None]
    luck = rng.chisquare(SUBJECTS - 1, (3, 3)) / (SUBJECTS - 1)
    gains = [
        Gain(
            mean=float(each.mean()), low=0.0, high=0.0, n_seeds=seeds, n_subjects=SUBJECTS, p=1.0, verdict="none",
            parts=VarianceParts(
                subjects=SUBJECT_VARIANCE * float(by), seeds=float(each.var(ddof=1)) / seeds, shared=0.0,
                n_subjects=SUBJECTS, n_seeds=seeds,
            ),
        )
        for each, by in zip(scores.reshape(9, seeds), luck.ravel(), strict=True)
    ]  # fmt: skip
    return gains_together(gains, "mae", level=0.95), true.ravel()


def main(tables: int = 600) -> None:
    """Print, by number of seeds and by what is said, how many claims there are and how many of them are false."""
    print(f"{'seeds':>5s} {'said':>12s} {'claims':>7s} {'mean said':>10s} {'false':>7s} {'half of p':>10s}")
    for seeds in (3, 5, 10):
        rng = np.random.default_rng(seeds)
        said, false, half = [], [], []
        for _ in range(tables):
            gains, true = table(seeds, rng)
            for gain, real, chance in zip(gains, true, false_claims([comparison(g, 0.95) for g in gains]), strict=True):
                if gain.shown:
                    said.append(chance)
                    false.append(real * np.sign(gain.mean) <= 0)
                    half.append(gain.p / 2)
        stated, wrong, alone = np.array(said), np.array(false), np.array(half)
        for low, high in (*pairwise(EDGES), (0.0, 1.0)):
            these = (stated >= low) & (stated <= high)
            span = f"{100 * low:g}-{100 * high:g} %"
            cells = [f"{100 * x[these].mean():.1f} %" for x in (stated, wrong, alone)]
            print(f"{seeds:5d} {span:>12s} {these.sum():7d} {cells[0]:>10s} {cells[1]:>7s} {cells[2]:>10s}", flush=True)


if __name__ == "__main__":
    main()
