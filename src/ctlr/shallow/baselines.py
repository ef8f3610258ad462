"""Options of the models without a network that stand beside the methods in every table.

A reader asks first what a plain model would have done with the same labels. Most need no validation subjects, so they
learn from those of a study too: as many labelled subjects as a network has consumed. The others are chosen by them
(`validates`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from ctlr.specs import MethodSpec

__all__ = [
    "CovariatesSpec",
    "GradientBoostingSpec",
    "LinearCovariatesSpec",
    "LinearSpec",
    "NearestSpec",
    "RandomForestSpec",
    "UnchangedLinearSpec",
]


class _BaselineSpec(MethodSpec):
    role: ClassVar[Literal["method", "baseline", "floor"]] = "baseline"
    trains_network: ClassVar[bool] = False
    untuned: ClassVar[str] = "a baseline chooses what it has to choose among its own labels"

    @property
    def has_encoder(self) -> bool:
        """There is no network."""
        return False

    @property
    def reads_source(self) -> bool:
        """It learns the target's labels."""
        return self.needs_shared_task


class _ShallowSpec(_BaselineSpec):
    mirror: bool | Literal["auto"] = "auto"
    """Average each image with its mirror image; auto: where a view of one of the benchmark's methods is mirrored."""

    def settled(self, peers: Sequence[MethodSpec]) -> Self:
        """Mirrored or not, as the others take it."""
        if self.mirror != "auto":
            return self
        return self.model_copy(update={"mirror": any(peer.flips for peer in peers)})


class _RidgeSpec(_ShallowSpec):
    features: Literal["voxels", "pca"] = "voxels"
    """What the model is linear in: every voxel or pixel, or the leading principal components of the labelled images."""
    components: Annotated[int, Field(ge=1, le=1000)] = 50
    """Of `pca`; fewer where there are not as many."""


class LinearSpec(_RidgeSpec):
    """Ridge or multinomial logistic regression on voxels, on training and validation labels: no network at all."""

    method: Literal["linear"] = "linear"
    shallow: ClassVar[str] = "ctlr.shallow.linear:fit_linear"


class GradientBoostingSpec(_ShallowSpec):
    """Boosted trees on the means of coarse regions, on training and validation labels: no network at all."""

    method: Literal["gradient_boosting"] = "gradient_boosting"
    shallow: ClassVar[str] = "ctlr.shallow.boosting:fit_boosting"
    iterations: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Trees, or trees a class."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    """What each tree adds, as a share of what would fit best."""


class RandomForestSpec(_ShallowSpec):
    """A random forest on points, or on the means of coarse regions, whose leaves validation labels choose."""

    method: Literal["random_forest"] = "random_forest"
    shallow: ClassVar[str] = "ctlr.shallow.forest:fit_forest"
    trees: Annotated[int, Field(ge=1, le=10_000)] = 100
    """How many."""

    def validates(self, ndim: int) -> bool:
        """A forest that has seen an image says nothing of it."""
        return True


class NearestSpec(_ShallowSpec):
    """The nearest labelled images on principal components, or the nearest points as they stand: no network at all."""

    method: Literal["nearest"] = "nearest"
    shallow: ClassVar[str] = "ctlr.shallow.nearest:fit_nearest"
    components: Annotated[int, Field(ge=1, le=1000)] = 20
    """Of the labelled images, between which distances are measured; fewer where there are not as many. Not used for
    points."""

    def validates(self, ndim: int) -> bool:
        """Of points, of which there are many."""
        return ndim == 0


class CovariatesSpec(_BaselineSpec):
    """Ridge or multinomial logistic regression on the task's `inputs`, on training and validation labels: no image."""

    method: Literal["covariates"] = "covariates"
    shallow: ClassVar[str] = "ctlr.shallow.covariates:fit_covariates"
    needs_inputs: ClassVar[bool] = True


class LinearCovariatesSpec(_RidgeSpec):
    """The linear model of voxels and of the task's `inputs` together, on training and validation labels: no network."""

    method: Literal["linear_covariates"] = "linear_covariates"
    shallow: ClassVar[str] = "ctlr.shallow.covariates:fit_linear_covariates"
    needs_inputs: ClassVar[bool] = True


class UnchangedLinearSpec(_RidgeSpec):
    """The linear model of all the source's labels, applied to the target as it is: no target label is used."""

    method: Literal["unchanged_linear"] = "unchanged_linear"
    shallow: ClassVar[str] = "ctlr.shallow.linear:fit_linear"

    needs_shared_task: ClassVar[bool] = True
