"""What a model without a network promises: a space, what it learns, and a model that comes back from its folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ctlr import shallow
from ctlr.contracts._given import SHAPES
from ctlr.errors import TrainingError, WorkspaceError
from ctlr.shallow.families import FamilySpec
from ctlr.shallow.model import FamilyModel, SavedFamily, load_family, save_family
from ctlr.shallow.sample import in_memory
from ctlr.space import Choice, Range
from ctlr.specs import METHODS, ModelCard
from ctlr.steps.footprint import Footprint

__all__ = ["ON_PICTURES", "PROMISES", "Case", "cases_of", "is_family"]

FITTED, OTHERS = 60, 40
"""Images that are learned from, and those that are predicted."""


def is_family(name: str) -> bool:
    """Whether a method is a model without a network that a search can tune."""
    return issubclass(METHODS[name], FamilySpec)


@dataclass(frozen=True)
class Case:
    """A family in one setting.

    Attributes:
        name: In the table of methods.
        classes: Of the target; 0 for a regression.
        ndim: Sides of an image.
        folder: Below which folders are made.
    """

    name: str
    classes: int
    ndim: int
    folder: Path

    @property
    def spec(self) -> FamilySpec:
        """With its defaults, on ten components."""
        return self.with_options({"features.components": 10} if self.ndim else {})

    def with_options(self, options: dict[str, Any]) -> FamilySpec:
        """With others in the place of its defaults, by their addresses."""
        data: dict[str, Any] = dict(METHODS[self.name].example)
        for address, value in options.items():
            first, _, last = address.partition(".")
            if last:
                data.setdefault(first, {})[last] = value
            else:
                data[first] = value
        try:
            made = METHODS[self.name].model_validate_json(json.dumps(data))
        except ValidationError as error:
            told = error.errors(include_url=False)[0]["msg"]
            raise AssertionError(f"{options} of its space cannot be set: {told}.") from error
        assert isinstance(made, FamilySpec)
        return made

    def images(self) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """(N, C, *S) noise with a pattern that grows with the target, and the targets."""
        rng = np.random.default_rng(0)
        count = FITTED + OTHERS
        images = rng.standard_normal((count, *SHAPES[self.ndim]), dtype=np.float32)
        level = rng.uniform(-2, 2, count)
        half = images.shape[1 if self.ndim == 0 else -1] // 2
        images[..., :half] += 2 * level.reshape(-1, *[1] * (images.ndim - 1)).astype(np.float32)
        if not self.classes:
            return images, 50 + 10 * level
        return images, np.digitize(level, np.linspace(-2, 2, self.classes + 1)[1:-1])

    def fitted(self, spec: FamilySpec | None = None) -> FamilyModel:
        """Fitted to the first images."""
        images, values = self.images()
        model = shallow.fit(spec or self.spec, in_memory(images[:FITTED], values[:FITTED], self.classes))
        assert isinstance(model, FamilyModel), f"`shallow` must fit a `FamilyModel`; it made {type(model).__name__}."
        return model

    def saved(self, model: FamilyModel) -> tuple[Path, ModelCard]:
        """A folder of its own that holds a model, and the card in it."""
        shape = SHAPES[self.ndim]
        card = ModelCard(
            encoder=None, method=model.spec, channels=shape[0], ndim=self.ndim, shape=shape, target="level",
            task="classification" if self.classes else "regression", classes=tuple("abcdefgh"[: self.classes]),
            mean=model.mean, std=model.std,
        )  # fmt: skip
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        save_family(folder, SavedFamily(card, model))
        return folder, card


def cases_of(name: str, folder: Path) -> Iterator[Case]:
    """Pictures first, of three classes, two and a number; then volumes, signals and points."""
    for classes, ndim in ((3, 2), (2, 2), (0, 2), (3, 3), (3, 1), (3, 0)):
        if ("classification" if classes else "regression") in METHODS[name].task_kinds:
            yield Case(name, classes, ndim, folder)


# ---------------------------------------------------------------- promises


def every_value_of_its_space_can_be_set(case: Case) -> None:
    """Every value that its space holds can be set, and makes another model of it."""
    space = case.with_options({}).space(case.ndim)
    assert space, "its space is empty: there is nothing that a search could try. Give it `_own_space`."
    for address, dimension in space.items():
        assert isinstance(dimension, Range | Choice), f"`{address}` must be a `Range` or a `Choice` of `ctlr.space`."
        values = dimension.values if isinstance(dimension, Choice) else (dimension.low, dimension.high)
        made = {case.with_options({address: value}).identity() for value in values}
        assert len(made) == len(values), f"values of `{address}` are not told apart. Let it be a field of the options."


def it_learns_what_images_show(case: Case) -> None:
    """It predicts new images better than chance: shares of classes that add up to one, or numbers in their unit."""
    images, values = case.images()
    found, truth = case.fitted().of_images(images[FITTED:]), values[FITTED:]
    assert np.isfinite(found).all(), "what it predicts must be finite."
    if not case.classes:
        assert found.shape == (OTHERS,), f"a number an image must come out, ({OTHERS},); it is {found.shape}."
        right = np.corrcoef(found, truth)[0, 1]
        assert right > 0.5, f"its numbers correlate with the truth by {right:.2f}; above 0.5 is asked of it."
        return
    assert found.shape == (OTHERS, case.classes), f"shares must be {(OTHERS, case.classes)}; they are {found.shape}."
    assert (found >= 0).all(), "a share is below 0."
    assert np.allclose(found.sum(axis=1), 1), "the shares of an image must add up to 1."
    right, chance = (found.argmax(axis=1) == truth).mean(), np.bincount(truth).max() / OTHERS
    assert right > chance + 0.1, f"{right:.0%} of new images are right, and one class for all has {chance:.0%}."


def a_class_that_nobody_showed_has_no_share(case: Case) -> None:
    """A class that no training image shows has no share."""
    if case.classes < 3:
        return
    images, values = case.images()
    codes = np.where(values == 0, 0, 2)
    model = shallow.fit(case.spec, in_memory(images[:FITTED], codes[:FITTED], case.classes))
    shares = model.of_images(images[FITTED:])
    assert (shares[:, 1] == 0).all(), "a class that nobody showed has a share. `learn` is given codes that all occur."


def an_image_is_alone_in_company(case: Case) -> None:
    """An image is said the same of, digit by digit, whatever stands beside it."""
    images, _ = case.images()
    model = case.fitted()
    together = model.of_images(images[FITTED:])
    alone = np.concatenate([model.of_images(image[None]) for image in images[FITTED : FITTED + 5]])
    assert np.array_equal(alone, together[:5]), "an image alone gets other digits than among others."


def the_same_images_give_the_same_model(case: Case) -> None:
    """The same images give the same model twice, and no random state is touched."""
    before = _random_state()
    first, second = case.fitted(), case.fitted()
    assert _random_state() == before, "it draws from NumPy's own random state. Give scikit-learn a `random_state`."
    assert first.arrays.keys() == second.arrays.keys(), "two fits leave arrays of other names."
    for name, array in first.arrays.items():
        assert np.array_equal(array, second.arrays[name]), f"two fits to the same images give two `{name}`."


def _random_state() -> str:
    """NumPy's own, which is everybody's."""
    return repr(np.random.get_state(legacy=False))  # noqa: NPY002


def a_refit_learns_from_all_images(case: Case) -> None:
    """With `refit` it says so, and learns from images that validate too."""
    assert not case.spec.refits, "`refits` must be false where the options do not ask for it."
    again = case.spec.model_copy(update={"refit": True})
    assert again.refits, "`refits` must be true where `refit` is."
    assert case.spec.validates(case.ndim), "a search judges it by validation images: `validates` must be true."
    images, values = case.images()
    model = shallow.fit(again, in_memory(images, values, case.classes))
    few = case.fitted()
    same = all(np.array_equal(model.arrays[name], array) for name, array in few.arrays.items())
    assert not same, "two thirds more images change nothing of the model."


def it_comes_back_from_its_folder(case: Case) -> None:
    """Its model comes back from its folder with the same digits: arrays, and no pickle."""
    images, _ = case.images()
    model = case.fitted()
    folder, card = case.saved(model)
    names = {path.name for path in folder.iterdir()}
    assert names == {"model.json", "model.safetensors"}, f"a model is model.json and model.safetensors; got {names}."
    again = load_family(folder, card)
    same = np.array_equal(again.predict(images[FITTED:]), model.of_images(images[FITTED:]))
    assert same, "what was written predicts other digits than what was fitted."


def arrays_that_do_not_fit_are_refused(case: Case) -> None:
    """Arrays that do not fit each other are refused where a folder is read."""
    model = case.fitted()
    for name, array in model.arrays.items():
        if not name.startswith("model.") or array.size < 2:
            continue
        cut = FamilyModel(model.spec, {**model.arrays, name: array[:-1]}, model.n_classes, model.mean, model.std)
        folder, card = case.saved(cut)
        try:
            load_family(folder, card)
        except WorkspaceError:
            continue
        raise AssertionError(f"`check` lets a shortened `{name}` pass. Hold each array's shape against the others.")


def its_size_and_its_time_are_known(case: Case) -> None:
    """Its size and the time of an image are measured, and what is over a limit is refused."""
    model = case.fitted()
    size = sum(array.nbytes for array in model.arrays.values())
    assert size, "its model is empty."
    stored: Any = SimpleNamespace(shape=SHAPES[case.ndim])
    Footprint(megabytes=1.01 * size / 1e6, milliseconds=60_000).check_model(model, stored)
    for limit in (Footprint(megabytes=0.99 * size / 1e6), Footprint(milliseconds=1e-9)):
        try:
            limit.check_model(model, stored)
        except TrainingError:
            continue
        raise AssertionError("a limit of size or time lets it pass.")


PROMISES = (
    every_value_of_its_space_can_be_set,
    it_learns_what_images_show,
    a_class_that_nobody_showed_has_no_share,
    an_image_is_alone_in_company,
    the_same_images_give_the_same_model,
    a_refit_learns_from_all_images,
    it_comes_back_from_its_folder,
    arrays_that_do_not_fit_are_refused,
    its_size_and_its_time_are_known,
)
ON_PICTURES = tuple(promise for promise in PROMISES if promise is not it_learns_what_images_show)
"""Those that are tried on pictures alone: volumes, signals and points show nothing new."""
