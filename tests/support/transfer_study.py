"""A study of four pairs with known gains: methods that differ in their finetuning, scores that foretell or do not."""

from collections.abc import Mapping, Sequence
from typing import Any

from ctlr.methods.scratch import ScratchSpec
from ctlr.methods.supervised import SupervisedSpec
from ctlr.specs import (
    AnyMethod,
    ClassTable,
    DataTask,
    EncoderSpec,
    FinetuneSpec,
    ImagesSpec,
    PretrainSpec,
    Study,
    TaskSpec,
    TransferScores,
)

__all__ = ["ENCODER", "PAIRS", "SWEEP", "TASKS", "distances_of", "ladder", "pair_studies", "scores_of"]

ENCODER = EncoderSpec(label="small", name="small_cnn")
_DATA = {name: ImagesSpec(name=name, root=name) for name in ("letters", "things")}
TASKS = {
    f"{data}.{name}": DataTask(
        data=_DATA[data], task=TaskSpec(name=name, target="class", kind="classification", classes=classes)
    )
    for data in _DATA
    for name, classes in (("first", ("a", "b", "c", "d")), ("second", ("e", "f", "g", "h")))
}
PAIRS = tuple(
    (f"{source}.first", f"{target}.second") for source in ("letters", "things") for target in ("letters", "things")
)
SWEEP: Mapping[str, dict[str, Any]] = {
    f"w{w:g}-lr{lr:g}": {"w": w, "lr": lr} for w in (0.25, 0.3, 0.5, 0.7, 1.0) for lr in (0.001, 0.0001)
} | {name: {"strategy": name, "lr": 0.001} for name in ("gradual", "chain_thaw")}  # fmt: skip


def ladder(index: int) -> AnyMethod:
    """The method of a place in the sweep."""
    label, options = list(SWEEP.items())[index]
    return SupervisedSpec(label=label, finetune=FinetuneSpec(**options))


def pair_studies(methods: Sequence[AnyMethod], n_train: int, seeds: Sequence[int]) -> list[Study]:
    """Scratch on both targets, the methods on all four pairs."""
    ends = [(None, target, ScratchSpec(label="scratch")) for target in dict.fromkeys(target for _, target in PAIRS)]
    ends += [(source, target, method) for source, target in PAIRS for method in methods]  # type: ignore[misc]
    return [
        Study(
            source=TASKS[source] if source else None, target=TASKS[target], method=method, encoder=ENCODER,
            n_train=n_train, n_reserved=50, seed=seed,
        )
        for source, target, method in ends
        for seed in seeds
    ]  # fmt: skip


def scores_of(study: Study, values: Mapping[str, float]) -> TransferScores:
    """What a pretraining's features said."""
    assert study.source is not None
    spec = PretrainSpec.of(study)
    return TransferScores(
        source=study.source, target=study.target, n_train=study.n_train, seed=study.seed, encoder=study.encoder,
        pretraining=spec.identity() if spec else "", scores=dict(values),
        left_out={"h_score": "The H-score needs more images than features."}, images=study.n_train,
    )  # fmt: skip


def distances_of(study: Study, distance: float) -> TransferScores:
    """What the images said: every class of the source as far from every class of the target, but for one."""
    assert study.source is not None
    row = (distance, distance + 1, distance - 1, distance)
    table = ClassTable(forward=(row,) * 4, backward=(row[::-1],) * 4)
    return TransferScores(
        source=study.source, target=study.target, n_train=study.n_train, seed=study.seed,
        scores={f"hausdorff_{kind}{way}": distance for kind in ("modified", "plain") for way in ("", "_forward")},
        source_classes=("a", "b", "c", "d"), target_classes=("e", "f", "g", "h"),
        tables={"modified": table, "plain": table}, per_class=6, components=24, explained=0.9, images=24,
    )  # fmt: skip
