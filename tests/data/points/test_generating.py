"""Generated points: where they lie, and the least error that is possible on them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from ctlr.data.kinds.points.densities import Blurred
from ctlr.data.kinds.points.drawings import cat, pinwheel, yin_yang
from ctlr.data.kinds.points.generating import bayes_error, draw, mixture_of, posterior
from ctlr.data.kinds.points.regions import Region
from ctlr.specs import GeneratedPointsSpec

ERRORS = {"gaussians": 0.01152, "toroid": 0.09234, "yin_yang": 0.07061, "pinwheel": 0.02632, "blurred_cat": 0.15054}


# ---------------------------------------------------------------- the least error


@pytest.mark.parametrize("name", ERRORS)
def test_the_least_error_is_the_one_that_the_guide_states(name: str) -> None:
    assert bayes_error(name, "test") == pytest.approx(ERRORS[name], abs=1e-5)
    assert bayes_error(name, "val") == pytest.approx(bayes_error(name, "test"), abs=1e-12)


def test_of_two_gaussians_the_least_error_is_that_of_half_their_distance() -> None:
    assert bayes_error("gaussians", "test") == pytest.approx(stats.norm.cdf(-0.5 / 0.22), abs=1e-5)


def test_of_five_gaussians_in_turn_the_least_error_is_that_along_their_row() -> None:
    def missed(x: float) -> float:
        densities = stats.norm.pdf(x, np.arange(-2, 3), 0.22) / 5
        return float(min(densities[::2].sum(), densities[1::2].sum()))

    along, _ = integrate.quad(missed, -5, 5, limit=400, epsabs=1e-10)
    assert bayes_error("gaussians", "train") == pytest.approx(along, abs=1e-5)


def test_of_a_ring_around_a_core_the_least_error_follows_from_rayleigh_and_rice() -> None:
    core, ring = stats.rayleigh(scale=0.35), stats.rice(b=1 / 0.2, scale=0.2)
    border = optimize.brentq(lambda r: core.pdf(r) - ring.pdf(r), 0.4, 0.9)
    assert bayes_error("toroid", "test") == pytest.approx((core.sf(border) + ring.cdf(border)) / 2, abs=1e-5)


@pytest.mark.parametrize(("name", "side"), [("gaussians", "train"), *((name, "test") for name in ERRORS)])
def test_who_knows_the_posterior_errs_as_often(name: str, side: str) -> None:
    points, codes = draw(name, side, 200_000, 5)
    shares = posterior(name, side, points)
    assert shares.sum(axis=1) == pytest.approx(1)
    error = bayes_error(name, side)
    assert (shares.argmax(axis=1) != codes).mean() == pytest.approx(error, abs=4 * (error / 200_000) ** 0.5)
    assert 1 - shares.max(axis=1).mean() == pytest.approx(error, abs=8e-4)
    for code in range(shares.shape[1]):  # calibrated: the share is the probability
        assert shares[:, code].mean() == pytest.approx((codes == code).mean(), abs=6e-3)


# ---------------------------------------------------------------- parameters


def test_parameters_move_the_least_error_as_theory_says() -> None:
    assert bayes_error("gaussians", "test", {"noise": 0.4}) == pytest.approx(stats.norm.cdf(-0.5 / 0.4), abs=1e-5)
    core, ring = stats.rayleigh(scale=0.3), stats.rice(b=2 / 0.1, scale=0.1)
    wide = {"noise": 0.1, "core": 0.3, "radius": 2.0}
    border = optimize.brentq(lambda r: core.logpdf(r) - ring.logpdf(r), 0.5, 1.9)
    assert bayes_error("toroid", "test", wide) == pytest.approx((core.sf(border) + ring.cdf(border)) / 2, abs=1e-5)


def test_three_classes_of_six_gaussians_all_of_which_are_tested_on() -> None:
    given = {"count": 6.0, "classes": 3.0, "tested": 6.0, "noise": 0.1}
    spec = GeneratedPointsSpec(name="p", generator="gaussians", parameters=given)
    assert spec.classes == ("class-1", "class-2", "class-3")
    points, codes = draw("gaussians", "test", 6000, 0, given)
    place = np.rint(points.sum(axis=1) / 2**0.5 + 2.5)
    assert (codes == place % 3).mean() > 0.999
    assert np.bincount(codes) == pytest.approx([2000] * 3, abs=150)


@pytest.mark.parametrize(
    ("name", "given"),
    [(name, {"noise": each}) for name in ERRORS for each in (0.03, 0.3)]
    + [("pinwheel", {"classes": 8.0, "turn": 540.0}), ("yin_yang", {"eye": 0.45}), ("toroid", {"radius": 3.0}),
       ("gaussians", {"count": 12.0, "classes": 8.0, "tested": 12.0})],
)  # fmt: skip
def test_at_the_ends_of_what_is_allowed_densities_are_still_those_of_the_points(
    name: str, given: dict[str, float]
) -> None:
    points, codes = draw(name, "test", 50_000, 2, given)
    error = bayes_error(name, "test", given)
    missed = (posterior(name, "test", points, given).argmax(axis=1) != codes).mean()
    assert missed == pytest.approx(error, abs=4 * (max(error, 1e-4) / 50_000) ** 0.5)


@pytest.mark.parametrize(
    ("generator", "given", "words"),
    [("toroid", {"turn": 3.0}, "has no 'turn'; it has noise, core, radius"),
     ("toroid", {"noise": 0.0}, "from 0.03 to 1; got 0"), ("pinwheel", {"classes": 2.5}, "a whole number from 2 to 8"),
     ("gaussians", {"classes": 4.0, "count": 3.0}, "3 Gaussians cannot be of 4 classes"),
     ("toroid", {"noise": float("nan")}, "finite number")],
)  # fmt: skip
def test_parameters_that_a_generator_does_not_take_are_named(
    generator: str, given: dict[str, float], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        GeneratedPointsSpec.model_validate({"name": "p", "generator": generator, "parameters": given})


# ---------------------------------------------------------------- drawing


@pytest.mark.parametrize("name", ERRORS)
def test_fewer_points_are_the_first_of_more(name: str) -> None:
    points, codes = draw(name, "train", 1000, 3)
    few, few_codes = draw(name, "train", 400, 3)
    assert points.dtype == np.float32
    np.testing.assert_array_equal(few, points[:400])
    np.testing.assert_array_equal(few_codes, codes[:400])


def test_sides_and_seeds_have_points_of_their_own() -> None:
    drawn = [draw("toroid", side, 100, seed)[0] for side in ("train", "val", "test") for seed in (0, 1)]
    assert len({points.tobytes() for points in drawn}) == 6


def test_only_two_of_five_gaussians_are_validated_and_tested_on() -> None:
    for side, parts in (("train", 5), ("val", 2), ("test", 2)):
        points, codes = draw("gaussians", side, 5000, 0)
        place = np.rint(points.sum(axis=1) / 2**0.5)
        usual = np.bincount((place + 2).clip(0, 4).astype(int), minlength=5) > 500
        assert usual.sum() == parts
        assert set(codes) == {0, 1}


@pytest.mark.parametrize("name", ERRORS)
def test_points_lie_as_dense_as_the_density_says(name: str) -> None:
    points, codes = draw(name, "train", 100_000, 1)
    mixture = mixture_of(name, "train")
    lines = np.linspace(-mixture.reach, mixture.reach, 385)
    joint = mixture.by_class(np.stack([density.on_lattice(lines, lines) for density in mixture.densities]))
    cell = (lines[1] - lines[0]) ** 2
    assert joint.sum() * cell == pytest.approx(1, abs=1e-6)
    for code, density in enumerate(joint):
        expected = density[:-1, :-1].reshape(48, 8, 48, 8).sum(axis=(1, 3)) * cell * len(points)
        # A lattice point stands for the square around it.
        edges = lines[::8] - (lines[1] - lines[0]) / 2
        found = np.histogram2d(points[codes == code, 1], points[codes == code, 0], bins=(edges, edges))[0]
        usual = expected > 20
        chi = ((found - expected)[usual] ** 2 / expected[usual]).sum()
        assert stats.chi2.sf(chi, usual.sum()) > 1e-4


# ---------------------------------------------------------------- regions


def test_drawings_have_the_areas_of_their_figures() -> None:
    yin, yang = yin_yang()
    assert yin.area == pytest.approx(yang.area)
    assert yin.area + yang.area == pytest.approx(np.pi, rel=1e-3)
    head, ground = cat()
    assert head.area + ground.area == pytest.approx(2.2**2)
    blades = pinwheel()
    assert [blade.area for blade in blades] == pytest.approx([blades[0].area] * 3)
    assert blades[0].area == pytest.approx(np.radians(105) / 2 - 0.12**2 * np.sin(np.radians(105)) / 2, rel=1e-3)


def test_a_hole_belongs_to_no_region() -> None:
    square = np.array([[0, 0], [3, 0], [3, 3], [0, 3.0]])
    frame = Region([square, square / 3 + 1])
    assert frame.area == pytest.approx(8)
    points = frame.place(np.random.default_rng(0).random((5000, 3)))
    inside = ((points > 1) & (points < 2)).all(axis=1)
    assert ((points >= 0) & (points <= 3)).all()
    assert not inside.any()
    assert points.mean(axis=0) == pytest.approx([1.5, 1.5], abs=0.06)


def test_points_of_a_triangle_have_its_moments() -> None:
    corners = np.array([[0, 0], [4, 1], [1, 3.0]])
    points = Region([corners]).place(np.random.default_rng(0).random((100_000, 3)))
    centre = corners.mean(axis=0)
    assert points.mean(axis=0) == pytest.approx(centre, abs=0.01)
    assert np.cov(points.T) == pytest.approx(np.cov((corners - centre).T) / 6, abs=0.01)  # 2/4 x 1/3 of theirs


def test_a_blurred_square_is_a_product_of_two_blurred_sides() -> None:
    density = Blurred(Region([np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]])]), 0.1)
    points = np.random.default_rng(0).uniform(-0.3, 1.3, (1000, 2))
    sides = stats.norm.cdf(points / 0.1) - stats.norm.cdf((points - 1) / 0.1)
    assert density.at(points) == pytest.approx(sides.prod(axis=1), rel=1e-4)
