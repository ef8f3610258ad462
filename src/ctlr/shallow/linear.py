"""Ridge regression (Hoerl & Kennard 1970) and multinomial logistic regression, on voxels or principal components."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ctlr.data.store import ArrayStore
from ctlr.errors import WorkspaceError
from ctlr.shallow.baselines import LinearSpec, UnchangedLinearSpec
from ctlr.shallow.choosing import chosen, folds_of
from ctlr.shallow.components import Components, projected
from ctlr.shallow.sample import Floats, Rows, Sample
from ctlr.workspace import write_aside

__all__ = ["Linear", "Scored", "answers", "fit_linear", "fit_scores", "logistic_regression"]

PENALTIES = np.logspace(4, -4, 17)
"""Of a ridge, as shares of the images' mean squared length; the strongest first."""
SLACKS = np.logspace(-2, 4, 7)
"""Inverse penalties of a logistic regression on images of mean squared length 1; the strongest penalty first."""


@dataclass(frozen=True, eq=False)
class Linear:
    """A fitted linear model.

    Attributes:
        mean: (P,) image that is taken off first.
        weights: (P, K) of the voxels.
        intercept: (K,)
        classes: (K,) codes of the classes that were met; empty for a regression.
        n_classes: 0 for a regression.
        mirror: Whether images are averaged with their mirror image.
    """

    mean: Floats
    weights: Floats
    intercept: Floats
    classes: NDArray[np.int64]
    n_classes: int
    mirror: bool

    def __call__(self, store: ArrayStore, rows: Rows) -> Floats:
        """(N,) values or (N, n_classes) probabilities of those rows."""
        outputs = projected(store, rows, self.mean, self.weights, mirror=self.mirror) + self.intercept
        return answers(outputs, self.classes, self.n_classes)

    def save(self, file: Path) -> None:
        """Write it as safetensors, whole or not at all."""
        numbers = {"mean": self.mean, "weights": self.weights, "intercept": self.intercept, "classes": self.classes}
        kept = {"n_classes": str(self.n_classes), "mirror": str(int(self.mirror))}
        write_aside(file, save({name: np.ascontiguousarray(each) for name, each in numbers.items()}, kept))

    @classmethod
    def load(cls, file: Path) -> Linear:
        """Read what `save` wrote.

        Raises:
            WorkspaceError: The file is missing or damaged.
        """
        try:
            with safe_open(file, framework="np") as tensors:
                kept = tensors.metadata()
                numbers = {name: tensors.get_tensor(name) for name in ("mean", "weights", "intercept", "classes")}
                return cls(**numbers, n_classes=int(kept["n_classes"]), mirror=kept["mirror"] == "1")
        except (OSError, SafetensorError, ValueError, KeyError) as error:
            raise WorkspaceError(
                f"shallow/{file.parent.name} is missing or damaged. Remove that folder and run again."
            ) from error


class Scored(Protocol):
    """Numbers of each image in which a model is linear."""

    @property
    def scores(self) -> Floats:
        """(N, R), each column of mean 0."""

    @property
    def norm(self) -> float:
        """Root mean square of the images' lengths."""


def answers(outputs: Floats, classes: NDArray[np.int64], n_classes: int) -> Floats:
    """(N,) values, or (N, n_classes) probabilities, of (N, K) outputs of the classes that were met."""
    from scipy.special import softmax

    if not n_classes:
        return outputs[:, 0]
    shares = np.zeros((len(outputs), n_classes))
    shares[:, classes] = softmax(outputs, axis=1)
    return shares


def fit_linear(spec: LinearSpec | UnchangedLinearSpec, sample: Sample) -> Linear:
    """Fit a linear model whose penalty cross-validation chooses.

    A ridge's leaves out one image at a time, or a fifth of the subjects where one has several images; a logistic
    regression's leaves out a fifth of the subjects.
    """
    sample = sample.drawn()
    components = Components(sample, mirror=spec.mirror, most=spec.components if spec.features == "pca" else None)
    weights, intercept, codes = fit_scores(components, sample)
    voxels = components.in_voxels(weights)
    return Linear(components.mean, voxels, intercept, codes, sample.n_classes, mirror=spec.mirror is True)


def fit_scores(components: Scored, sample: Sample) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Fit what is linear in numbers of each image, with a penalty that cross-validation chooses.

    Args:
        components: The numbers.
        sample: Whose values are predicted.

    Returns:
        (R, K) weights of the scores, (K,) intercepts, and (K,) codes of the classes that were met.
    """
    codes = np.unique(sample.values).astype(np.int64) if sample.n_classes else np.empty(0, np.int64)
    if components.scores.shape[1] == 0 or len(codes) == 1:  # images, or labels, that are all the same
        return *_nothing(components, sample), codes
    return *(_logistic if sample.n_classes else _ridge)(components, sample), codes


def _nothing(components: Scored, sample: Sample) -> tuple[Floats, Floats]:
    """Where images tell nothing: the mean, or the logarithms of the classes' shares."""
    level = np.array([sample.values.mean()])
    if sample.n_classes:
        level = np.log(np.unique(sample.values, return_counts=True)[1] / len(sample.values))
    return np.zeros((components.scores.shape[1], len(level))), level


def _ridge(components: Scored, sample: Sample) -> tuple[Floats, Floats]:
    """(R, 1) weights of the scores, and (1,) the intercept."""
    from sklearn.linear_model import RidgeCV

    subjects = sample.subjects
    together = len(np.unique(subjects)) < len(subjects)
    model = RidgeCV(PENALTIES * components.norm**2, cv=folds_of(subjects) if together else None)
    model.fit(components.scores, sample.values)
    return model.coef_[:, None], np.array([model.intercept_])


def _logistic(components: Scored, sample: Sample) -> tuple[Floats, Floats]:
    """(R, K) weights of the scores, and (K,) intercepts, of the classes that were met."""
    codes = sample.values.astype(np.int64)
    features = components.scores / components.norm

    def loss(slack: float, fitted: NDArray[np.int64], held: NDArray[np.int64]) -> Floats:
        return _log_losses(sample, features, codes, slack, fitted, held)

    weights, intercept = logistic_regression(features, codes, chosen(list(SLACKS), loss, sample.subjects))
    return weights / components.norm, intercept


def logistic_regression(features: Floats, codes: NDArray[np.int64], slack: float) -> tuple[Floats, Floats]:
    """(F, K) weights and (K,) intercepts of the classes that were met.

    Args:
        features: (N, F), of mean squared length 1.
        codes: (N,) of the classes.
        slack: Inverse penalty.
    """
    model = _fitted(features, codes, slack)
    weights, intercept = model.coef_.T, model.intercept_
    if len(intercept) == 1:  # two classes have one row: the second one's, against the first
        weights, intercept = np.hstack([0 * weights, weights]), np.append(0.0, intercept)
    return weights, intercept


def _fitted(features: Floats, codes: NDArray[np.int64], slack: float) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # Few images are always separable: with a weak penalty the optimum lies far out, and need not be reached.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=slack, max_iter=200).fit(features, codes)


def _log_losses(
    sample: Sample, features: Floats, codes: NDArray[np.int64], slack: float, fitted: Rows, held: Rows
) -> Floats:
    """(H,) nats of the held-out images; a class that was not fitted has the probability of one image in N."""
    if len(np.unique(codes[fitted])) < 2:
        shares = np.eye(sample.n_classes)[np.repeat(codes[fitted[0]], len(held))]
    else:
        model = _fitted(features[fitted], codes[fitted], slack)
        shares = sample.expand(model.predict_proba(features[held]), model.classes_)
    return np.asarray(-np.log(np.maximum(shares[np.arange(len(held)), codes[held]], 1 / len(codes))))
