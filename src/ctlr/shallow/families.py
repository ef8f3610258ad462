"""Options of the models without a network that a search tunes: families of classical learners, on features.

A family is a method like any other: it learns from a study's training subjects, its validation subjects judge it, and
what it has learned is a model that can be used. The models of `ctlr.shallow.baselines` choose their options themselves,
and stand beside the methods; these are told theirs, or a search finds them.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ctlr.space import Choice, Range, integers, loguniform, uniform
from ctlr.specs import MethodSpec, Value

if TYPE_CHECKING:
    from torch import Tensor

    from ctlr.encoders.base import Encoder

__all__ = [
    "BoostingSpec",
    "DecisionTreeSpec",
    "FamilySpec",
    "FeaturesSpec",
    "ForestSpec",
    "KNNSpec",
    "LogisticSpec",
    "NaiveBayesSpec",
    "SVMSpec",
]

Kind = Literal["pixels", "regions", "histogram", "hog", "lbp", "network"]

KINDS: Mapping[Kind, tuple[int, ...]] = {
    "pixels": (0, 1, 2, 3), "regions": (1, 2, 3), "histogram": (2, 3), "hog": (2,), "lbp": (2,),
    "network": (0, 1, 2, 3),
}  # fmt: skip
"""Spatial axes of the images of which each kind of feature can be computed."""
_OF_CELLS = ("hog", "lbp")


class FeaturesSpec(Value):
    """What a model without a network is shown of an image. Options that do not matter to its `kind` are not read."""

    kind: Kind = "pixels"
    """Every pixel, voxel, sample or column; means of coarse regions; how often each intensity occurs; histograms of
    oriented gradients and local binary patterns, of pictures; what the encoder makes of it with the weights of the
    method's `network`."""
    tried: Annotated[tuple[Kind, ...], Field(exclude_if=lambda kinds: not kinds)] = ()
    """Kinds that a search tries, `kind` among them; none: all that there are of such images."""
    scale: Literal["together", "each"] = "together"
    """Divide all features by one number, so that what varies more counts more; or each by its own deviation."""
    components: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Leading principal components of the scaled features, fewer where there are not as many; null: the features
    themselves."""
    bins: Annotated[int, Field(ge=2, le=256)] = 32
    """Of `histogram`, for each channel."""
    cell: Annotated[int, Field(ge=2, le=256)] = 4
    """Of `hog` and `lbp`: side in pixels of the squares of which each has a histogram of its own."""
    orientations: Annotated[int, Field(ge=2, le=36)] = 9
    """Of `hog`: bins of the half circle."""
    points: Annotated[int, Field(ge=4, le=24)] = 8
    """Of `lbp`: neighbours that each pixel is held against."""
    radius: Annotated[int, Field(ge=1, le=32)] = 1
    """Of `lbp`: how far they are, in pixels."""

    @model_validator(mode="after")
    def _is_tried(self) -> Self:
        if self.tried and self.kind not in self.tried:
            raise ValueError(f"`kind` must be one of those that are `tried`; got {self.kind}. Name it, or add it there")
        return self

    def misfit(self, shape: tuple[int, ...]) -> tuple[str, str] | None:
        """Option and rule where features of images of this shape, (C, *S), cannot be computed; None where they can."""
        sides = shape[1:]
        for option, kind in (("kind", self.kind), *(("tried", kind) for kind in self.tried)):
            if len(sides) not in KINDS[kind]:
                what = {0: "points", 1: "signals", 2: "pictures", 3: "volumes"}[len(sides)]
                known = ", ".join(_kinds_of(len(sides)))
                return f"features.{option}", f"{kind} is not computed of {what}. Known for them: {known}."
        if self.kind in _OF_CELLS and self.cell > min(sides):
            told = f"the pictures have {' x '.join(map(str, sides))} pixels, and a cell has {self.cell} a side"
            return "features.cell", f"{told}. Lower it to {min(sides)} or less."
        return None

    def space(self, ndim: int, *, network: bool) -> dict[str, Range | Choice]:
        """What a search tries by default: dimension by the option's place.

        Args:
            ndim: Spatial axes of the images.
            network: Whether there is a pretrained one.
        """
        kinds = tuple(kind for kind in self.tried or _kinds_of(ndim) if network or kind != "network")
        found: dict[str, Range | Choice] = {"features.kind": Choice(kinds)} if len(kinds) > 1 else {}
        if ndim:
            found["features.scale"] = Choice(("together", "each"))
            found["features.components"] = Choice((None, 25, 50, 100))
        if any(kind in _OF_CELLS for kind in kinds):
            found["features.cell"] = Choice((4, 6, 8))
        return found


def _kinds_of(ndim: int) -> tuple[Kind, ...]:
    return tuple(kind for kind, sides in KINDS.items() if ndim in sides)


class FamilySpec(MethodSpec):
    """A classical learner on features."""

    features: FeaturesSpec = FeaturesSpec()
    """What it is shown of an image."""
    network: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    """File of weights of a pretrained network, as `pretrained` takes it, of whose features `features: {kind: network}`
    are made; the benchmark's encoder has to be that network. With `sha256`, `licence` and `trained_on`."""
    sha256: Annotated[
        Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None, Field(exclude_if=lambda value: value is None)
    ] = None
    """Of that file, as `sha256sum` prints it."""
    licence: Annotated[Annotated[str, Field(min_length=1)] | None, Field(exclude_if=lambda value: value is None)] = None
    """Under which the weights may be used."""
    trained_on: Annotated[tuple[str, ...], Field(exclude_if=lambda value: not value)] = ()
    """Cohorts that the weights were trained on: where the target is one of them nothing runs."""
    encoder: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    """Key of the encoder whose weights `network` holds, where the benchmark has others too."""
    refit: Annotated[bool, Field(exclude_if=lambda value: not value)] = False
    """Once options are chosen, learn from training and validation subjects together. Trials of a search do not."""

    trains_network: ClassVar[bool] = False
    files: ClassVar[tuple[str, ...]] = ("network",)
    shallow: ClassVar[str] = "ctlr.shallow.model:fit_family"
    learner: ClassVar[str]
    """Module that learns and predicts: see `ctlr.shallow.model.Learner`."""

    @model_validator(mode="after")
    def _network_is_told(self) -> Self:
        told = {"sha256": self.sha256, "licence": self.licence, "trained_on": self.trained_on}
        if self.network is None and "network" in (self.features.kind, *self.features.tried):
            raise ValueError("`features: {kind: network}` needs the file of its weights. Name it as `network`")
        if self.network is not None and (missing := [name for name, value in told.items() if not value]):
            raise ValueError(f"`network` names weights of others: say their {', '.join(missing)} too")
        return self

    @property
    def has_encoder(self) -> bool:
        """The pretrained network, where there is one."""
        return self.network is not None

    @property
    def reads_frozen_encoder(self) -> bool:
        """As its features say."""
        return self.features.kind == "network"

    @property
    def only_encoder(self) -> str | None:
        """As the file says, where a network has a part in it."""
        return self.encoder if self.has_encoder else None

    @property
    def seen_cohorts(self) -> tuple[str, ...]:
        """Those that the file says."""
        return self.trained_on

    def starting_weights(self, encoder: Encoder) -> dict[str, Tensor] | None:
        """The network's weights under the encoder's names.

        Raises:
            ConfigError: It is another file than it was, or holds another network.
        """
        if self.network is None:
            return None
        read: Any = pkgutil.resolve_name("ctlr.encoders.published:file_weights")  # brings torch
        weights: dict[str, Tensor] = read(encoder, Path(self.network), self.sha256, f"methods.{self.label}.network")
        return weights

    def validates(self, ndim: int) -> bool:
        """By which a search judges its options."""
        return True

    @property
    def refits(self) -> bool:
        """As `refit` says."""
        return self.refit

    def misfit(self, shape: tuple[int, ...]) -> tuple[str, str] | None:
        """That of its features."""
        return self.features.misfit(shape)

    def space(self, ndim: int) -> Mapping[str, Range | Choice]:
        """Its features' options, then its own."""
        return self.features.space(ndim, network=self.network is not None) | self._own_space()

    def _own_space(self) -> dict[str, Range | Choice]:
        raise NotImplementedError(type(self))


class SVMSpec(FamilySpec):
    """A support vector machine on features: no network."""

    method: Literal["svm"] = "svm"
    kernel: Literal["rbf", "linear", "poly"] = "rbf"
    """What likeness means: a Gaussian of the distance, the scalar product, or its third power."""
    slack: Annotated[float, Field(gt=0)] = 10.0
    """C: what violated margins weigh against the width of the margin."""
    gamma: Annotated[float, Field(gt=0)] = 1.0
    """Of `rbf`: how fast likeness falls with the squared distance; of `poly`: what products are multiplied by."""
    epsilon: Annotated[float, Field(ge=0)] = 0.1
    """Of a regression: error that costs nothing, in deviations of the target."""

    learner: ClassVar[str] = "ctlr.shallow.learners.svm"

    def _own_space(self) -> dict[str, Range | Choice]:
        return {
            "kernel": Choice(("rbf", "linear", "poly")),
            "slack": loguniform(0.1, 1000),
            "gamma": loguniform(0.03, 30),
        }


class LogisticSpec(FamilySpec):
    """Multinomial logistic regression, or ridge regression of a number, on features: no network."""

    method: Literal["logistic"] = "logistic"
    slack: Annotated[float, Field(gt=0)] = 10.0
    """C: what the data weigh against the squared weights, features having a mean squared length of 1."""

    learner: ClassVar[str] = "ctlr.shallow.learners.logistic"

    def _own_space(self) -> dict[str, Range | Choice]:
        return {"slack": loguniform(0.01, 10_000)}


class KNNSpec(FamilySpec):
    """The nearest training images' classes, or mean target, by a distance between features: no network."""

    method: Literal["knn"] = "knn"
    neighbours: Annotated[int, Field(ge=1, le=1000)] = 5
    """How many are asked; all where there are fewer."""
    weights: Literal["uniform", "distance"] = "distance"
    """All alike, or each by the inverse of its distance."""
    metric: Literal["euclidean", "manhattan", "cosine"] = "euclidean"
    """Of the distance."""

    learner: ClassVar[str] = "ctlr.shallow.learners.knn"

    def _own_space(self) -> dict[str, Range | Choice]:
        return {
            "neighbours": Range(low=1, high=30, whole=True, distribution="logUniform"),
            "weights": Choice(("uniform", "distance")),
            "metric": Choice(("euclidean", "manhattan", "cosine")),
        }


class NaiveBayesSpec(FamilySpec):
    """Gaussian naive Bayes on features: no network, and nothing to wait for."""

    method: Literal["naive_bayes"] = "naive_bayes"
    smoothing: Annotated[float, Field(gt=0)] = 1e-3
    """Added to every variance, as a share of the largest feature's."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification",)
    learner: ClassVar[str] = "ctlr.shallow.learners.naive_bayes"

    def _own_space(self) -> dict[str, Range | Choice]:
        return {"smoothing": loguniform(1e-9, 10)}


class DecisionTreeSpec(FamilySpec):
    """A decision tree on features: no network."""

    method: Literal["decision_tree"] = "decision_tree"
    depth: Annotated[int, Field(ge=1, le=64)] | None = None
    """Questions from its root to a leaf at most; null: as many as there are."""
    leaf: Annotated[int, Field(ge=1, le=10_000)] = 2
    """Fewest training images of a leaf."""
    pruning: Annotated[float, Field(ge=0, le=1)] = 0.0
    """What each leaf costs when the grown tree is cut back, in units of its impurity."""

    learner: ClassVar[str] = "ctlr.shallow.learners.trees"

    def _own_space(self) -> dict[str, Range | Choice]:
        return {"depth": integers(2, 20), "leaf": _fewest(30), "pruning": uniform(0, 0.03)}


class ForestSpec(FamilySpec):
    """A random forest on features: no network."""

    method: Literal["forest"] = "forest"
    trees: Annotated[int, Field(ge=1, le=10_000)] = 100
    """How many."""
    leaf: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Fewest training images of a leaf."""
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Of the features, among which each question is chosen; null: the square root of their number."""

    learner: ClassVar[str] = "ctlr.shallow.learners.trees"

    def _own_space(self) -> dict[str, Range | Choice]:
        return {"trees": integers(20, 200), "leaf": _fewest(20), "share": loguniform(0.01, 0.5)}


class BoostingSpec(FamilySpec):
    """Gradient boosting of trees on binned features: no network."""

    method: Literal["boosting"] = "boosting"
    iterations: Annotated[int, Field(ge=1, le=10_000)] = 50
    """Trees, or trees a class."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    """What each tree adds, as a share of what would fit best."""
    leaves: Annotated[int, Field(ge=2, le=1024)] = 8
    """Of a tree at most."""
    leaf: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Fewest training images of a leaf."""
    l2: Annotated[float, Field(ge=0)] = 0.0
    """Penalty on the leaves' values."""

    learner: ClassVar[str] = "ctlr.shallow.learners.trees"

    def space(self, ndim: int) -> Mapping[str, Range | Choice]:
        """Never all the features of an image: its time goes with their number."""
        few = {"features.components": Choice((25, 50, 100))} if ndim else {}
        return {**super().space(ndim), **few}

    def _own_space(self) -> dict[str, Range | Choice]:
        return {
            "iterations": integers(10, 100), "learning_rate": loguniform(0.02, 0.5), "leaves": integers(3, 16),
            "leaf": _fewest(30), "l2": uniform(0, 10),
        }  # fmt: skip


def _fewest(high: int) -> Range:
    return Range(low=1, high=high, whole=True, distribution="logUniform")
