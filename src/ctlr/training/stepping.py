"""One step of training: forward, backward, clipping, update."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace

import torch
from torch import Tensor

from ctlr.methods.base import Batch, Objective
from ctlr.specs import FitSpec
from ctlr.training.finetune import L2SP, l2_sp
from ctlr.training.images import Labelled, even_batches
from ctlr.training.optimisers import make_optimiser
from ctlr.training.placement import Placement

__all__ = ["Stepper"]


class Stepper:
    """An objective with its batches and its optimiser, which covers what requires a gradient at birth.

    Args:
        objective: What is minimised; put on the device.
        streams: Rows by the name of a batch; those that the objective does not name are left.
        spec: Batch size, optimiser, clipping.
        seed: Of shuffling and views.
        placement: Device, precision and memory format.
        pretrained: The encoder's weights that L2-SP pulls to; None: those that it has.

    Attributes:
        optimiser: Of this stage.
        rng: Draws shuffles and views; a CPU generator.
        scaler: Of half-precision gradients.
        steps: Batches an epoch.
    """

    def __init__(
        self,
        objective: Objective,
        streams: Mapping[str, Labelled],
        spec: FitSpec,
        seed: int,
        placement: Placement,
        pretrained: Mapping[str, Tensor] | None = None,
    ) -> None:
        placement.put(objective.networks)
        self.objective = objective
        self.spec = spec
        self.placement = placement
        self.rng = torch.Generator().manual_seed(seed)
        self._pull: L2SP | None = l2_sp(objective.encoder, spec, pretrained)
        self.scaler = torch.amp.GradScaler(placement.device.type, enabled=placement.dtype == torch.float16)
        self._streams = {name: streams[name] for name in objective.streams}
        first = self._streams[objective.streams[0]]
        whole = len(even_batches(torch.arange(len(first)).numpy(), spec.batch_size))
        self.steps = spec.steps_per_epoch or whole
        self.renew()

    def renew(self) -> None:
        """Begin with a new optimiser over the same parameters."""
        undecayed = self._pull.weights if self._pull else ()
        self.optimiser = make_optimiser(self.objective, self.spec, undecayed)

    def batches(self) -> Generator[dict[str, Batch]]:
        """The batches of an epoch, one of each stream at a time."""
        with ExitStack() as stack:
            epochs = {
                name: stack.enter_context(closing(rows.epoch(self.steps, self._batch_size(name), self.rng)))
                for name, rows in self._streams.items()
            }
            for _ in range(self.steps):
                yield {name: self._shaped(next(stream)) for name, stream in epochs.items()}

    def step(self, batches: Mapping[str, Batch]) -> Tensor:
        """One update of the weights; returns the loss, detached."""
        self.optimiser.zero_grad(set_to_none=True)
        with self.placement.autocast():
            loss: Tensor = self.objective(batches, self.rng)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self._pull is not None or self.spec.clip is not None:
            self.scaler.unscale_(self.optimiser)
        if self._pull is not None:
            self._pull.pull()
        if self.spec.clip is not None:
            _clip(self.trained(), self.spec.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.objective.after_step()
        return loss.detach()

    def trained(self) -> list[Tensor]:
        """Parameters that move in this stage or another."""
        return [parameter for group in self.optimiser.param_groups for parameter in group["params"]]

    def _shaped(self, batch: Batch) -> Batch:
        """The batch in the placement's memory format."""
        return batch if batch.images.ndim < 4 else replace(batch, images=self.placement.lay_out(batch.images))

    def _batch_size(self, name: str) -> int:
        return self.objective.batch_sizes.get(name, self.spec.batch_size)


def _clip(parameters: list[Tensor], most: float) -> None:
    """`torch.nn.utils.clip_grad_norm_`, but for multiplying short gradients by 1, which takes half of its time."""
    norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
    # A GPU would have to be waited for to know.
    if norm.device.type != "cpu" or not float(norm) + 1e-6 <= most:
        torch.nn.utils.clip_grads_with_norm_(parameters, most, norm)
