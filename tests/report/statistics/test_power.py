"""What is detectable: Student's power where seeds alone vary, what was measured before, and what each part asks for."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats

from ctlr.report.statistics.power import Design, Spread, detectable_gain, holm_level, seeds_needed, subjects_needed
from ctlr.report.statistics.variance import VarianceParts, half_width, lone

MEASURED = Spread(design=Design(3, 100), subjects=0.08, seeds=0.28, shared=0.0, lent=2.0)
"""About the spread of the demo at n = 20, in years^2: 0.84 / K from seeds, and 0.08 of the test subjects."""


def noncentral(se: float, freedom: int, level: float, power: float = 0.8) -> float:
    """Detectable gain of Student's test, by the noncentral t distribution."""
    return se * float(special.nctdtrinc(freedom, 1 - power, stats.t.isf(level / 2, freedom)))


@pytest.mark.parametrize("level", [0.05, 0.05 / 9])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_where_seeds_alone_vary_power_is_that_of_students_test(seeds: int, level: float) -> None:
    spread = Spread(design=Design(seeds, 200), subjects=0.0, seeds=0.25, shared=0.0, lent=2.0)
    assert detectable_gain(spread, level) == pytest.approx(noncentral(0.5, 2 * (seeds - 1), level), rel=1e-4)


def test_a_comparison_that_stands_alone_shows_less() -> None:
    lent = Spread(design=Design(5, 200), subjects=0.0, seeds=0.25, shared=0.0, lent=2.0)
    alone = Spread(design=Design(5, 200), subjects=0.0, seeds=0.25, shared=0.0)
    assert detectable_gain(alone, 0.05) > noncentral(0.5, 4, 0.05) > detectable_gain(lent, 0.05)


def test_the_noncentral_t_itself_gives_the_power_that_was_asked_for() -> None:
    # Of the test's statistic: normal about the gain, over the root of chi-squared, by drawing both.
    rng = np.random.default_rng(0)
    gain = noncentral(1.0, 4, 0.05)
    t = (gain + rng.normal(size=200_000)) / np.sqrt(rng.chisquare(4, 200_000) / 4)
    assert np.mean(np.abs(t) > stats.t.isf(0.025, 4)) == pytest.approx(0.8, abs=0.004)


def test_the_reports_own_test_finds_the_detectable_gain_in_four_cases_of_five() -> None:
    alone = VarianceParts(subjects=0.10, seeds=0.14, shared=0.02, n_subjects=60, n_seeds=4)
    rng = np.random.default_rng(1)
    for parts, freedom in ((alone, 3), (replace(alone, of_others=0.14, freedom_of_others=3), 6)):
        gain = detectable_gain(Spread.of(parts), 0.01)
        estimate = gain + rng.normal(scale=np.sqrt(0.08 + 0.12 + 0.02), size=100_000)
        seeds, subjects = (v * rng.chisquare(k, 100_000) / k for v, k in ((0.14, freedom), (0.10, 59)))
        tested = lone(seeds, 4) if parts is alone else seeds
        width = half_width(tested, freedom, subjects, 0.02, 60, alpha=0.01)
        assert np.mean(np.abs(estimate) > width) == pytest.approx(0.8, abs=0.005)


def test_what_was_measured_on_the_demo_is_foretold() -> None:
    """2.5, 1.7, 1.2 and 1.0 years uncorrected and 5.5, 2.5, 1.6, 1.4 with Holm: with the intervals of before, less."""
    designs = [Design(seeds, 100) for seeds in (3, 5, 10, 20)]
    alone = [detectable_gain(MEASURED.at(design), 0.05) for design in designs]
    assert alone == pytest.approx([2.5, 1.7, 1.2, 1.0], rel=0.2)
    assert alone[1:] == pytest.approx([1.7, 1.2, 1.0], rel=0.1)
    holm = [detectable_gain(MEASURED.at(design), holm_level(9, 0.95)) for design in designs]
    assert holm == pytest.approx([3.8, 2.2, 1.6, 1.3], abs=0.05)  # docs/running.md
    assert holm[2:] == pytest.approx([1.6, 1.4], rel=0.06)


def test_each_part_of_the_variance_falls_with_what_it_comes_from() -> None:
    spread = Spread(design=Design(3, 100), subjects=4.0, seeds=6.0, shared=2.0)
    other = spread.at(Design(6, 400))
    assert (other.subjects, other.seeds, other.shared) == (1.0, 3.0, 0.25)


def test_parts_that_contain_what_is_shared_are_taken_apart() -> None:
    spread = Spread.of(VarianceParts(subjects=5.0, seeds=7.0, shared=2.0, n_subjects=50, n_seeds=5))
    assert (spread.subjects, spread.seeds, spread.shared, spread.lent) == (3.0, 5.0, 2.0, 1.0)


def test_the_mean_of_several_spreads_is_at_the_design_of_the_first() -> None:
    one = Spread(design=Design(3, 100), subjects=1.0, seeds=1.0, shared=0.0)
    same = Spread(design=Design(6, 200), subjects=1.5, seeds=1.5, shared=0.0)
    assert Spread.mean([one, same]) == Spread(design=Design(3, 100), subjects=2.0, seeds=2.0, shared=0.0)


def test_the_fewest_seeds_and_subjects_detect_the_gain_and_one_fewer_does_not() -> None:
    level = holm_level(9, 0.95)
    seeds = seeds_needed(MEASURED, 100, 1.5, level)
    assert seeds is not None
    assert detectable_gain(MEASURED.at(Design(seeds, 100)), level) <= 1.5
    assert detectable_gain(MEASURED.at(Design(seeds - 1, 100)), level) > 1.5
    subjects = subjects_needed(MEASURED, seeds, 1.3, level)
    assert subjects is not None
    assert detectable_gain(MEASURED.at(Design(seeds, subjects)), level) <= 1.3
    assert detectable_gain(MEASURED.at(Design(seeds, subjects - 1)), level) > 1.3


def test_seeds_do_not_make_up_for_test_subjects_nor_these_for_seeds() -> None:
    assert seeds_needed(MEASURED, 100, 0.7, 0.05) is None
    assert subjects_needed(MEASURED, 3, 1.5, 0.05) is None


def test_holm_leaves_more_to_the_next_comparison_once_some_stand() -> None:
    assert holm_level(9, 0.95) == pytest.approx(0.05 / 9)
    assert holm_level(9, 0.95, standing=6) == pytest.approx(0.05 / 3)
    assert holm_level(3, 0.95, standing=3) == pytest.approx(0.05)
