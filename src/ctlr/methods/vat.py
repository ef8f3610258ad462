"""Virtual adversarial training with consistency under warping: labelled and unlabelled images at once.

The smoothing term is Miyato et al. 2018 (IEEE TPAMI 41:1979, arXiv:1704.03976), for regression with the squared
difference in place of the divergence. Source and target images form one pool; the source task's labels, where
there are any, teach the shared encoder through a head of their own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from ctlr.data.augment import random_views
from ctlr.encoders.base import Encoder
from ctlr.methods.base import Batch, Objective, predict_outputs
from ctlr.methods.losses import TaskLoss, divergence
from ctlr.specs import VATSpec

__all__ = ["VAT", "batch_statistics_kept", "with_rms"]


class VAT(Objective):
    """Task loss on labelled images; on the pool: local smoothness, agreement under warping, the source task's loss.

    Args:
        encoder: Turns images into features.
        head: Of the target task.
        loss: Of the target task.
        spec: Weights and lengths.
        source_head: Of the source task; None leaves its labels out.
        source_loss: Of the source task.
    """

    streams = ("labelled", "pool")

    def __init__(
        self,
        encoder: Encoder,
        head: nn.Module,
        loss: TaskLoss,
        spec: VATSpec,
        *,
        source_head: nn.Module | None = None,
        source_loss: TaskLoss | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.loss = loss
        self.spec = spec
        self.source_head = source_head
        self.source_loss = source_loss
        self.batch_sizes = {"pool": spec.unlabelled_batch_size}

    def forward(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Weighted sum of all terms."""
        labelled, pool = batches["labelled"], batches["pool"]
        assert labelled.target is not None
        augment = self.spec.finetune.views
        images = labelled.images if augment is None else random_views(labelled.images, augment, rng)
        total = self.loss(predict_outputs(self.encoder, self.head, images), labelled.target)

        features = self.encoder(pool.images)
        with torch.autocast(pool.images.device.type, enabled=False):
            reference = self.head(features.float()).detach()
            if self.source_head is not None and self.source_loss is not None and pool.target is not None:
                source = self.source_loss(self.source_head(features.float()), pool.target)
                total = total + self.spec.source_weight * source
        # The pool's perturbed images would shift the batch-norm statistics that prediction relies on.
        with batch_statistics_kept(self.encoder):
            if self.spec.weight:
                perturbed = pool.images + self.adversarial_direction(pool.images, reference, rng) * self.spec.epsilon
                total = total + self.spec.weight * self._difference(perturbed, reference)
            if self.spec.consistency:
                warped = random_views(pool.images, self.spec.views, rng)
                total = total + self.spec.consistency * self._difference(warped, reference)
        return total

    def adversarial_direction(self, images: Tensor, reference: Tensor, rng: torch.Generator) -> Tensor:
        """Direction of unit root mean square in which predictions change fastest (power iteration, eq. 12).

        Args:
            images: (B, C, *S).
            reference: (B, K) outputs for them.
            rng: Draws the first direction; a CPU generator.
        """
        # Drawn on the CPU, so that the direction is the same on every device.
        direction = with_rms(torch.randn(images.shape, generator=rng).to(images))
        for _ in range(self.spec.power_iterations):
            probe = (self.spec.xi * direction).requires_grad_()
            (gradient,) = torch.autograd.grad(self._difference(images + probe, reference), probe)
            direction = with_rms(gradient)
        return direction

    def _difference(self, images: Tensor, reference: Tensor) -> Tensor:
        outputs = predict_outputs(self.encoder, self.head, images)
        return divergence(outputs, reference, classes=self.loss.classes)


def with_rms(values: Tensor) -> Tensor:
    """Scale each row of (B, ...) to a root mean square of 1; rows of zeros stay zero."""
    flat = values.flatten(1)
    rms = flat.square().mean(1).sqrt().clamp(min=1e-12)
    return values / rms.view(-1, *[1] * (values.ndim - 1))


@contextlib.contextmanager
def batch_statistics_kept(module: nn.Module) -> Iterator[None]:
    """Normalise by the batch's own statistics as in training, without moving the running ones."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
