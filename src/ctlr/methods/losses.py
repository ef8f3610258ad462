"""Losses that methods are assembled from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ctlr.methods.lazily import F, torch

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["SeveralLoss", "TaskLoss", "divergence", "nt_xent", "y_aware_nt_xent"]


def nt_xent(views: Tensor, temperature: float) -> Tensor:
    """Contrast each image with its other view (Chen et al. 2020, eq. 1).

    Args:
        views: (2B, D) unit rows; rows i and i + B show the same image.
        temperature: Divides the cosine; > 0.

    Returns:
        Scalar mean cross-entropy, in nats.
    """
    pairs = views.shape[0] // 2
    similarity = views @ views.T / temperature
    # An image is no rival of itself; -inf would turn bf16 gradients into NaN where a whole row is masked.
    similarity = similarity.masked_fill(torch.eye(2 * pairs, dtype=torch.bool, device=views.device), -1e9)
    partner = torch.arange(2 * pairs, device=views.device).roll(pairs)
    return F.cross_entropy(similarity, partner)


def y_aware_nt_xent(views: Tensor, likeness: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of the softmax over all other views against normalised likeness (Dufumier et al. 2021, eq. 2).

    Args:
        views: (2B, D) unit rows; rows i and i + B show the same image.
        likeness: (B, B) of the images.
        temperature: Divides the cosine; > 0.

    Returns:
        Scalar mean, in nats; with the identity as likeness it is NT-Xent.
    """
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    logits = (views @ views.T / temperature).masked_fill(itself, -1e9)
    weights = likeness.repeat(2, 2).masked_fill(itself, 0.0)
    return -(weights / weights.sum(1, keepdim=True) * logits.log_softmax(1)).sum(1).mean()


class TaskLoss:
    """Loss of a labelled task on raw outputs; rows without a label do not count.

    Args:
        classes: Number of classes; 0 for regression (mean squared error of the standardised target).
        weights: (classes,) weight of each class, or None.
    """

    learned: nn.ParameterList | None = None
    """What is learned beside the network, where anything is."""

    def __init__(self, *, classes: int, weights: Tensor | None = None) -> None:
        self.classes = classes
        self.weights = weights

    @property
    def outputs(self) -> int:
        """Width of the head that this loss takes."""
        return max(1, self.classes)

    def __call__(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Mean loss over the labelled rows.

        Args:
            outputs: (B, outputs) logits, or (B, 1) standardised predictions.
            target: (B,) int64 class codes, -1 where unknown; or float standardised targets, NaN where unknown.

        Returns:
            Scalar; 0 when no row is labelled.
        """
        if self.classes:
            weights = None if self.weights is None else self.weights.to(outputs)
            known = (target >= 0).any()
            loss = F.cross_entropy(outputs, target, weights, ignore_index=-1)
            # Of no row at all, cross_entropy returns NaN.
            return loss if known else outputs.sum() * 0.0
        known_rows = ~target.isnan()
        error = (outputs[:, 0] - target.nan_to_num()) * known_rows
        return error.square().sum() / known_rows.sum().clamp(min=1)


class SeveralLoss(TaskLoss):
    """Loss of several targets of one network: the weighted sum, each over the rows that have its label.

    With a learned noise sigma^2 of each target (Kendall et al. 2018, arXiv:1705.07115, eq. 10), a regression's loss L
    becomes L / (2 sigma^2) + log sigma and a classification's L / sigma^2 + log sigma: a target that cannot be told
    weighs less.

    Args:
        first: Of the first target, with a weight of 1.
        others: (loss, weight) of the others.
        balanced: Whether the noise is learned.
    """

    def __init__(self, first: TaskLoss, others: Sequence[tuple[TaskLoss, float]], *, balanced: bool = False) -> None:
        super().__init__(classes=first.classes, weights=first.weights)
        self.parts = [(first, 1.0), *others]
        if balanced:  # log sigma^2 of each
            self.learned = torch.nn.ParameterList([torch.nn.Parameter(torch.zeros(len(self.parts)))])

    @property
    def outputs(self) -> int:
        """Width of all heads together."""
        return sum(loss.outputs for loss, _ in self.parts)

    def __call__(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Weighted sum of the mean losses.

        Args:
            outputs: (B, outputs), those of each target after the other.
            target: (B, T) float: class codes or standardised targets, NaN where unknown.

        Returns:
            Scalar; 0 when no row has any label.
        """
        total = outputs.new_zeros(())
        heads = torch.split(outputs, [loss.outputs for loss, _ in self.parts], dim=1)
        for place, (head, (loss, weight)) in enumerate(zip(heads, self.parts, strict=True)):
            wanted = target[:, place]
            cost = loss(head, wanted.nan_to_num(-1).long() if loss.classes else wanted)
            if self.learned is not None:
                log_noise = self.learned[0][place]
                cost = cost * torch.exp(-log_noise) * (1.0 if loss.classes else 0.5) + log_noise / 2
            total = total + weight * cost
        return total


def divergence(outputs: Tensor, reference: Tensor, *, classes: int) -> Tensor:
    """How far predictions are from reference predictions, which no gradient flows into.

    Kullback-Leibler divergence KL(reference || outputs) in nats for classes (Miyato et al. 2018, eq. 5);
    squared difference of the standardised predictions for regression (twice the divergence of unit-variance Gaussians).

    Args:
        outputs: (B, K) logits or (B, 1) predictions.
        reference: Same shape.
        classes: K, or 0 for regression.

    Returns:
        Scalar mean over the batch.
    """
    reference = reference.detach()
    if classes:
        return F.kl_div(outputs.log_softmax(1), reference.log_softmax(1), reduction="batchmean", log_target=True)
    return F.mse_loss(outputs, reference)
