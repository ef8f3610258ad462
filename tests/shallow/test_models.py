"""Models without a network: what each finds, and what none of them may see."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge

from ctlr.data.kinds.points.generating import bayes_error, draw
from ctlr.shallow import fit
from ctlr.shallow import sample as sample_module
from ctlr.shallow.baselines import GradientBoostingSpec, LinearSpec, NearestSpec, RandomForestSpec
from ctlr.shallow.boosting import region_means
from ctlr.shallow.choosing import chosen, folds_of
from ctlr.shallow.components import Components
from ctlr.shallow.forest import LEAVES
from ctlr.shallow.sample import Sample
from ctlr.specs import METHODS

FITTED = np.arange(60)
OTHERS = np.arange(60, 90)
OPTIONS = {
    "linear": LinearSpec(mirror=False), "pca": LinearSpec(mirror=False, features="pca", components=10),
    "gradient_boosting": GradientBoostingSpec(mirror=False), "nearest": NearestSpec(mirror=False),
    "random_forest": RandomForestSpec(mirror=False, trees=40),
}  # fmt: skip


def of(store: Any, values: np.ndarray, n_classes: int = 0, rows: np.ndarray = FITTED) -> Sample:
    return Sample(store, rows, values[rows], n_classes)


def test_every_model_without_a_network_is_tried_here() -> None:
    shallow = {name for name, spec in METHODS.items() if spec.shallow and spec.role == "baseline"}
    # But for the linear one of the source, and for what reads columns: tests/steps/test_inputs.py has these.
    others = {"unchanged_linear", "covariates", "linear_covariates"}
    assert {spec.method for spec in OPTIONS.values()} == shallow - others


@pytest.mark.parametrize("name", OPTIONS)
def test_a_pattern_that_grows_with_the_target_is_found(volumes: Any, name: str) -> None:
    spec = OPTIONS[name]
    predicted = fit(spec, of(volumes, 50 + 10 * volumes.level))(volumes, OTHERS)
    assert predicted.shape == (30,)
    assert predicted.dtype == np.float64
    assert np.corrcoef(predicted, volumes.level[OTHERS])[0, 1] > (0.85 if name == "random_forest" else 0.9)
    assert 30 < predicted.min() < predicted.max() < 70


@pytest.mark.parametrize("name", OPTIONS)
def test_classes_have_probabilities_also_one_that_nobody_showed(volumes: Any, name: str) -> None:
    spec = OPTIONS[name]
    codes = np.where(volumes.level > 0, 2, 0)  # nobody is of class 1
    shares = fit(spec, of(volumes, codes, 3))(volumes, OTHERS)
    assert shares.shape == (30, 3)
    assert shares.sum(axis=1) == pytest.approx(1)
    assert shares[:, 1] == pytest.approx(0)
    assert (shares.argmax(axis=1) == codes[OTHERS]).mean() > 0.75


@pytest.mark.parametrize("name", OPTIONS)
def test_only_labelled_images_are_read_before_something_is_predicted(volumes: Any, name: str) -> None:
    fit(OPTIONS[name], of(volumes, volumes.level))
    assert volumes.seen == set(FITTED.tolist())


@pytest.mark.parametrize("name", OPTIONS)
def test_the_same_labels_give_the_same_predictions_twice(volumes: Any, name: str) -> None:
    spec = OPTIONS[name]
    first, second = (fit(spec, of(volumes, volumes.level))(volumes, OTHERS) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_mirrored_image_is_the_same_image_where_views_flip(volumes: Any, name: str) -> None:
    spec = OPTIONS[name].model_copy(update={"mirror": True})
    predict = fit(spec, of(volumes, volumes.level))
    before = predict(volumes, OTHERS)
    volumes.images = volumes.images[:, :, ::-1]
    assert predict(volumes, OTHERS) == pytest.approx(before, abs=1e-9)


@pytest.mark.parametrize("name", OPTIONS)
def test_how_many_images_fit_into_memory_changes_no_number(
    volumes: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = OPTIONS[name]
    whole = fit(spec, of(volumes, volumes.level))(volumes, OTHERS)
    monkeypatch.setattr(sample_module, "BLOCK", 7 * 512)
    parts = fit(spec, of(volumes, volumes.level))(volumes, OTHERS)
    assert parts == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("n_classes", [0, 2])
def test_images_or_labels_that_are_all_the_same_teach_the_mean(volumes: Any, name: str, n_classes: int) -> None:
    spec = OPTIONS[name]
    volumes.images[:] = 1.0
    values = np.arange(90) % 2
    constant = fit(spec, of(volumes, values if n_classes else values.astype(float), n_classes))
    found = constant(volumes, OTHERS)
    assert (found[:, 1] if n_classes else found) == pytest.approx(0.5, abs=1e-6)
    one = fit(spec, of(volumes, np.ones(90, np.int64), n_classes))
    assert (one(volumes, OTHERS)[:, 1] if n_classes else one(volumes, OTHERS)) == pytest.approx(1)


def test_of_very_many_images_some_are_drawn(volumes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = of(volumes, volumes.level)
    assert whole.drawn() is whole
    monkeypatch.setattr(sample_module, "MOST", 25)
    few = whole.drawn()
    assert len(set(few.rows.tolist())) == len(few.values) == 25
    assert np.array_equal(few.values, volumes.level[few.rows])
    fit(LinearSpec(mirror=False), whole)
    assert volumes.seen == set(few.rows.tolist())


# ---------------------------------------------------------------- components


def test_a_ridge_on_all_components_is_the_ridge_on_voxels(volumes: Any) -> None:
    components = Components(of(volumes, volumes.level), mirror=False)
    assert components.scores.shape == (60, 59)
    model = Ridge(alpha=30.0).fit(components.scores, volumes.level[FITTED])
    weights = components.in_voxels(model.coef_[:, None])
    found = components.project(weights, volumes, OTHERS)[:, 0] + model.intercept_
    voxels = volumes.images.reshape(90, -1).astype(np.float64)
    expected = Ridge(alpha=30.0, solver="cholesky").fit(voxels[FITTED], volumes.level[FITTED]).predict(voxels[OTHERS])
    assert found == pytest.approx(expected, abs=1e-9)


def test_components_are_those_of_a_singular_value_decomposition(volumes: Any) -> None:
    components = Components(of(volumes, volumes.level), mirror=False, most=5)
    voxels = volumes.images.reshape(90, -1).astype(np.float64)[FITTED]
    lengths = np.linalg.svd(voxels - voxels.mean(axis=0), compute_uv=False)
    assert np.linalg.norm(components.scores, axis=0) == pytest.approx(lengths[:5])
    assert components.norm == pytest.approx(np.sqrt((lengths**2).sum() / 60))
    again = components.project(components.in_voxels(np.eye(5)), volumes, FITTED)
    assert again == pytest.approx(components.scores, abs=1e-9)


# ---------------------------------------------------------------- choosing


def test_images_of_a_subject_stay_in_one_fold() -> None:
    subjects = np.repeat(np.arange(12), 3)
    folds = folds_of(subjects)
    assert len(folds) == 5
    assert sorted(np.concatenate([held for _, held in folds]).tolist()) == list(range(36))
    for fitted, held in folds:
        assert not set(subjects[fitted]) & set(subjects[held])


def test_the_candidate_that_predicts_held_out_subjects_best_is_chosen() -> None:
    def loss(candidate: int, fitted: np.ndarray, held: np.ndarray) -> np.ndarray:
        assert len(fitted) + len(held) == 20
        return np.full(len(held), abs(candidate - 3.0))

    assert chosen([1, 3, 5], loss, np.arange(20)) == 3
    assert chosen([2, 4], loss, np.arange(20)) == 2  # the first of equal ones
    assert chosen([5, 3], loss, np.zeros(20, np.int64)) == 5  # one subject has nobody to be held against


# ---------------------------------------------------------------- regions


def test_regions_are_block_means(volumes: Any) -> None:
    ramp = np.arange(32.0)[None, None, :, None, None] * np.ones((1, 1, 32, 16, 9))
    ramps = type(volumes)(ramp, np.zeros(1))
    means = region_means(ramps, np.array([0]), mirror=False).reshape(8, 8, 8)
    assert means[:, 0, 0] == pytest.approx(np.arange(8) * 4 + 1.5)
    assert means.std(axis=(1, 2)) == pytest.approx(0)


# ---------------------------------------------------------------- points, and options that validation chooses


def points_of(volumes: Any, name: str = "toroid", count: int = 1500) -> tuple[Any, np.ndarray]:
    """Generated points as a store, half to train on, a quarter to validate on, a quarter to test on."""
    places, codes = draw(name, "train", count, 0)
    return type(volumes)(places, np.zeros(count)), codes


@pytest.mark.parametrize("spec", [NearestSpec(), RandomForestSpec(trees=60)], ids=["nearest", "random_forest"])
def test_on_points_the_error_comes_near_the_least_possible(volumes: Any, spec: Any) -> None:
    store, codes = points_of(volumes)
    train, held, test = np.split(np.arange(1500), [750, 1125])
    sample = replace(of(store, codes, 2, train), validation=of(store, codes, 2, held))
    predict = fit(spec, sample)
    assert store.seen == {*train.tolist(), *held.tolist()}
    shares = predict(store, test)
    assert shares.sum(axis=1) == pytest.approx(1)
    assert (shares.argmax(axis=1) != codes[test]).mean() < bayes_error("toroid", "train") + 0.04
    values = store.images[:, 0] ** 2
    level = fit(spec, replace(of(store, values, 0, train), validation=of(store, values, 0, held)))(store, test)
    assert np.corrcoef(level, values[test])[0, 1] > 0.97


def test_validation_chooses_how_many_neighbours_are_asked(volumes: Any) -> None:
    store, codes = points_of(volumes)
    store.images[750:] = store.images[:750]  # each held-out point stands on one that was trained on
    train, held = np.arange(750), np.arange(750, 1125)
    for labels, asked in ((np.concatenate([codes[:750]] * 2), 1), (codes, 20)):
        sample = replace(of(store, labels, 2, train), validation=of(store, labels, 2, held))
        shares = fit(NearestSpec(), sample)(store, held)
        assert set(np.unique(shares[:, 1] * asked)) <= set(range(asked + 1))
        assert (set(np.unique(shares[:, 1])) == {0.0, 1.0}) == (asked == 1)


def test_a_forest_is_that_of_scikit_learn_with_the_leaves_that_validate_best(volumes: Any) -> None:
    store, codes = points_of(volumes, "blurred_cat")
    train, held = np.arange(750), np.arange(750, 1500)
    sample = replace(of(store, codes, 2, train), validation=of(store, codes, 2, held))
    found = fit(RandomForestSpec(trees=40), sample)(store, held)
    places, losses = store.images, {}
    for leaf in LEAVES:
        tried = RandomForestClassifier(25, min_samples_leaf=leaf, random_state=0).fit(places[train], codes[train])
        losses[leaf] = ((tried.predict_proba(places[held])[:, 1] - codes[held]) ** 2).mean()
    leaf = min(losses, key=losses.__getitem__)
    assert leaf > 1  # single points of two classes that overlap tell nothing
    whole = RandomForestClassifier(40, min_samples_leaf=leaf, random_state=0).fit(places[train], codes[train])
    assert found == pytest.approx(whole.predict_proba(places[held]))
