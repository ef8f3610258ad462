"""What is said of a claim's chance to be false: known limits, and how often claims that are said to be so are."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from ctlr.report.statistics.claims import Comparison, false_claim_alone, false_claims


def test_alone_a_claim_is_false_with_half_of_the_two_sided_p() -> None:
    for t, freedom in ((2.0, 4), (3.0, 30), (1.96, 1e9)):
        assert false_claim_alone(Comparison(2 * t, 2.0, freedom)) == pytest.approx(stats.t.sf(t, freedom))
        assert false_claim_alone(Comparison(-2 * t, 2.0, freedom)) == pytest.approx(stats.t.sf(t, freedom))


def test_one_comparison_agrees_with_the_integral_over_what_is_unknown() -> None:
    gain, freedom = 2.5, 8.0
    true = np.linspace(-60, 60, 4800)  # has no 0
    variance = np.logspace(-4, 6, 1000)
    # Of a true gain that is not 0: normal, its variance by (1 + v)^-2.
    drawn = stats.norm.pdf(true[:, None], scale=variance**0.5) / (1 + variance) ** 2
    likely = stats.t.pdf(gain - true, freedom) * integrate.trapezoid(drawn, variance, axis=1)
    below, above = (integrate.trapezoid(np.where(side, likely, 0), true) for side in (true < 0, true > 0))
    zero = stats.t.pdf(gain, freedom)
    expected = (zero + below) / (zero + below + above)  # p0 is 1/2 in the mean
    assert false_claims([Comparison(gain, 1.0, freedom)]) == [pytest.approx(expected, abs=2e-3)]


def test_a_unit_changes_nothing() -> None:
    table = [Comparison(2.0, 1.0, 6), Comparison(-0.4, 0.7, 6), Comparison(1.1, 0.5, 30)]
    in_months = [Comparison(12 * gain, 12 * se, freedom) for gain, se, freedom in table]
    assert false_claims(in_months) == pytest.approx(false_claims(table))


def test_the_same_gain_is_less_believed_among_noise_and_more_among_gains() -> None:
    claim = Comparison(3.0, 1.0, 50)
    among_noise = false_claims([claim, *[Comparison(x, 1.0, 50) for x in (0.3, -0.7, 0.1, -0.2, 0.9, -1.1, 0.4, 0.0)]])
    among_gains = false_claims([claim] * 9)
    assert among_gains[0] < false_claims([claim])[0] < among_noise[0]
    assert false_claim_alone(claim) == pytest.approx(0.0021, abs=1e-4)
    assert 0.0021 < among_gains[0] < 0.02
    assert among_noise[0] > 0.3


def test_an_overwhelming_gain_is_not_doubted_and_nothing_is_claimed_of_nothing() -> None:
    assert false_claims([]) == []
    sure, *_ = false_claims([Comparison(40.0, 1.0, 100), *[Comparison(0.1, 1.0, 100)] * 5])
    assert sure < 1e-6


@pytest.mark.parametrize("gain", [40.0, 400.0, 1e6])
def test_a_gain_of_many_known_errors_is_sure_beside_small_ones(gain: float) -> None:
    """Its density is zero in double precision, wherever true gains are small."""
    first, second, third = false_claims([Comparison(gain, 1.0, math.inf), Comparison(-gain, 1.0, math.inf),
                                         Comparison(0.1, 1.0, math.inf)])  # fmt: skip
    assert first < 1e-6
    assert second < 1e-6
    assert 0.3 < third < 1


def test_of_claims_that_are_said_to_be_false_with_a_probability_as_many_are() -> None:
    """Tables of nine comparisons, three each with one baseline; half of true gains are 0, as the tables do not know."""
    rng = np.random.default_rng(5)
    said, false, alone = [], [], []
    for _ in range(500):
        true = np.where(rng.uniform(size=9) < rng.choice([0.2, 0.5, 0.8]), 0.0, rng.normal(0, 2.5, 9))
        error = np.sqrt(0.5) * (np.repeat(rng.normal(size=3), 3) + rng.normal(size=9))
        table = [Comparison(g, s, 18) for g, s in zip(true + error, np.sqrt(rng.chisquare(18, 9) / 18), strict=True)]
        claims = np.array([false_claim_alone(each) < 0.025 for each in table])
        said += list(np.array(false_claims(table))[claims])
        alone += [false_claim_alone(each) for each in np.array(table)[claims]]
        false += list((true * np.sign([each.gain for each in table]) <= 0)[claims])
    stated, wrong = np.array(said), np.array(false)
    assert np.mean(stated) == pytest.approx(np.mean(wrong), abs=0.04)
    for low, high in ((0.0, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 1.0)):
        these = (stated >= low) & (stated < high)
        assert these.sum() > 100
        assert np.mean(wrong[these]) == pytest.approx(np.mean(stated[these]), abs=0.04 if high < 1 else 0.15)
    assert np.mean(wrong) > 10 * np.mean(alone)  # what half of p would have said
