"""Saliency of models whose answer depends on known places."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from ctlr.errors import DataError
from ctlr.serving import gradient_map, occlusion_map
from ctlr.specs import ModelCard
from ctlr.training.checkpoint import TrainedModel


def card(classes: tuple[str, ...] = ("no", "yes"), shape: tuple[int, ...] = (1, 12, 12)) -> ModelCard:
    task: Any = "classification" if classes else "regression"
    return ModelCard(
        encoder=None, channels=shape[0], ndim=len(shape) - 1, shape=shape, task=task, target="t", classes=classes
    )


class Corner(nn.Module):
    """The sum of the upper left quarter."""

    width = 1

    def forward(self, images: Tensor, start: int = 0) -> Tensor:
        return images[:, :, :6, :6].sum(dim=(1, 2, 3))[:, None]


def network() -> TrainedModel:
    head = nn.Linear(1, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[0.0], [1.0]]))
        head.bias.zero_()
    return TrainedModel(card(), cast(Any, Corner()), head)


def shallow(said: Any, classes: tuple[str, ...] = ()) -> Any:
    """A model without a network."""
    return SimpleNamespace(card=card(classes), predict=lambda images, inputs, trusted: said(images))


IMAGE = np.linspace(0.5, 1, 144, dtype=np.float32).reshape(1, 12, 12)


def test_a_gradient_lies_where_the_output_depends_on_the_image() -> None:
    found = gradient_map(network(), IMAGE)
    assert found.shape == (12, 12)
    np.testing.assert_allclose(found[:6, :6], 1)
    assert not found[6:].any()
    assert not found[:, 6:].any()


def test_occlusion_lies_where_the_answer_changes() -> None:
    def corner(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return np.asarray(images[:, 0, :2, :2].sum(axis=(1, 2)), np.float64)

    found = occlusion_map(shallow(corner), IMAGE)
    assert found[0, 0] == found.max() == 1
    assert not found[4:].any()


def test_what_speaks_against_a_class_is_not_what_it_was_chosen_for() -> None:
    def dark(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        bright = images[:, 0, 8:, 8:].mean(axis=(1, 2)).astype(float) / 2  # its mean is lower: covering it adds
        return np.stack([1 - bright, bright], axis=1)

    assert not occlusion_map(shallow(dark, ("no", "yes")), IMAGE).any()


def test_an_answer_that_depends_on_nothing_has_an_empty_map() -> None:
    assert not occlusion_map(shallow(lambda images: np.ones(len(images))), IMAGE).any()


def test_volumes_are_covered_as_a_whole() -> None:
    found = occlusion_map(
        shallow(lambda images: images.sum(axis=(1, 2, 3, 4)).astype(float)),
        np.random.default_rng(0).uniform(size=(1, 9, 10, 11)).astype(np.float32),
    )
    assert found.shape == (9, 10, 11)
    assert (found > 0).all()


def test_a_gradient_is_asked_of_networks_alone() -> None:
    with pytest.raises(DataError, match="occlusion"):
        gradient_map(shallow(lambda images: np.ones(len(images))), IMAGE)
