"""Virtual adversarial training with consistency under warping: labelled and unlabelled images at once.

The smoothing term is Miyato et al. 2018 (IEEE TPAMI 41:1979, arXiv:1704.03976), for regression with the squared
difference in place of the divergence. Source and target images form one pool; the source task's labels, where
there are any, teach the shared encoder through a head of their own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ctlr.methods.base import Batch, Objective, Parts, head_outputs, predict_outputs, random_views
from ctlr.methods.lazily import nn, torch
from ctlr.methods.losses import divergence
from ctlr.specs import MethodSpec, ViewsSpec

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["VAT", "VATSpec", "batch_statistics_kept", "with_rms"]


class VATSpec(MethodSpec):
    """No pretraining: labelled and unlabelled, source and target data at once (Miyato et al. 2018)."""

    method: Literal["vat"] = "vat"
    epsilon: Annotated[float, Field(gt=0)] = 0.1
    """Root mean square of the adversarial perturbation over an image's voxels, in image units."""
    xi: Annotated[float, Field(gt=0)] = 0.1
    """Root mean square of the finite difference that finds its direction."""
    power_iterations: Annotated[int, Field(ge=1, le=10)] = 1
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Of the virtual adversarial loss."""
    consistency: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the difference between the predictions for an image and for its warped view."""
    source_weight: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the source task's loss; 0 leaves its labels out."""
    views: ViewsSpec = ViewsSpec()
    """The warp under which predictions have to agree."""
    unlabelled_batch_size: Annotated[int, Field(ge=2)] = 16
    reads_pool_while_finetuning: ClassVar[bool] = True

    @property
    def images_beside(self) -> int:
        """Images of the pool."""
        return self.unlabelled_batch_size

    def finetune_objective(self, parts: Parts) -> VAT:
        """Over the labelled images and the pool."""
        return VAT(self, parts)


class VAT(Objective):
    """Task loss on labelled images; on the pool: local smoothness, agreement under warping, the source task's loss."""

    streams = ("labelled", "pool")

    def __init__(self, spec: VATSpec, parts: Parts) -> None:
        self.encoder = parts.encoder
        self.head = parts.head
        self.loss = parts.loss
        self.spec = spec
        source = parts.pool_with_source_labels() if spec.source_weight else None
        self.source_head = source.head if source else None
        self.source_loss = source.loss if source else None
        self.rows = {"pool": source.rows if source else parts.pool()}
        self.batch_sizes = {"pool": spec.unlabelled_batch_size}

    def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Weighted sum of all terms."""
        labelled, pool = batches["labelled"], batches["pool"]
        assert labelled.target is not None
        images = random_views(labelled.images, self.spec.finetune.views, rng)
        total = self.loss(predict_outputs(self.encoder, self.head, images, columns=labelled.columns), labelled.target)

        features = self.encoder(pool.images)
        reference = head_outputs(self.head, features, pool.columns).detach()
        if self.source_head is not None and self.source_loss is not None and pool.target is not None:
            with torch.autocast(pool.images.device.type, enabled=False):
                source = self.source_loss(self.source_head(features.float()), pool.target)
                total = total + self.spec.source_weight * source
        # The pool's perturbed images would shift the batch-norm statistics that prediction relies on.
        with batch_statistics_kept(self.encoder):
            if self.spec.weight:
                perturbed = pool.images + self.adversarial_direction(pool, reference, rng) * self.spec.epsilon
                total = total + self.spec.weight * self._difference(perturbed, pool.columns, reference)
            if self.spec.consistency:
                warped = random_views(pool.images, self.spec.views, rng)
                total = total + self.spec.consistency * self._difference(warped, pool.columns, reference)
        return total

    def adversarial_direction(self, pool: Batch, reference: Tensor, rng: torch.Generator) -> Tensor:
        """Direction of unit root mean square in which predictions change fastest (power iteration, eq. 12).

        Args:
            pool: Images; what is read beside them stays as it is.
            reference: (B, K) outputs for them.
            rng: Draws the first direction; a CPU generator.
        """
        # Drawn on the CPU, so that the direction is the same on every device.
        direction = with_rms(torch.randn(pool.images.shape, generator=rng).to(pool.images))
        for _ in range(self.spec.power_iterations):
            probe = (self.spec.xi * direction).requires_grad_()
            (gradient,) = torch.autograd.grad(self._difference(pool.images + probe, pool.columns, reference), probe)
            direction = with_rms(gradient)
        return direction

    def _difference(self, images: Tensor, columns: Tensor | None, reference: Tensor) -> Tensor:
        outputs = predict_outputs(self.encoder, self.head, images, columns=columns)
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
