"""Families that a search tunes: what they learn, that their arrays say what scikit-learn says, and come back so."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ctlr.errors import DataError, TrainingError, WorkspaceError
from ctlr.shallow import fit
from ctlr.shallow import model as model_module
from ctlr.shallow.families import (
    BoostingSpec,
    DecisionTreeSpec,
    FamilySpec,
    FeaturesSpec,
    ForestSpec,
    KNNSpec,
    LogisticSpec,
    NaiveBayesSpec,
    SVMSpec,
)
from ctlr.shallow.model import FamilyModel, SavedFamily, load_family, save_family
from ctlr.shallow.sample import Sample
from ctlr.specs import METHODS, ModelCard
from ctlr.training.checkpoint import load_model

FITTED = np.arange(60)
OTHERS = np.arange(60, 90)
FEW = FeaturesSpec(kind="regions", components=10)
FAMILIES: dict[str, FamilySpec] = {
    "svm": SVMSpec(features=FEW, kernel="linear"),
    "logistic": LogisticSpec(features=FEW, slack=100),
    "knn": KNNSpec(features=FEW),
    "naive_bayes": NaiveBayesSpec(features=FEW),
    "decision_tree": DecisionTreeSpec(features=FEW),
    "forest": ForestSpec(features=FEW, share=0.5),
    "boosting": BoostingSpec(features=FEW, leaf=4),
}
NUMBERS = [name for name, spec in FAMILIES.items() if "regression" in spec.task_kinds]


class Pictures:
    """Reads images that are there, of 3 channels where they are pictures."""

    def __init__(self, images: np.ndarray) -> None:
        from types import SimpleNamespace

        self.images = images.astype(np.float32)
        self.arrays = SimpleNamespace(shape=images.shape[1:], dtype="float16", scale=1.0, offset=0.0)

    def read(self, rows: Any) -> np.ndarray:
        return self.images[np.asarray(rows, dtype=np.int64)]


@pytest.fixture
def volumes(volumes: Any) -> Any:
    volumes.arrays.dtype, volumes.arrays.scale, volumes.arrays.offset = "float16", 1.0, 0.0
    return volumes


def of(store: Any, values: np.ndarray, n_classes: int = 0, rows: np.ndarray = FITTED) -> Sample:
    return Sample(store, rows, values[rows], n_classes)


def card_of(spec: FamilySpec, shape: tuple[int, ...], fitted: FamilyModel, classes: int) -> ModelCard:
    return ModelCard(
        encoder=None, method=spec, channels=shape[0], ndim=len(shape) - 1, shape=shape,
        task="classification" if classes else "regression", target="level",
        classes=tuple("abcdefgh"[:classes]), mean=fitted.mean, std=fitted.std,
    )  # fmt: skip


def test_every_family_is_tried_here() -> None:
    assert set(FAMILIES) == {name for name, spec in METHODS.items() if issubclass(spec, FamilySpec)}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_grows_with_a_pattern_is_found(volumes: Any, name: str) -> None:
    predicted = fit(FAMILIES[name], of(volumes, 50 + 10 * volumes.level))(volumes, OTHERS)
    assert predicted.shape == (30,)
    assert predicted.dtype == np.float64
    assert np.corrcoef(predicted, volumes.level[OTHERS])[0, 1] > 0.8
    assert 20 < predicted.min() < predicted.max() < 80


@pytest.mark.parametrize("name", FAMILIES)
def test_classes_have_shares_also_one_that_nobody_showed(volumes: Any, name: str) -> None:
    codes = np.where(volumes.level > 0, 2, 0)  # nobody is of class 1
    shares = fit(FAMILIES[name], of(volumes, codes, 3))(volumes, OTHERS)
    assert shares.shape == (30, 3)
    assert shares.sum(axis=1) == pytest.approx(1)
    assert shares[:, 1] == pytest.approx(0)
    assert (shares.argmax(axis=1) == codes[OTHERS]).mean() > 0.75


def seen(monkeypatch: pytest.MonkeyPatch, spec: FamilySpec, sample: Sample) -> tuple[FamilyModel, Any, Any]:
    """A fitted model, and the features and targets that its learner was given."""
    learner = model_module._learner(spec)
    given: list[Any] = []

    def learn(options: Any, features: Any, target: Any, n_classes: int) -> Any:
        given.extend([features, target])
        return learner.learn(options, features, target, n_classes)

    class Watched:
        predict, check = staticmethod(learner.predict), staticmethod(learner.check)

    Watched.learn = staticmethod(learn)  # type: ignore[attr-defined]
    monkeypatch.setattr(model_module, "_learner", lambda _: Watched)
    return fit(spec, sample), given[0], given[1]


def _knn(kind: type[BaseEstimator], **options: Any) -> Callable[[], Any]:
    return lambda: kind(algorithm="brute", **options)


ALIKE: list[tuple[FamilySpec, int, Callable[[], Any]]] = [
    (LogisticSpec(slack=3), 2, lambda: LogisticRegression(C=3, max_iter=200)),
    (LogisticSpec(slack=3), 4, lambda: LogisticRegression(C=3, max_iter=200)),
    (LogisticSpec(slack=4), 0, lambda: Ridge(0.25)),
    (KNNSpec(neighbours=7, weights="uniform"), 4, _knn(KNeighborsClassifier, n_neighbors=7)),
    (KNNSpec(metric="manhattan"), 4, _knn(KNeighborsClassifier, metric="manhattan", weights="distance")),
    (KNNSpec(metric="cosine"), 0, _knn(KNeighborsRegressor, metric="cosine", weights="distance")),
    (NaiveBayesSpec(smoothing=1e-2), 4, lambda: GaussianNB(var_smoothing=1e-2)),
    (DecisionTreeSpec(depth=4), 4, lambda: DecisionTreeClassifier(max_depth=4, min_samples_leaf=2, random_state=0)),
    (DecisionTreeSpec(leaf=5), 0, lambda: DecisionTreeRegressor(min_samples_leaf=5, random_state=0)),
    (ForestSpec(trees=20), 4, lambda: RandomForestClassifier(20, random_state=0)),
    (ForestSpec(trees=20), 0, lambda: RandomForestRegressor(20, max_features="sqrt", random_state=0)),
    *(
        (BoostingSpec(iterations=5, leaf=2, l2=1), classes, lambda kind=kind: kind(
            max_iter=5, max_leaf_nodes=8, min_samples_leaf=2, l2_regularization=1, early_stopping=False,
            random_state=0,
        ))
        for classes, kind in (
            (2, HistGradientBoostingClassifier), (4, HistGradientBoostingClassifier), (0, HistGradientBoostingRegressor)
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "classes", "make"), ALIKE, ids=lambda value: getattr(value, "method", None))
def test_arrays_say_what_scikit_learn_says(
    volumes: Any, spec: FamilySpec, classes: int, make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = volumes.level
    if classes:
        values = np.searchsorted(np.quantile(volumes.level, np.arange(1, classes) / classes), volumes.level)
    fitted, features, target = seen(monkeypatch, spec, of(volumes, values, classes))
    theirs = make().fit(features.astype(np.float64), target)
    ours = fitted(volumes, OTHERS)
    other = model_module._scaled(fitted.arrays, volumes.read(OTHERS).reshape(30, -1)).astype(np.float64)
    expected = theirs.predict_proba(other) if classes else theirs.predict(other) * fitted.std + fitted.mean
    assert ours == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly"])
@pytest.mark.parametrize("classes", [0, 2, 5])
def test_a_support_vector_machine_votes_as_scikit_learns(
    volumes: Any, kernel: Any, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = volumes.level
    if classes:
        values = np.searchsorted(np.quantile(volumes.level, np.arange(1, classes) / classes), volumes.level)
    spec = SVMSpec(kernel=kernel, slack=2, gamma=0.5)
    fitted, features, target = seen(monkeypatch, spec, of(volumes, values, classes))
    options = {"C": 2, "kernel": kernel, "gamma": 0.5, "coef0": 1.0}
    other = model_module._scaled(fitted.arrays, volumes.read(OTHERS).reshape(30, -1)).astype(np.float64)
    ours = fitted(volumes, OTHERS)
    if not classes:
        expected = SVR(**options).fit(features.astype(np.float64), target).predict(other)
        assert ours == pytest.approx(expected * fitted.std + fitted.mean, abs=1e-6)
        return
    theirs = SVC(**options, break_ties=True).fit(features.astype(np.float64), target)
    assert ours.argmax(axis=1).tolist() == theirs.predict(other).tolist()
    if classes == 2:
        assert np.log(ours[:, 1] / ours[:, 0]) == pytest.approx(2 * theirs.decision_function(other) / 2, abs=1e-6)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("classes", [0, 2, 3])
def test_a_model_comes_back_from_its_folder_with_the_same_digits(
    volumes: Any, name: str, classes: int, tmp_path: Path
) -> None:
    if not classes and name not in NUMBERS:
        return
    values = np.digitize(volumes.level, [-0.5, 0.5][: classes - 1]) if classes else volumes.level
    fitted = fit(FAMILIES[name], of(volumes, values, classes))
    save_family(tmp_path, SavedFamily(card_of(FAMILIES[name], (1, 8, 8, 8), fitted, classes), fitted))
    assert {path.name for path in tmp_path.iterdir()} == {"model.json", "model.safetensors"}
    again = load_model(tmp_path)
    images = volumes.read(OTHERS)
    assert np.array_equal(again.predict(images), fitted(volumes, OTHERS))
    # One by one, and in whatever company: the same digits.
    assert np.array_equal(np.concatenate([again.predict(image[None]) for image in images]), again.predict(images))
    with pytest.raises(DataError, match=r"\(N, 1, 8, 8, 8\)"):
        again.predict(images[0])


@pytest.fixture
def folder(volumes: Any, tmp_path: Path) -> Path:
    spec = DecisionTreeSpec()
    fitted = fit(spec, of(volumes, volumes.level))
    save_family(tmp_path, SavedFamily(card_of(spec, (1, 8, 8, 8), fitted, 0), fitted))
    return tmp_path


def test_a_flipped_bit_is_noticed(folder: Path) -> None:
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(WorkspaceError, match="other numbers than were written"):
        load_model(folder)


def rewritten(folder: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    arrays = load_file(folder / "model.safetensors")
    arrays[name] = np.ascontiguousarray(change(arrays[name]))
    meta = json.dumps({"crc32": model_module._checksum(arrays)})
    (folder / "model.safetensors").write_bytes(save(arrays, {"meta": meta}))


HOSTILE: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "a node that leads back": ("model.left", lambda left: np.where(left >= 0, 0, left)),
    "a node that leads nowhere": ("model.right", lambda right: np.where(right >= 0, 10**6, right)),
    "a feature that is not there": ("model.feature", lambda feature: feature + 512),
    "a feature below the first": ("model.feature", lambda feature: feature - 1),
    "a root that is none": ("model.roots", lambda roots: roots - 1),
    "another width": ("shift", lambda shift: shift[:-1]),
    "no number": ("model.value", lambda value: value * math.nan),
    "another class": ("classes", lambda _: np.array([7])),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused(folder: Path, what: str) -> None:
    rewritten(folder, *HOSTILE[what])
    with pytest.raises(WorkspaceError, match=r"model\.safetensors is missing or damaged"):
        load_model(folder)


@pytest.mark.parametrize("name", FAMILIES)
def test_arrays_of_another_shape_are_refused(volumes: Any, name: str, tmp_path: Path) -> None:
    codes = (volumes.level > 0).astype(np.int64)
    fitted = fit(FAMILIES[name], of(volumes, codes, 2))
    card = card_of(FAMILIES[name], (1, 8, 8, 8), fitted, 2)
    save_family(tmp_path, SavedFamily(card, fitted))
    own = [array for array in fitted.arrays if array.startswith("model.") and fitted.arrays[array].size > 1]
    for array in own:
        rewritten(tmp_path, array, lambda values: values[:-1])
        with pytest.raises(WorkspaceError):
            load_family(tmp_path, card)
        save_family(tmp_path, SavedFamily(card, fitted))


def test_one_class_alone_teaches_nothing(volumes: Any) -> None:
    with pytest.raises(TrainingError, match="all show the same"):
        fit(SVMSpec(), of(volumes, np.zeros(90, np.int64), 2))


def test_images_that_are_all_the_same_teach_nothing() -> None:
    with pytest.raises(TrainingError, match="the same of every image"):
        fit(KNNSpec(), of(Pictures(np.ones((90, 1, 8, 8))), np.arange(90) % 2, 2))


def test_images_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(TrainingError, match="no finite numbers"):
        fit(KNNSpec(), of(Pictures(np.full((90, 1, 8, 8), np.nan)), np.arange(90) % 2, 2))


def test_what_a_learner_sees_has_a_mean_squared_length_of_one(volumes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for features in (FeaturesSpec(), FeaturesSpec(scale="each"), FeaturesSpec(components=5)):
        with monkeypatch.context() as patch:
            _, given, _ = seen(patch, KNNSpec(features=features), of(volumes, volumes.level))
        assert given.dtype == np.float32
        assert (given.astype(np.float64) ** 2).sum(axis=1).mean() == pytest.approx(1, abs=1e-5)
        assert given.shape[1] == (features.components or 512)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("ndim", [0, 1, 2, 3])
def test_every_option_of_a_space_can_be_set(name: str, ndim: int) -> None:
    from ctlr.space import Choice

    spec = METHODS[name]()
    for address, dimension in spec.space(ndim).items():
        values = dimension.values if isinstance(dimension, Choice) else (dimension.low, dimension.high)
        for value in values:
            first, _, last = address.partition(".")
            data = spec.model_dump(mode="json")
            (data[first] if last else data)[last or first] = value
            made = METHODS[name].model_validate_json(json.dumps(data))
            assert made.misfit((1, *[32] * ndim)) is None
