"""Optimisers by name, over layer groups that each have a rate of their own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from ctlr.methods.base import Objective
from ctlr.specs import FitSpec

__all__ = ["OPTIMISERS", "layer_groups", "make_optimiser", "set_momentum", "set_rate"]

Groups = list[dict[str, Any]]


def _eager(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """An optimiser that does not load PyTorch's compiler, which takes two seconds, for code that is never compiled.

    PyTorch wraps these methods for it; one that it wraps no more stays as it is.
    """
    names = ("step", "zero_grad", "state_dict", "load_state_dict", "add_param_group")
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    return type(kind.__name__, (kind,), plain | {"step": torch.no_grad()(plain["step"])})


_SGD, _ADAGRAD, _ADADELTA, _RMSPROP, _ADAM, _ADAMW = map(
    _eager,
    (
        torch.optim.SGD, torch.optim.Adagrad, torch.optim.Adadelta, torch.optim.RMSprop, torch.optim.Adam,
        torch.optim.AdamW,
    ),
)  # fmt: skip

# Fused: one pass over each weight. Torch's default takes three times as long for a step of Adam on the small CNN and
# four times on ResNet-18; foreach takes more than fused everywhere, and no less than the default on a CPU.
OPTIMISERS: Mapping[str, Callable[[Groups, FitSpec], torch.optim.Optimizer]] = MappingProxyType(
    {
        "sgd": lambda groups, spec: _SGD(groups, lr=spec.lr, fused=True),
        "momentum": lambda groups, spec: _SGD(groups, lr=spec.lr, momentum=spec.momentum, fused=True),
        "nesterov": lambda groups, spec: _SGD(groups, lr=spec.lr, momentum=spec.momentum, nesterov=True, fused=True),
        "adagrad": lambda groups, spec: _ADAGRAD(groups, lr=spec.lr, fused=_on_cpu(groups) or None),
        "adadelta": lambda groups, spec: _ADADELTA(groups, lr=spec.lr),
        "rmsprop": lambda groups, spec: _RMSPROP(groups, lr=spec.lr),
        "adam": lambda groups, spec: _ADAM(groups, lr=spec.lr, fused=True),
        "adamw": lambda groups, spec: _ADAMW(groups, lr=spec.lr, fused=True),
    }
)
"""Name -> builder, called with parameter groups and the options; whatever is not an option is torch's default."""


def layer_groups(objective: Objective) -> list[list[nn.Parameter]]:
    """Parameters of each layer group: the encoder's blocks from the image on, then the head.

    Whatever is not in a block belongs to the last group: the heads of source tasks and of contrasts too.
    """
    blocks = [list(block.parameters()) for block in objective.encoder.blocks]
    inside = {parameter for block in blocks for parameter in block}
    return [*blocks, [parameter for parameter in objective.networks.parameters() if parameter not in inside]]


def make_optimiser(
    objective: Objective, spec: FitSpec, undecayed: Collection[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """The optimiser over all parameters that require gradients; biases and norms do not decay.

    Layer group l of L has the rate lr * w^(L - 1 - l); each parameter group says so in `scale`.

    Args:
        objective: What is trained.
        spec: Optimiser, rate, weight decay and, of a finetuning, w.
        undecayed: Parameters that do not decay either.
    """
    ratio = spec.finetuning.rate_ratio if spec.finetuning else 1.0
    layers = layer_groups(objective)
    scales = {
        parameter: ratio ** (len(layers) - 1 - number) for number, layer in enumerate(layers) for parameter in layer
    }
    excepted = set(undecayed)
    # What decays comes first: the norm of a gradient is summed up in this order.
    alike: dict[tuple[bool, float], list[nn.Parameter]] = {(True, 1.0): [], (False, 1.0): []}
    for parameter in objective.networks.parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and parameter not in excepted
            alike.setdefault((decays, scales[parameter]), []).append(parameter)
    groups = [
        {"params": parameters, "weight_decay": spec.weight_decay if decays else 0.0, "scale": scale}
        for (decays, scale), parameters in alike.items()
        if parameters
    ]
    return OPTIMISERS[spec.optimiser](groups, spec)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give the head a rate, and every other layer group its share of it."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]


def set_momentum(optimiser: torch.optim.Optimizer, momentum: float) -> None:
    """Set the momentum, or the first beta, of an optimiser that has one; others stay as they are."""
    for group in optimiser.param_groups:
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        elif group.get("momentum"):
            group["momentum"] = momentum


def _on_cpu(groups: Groups) -> bool:
    return all(parameter.device.type == "cpu" for group in groups for parameter in group["params"])
