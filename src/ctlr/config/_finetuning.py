"""Rules on what of an encoder learns, and when."""

from __future__ import annotations

from collections.abc import Iterator

from ctlr.config._document import KeyPath
from ctlr.config._parts import Parts
from ctlr.specs import misfits

__all__ = ["freezing_keeps_something", "layers_fit_the_encoder"]

Fault = tuple[KeyPath, str]


def freezing_keeps_something(parts: Parts) -> Iterator[Fault]:
    """Only pretrained weights are worth keeping, and only stages have lengths."""
    for label, method in parts.methods.items():
        if method is None:
            continue
        finetune, where = method.finetune, ("methods", label, "finetune")
        probes = finetune.strategy == "linear_probe"
        if probes and finetune.n_frozen:
            yield (*where, "n_frozen"), "`strategy: linear_probe` freezes every block already. Remove `n_frozen`."
        keeping = {
            "strategy": probes, "n_frozen": finetune.n_frozen > 0, "l2_sp": finetune.l2_sp > 0,
            "norm_statistics": finetune.norm_statistics == "frozen",
        }  # fmt: skip
        for key in (key for key, kept in keeping.items() if kept):
            if method.reads_pool_while_finetuning and not method.pretrains:
                yield (*where, key), f"{label} has no pretrained weights to keep. Remove it."
            if label == "scratch":
                yield (*where, key), "the baseline trains its whole encoder. Give a frozen one a name of its own."
        if not finetune.staged:
            for key in ("stage_epochs", "plateau"):
                if getattr(finetune, key) is not None:
                    told = "it is of probe_then_full, gradual and chain_thaw"
                    yield (*where, key), f"`strategy: {finetune.strategy}` has no stages; {told}. Remove it."


def layers_fit_the_encoder(parts: Parts) -> Iterator[Fault]:
    """Only as many blocks can be frozen as there are, and every stage needs an epoch."""
    encoders = parts.encoders_by_depth()
    for label, method in parts.methods.items():
        if method is None or not method.trains_network:
            continue
        for encoder in encoders:
            for key, told in misfits(method.finetune, encoder):
                yield ("methods", label, "finetune", key), told
